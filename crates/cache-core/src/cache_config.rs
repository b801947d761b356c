//! The settings of a cache as people write them: with the names and defaults that they know from the Python module that
//! this cache grew from, and ours beside them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::config::Config;

/// What people write of a cache. A cache opens no files by itself: who sets `persist_to_disk` opens a tier in
/// `disk_cache_dir`, of `disk_max_bytes`, and gives it to the builder. `cache_redb::RedbTier::open_for` opens one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// How long a value is served, in seconds. Default: 3600.
    pub ttl_seconds: u64,
    /// The number of entries in memory. Default: 1000.
    pub max_entries: u64,
    /// Whether entries are kept on disk too. Default: no.
    pub persist_to_disk: bool,
    /// The folder of the disk tier. Default: `./cache`.
    pub disk_cache_dir: PathBuf,
    /// Whether entries are compressed on disk. Default: yes.
    pub compression: bool,
    /// Whether a changed fingerprint of the data is an invalidation. Default: yes.
    pub invalidate_on_data_change: bool,
    /// The bytes of all entries in memory, keys and bookkeeping included. Default: 64 MiB.
    pub max_bytes: u64,
    /// The bytes of the largest entry that is stored. Default: a quarter of `max_bytes`.
    pub max_entry_bytes: Option<u64>,
    /// How many seconds a value may be served after its ttl while it is loaded again. Default: 0.
    pub stale_while_revalidate: u64,
    /// How many seconds a value may be served after its ttl when loading it again fails. Default: 0.
    pub stale_if_error: u64,
    /// How entries are compressed on disk, if they are. Default: zstd.
    pub compression_codec: Codec,
    /// How many stale values are loaded again at a time behind their readers. Default: 4.
    pub refresh_workers: usize,
    /// The bytes that the cache's file may take on the disk. The entries in it take less, and each of them must fit: it
    /// may not be below the largest entry that is stored. Default: 1 GiB.
    pub disk_max_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            ttl_seconds: 3600,
            max_entries: 1000,
            persist_to_disk: false,
            disk_cache_dir: PathBuf::from("./cache"),
            compression: true,
            invalidate_on_data_change: true,
            max_bytes: 64 << 20,
            max_entry_bytes: None,
            stale_while_revalidate: 0,
            stale_if_error: 0,
            compression_codec: Codec::default(),
            refresh_workers: 4,
            disk_max_bytes: 1 << 30,
        }
    }
}

impl CacheConfig {
    /// The bytes of the largest entry that is stored: what is said, or what follows from `max_bytes`.
    pub fn largest_entry_bytes(&self) -> u64 {
        self.max_entry_bytes.unwrap_or(self.max_bytes / 4)
    }

    pub(crate) fn apply(&self, config: &mut Config) {
        config.ttl = Duration::from_secs(self.ttl_seconds);
        config.max_entries = self.max_entries;
        config.max_bytes = self.max_bytes;
        config.stale_while_revalidate = Duration::from_secs(self.stale_while_revalidate);
        config.stale_if_error = Duration::from_secs(self.stale_if_error);
        config.refresh_workers = self.refresh_workers;
        config.invalidate_on_data_change = self.invalidate_on_data_change;
        config.compression = if self.compression { self.compression_codec } else { Codec::None };
    }
}
