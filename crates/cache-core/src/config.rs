//! What a cache is told when it is built.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::entry::Entry;
use crate::error::Error;
use crate::memory::admitted;
use crate::observer::Observer;
use crate::stamps::Stamps;

/// The settings of a cache, as they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What observers and people call the cache.
    pub name: Arc<str>,
    /// The bytes of all entries, keys and bookkeeping included. Default: 64 MiB.
    pub max_bytes: u64,
    /// The number of entries. Default: 100,000.
    pub max_entries: u64,
    /// The bytes of the largest entry that is stored, key and bookkeeping included; at most 97 % of `max_bytes`.
    /// Default: a quarter of `max_bytes`. The smaller, the more shards, the less contention.
    pub max_entry_bytes: u64,
    /// How long a value is served, counted from when its scan began. Default: 1 h.
    pub ttl: Duration,
    /// How long a load may take. Default: 30 s.
    pub load_timeout: Duration,
}

impl Config {
    const MAX_BYTES: u64 = 64 << 20;

    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            max_bytes: Self::MAX_BYTES,
            max_entries: 100_000,
            max_entry_bytes: Self::MAX_BYTES / 4,
            ttl: Duration::from_secs(3600),
            load_timeout: Duration::from_secs(30),
        }
    }

    fn check(&self, overhead: u64) -> Result<(), Error> {
        let zero = [
            ("max_bytes", self.max_bytes == 0),
            ("max_entries", self.max_entries == 0),
            ("max_entry_bytes", self.max_entry_bytes == 0),
            ("ttl", self.ttl.is_zero()),
            ("load_timeout", self.load_timeout.is_zero()),
        ];
        if let Some((setting, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(Error::Zero { setting });
        }
        let limit = admitted(self.max_bytes);
        if self.max_entry_bytes > limit {
            return Err(Error::EntryOverBudget { max_entry_bytes: self.max_entry_bytes, limit });
        }
        if self.max_entry_bytes <= overhead {
            return Err(Error::EntryTooSmall { max_entry_bytes: self.max_entry_bytes, overhead });
        }
        Ok(())
    }
}

/// Builds a [`Cache`]. Made by [`Cache::builder`].
#[must_use]
pub struct Builder<V> {
    config: Config,
    max_entry_bytes: Option<u64>,
    stamps: Option<Arc<Stamps>>,
    clock: Option<Clock>,
    observer: Option<Arc<dyn Observer>>,
    runtime: Option<Handle>,
    value: PhantomData<fn() -> V>,
}

/// What a built cache stands on beside its configuration.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) clock: Clock,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) runtime: Option<Handle>,
}

impl<V: Send + Sync + 'static> Builder<V> {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            config: Config::new(name),
            max_entry_bytes: None,
            stamps: None,
            clock: None,
            observer: None,
            runtime: None,
            value: PhantomData,
        }
    }

    /// See [`Config::max_bytes`].
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.config.max_bytes = max_bytes;
        self
    }

    /// See [`Config::max_entries`].
    pub fn max_entries(mut self, max_entries: u64) -> Self {
        self.config.max_entries = max_entries;
        self
    }

    /// See [`Config::max_entry_bytes`].
    pub fn max_entry_bytes(mut self, max_entry_bytes: u64) -> Self {
        self.max_entry_bytes = Some(max_entry_bytes);
        self
    }

    /// See [`Config::ttl`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = ttl;
        self
    }

    /// See [`Config::load_timeout`].
    pub fn load_timeout(mut self, load_timeout: Duration) -> Self {
        self.config.load_timeout = load_timeout;
        self
    }

    /// Shares the invalidations of other caches. Default: stamps of its own.
    pub fn stamps(mut self, stamps: Arc<Stamps>) -> Self {
        self.stamps = Some(stamps);
        self
    }

    /// Another clock than that of the process. Caches that pass origins to each other need the same one.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told of what happens. Default: nobody.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Where loads run; its time driver must be enabled. Default: the runtime of the caller that starts the load.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Checks the settings and builds the cache.
    ///
    /// # Errors
    /// A setting that makes no sense, or the clock of the process could not be started.
    pub fn build(self) -> Result<Cache<V>, Error> {
        let mut config = self.config;
        // A quarter of next to nothing may be less than an entry needs; that is no reason to refuse a small cache.
        let quarter = (config.max_bytes / 4).max(4 * Entry::<V>::OVERHEAD).min(admitted(config.max_bytes));
        config.max_entry_bytes = self.max_entry_bytes.unwrap_or(quarter);
        config.check(Entry::<V>::OVERHEAD)?;
        let clock = match self.clock {
            Some(clock) => clock,
            None => Clock::process().map_err(Error::Clock)?,
        };
        Ok(Cache::from_parts(Parts {
            config,
            stamps: self.stamps.unwrap_or_default(),
            clock,
            observer: self.observer,
            runtime: self.runtime,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(build: impl FnOnce(Builder<u64>) -> Builder<u64>, expected: &str) {
        let built = build(Builder::new("test")).build();
        let message = built.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains(expected), "{message:?} should contain {expected:?}");
        assert_eq!(message.is_empty(), expected.is_empty(), "{message:?}");
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_setting() {
        check(|builder| builder, "");
        check(|builder| builder.max_bytes(0), "max_bytes");
        check(|builder| builder.max_entries(0), "max_entries");
        check(|builder| builder.max_entry_bytes(0), "max_entry_bytes");
        check(|builder| builder.ttl(Duration::ZERO), "ttl");
        check(|builder| builder.load_timeout(Duration::ZERO), "load_timeout");
        check(|builder| builder.max_bytes(1_000_000).max_entry_bytes(970_001), "at most 970000");
        check(|builder| builder.max_bytes(1_000_000).max_entry_bytes(970_000), "");
        check(|builder| builder.max_entry_bytes(10), "bookkeeping");
        check(|builder| builder.max_bytes(10), "bookkeeping");
        check(|builder| builder.max_entries(1), "");
    }
}
