//! What a cache tells of itself while it happens.

use std::time::Duration;

use crate::entry::Stored;
use crate::key::Key;
use crate::listing::Tiers;
use crate::scope::Scope;

/// Is told what happens in a cache. Every method does nothing unless it is written.
///
/// The calls come from the thread in which it happens, outside all locks of the cache; [`Observer::hit`] is on the way
/// of every hit. `cache` is the name that the cache was built with.
pub trait Observer: Send + Sync {
    /// A value was served from memory.
    fn hit(&self, cache: &str, key: &Key, age: Duration) {
        let _ = (cache, key, age);
    }

    /// There was nothing to serve.
    fn miss(&self, cache: &str, key: &Key) {
        let _ = (cache, key);
    }

    /// A value was served from disk.
    fn restore(&self, cache: &str, key: &Key, age: Duration) {
        let _ = (cache, key, age);
    }

    /// A stale value was served; it is to be loaded again.
    fn stale(&self, cache: &str, key: &Key, age: Duration) {
        let _ = (cache, key, age);
    }

    /// A load failed, and an old value stood in for what it should have brought.
    fn stale_on_error(&self, cache: &str, key: &Key, age: Duration) {
        let _ = (cache, key, age);
    }

    /// An invalidation was told to this cache. It is durable, if that is wanted, when `durable` says so.
    fn invalidate(&self, cache: &str, scope: &Scope, durable: bool) {
        let _ = (cache, scope, durable);
    }

    /// A value of so many bytes, key and bookkeeping included, was stored: in memory, or handed to the disk tier as well.
    fn store(&self, cache: &str, key: &Key, bytes: u64, tier: Tiers) {
        let _ = (cache, key, bytes, tier);
    }

    /// A value was not stored, because it was out of date before it could be: why.
    fn outdated(&self, cache: &str, key: &Key, why: Stored) {
        let _ = (cache, key, why);
    }

    /// A miss joined a load under way.
    fn join(&self, cache: &str, key: &Key) {
        let _ = (cache, key);
    }

    /// A stale value was served and is not loaded again for now: too many others are, or there is no runtime to do it in.
    fn refresh_skipped(&self, cache: &str, key: &Key) {
        let _ = (cache, key);
    }

    /// The disk tier went out of service, for this reason; `None`: it is back. Told by a thread of the tier.
    fn degrade(&self, cache: &str, reason: Option<&str>) {
        let _ = (cache, reason);
    }

    /// A load ended.
    fn load(&self, cache: &str, key: &Key, report: &LoadReport) {
        let _ = (cache, key, report);
    }

    /// An entry of so many bytes left the memory.
    fn depart(&self, cache: &str, key: &Key, bytes: u64, why: Departure) {
        let _ = (cache, key, bytes, why);
    }

    /// A value of so many bytes, key and bookkeeping included, was larger than the cache allows.
    fn refuse(&self, cache: &str, key: &Key, bytes: u64) {
        let _ = (cache, key, bytes);
    }
}

/// Why an entry left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Departure {
    /// To make room.
    Evicted,
    /// Its ttl was over.
    Expired,
    /// An invalidation covered it.
    Invalidated,
    /// It was removed by its key, or its successor was too large to be stored.
    Removed,
}

/// One load, when it has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// How it ended.
    pub outcome: LoadOutcome,
    /// How long it took.
    pub elapsed: Duration,
    /// The bytes of its value; zero if there is none.
    pub bytes: u64,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadOutcome {
    /// With a value.
    Loaded,
    /// With an error.
    Failed,
    /// With a panic.
    Panicked,
    /// It took too long.
    TimedOut,
    /// Nobody waited for it any more, or its runtime was shut down.
    Cancelled,
}
