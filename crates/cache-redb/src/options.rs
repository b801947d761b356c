//! The settings of a disk tier.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// An empty database and one batch take nearly this much.
const MIN_FILE_BYTES: u64 = 1 << 20;
const MIN_MARGIN_BYTES: u64 = 16 << 20;

/// Tells the time of day in milliseconds since the Unix epoch.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The settings of a disk tier. All sizes are in bytes.
#[derive(Clone)]
pub struct TierOptions {
    /// Payloads, keys and metadata together; 1 GiB.
    pub max_bytes: u64,
    /// How many records there may be, since each takes memory too, about 100 bytes; 1,000,000.
    pub max_entries: usize,
    /// What the database file may take on the disk, 1 MiB at least. If it is not said: half of `max_bytes` more than
    /// that, and 16 MiB more at least, because a batch needs room beside what it replaces.
    pub max_file_bytes: Option<u64>,
    /// What may wait to be written, by [`cache_core::Meta::value_bytes`]; 64 MiB.
    pub queue_bytes: u64,
    /// How many records may wait to be written; 10,000.
    pub queue_entries: usize,
    /// The database's page cache; 16 MiB.
    pub page_cache_bytes: usize,
    /// How often records are looked for that are of no more use; a minute.
    pub sweep_interval: Duration,
    /// The time of day.
    pub clock: WallClock,
}

impl TierOptions {
    pub(crate) fn file_limit(&self) -> u64 {
        match self.max_file_bytes {
            Some(bytes) => bytes.max(MIN_FILE_BYTES),
            None => self.max_bytes.saturating_add((self.max_bytes / 2).max(MIN_MARGIN_BYTES)),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let limits = [
            ("max_bytes", self.max_bytes),
            ("max_file_bytes", self.max_file_bytes.unwrap_or(u64::MAX)),
            ("max_entries", self.max_entries as u64),
            ("queue_bytes", self.queue_bytes),
            ("queue_entries", self.queue_entries as u64),
            ("page_cache_bytes", self.page_cache_bytes as u64),
            ("sweep_interval", self.sweep_interval.as_millis() as u64),
        ];
        match limits.into_iter().find(|&(_, limit)| limit == 0) {
            Some((what, _)) => Err(Error::Limit { what }),
            None => Ok(()),
        }
    }
}

impl Default for TierOptions {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_entries: 1_000_000,
            max_file_bytes: None,
            queue_bytes: 64 << 20,
            queue_entries: 10_000,
            page_cache_bytes: 16 << 20,
            sweep_interval: Duration::from_secs(60),
            clock: Arc::new(system_millis),
        }
    }
}

impl fmt::Debug for TierOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TierOptions")
            .field("max_bytes", &self.max_bytes)
            .field("max_entries", &self.max_entries)
            .field("max_file_bytes", &self.file_limit())
            .field("queue_bytes", &self.queue_bytes)
            .field("queue_entries", &self.queue_entries)
            .field("page_cache_bytes", &self.page_cache_bytes)
            .field("sweep_interval", &self.sweep_interval)
            .finish_non_exhaustive()
    }
}

fn system_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
