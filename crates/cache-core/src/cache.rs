//! The cache as its users see it.
//!
//! A read is: the coarse time, one look into the memory tier, three comparisons. Everything else (looking on disk,
//! removing what is out of date, loading, storing) happens on the way of a miss.

use std::any::TypeId;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::boarding::{Request, Want};
use crate::config::{Builder, Config, Parts};
use crate::entry::{AtMost, Hit, Item, Stored};
use crate::error::{Error, LoadError, NotDurable};
use crate::inner::Inner;
use crate::key::{BorrowedKey, Key, Namespace};
use crate::listing::{EntryFilter, EntryInfo, NamespaceUse};
use crate::load::{LoadContext, LoadOptions, Loaded, erase};
use crate::observer::Departure;
use crate::origin::Origin;
use crate::peek::Peek;
use crate::scope::Scope;
use crate::stamps::{Noted, Stamps};
use crate::stats::Stats;
use crate::tier::{ByteTier, Change, TierError};
use crate::warm::{UnderWay, Warmed};

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

    pub(crate) fn from_parts(parts: Parts<V>) -> Self {
        let inner = Arc::new(Inner::new(parts));
        if let (Some(disk), Some(_)) = (&inner.disk, &inner.observer) {
            let watcher = Arc::downgrade(&inner);
            disk.tier.watch(watcher);
        }
        Self { inner }
    }

    /// Goes on with another budget of memory: a smaller one lets go of what does not fit any more, and may take only smaller
    /// entries ([`Cache::max_entry_bytes`]); a larger one is there at once. Looks at every entry; stores wait meanwhile.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] for one that would hardly hold an entry; then nothing changes.
    pub fn set_max_bytes(&self, max_bytes: u64) -> Result<(), Error> {
        let before = self.inner.memory.len();
        self.inner.memory.resize(max_bytes).map_err(|least| Error::BudgetTooSmall { max_bytes, least })?;
        let evicted = before.saturating_sub(self.inner.memory.len());
        self.inner.counters.evicted(evicted);
        Ok(())
    }

    /// The budget of memory in force.
    pub fn max_bytes(&self) -> u64 {
        self.inner.memory.max_bytes()
    }

    /// The largest entry that is stored now, key and bookkeeping included.
    pub fn max_entry_bytes(&self) -> u64 {
        self.inner.memory.max_entry_bytes()
    }

    /// The settings that it was built with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The invalidations that it obeys, to be shared with another cache.
    pub fn stamps(&self) -> &Arc<Stamps> {
        &self.inner.stamps
    }

    /// Its disk tier.
    pub fn tier(&self) -> Option<&Arc<dyn ByteTier>> {
        self.inner.disk.as_ref().map(|disk| &disk.tier)
    }

    /// The origin of a scan that begins now: for a value that is loaded outside and inserted afterwards.
    pub fn begin(&self) -> Origin {
        self.inner.begin()
    }

    /// The fresh value of a key in memory. Never blocks.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<Hit<V>> {
        let hit = self.inner.look_up(key);
        match &hit {
            Some(hit) => self.inner.count_hit(key, hit),
            None => self.inner.count_miss(key),
        }
        hit
    }

    /// As [`Cache::get`], for a key of these bytes at version 0, which is made only if it is needed: a hit allocates
    /// nothing.
    #[inline]
    pub fn get_bytes(&self, namespace: &Namespace, bytes: &[u8]) -> Option<Hit<V>> {
        if let Some(hit) = self.inner.look_up_borrowed(&BorrowedKey::new(namespace, bytes)) {
            match &self.inner.observer {
                None => self.inner.count_borrowed_hit(&hit),
                Some(_) => self.inner.count_hit(&Key::new(namespace, bytes), &hit),
            }
            return Some(hit);
        }
        // What is out of date is taken away, and the miss counted, with the key itself.
        self.get(&Key::new(namespace, bytes))
    }

    /// The fresh value of a key, from memory or from disk.
    pub async fn find(&self, key: &Key) -> Option<Hit<V>> {
        match self.inner.look_up(key) {
            Some(hit) => {
                self.inner.count_hit(key, &hit);
                Some(hit)
            }
            None => self.inner.find_on_disk(key).await,
        }
    }

    /// As [`Cache::find`], for callers that may block.
    pub fn find_blocking(&self, key: &Key) -> Option<Hit<V>> {
        match self.inner.look_up(key) {
            Some(hit) => {
                self.inner.count_hit(key, &hit);
                Some(hit)
            }
            None => self.inner.found_on_disk(key, self.inner.restore_blocking(key, AtMost::default())),
        }
    }

    /// The value of a key in memory as far as it may be used at all, fresh or not: without a trace in recency or
    /// statistics.
    pub fn peek(&self, key: &Key) -> Option<Peek<V>> {
        self.inner.usable(key).map(|hit| Peek::new(hit, key, &self.inner))
    }

    /// Stores a value. An item without an origin begins now: that is right for a value that was computed from nothing
    /// that an invalidation could be about. For all else take [`Cache::begin`] before the scan.
    pub fn insert(&self, key: &Key, item: Item<V>) -> Stored {
        let cell = self.inner.stamps.cell(key.namespace());
        let terms = self.inner.terms(&LoadOptions::default());
        let origin = item.origin.unwrap_or_else(|| self.begin());
        self.inner.store(key, item, origin, Duration::ZERO, terms, cell).1
    }

    /// Makes everything invalid that the scope covers and that began before now. Returns the stamp of the invalidation.
    /// When this returns, nothing that is covered is served any more; with durable stamps, not after a crash either.
    ///
    /// # Errors
    /// It holds in this process, but could not be made to outlive it. The disk tier was given up.
    pub async fn invalidate(&self, scope: Scope) -> Result<u64, NotDurable> {
        let executor = self.inner.executor().filter(|_| self.inner.stamps.is_durable());
        let Some(executor) = executor else { return self.invalidate_blocking(&scope) };
        let (this, covered) = (self.clone(), scope.clone());
        match executor.block(move || this.invalidate_blocking(&covered)).await {
            Ok(outcome) => outcome,
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Its runtime is shutting down. It has to be done all the same.
                Err(_) => self.invalidate_blocking(&scope),
            },
        }
    }

    /// As [`Cache::invalidate`], for callers that may block while it is made durable.
    ///
    /// # Errors
    /// As there.
    pub fn invalidate_blocking(&self, scope: &Scope) -> Result<u64, NotDurable> {
        let Inner { stamps, .. } = &*self.inner;
        let outcome =
            match scope {
                Scope::All => stamps.invalidate_all(),
                Scope::Namespace(namespace) => stamps.invalidate_namespace(namespace),
                Scope::Tag(tag) => stamps.invalidate_tag(tag),
                Scope::Key(key) | Scope::Versions(key) => self.delete(key.namespace(), scope, |cache, stamp| {
                    Change::Key { cache, namespace: key.namespace().text(), bytes: key.bytes().into(), stamp }
                }),
                Scope::Prefix { namespace, prefix } => self.delete(namespace, scope, |cache, stamp| Change::Prefix {
                    cache,
                    namespace: namespace.text(),
                    prefix: Arc::clone(prefix),
                    stamp,
                }),
            };
        self.inner.tell(|observer, cache| observer.invalidate(cache, scope, outcome.is_ok()));
        outcome
    }

    fn delete(
        &self,
        namespace: &Namespace,
        scope: &Scope,
        change: impl FnOnce(Arc<str>, u64) -> Change,
    ) -> Result<u64, NotDurable> {
        let Inner { stamps, memory, disk, config, .. } = &*self.inner;
        let cell = stamps.cell(namespace);
        let stamp = stamps.raise_store_barrier(&cell);
        let outcome = match disk {
            Some(_) => stamps.record(stamp, || change(Arc::clone(&config.name), stamp)),
            None => Ok(stamp),
        };
        // What was stored between the barrier and here may have reached the tier after it was given up.
        let again = || {
            if let (Some(disk), Err(_)) = (disk, &outcome) {
                disk.tier.abandon();
            }
            stamps.raise_store_barrier(&cell);
        };
        // Memory obeys, whether it could be made durable or not.
        match scope {
            Scope::Key(key) => {
                let removed = memory.remove(key, || {
                    if let Some(disk) = disk {
                        disk.tier.remove(&disk.record_key(key));
                    }
                    again();
                });
                if let Some(entry) = removed {
                    self.inner.departed(key, &entry, Departure::Removed);
                }
            }
            scope => {
                stamps.raise_store_barrier(&cell);
                memory.wait_for_stores();
                if outcome.is_err() {
                    // Those stores have put what they had, and others may have read it.
                    again();
                    memory.wait_for_stores();
                }
                for (key, entry) in memory.remove_all(|key| scope.covers(key)) {
                    self.inner.departed(&key, &entry, Departure::Removed);
                }
            }
        }
        outcome
    }

    /// Everything goes: as [`Cache::invalidate`] with [`Scope::All`], and the memory is given back at once.
    ///
    /// # Errors
    /// As there.
    pub async fn clear(&self) -> Result<u64, NotDurable> {
        let outcome = self.invalidate(Scope::All).await;
        self.sweep();
        outcome
    }

    /// Tells what the data behind a namespace looks like now. If that has changed, it is an invalidation of the
    /// namespace, unless [`Config::invalidate_on_data_change`] says no. Blocks while it is made durable.
    ///
    /// # Errors
    /// As [`Cache::invalidate`].
    pub fn note_fingerprint(&self, namespace: &Namespace, fingerprint: &[u8]) -> Result<Noted, NotDurable> {
        if !self.inner.config.invalidate_on_data_change {
            return Ok(Noted::Same);
        }
        let noted = self.inner.stamps.note_fingerprint(namespace, fingerprint);
        if !matches!(noted, Ok(Noted::Same | Noted::First)) {
            let scope = Scope::Namespace(namespace.clone());
            self.inner.tell(|observer, cache| observer.invalidate(cache, &scope, noted.is_ok()));
        }
        noted
    }

    /// Frees what a namespace has in memory; what it has on disk stays, and stays valid.
    pub fn release(&self, namespace: &Namespace) {
        for (key, entry) in self.inner.memory.remove_all(|key| key.namespace() == namespace) {
            self.inner.departed(&key, &entry, Departure::Removed);
        }
    }

    /// Frees what is dead or invalid in memory, and returns how many entries that were. No read needs this: it gives
    /// memory back sooner than eviction would. It looks at every entry, and locks none out for longer than a look.
    pub fn sweep(&self) -> u64 {
        let now = self.inner.clock.now();
        let dead = self.inner.memory.entries().filter(|(key, entry)| self.inner.remove_dead(key, entry, now));
        dead.count() as u64
    }

    /// What it has done and what it holds.
    pub fn stats(&self) -> Stats {
        let Inner { counters, memory, flights, stamps, clock, .. } = &*self.inner;
        Stats {
            oldest: self.inner.oldest_lately(),
            entries: memory.len(),
            bytes: memory.bytes(),
            weight: memory.weight(),
            loading: flights.len() as u64,
            invalidations: stamps.given(),
            ..counters.snapshot(clock.now())
        }
    }

    /// The age of the oldest entry in memory that may be used. It looks at every entry.
    pub fn oldest(&self) -> Option<Duration> {
        self.inner.oldest()
    }

    /// The entries that may be used, of both tiers, in the order of keys. Blocks while it reads the list of the disk.
    pub fn entries(&self, filter: &EntryFilter) -> Vec<EntryInfo> {
        self.inner.list(filter)
    }

    /// What is known of one entry that may be used. Blocks while it looks on disk.
    pub fn entry(&self, key: &Key) -> Option<EntryInfo> {
        self.inner.describe(key)
    }

    /// What each namespace takes in memory. It looks at every entry.
    pub fn usage(&self) -> Vec<NamespaceUse> {
        self.inner.usage()
    }

    /// The value of a key, loaded if it is missing, by a loader that cannot fail.
    ///
    /// # Errors
    /// See [`LoadError`]: it may panic, or take too long.
    pub async fn get_or_load<F, Fut>(
        &self,
        key: &Key,
        options: LoadOptions,
        load: F,
    ) -> Result<Loaded<V>, LoadError<Infallible>>
    where
        F: FnOnce(LoadContext) -> Fut + Send + 'static,
        Fut: Future<Output = Item<V>> + Send + 'static,
    {
        self.try_get_or_load(key, options, |context| async { Ok(load(context).await) }).await
    }

    /// The value of a key: from memory, from disk, or loaded. However many callers miss at once, one load serves them
    /// all; it runs in a task of its own, so that it does not matter which of them stays.
    ///
    /// A value whose ttl is over is served as [`LoadOptions`] and the cache's settings allow. A call that comes after an
    /// invalidation never gets the value of a load that began before it.
    ///
    /// # Errors
    /// See [`LoadError`]. A failure is told to all who wait for it and is not kept.
    pub async fn try_get_or_load<F, Fut, E>(
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
            return Ok(Loaded::there(hit, crate::load::How::Hit));
        }
        let request = Request { want: Want::Load, options, error: TypeId::of::<E>() };
        self.inner.get_or_load(key, request, erase(load)).await.map_err(LoadError::from_failure)
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
        let request = Request { want: Want::Reload, options, error: TypeId::of::<E>() };
        self.inner.load(key, request, erase(load)).await.map_err(LoadError::from_failure)
    }

    /// Loads those of these keys that are missing, [`Config::refresh_workers`] at a time. A key that cannot be loaded
    /// stops no other; outside a runtime, in a cache that was not given one, none can be.
    pub async fn warm<F, Fut, E>(&self, keys: impl IntoIterator<Item = Key>, options: LoadOptions, load: F) -> Warmed
    where
        F: Fn(Key, LoadContext) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Item<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let (mut warmed, mut under_way) = (Warmed::default(), UnderWay::default());
        for key in keys {
            if under_way.len() >= self.config().refresh_workers {
                warmed.count(under_way.next().await.flatten());
            }
            let (this, load) = (self.clone(), load.clone());
            under_way.push(async move {
                let one = key.clone();
                this.try_get_or_load(&key, options, move |context| load(one, context)).await.ok().map(|it| it.how())
            });
        }
        while let Some(how) = under_way.next().await {
            warmed.count(how);
        }
        warmed
    }

    /// Waits until all that was stored is on disk. The cache can be used as before.
    ///
    /// # Errors
    /// The disk tier is out of service.
    pub async fn flush(&self) -> Result<(), TierError> {
        let Some(tier) = self.tier().cloned() else { return Ok(()) };
        let Some(executor) = self.inner.executor() else { return tier.flush() };
        match executor.block(move || tier.flush()).await {
            Ok(outcome) => outcome,
            Err(error) => {
                Err(TierError { what: "the thread that flushes was lost".into(), source: Some(error.into()) })
            }
        }
    }

    /// The end of the cache: what was stored is on disk when this returns, and the handle is gone.
    ///
    /// # Errors
    /// As [`Cache::flush`].
    pub async fn close(self) -> Result<(), TierError> {
        self.flush().await
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
