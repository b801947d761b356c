//! What a cache is told when it is built.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cache::Cache;
use crate::cache_config::CacheConfig;
use crate::clock::Clock;
use crate::codec::Codec;
use crate::disk::Disk;
use crate::entry::Entry;
use crate::error::Error;
use crate::memory::admitted;
use crate::observer::Observer;
use crate::persist::Persist;
use crate::stamps::Stamps;
use crate::tier::ByteTier;

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
    /// How long a value may be served after its ttl while it is loaded again. Default: not at all.
    pub stale_while_revalidate: Duration,
    /// How long a value may be served after its ttl when loading it again fails. Default: not at all.
    pub stale_if_error: Duration,
    /// How many stale values are loaded again at a time behind their readers. Default: 4.
    pub refresh_workers: usize,
    /// Whether a changed fingerprint is an invalidation. Default: yes.
    pub invalidate_on_data_change: bool,
    /// How values are compressed on disk. Default: zstd.
    pub compression: Codec,
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
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            refresh_workers: 4,
            invalidate_on_data_change: true,
            compression: Codec::default(),
        }
    }

    fn check(&self, overhead: u64) -> Result<(), Error> {
        let zero = [
            ("max_bytes", self.max_bytes == 0),
            ("max_entries", self.max_entries == 0),
            ("max_entry_bytes", self.max_entry_bytes == 0),
            ("ttl", self.ttl.is_zero()),
            ("load_timeout", self.load_timeout.is_zero()),
            ("refresh_workers", self.refresh_workers == 0),
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
    persist: Option<Arc<dyn Persist<V>>>,
    tier: Option<Arc<dyn ByteTier>>,
    /// Whether the configuration asked for a disk tier.
    must_persist: bool,
    /// The room that it left for that tier.
    disk_max_bytes: Option<u64>,
}

/// What a built cache stands on beside its configuration.
pub(crate) struct Parts<V> {
    pub(crate) config: Config,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) clock: Clock,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) runtime: Option<Handle>,
    pub(crate) disk: Option<Disk<V>>,
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
            persist: None,
            tier: None,
            must_persist: false,
            disk_max_bytes: None,
        }
    }

    /// The settings as people write them. What is set after this wins.
    pub fn config(mut self, config: &CacheConfig) -> Self {
        config.apply(&mut self.config);
        self.max_entry_bytes = config.max_entry_bytes.or(self.max_entry_bytes);
        self.must_persist = config.persist_to_disk;
        self.disk_max_bytes = config.persist_to_disk.then_some(config.disk_max_bytes);
        self
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

    /// See [`Config::stale_while_revalidate`].
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.config.stale_while_revalidate = time;
        self
    }

    /// See [`Config::stale_if_error`].
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.config.stale_if_error = time;
        self
    }

    /// See [`Config::refresh_workers`].
    pub fn refresh_workers(mut self, workers: usize) -> Self {
        self.config.refresh_workers = workers;
        self
    }

    /// See [`Config::compression`].
    pub fn compression(mut self, codec: Codec) -> Self {
        self.config.compression = codec;
        self
    }

    /// How values become bytes: needed for a cache with a tier.
    pub fn persist(mut self, persist: impl Persist<V> + 'static) -> Self {
        self.persist = Some(Arc::new(persist));
        self
    }

    /// Keeps the entries in this tier too, under the name of this cache, which must be the only one of that name there.
    pub fn tier(mut self, tier: Arc<dyn ByteTier>) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Shares the invalidations of other caches; a cache with a tier needs those that are durable in that tier. Default:
    /// stamps of its own.
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
        match self.disk_max_bytes {
            Some(0) => return Err(Error::Zero { setting: "disk_max_bytes" }),
            Some(disk_max_bytes) if disk_max_bytes < config.max_entry_bytes => {
                let max_entry_bytes = config.max_entry_bytes;
                return Err(Error::EntryOverDisk { disk_max_bytes, max_entry_bytes });
            }
            _ => {}
        }
        let clock = match self.clock {
            Some(clock) => clock,
            None => Clock::process().map_err(Error::Clock)?,
        };
        let disk = match (self.tier, self.persist) {
            (Some(tier), Some(persist)) => {
                Some(Disk { tier, persist, codec: config.compression, cache: Arc::clone(&config.name) })
            }
            (Some(_), None) => return Err(Error::NoPersist),
            (None, _) if self.must_persist => return Err(Error::NoTier),
            (None, _) => None,
        };
        let stamps = match (self.stamps, &disk) {
            // What is on disk would outlive the invalidations of it.
            (Some(stamps), Some(disk)) if !stamps.stand_on(&disk.tier) => return Err(Error::StampsNotDurable),
            (Some(stamps), _) => stamps,
            (None, Some(disk)) => Arc::new(Stamps::durable(Arc::clone(&disk.tier))),
            (None, None) => Arc::default(),
        };
        let (observer, runtime) = (self.observer, self.runtime);
        Ok(Cache::from_parts(Parts { config, stamps, clock, observer, runtime, disk }))
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
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
        check(|builder| builder.refresh_workers(0), "refresh_workers");
        let given = |change: fn(&mut CacheConfig)| {
            let mut config = CacheConfig::default();
            change(&mut config);
            config
        };
        check(|builder| builder.config(&given(|_| {})), "");
        check(|builder| builder.config(&given(|config| config.ttl_seconds = 0)), "ttl");
        check(|builder| builder.config(&given(|config| config.persist_to_disk = true)), "persist_to_disk");
        check(
            |builder| builder.config(&given(|config| (config.persist_to_disk, config.disk_max_bytes) = (true, 0))),
            "disk_max_bytes",
        );
        check(|builder| builder.config(&given(|config| config.disk_max_bytes = 0)), "");
        let persisted = |disk_max_bytes, max_entry_bytes| CacheConfig {
            persist_to_disk: true,
            disk_max_bytes,
            max_entry_bytes,
            ..CacheConfig::default()
        };
        check(
            |builder| builder.config(&persisted(5_000, Some(5_001))),
            "disk_max_bytes = 5000: an entry may have 5001",
        );
        check(|builder| builder.config(&persisted(5_000, None)), "disk_max_bytes = 5000");
        check(|builder| builder.config(&persisted(5_000, Some(5_000))), "without a tier");
        check(|builder| builder.config(&given(|config| config.max_entry_bytes = Some(1 << 40))), "at most");
        check(|builder| builder.config(&given(|config| config.ttl_seconds = 0)).ttl(Duration::from_secs(1)), "");
    }
}
