//! How far a recommendation may go.

use std::time::Duration;

/// What there is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes of memory caches may take beside what they have; none unless set.
    pub memory_available: u64,
    /// How many bytes of disk may be taken; none, if nothing can be kept on disk.
    pub disk_available: u64,
    /// The most workers that may be recommended: 64.
    pub max_workers: usize,
    /// The shortest ttl that may be recommended: 1 s.
    pub min_ttl: Duration,
    /// The longest: a day.
    pub max_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_available: 0,
            disk_available: 0,
            max_workers: 64,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(24 * 3600),
        }
    }
}
