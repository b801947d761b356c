//! The cache as its users see it.
//!
//! A read is: the coarse time, one look into the memory tier, three comparisons. Everything else (removing what is out
//! of date, loading, storing) happens on the way of a miss.

use std::any::TypeId;
use std::sync::Arc;

use crate::config::{Builder, Config, Parts};
use crate::entry::{Hit, Item, State, Stored};
use crate::error::LoadError;
use crate::flight::Purpose;
use crate::inner::{Inner, Request};
use crate::key::{Key, Namespace};
use crate::load::{LoadContext, LoadOptions, Loaded, erase};
use crate::observer::Departure;
use crate::origin::Origin;
use crate::stamps::Stamps;
use crate::stats::Stats;

/// A cache of values of one type. Cloning it gives another handle of the same cache.
///
/// Values are handed out by reference ([`Hit::value`]) or as clones; large ones belong into an `Arc`.
pub struct Cache<V> {
    inner: Arc<Inner<V>>,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// Begins to build a cache of this name.
    pub fn builder(name: &str) -> Builder<V> {
        Builder::new(name)
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self { inner: Arc::new(Inner::new(parts)) }
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The invalidations that it obeys, to be shared with another cache.
    pub fn stamps(&self) -> &Arc<Stamps> {
        &self.inner.stamps
    }

    /// The origin of a scan that begins now: for a value that is loaded outside and inserted afterwards.
    pub fn begin(&self) -> Origin {
        self.inner.begin()
    }

    /// The value of a key, if it may be served.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<Hit<V>> {
        let hit = self.inner.look_up(key);
        match &hit {
            Some(hit) => self.inner.count_hit(key, hit),
            None => self.inner.count_miss(key),
        }
        hit
    }

    /// The value of a key, if it may be served: without a trace in recency or statistics.
    pub fn peek(&self, key: &Key) -> Option<Hit<V>> {
        self.inner.peek(key)
    }

    /// Stores a value. An item without an origin begins now: that is right for a value that was computed from nothing
    /// that an invalidation could be about. For all else take [`Cache::begin`] before the scan.
    pub fn insert(&self, key: &Key, item: Item<V>) -> Stored {
        let cell = self.inner.stamps.cell(key.namespace());
        self.inner.store(key, item, self.begin(), self.inner.config.ttl, cell).1
    }

    /// Removes the value of a key, and keeps every load of its namespace that began before from being stored. Says
    /// whether there was a value that could have been served.
    pub fn remove(&self, key: &Key) -> bool {
        self.inner.stamps.raise_store_barrier(key.namespace());
        let Some(entry) = self.inner.memory.remove(key) else { return false };
        self.inner.departed(key, &entry, Departure::Removed);
        entry.state(self.inner.clock.now(), &self.inner.stamps) == State::Fresh
    }

    /// Makes everything invalid that began before now, in every cache with these stamps. Returns the stamp.
    pub fn invalidate_all(&self) -> u64 {
        self.inner.stamps.invalidate_all()
    }

    /// Makes everything of this namespace invalid that began before now, in every cache with these stamps. Returns
    /// the stamp.
    pub fn invalidate_namespace(&self, namespace: &Namespace) -> u64 {
        self.inner.stamps.invalidate_namespace(namespace)
    }

    /// Frees what is expired or invalid, and returns how many entries that were. No read needs this: it gives memory
    /// back sooner than eviction would. It looks at every entry, and locks none out for longer than a look.
    pub fn sweep(&self) -> u64 {
        let now = self.inner.clock.now();
        let dead = self.inner.memory.entries().filter(|(key, entry)| self.inner.remove_dead(key, entry, now));
        dead.count() as u64
    }

    /// What it has done and what it holds.
    pub fn stats(&self) -> Stats {
        let Inner { counters, memory, flights, stamps, .. } = &*self.inner;
        Stats {
            entries: memory.len(),
            bytes: memory.bytes(),
            weight: memory.weight(),
            loading: flights.len() as u64,
            invalidations: stamps.counter(),
            ..counters.snapshot()
        }
    }

    /// The value of a key, loaded if it is missing. However many callers miss at once, one load serves them all; it
    /// runs in a task of its own, so that it does not matter which of them stays.
    ///
    /// A call that comes after an invalidation never gets the value of a load that began before it.
    ///
    /// # Errors
    /// See [`LoadError`]. A failure is told to all who wait for it and is not kept.
    pub async fn get_or_load<F, Fut, E>(
        &self,
        key: &Key,
        options: LoadOptions,
        load: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        F: FnOnce(LoadContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Item<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(hit) = self.inner.look_up(key) {
            self.inner.count_hit(key, &hit);
            return Ok(Loaded::from_hit(hit));
        }
        let request = Request { purpose: Purpose::Load, options, error: TypeId::of::<E>() };
        self.inner.load(key, request, erase(load)).await.map_err(LoadError::from_failure)
    }

    /// Loads the value of a key again, whether it is there or not, while the present one goes on being served; then
    /// puts the new one in its place. Reloads of a key that come at once share one load.
    ///
    /// # Errors
    /// See [`LoadError`]. After a failure the present value stays.
    pub async fn reload<F, Fut, E>(&self, key: &Key, options: LoadOptions, load: F) -> Result<Loaded<V>, LoadError<E>>
    where
        F: FnOnce(LoadContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Item<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let request = Request { purpose: Purpose::Reload, options, error: TypeId::of::<E>() };
        self.inner.load(key, request, erase(load)).await.map_err(LoadError::from_failure)
    }
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<V> std::fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
