//! The cache as its users see it.
//!
//! A read is: the coarse time, one look into the memory tier, three comparisons. Everything else (removing what is out
//! of date, loading, storing) happens on the way of a miss.

use std::any::TypeId;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::config::{Builder, Config, Parts};
use crate::entry::{Entry, Hit, Item, State, Stored};
use crate::error::LoadError;
use crate::flight::{Boarding, Failure, Flight, FlightId, Flights, Purpose};
use crate::key::{Key, Namespace};
use crate::landing::Landing;
use crate::load::{How, LoadContext, LoadOptions, Loaded, Loader, erase};
use crate::memory::Memory;
use crate::observer::{Departure, Observer};
use crate::origin::Origin;
use crate::stamps::{Cell, Stamps};
use crate::stats::{Counters, Stats};

/// A cache of values of one type. Cloning it gives another handle of the same cache.
///
/// Values are handed out by reference ([`Hit::value`]) or as clones; large ones belong into an `Arc`.
pub struct Cache<V> {
    inner: Arc<Inner<V>>,
}

/// What the handles, and the flights, share.
pub(crate) struct Inner<V> {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) flights: Flights<V>,
    memory: Memory<V>,
    stamps: Arc<Stamps>,
    clock: Clock,
    runtime: Option<Handle>,
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// Begins to build a cache of this name.
    pub fn builder(name: &str) -> Builder<V> {
        Builder::new(name)
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        let Parts { config, stamps, clock, observer, runtime } = parts;
        let memory = Memory::new(&config);
        let (flights, counters) = (Flights::new(), Counters::default());
        Self { inner: Arc::new(Inner { config, counters, observer, flights, memory, stamps, clock, runtime }) }
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

/// What a caller of a load wants.
struct Request {
    purpose: Purpose,
    options: LoadOptions,
    /// The type of the error that it can be told of.
    error: TypeId,
}

impl<V: Send + Sync + 'static> Inner<V> {
    async fn load(self: &Arc<Self>, key: &Key, request: Request, loader: Loader<V>) -> Result<Loaded<V>, Failure> {
        let purpose = request.purpose;
        let deadline = request.options.deadline;
        let runtime = match &self.runtime {
            Some(runtime) => runtime.clone(),
            None => Handle::try_current().map_err(|_| Failure::NoRuntime)?,
        };
        let id = FlightId { key: key.clone(), purpose };
        let may_join = |flight: &Flight<V>| {
            flight.error() == request.error && self.stamps.is_storable(&flight.cell, flight.origin.counter())
        };
        let arrived = || if purpose == Purpose::Load { self.peek(key) } else { None };
        let boarding = self.flights.board(id.clone(), may_join, arrived, || self.start(id, &request, loader, &runtime));
        let (card, how) = match boarding {
            Boarding::Arrived(hit) => {
                self.count_hit(key, &hit);
                return Ok(Loaded::from_hit(hit));
            }
            Boarding::Led(card) => (card, How::Led),
            Boarding::Joined(card) => {
                self.counters.joined();
                (card, How::Joined)
            }
        };
        if purpose == Purpose::Load {
            self.count_miss(key);
        }
        let landed = card.wait(deadline).await?;
        let hit = Hit { entry: landed.entry, now: self.clock.now() };
        Ok(Loaded { hit, how, stored: landed.stored })
    }

    fn start(self: &Arc<Self>, id: FlightId, request: &Request, loader: Loader<V>, runtime: &Handle) -> Arc<Flight<V>> {
        let cell = self.stamps.cell(id.key.namespace());
        let (sender, result) = watch::channel(None);
        let flight = Arc::new(Flight::new(id, self.begin(), cell, request.error, result));
        let landing = Landing {
            inner: Arc::clone(self),
            flight: Arc::clone(&flight),
            result: sender,
            ttl: request.options.ttl.unwrap_or(self.config.ttl),
            began: Instant::now(),
            landed: false,
        };
        let loader = loader(LoadContext::new(flight.origin, flight.cancel.clone()));
        let timeout = request.options.timeout.unwrap_or(self.config.load_timeout);
        flight.runs_in(runtime.spawn(landing.fly(loader, timeout)).abort_handle());
        flight
    }
}

impl<V> Inner<V> {
    pub(crate) fn begin(&self) -> Origin {
        // The counter first: an invalidation between the two makes the value invalid, never wrongly valid.
        let counter = self.stamps.counter();
        Origin::new(self.clock.exact(), self.clock.wall(), counter)
    }

    #[inline]
    fn look_up(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.get(key)?;
        if entry.state(now, &self.stamps) == State::Fresh {
            return Some(Hit { entry, now });
        }
        self.remove_dead(key, &entry, now);
        None
    }

    fn peek(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.peek(key)?;
        (entry.state(now, &self.stamps) == State::Fresh).then_some(Hit { entry, now })
    }

    /// Removes an entry that may not be served any more. Says whether it did.
    fn remove_dead(&self, key: &Key, entry: &Arc<Entry<V>>, now: Moment) -> bool {
        let why = match entry.state(now, &self.stamps) {
            State::Fresh => return false,
            State::Expired => Departure::Expired,
            State::Invalid => Departure::Invalidated,
        };
        let removed = self.memory.remove_exact(key, entry);
        if removed {
            self.departed(key, entry, why);
        }
        removed
    }

    /// Makes an entry and stores it if it may be. The origin and the ttl are for an item that has none of its own.
    pub(crate) fn store(
        &self,
        key: &Key,
        item: Item<V>,
        origin: Origin,
        ttl: Duration,
        cell: Arc<Cell>,
    ) -> (Arc<Entry<V>>, Stored) {
        let origin = item.origin.unwrap_or(origin);
        let bytes = item.bytes.saturating_add(key.heap_bytes()).saturating_add(Entry::<V>::OVERHEAD);
        let entry = Arc::new(Entry {
            value: item.value,
            origin,
            expires: origin.loaded_at().plus(item.ttl.unwrap_or(ttl)),
            bytes,
            weight: self.memory.weigh(bytes),
            cell,
        });
        let put = self.memory.store(key.clone(), Arc::clone(&entry), self.clock.now(), &self.stamps);
        for (key, entry) in &put.departed {
            self.departed(key, entry, put.why);
        }
        match put.stored {
            Stored::Yes => {}
            Stored::TooLarge => {
                self.counters.refused();
                if let Some(observer) = &self.observer {
                    observer.refuse(&self.config.name, key, bytes);
                }
            }
            Stored::Invalidated | Stored::Expired | Stored::Superseded => self.counters.outdated(),
        }
        (entry, put.stored)
    }

    fn departed(&self, key: &Key, entry: &Entry<V>, why: Departure) {
        self.counters.depart(why);
        if let Some(observer) = &self.observer {
            observer.depart(&self.config.name, key, entry.bytes, why);
        }
    }

    #[inline]
    fn count_hit(&self, key: &Key, hit: &Hit<V>) {
        self.counters.hit();
        if let Some(observer) = &self.observer {
            observer.hit(&self.config.name, key, hit.age());
        }
    }

    fn count_miss(&self, key: &Key) {
        self.counters.miss();
        if let Some(observer) = &self.observer {
            observer.miss(&self.config.name, key);
        }
    }
}
