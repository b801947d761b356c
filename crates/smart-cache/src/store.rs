//! The only place that speaks with cache-core.
//!
//! A store is the cache of one function. Its namespace is the function's path. The name of the cache is that and, for a
//! persisted one, the fingerprint of the function: results of other code are under another name, while an invalidation,
//! which goes by namespace, reaches them as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::{Cache, Hit, Item, Key, MessagePack, Namespace, NotDurable, Origin, Peek, Scope, Stats};
use tokio::runtime::Handle;

use crate::function::Settings;
use crate::kept::Persistable;
use crate::persistence::{Base, flush_when_this_thread_ends};

/// The weight of an entry in memory, so that `max_entries` is what bounds the cache: an entry counts as more than one
/// only if its key, or its persisted form, is larger than this.
const ENTRY_BYTES: u64 = 1 << 20;
/// Up to so many entries the cache is in one piece, so that it holds exactly as many as it says. Larger ones are cut into
/// several, with a lock each, and may let a few entries go before all of them are full.
const ONE_PIECE: u64 = 256;

pub(crate) struct Store<V> {
    cache: Cache<V>,
    namespace: Namespace,
    /// Of a store in the tier: what a value weighs, if it can be encoded.
    weigh: Option<Weigh<V>>,
    stale: Duration,
    stale_if_error: Duration,
}

type Weigh<V> = fn(&V) -> Option<u64>;

/// When a run began, and what an invalidation from then on is newer than.
pub(crate) struct Begun {
    origin: Origin,
    at: Instant,
}

impl<V: Clone + Send + Sync + 'static> Store<V> {
    /// A store in memory.
    pub(crate) fn open(settings: &Settings, base: &Base) -> Result<Self, cache_core::Error> {
        let cache = Self::builder(&settings.name, settings).stamps(Arc::clone(base.stamps())).build()?;
        Ok(Self::new(cache, settings, None))
    }

    /// A store in memory and, if there is one, in the tier.
    pub(crate) fn open_persisted(settings: &Settings, base: &Base) -> Result<Self, cache_core::Error>
    where
        V: Persistable,
    {
        let Some(tier) = base.tier() else { return Self::open(settings, base) };
        let cache = Self::builder(&settings.persisted_name(), settings)
            .stamps(Arc::clone(base.stamps()))
            .persist(MessagePack::<V>::version(settings.version))
            .tier(Arc::clone(tier))
            .build()?;
        Ok(Self::new(cache, settings, Some(|value| MessagePack::weigh(value).ok())))
    }

    fn builder(name: &str, settings: &Settings) -> cache_core::Builder<V> {
        let max_bytes = settings.max_entries.saturating_mul(ENTRY_BYTES);
        // 97 % is what the cache takes for its largest entry, and makes it one piece; 32 entries are enough for many.
        let largest = if settings.max_entries <= ONE_PIECE { max_bytes / 100 * 97 } else { 32 * ENTRY_BYTES };
        let builder = Cache::builder(name);
        #[cfg(test)]
        let builder = builder.clock(crate::tests::clock());
        builder
            .ttl(settings.ttl)
            .max_entries(settings.max_entries)
            .max_bytes(max_bytes)
            .max_entry_bytes(largest)
            .stale_while_revalidate(settings.stale)
            .stale_if_error(settings.stale_if_error)
    }

    fn new(cache: Cache<V>, settings: &Settings, weigh: Option<Weigh<V>>) -> Self {
        let namespace = Namespace::new(Arc::clone(&settings.name));
        let Settings { stale, stale_if_error, .. } = *settings;
        Self { cache, namespace, weigh, stale, stale_if_error }
    }

    pub(crate) fn is_persisted(&self) -> bool {
        self.weigh.is_some()
    }

    pub(crate) fn key(&self, bytes: &[u8]) -> Key {
        Key::new(&self.namespace, bytes)
    }

    /// A fresh result in memory, counted.
    #[inline]
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<Hit<V>> {
        self.cache.get_bytes(&self.namespace, bytes)
    }

    /// A fresh result in memory, uncounted.
    pub(crate) fn fresh(&self, key: &Key) -> Option<Hit<V>> {
        self.usable(key).filter(|hit| !hit.remaining().is_zero())
    }

    /// A result in memory, however old, as long as it may be used at all.
    pub(crate) fn usable(&self, key: &Key) -> Option<Hit<V>> {
        self.peek(key).map(Peek::into_hit)
    }

    /// As [`Store::usable`], with where else it is.
    pub(crate) fn peek(&self, key: &Key) -> Option<Peek<V>> {
        self.cache.peek(key)
    }

    /// A result in memory that may be served while it is loaded again.
    pub(crate) fn stale(&self, key: &Key) -> Option<Hit<V>> {
        self.usable(key).filter(|hit| is_within(hit, self.stale))
    }

    /// A result in memory that may stand in for an error.
    pub(crate) fn in_place_of_an_error(&self, key: &Key) -> Option<Hit<V>> {
        self.usable(key).filter(|hit| is_within(hit, self.stale_if_error))
    }

    /// A fresh result from the tier. What is there and not fresh is in memory afterwards.
    pub(crate) fn find_blocking(&self, key: &Key) -> Option<Hit<V>> {
        self.cache.find_blocking(key)
    }

    /// As [`Store::find_blocking`]; off the async threads where there are others.
    pub(crate) async fn find(&self, key: &Key) -> Option<Hit<V>> {
        if Handle::try_current().is_ok() { self.cache.find(key).await } else { self.cache.find_blocking(key) }
    }

    pub(crate) fn begin(&self) -> Begun {
        Begun { origin: self.cache.begin(), at: Instant::now() }
    }

    /// Stores the result of a run, unless an invalidation came after its beginning. One that cannot be encoded is stored
    /// in memory alone.
    pub(crate) fn insert(&self, key: &Key, value: V, begun: &Begun, tags: &[Arc<str>]) {
        if self.is_persisted() {
            flush_when_this_thread_ends();
        }
        let item = match self.weigh.map(|weigh| weigh(&value)) {
            None => Item::new(value, 0),
            Some(Some(bytes)) => Item::new(value, bytes),
            Some(None) => Item::new(value, 0).in_memory_only(),
        };
        let item = item.with_origin(begun.origin).with_cost(begun.at.elapsed());
        self.cache.insert(key, item.with_tags(tags.iter().map(Arc::clone)));
    }

    pub(crate) fn invalidate_blocking(&self, scope: &Scope) -> Result<(), NotDurable> {
        self.cache.invalidate_blocking(scope).map(drop)
    }

    pub(crate) async fn invalidate(&self, scope: Scope) -> Result<(), NotDurable> {
        if Handle::try_current().is_err() {
            return self.invalidate_blocking(&scope);
        }
        self.cache.invalidate(scope).await.map(drop)
    }

    /// Everything of this function.
    pub(crate) fn all(&self) -> Scope {
        Scope::Namespace(self.namespace.clone())
    }

    /// Frees what an invalidation has left.
    pub(crate) fn sweep(&self) {
        self.cache.sweep();
    }

    pub(crate) fn stats(&self) -> Stats {
        self.cache.stats()
    }
}

/// Whether a result is fresh, or has been stale for less than this.
fn is_within<V>(hit: &Hit<V>, window: Duration) -> bool {
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    hit.freshness_ms().saturating_add(window) > 0
}

impl Begun {
    /// How long ago it began.
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.at.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
