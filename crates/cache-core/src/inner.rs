//! What a cache's handles and its flights share: the parts put together, and each thing that happens counted and told.

use std::any::TypeId;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::{Clock, Moment};
use crate::config::{Config, Parts};
use crate::entry::{Entry, Hit, Item, State, Stored};
use crate::flight::{Boarding, Failure, Flight, FlightId, Flights, Purpose, ResultSender};
use crate::key::Key;
use crate::landing::Landing;
use crate::load::{How, LoadContext, LoadOptions, Loaded, Loader};
use crate::memory::Memory;
use crate::observer::{Departure, Observer};
use crate::origin::Origin;
use crate::stamps::{Cell, Stamps};
use crate::stats::Counters;

/// The parts of one cache.
pub(crate) struct Inner<V> {
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) flights: Flights<V>,
    pub(crate) memory: Memory<V>,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) clock: Clock,
    runtime: Option<Handle>,
}

/// What a caller of a load wants.
pub(crate) struct Request {
    pub(crate) purpose: Purpose,
    pub(crate) options: LoadOptions,
    /// The type of the error that it can be told of.
    pub(crate) error: TypeId,
}

impl<V: Send + Sync + 'static> Inner<V> {
    pub(crate) async fn load(
        self: &Arc<Self>,
        key: &Key,
        request: Request,
        loader: Loader<V>,
    ) -> Result<Loaded<V>, Failure> {
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
        let (card, led) = match self.flights.board(id, may_join, arrived, |id| self.prepare(id, request.error)) {
            Boarding::Arrived(hit) => {
                self.count_hit(key, &hit);
                return Ok(Loaded::from_hit(hit));
            }
            Boarding::Led(card, result) => (card, Some(result)),
            Boarding::Joined(card) => (card, None),
        };
        if purpose == Purpose::Load {
            self.count_miss(key);
        }
        let how = match led {
            Some(result) => {
                self.start(card.flight(), result, &request.options, loader, &runtime);
                How::Led
            }
            None => {
                self.counters.joined();
                How::Joined
            }
        };
        let landed = card.wait(deadline).await?;
        let hit = Hit { entry: landed.entry, now: self.clock.now() };
        Ok(Loaded { hit, how, stored: landed.stored })
    }

    fn prepare(&self, id: FlightId, error: TypeId) -> (Arc<Flight<V>>, ResultSender<V>) {
        let cell = self.stamps.cell(id.key.namespace());
        let (sender, result) = watch::channel(None);
        (Arc::new(Flight::new(id, self.begin(), cell, error, result)), sender)
    }

    /// Called outside the locks: a runtime that is shutting down drops the task, and the flight ends, within.
    fn start(
        self: &Arc<Self>,
        flight: &Arc<Flight<V>>,
        result: ResultSender<V>,
        options: &LoadOptions,
        loader: Loader<V>,
        runtime: &Handle,
    ) {
        let landing = Landing {
            inner: Arc::clone(self),
            flight: Arc::clone(flight),
            result,
            ttl: options.ttl.unwrap_or(self.config.ttl),
            began: Instant::now(),
            landed: false,
        };
        let loader = loader(LoadContext::new(flight.origin, flight.cancel.clone()));
        let timeout = options.timeout.unwrap_or(self.config.load_timeout);
        flight.runs_in(runtime.spawn(landing.fly(loader, timeout)).abort_handle());
    }
}

impl<V> Inner<V> {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, stamps, clock, observer, runtime } = parts;
        let memory = Memory::new(&config);
        let (flights, counters) = (Flights::new(), Counters::default());
        Self { config, counters, observer, flights, memory, stamps, clock, runtime }
    }

    pub(crate) fn begin(&self) -> Origin {
        // The counter first: an invalidation between the two makes the value invalid, never wrongly valid.
        let counter = self.stamps.counter();
        Origin::new(self.clock.exact(), self.clock.wall(), counter)
    }

    #[inline]
    pub(crate) fn look_up(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.get(key)?;
        if entry.state(now, &self.stamps) == State::Fresh {
            return Some(Hit { entry, now });
        }
        self.remove_dead(key, &entry, now);
        None
    }

    pub(crate) fn peek(&self, key: &Key) -> Option<Hit<V>> {
        let now = self.clock.now();
        let entry = self.memory.peek(key)?;
        (entry.state(now, &self.stamps) == State::Fresh).then_some(Hit { entry, now })
    }

    /// Removes an entry that may not be served any more. Says whether it did.
    pub(crate) fn remove_dead(&self, key: &Key, entry: &Arc<Entry<V>>, now: Moment) -> bool {
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

    pub(crate) fn departed(&self, key: &Key, entry: &Entry<V>, why: Departure) {
        self.counters.depart(why);
        if let Some(observer) = &self.observer {
            observer.depart(&self.config.name, key, entry.bytes, why);
        }
    }

    #[inline]
    pub(crate) fn count_hit(&self, key: &Key, hit: &Hit<V>) {
        self.counters.hit();
        if let Some(observer) = &self.observer {
            observer.hit(&self.config.name, key, hit.age());
        }
    }

    pub(crate) fn count_miss(&self, key: &Key) {
        self.counters.miss();
        if let Some(observer) = &self.observer {
            observer.miss(&self.config.name, key);
        }
    }
}
