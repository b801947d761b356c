//! The settings of a disk tier.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_core::CacheConfig;

use crate::error::Error;

/// An empty database and one batch take nearly this much.
const MIN_FILE_BYTES: u64 = 1 << 20;
/// What a file may take for which nothing is said, and few records.
const SMALL_FILE_BYTES: u64 = 4 << 20;

/// The operations of one transaction.
pub(crate) const MAX_BATCH_OPS: usize = 4_096;
/// What an operation changes of the tables, at random places: about three pages.
const PAGES_OF_AN_OPERATION: u64 = 3 * 4_096;
/// The bytes of the values of one transaction: what is larger than a small part of redb's page cache is written twice,
/// and halves the rate of small records.
const MAX_BATCH_BYTES: u64 = 2 << 20;

/// Tells the time of day in milliseconds since the Unix epoch.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The settings of a disk tier. All sizes are in bytes.
///
/// There are two budgets. That of the file is what people have in mind who give a cache so much of a disk; it is kept but
/// for moments, in which a large value is written or the file is made shorter. That of the records follows from it: two
/// thirds, because a batch needs room beside what it replaces, and pages are not always full. Where that is not enough,
/// as for many records of a few hundred bytes each, some more have to go before the file is as long as it may be.
#[derive(Clone)]
pub struct TierOptions {
    /// What the records may take: payloads, keys and metadata together; never more than two thirds of what the file may
    /// take. 1 GiB.
    pub max_bytes: u64,
    /// How many records there may be, since each takes memory too, about 100 bytes; 1,000,000.
    pub max_entries: usize,
    /// What the database file may take on the disk, 1 MiB at least. If it is not said: `max_bytes`, and 4 MiB at least.
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
    /// The settings of a tier for caches of this configuration: its file takes `disk_max_bytes` at most, and its queue
    /// takes the largest entry.
    pub fn of(config: &CacheConfig) -> Self {
        let defaults = Self::default();
        Self {
            max_bytes: records_of(config.disk_max_bytes),
            max_file_bytes: Some(config.disk_max_bytes),
            queue_bytes: defaults.queue_bytes.max(config.largest_entry_bytes()),
            ..defaults
        }
    }

    /// What the file may take.
    pub fn file_limit(&self) -> u64 {
        match self.max_file_bytes {
            Some(bytes) => bytes.max(MIN_FILE_BYTES),
            None => self.max_bytes.max(SMALL_FILE_BYTES),
        }
    }

    /// What the records may take, as follows from both budgets.
    pub fn record_limit(&self) -> u64 {
        self.max_bytes.min(records_of(self.file_limit()))
    }

    /// The operations of one transaction: many, because the sync at its end costs the same for all; but few for a small
    /// file, because it writes the pages anew that they are in, beside the old ones.
    pub(crate) fn batch_ops(&self) -> usize {
        let pages = self.file_limit() / 16 / PAGES_OF_AN_OPERATION;
        MAX_BATCH_OPS.min(usize::try_from(pages).unwrap_or(usize::MAX)).max(16)
    }

    /// The bytes of the values of one transaction, so that one alone does not make a small file much longer.
    pub(crate) fn batch_bytes(&self) -> u64 {
        MAX_BATCH_BYTES.min(self.file_limit() / 32)
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

/// What the records of a file may take that may take this.
fn records_of(file_bytes: u64) -> u64 {
    file_bytes / 3 * 2
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
            .field("max_bytes", &self.record_limit())
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
