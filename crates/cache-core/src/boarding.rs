//! How a caller comes by a flight: it joins one that will do, or starts one, and makes of the landing what it needs.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::entry::{AtMost, Freshness, Hit, State};
use crate::flight::{Boarding, Failure, Flight, FlightId, Landed, Purpose, ResultSender};
use crate::inner::{Inner, Look};
use crate::key::Key;
use crate::landing::Landing;
use crate::load::{FlightOrigin, How, LoadContext, LoadOptions, Loaded, Loader, Stale};
use crate::sync::Executor;

/// What a caller of a load wants.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) want: Want,
    pub(crate) options: LoadOptions,
    /// The type of the error that it can be told of.
    pub(crate) error: TypeId,
}

/// Why a caller wants a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// It found nothing that will do.
    Load,
    /// It wants a newer value than the present one.
    Reload,
    /// It was served a stale value. If that is fresh meanwhile, there is nothing to do.
    Refresh,
}

impl Want {
    fn purpose(self) -> Purpose {
        match self {
            Self::Load => Purpose::Load,
            Self::Reload | Self::Refresh => Purpose::Reload,
        }
    }
}

/// What a caller of a load must have.
#[derive(Clone, Copy)]
struct Demand {
    /// The invalidation counter when it called: what began at this count or later began after every invalidation that
    /// the caller may know of.
    called: u64,
    /// What will do of what is on disk.
    enough: Freshness,
}

/// What a caller has met so far of flights that it joined, and will not put up with again.
#[derive(Clone, Copy, Default)]
struct Tried {
    too_old: bool,
    not_enough: bool,
}

impl Tried {
    fn any(self) -> bool {
        self.too_old || self.not_enough
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Joins a load of the key, or starts one.
    pub(crate) async fn load(
        self: &Arc<Self>,
        key: &Key,
        request: Request,
        loader: Loader<V>,
    ) -> Result<Loaded<V>, Failure> {
        let Request { want, options, error } = request;
        let executor = self.executor().ok_or(Failure::NoRuntime)?;
        let demand = Demand { called: self.stamps.counter(), enough: options.stale.enough() };
        let (mut tried, mut loader) = (Tried::default(), Some(loader));
        loop {
            let may_join = |flight: &Flight<V>| {
                // What has not begun will begin after this call.
                let is_late_enough = flight.origin.began().is_none_or(|began| {
                    self.stamps.is_storable(&flight.cell, began) && (!tried.too_old || began >= demand.called)
                });
                flight.error() == error && is_late_enough && (!tried.not_enough || flight.enough <= demand.enough)
            };
            let id = FlightId { key: key.clone(), purpose: want.purpose() };
            let arrived = || self.arrived(key, want, options.stale);
            let prepare = |id| self.prepare(id, error, demand.enough);
            let (card, led) = match self.flights.board(id, may_join, arrived, prepare) {
                Boarding::Arrived(hit) => return Ok(self.arrival(key, hit, request, tried)),
                Boarding::Led(card, result) => (card, Some(result)),
                Boarding::Joined(card) => (card, None),
            };
            if want == Want::Load && !tried.any() {
                self.count_miss(key);
            }
            let how = match led {
                Some(result) => {
                    let Some(loader) = loader.take() else { return Err(Failure::Lost) };
                    self.start(card.flight(), result, &options, loader, &executor);
                    How::Led
                }
                None => {
                    if !tried.any() {
                        self.counters.joined();
                        self.tell(|observer, cache| observer.join(cache, key));
                    }
                    How::Joined
                }
            };
            let flight = Arc::clone(card.flight());
            let landed = card.wait(options.deadline).await?;
            if how == How::Joined && self.disappoints(&landed, &flight, demand, &mut tried) {
                continue;
            }
            return Ok(self.disembark(key, landed, how, options.stale));
        }
    }

    /// What a waiter makes of a landing.
    fn disembark(&self, key: &Key, landed: Landed<V>, how: How, stale: Stale) -> Loaded<V> {
        let hit = Hit { entry: landed.entry, now: self.clock.now() };
        if !landed.restored {
            return Loaded { hit, how, stored: landed.stored };
        }
        self.count_restored(key, &hit);
        let fresh = hit.entry.is_fresh(hit.now, &self.stamps);
        Loaded::there(hit, if fresh || stale == Stale::Accept { How::Restored } else { How::Stale })
    }

    /// Whether who has joined a flight cannot take what it brought, and has to try again: each reason holds once.
    fn disappoints(&self, landed: &Landed<V>, flight: &Flight<V>, demand: Demand, tried: &mut Tried) -> bool {
        let state = landed.entry.state(self.clock.now(), &self.stamps);
        // Which tags a value has is known when it has landed, and not when somebody joins its flight: they may have been
        // invalidated after the flight began and before this call.
        let too_old = state == State::Invalid && flight.origin.get().counter() < demand.called;
        // Who started the flight may have been content with less of what is on disk.
        let not_enough = landed.restored && matches!(state, State::Usable(freshness) if freshness > demand.enough);
        let again = (too_old && !tried.too_old) || (not_enough && !tried.not_enough);
        tried.too_old |= too_old;
        tried.not_enough |= not_enough;
        again
    }

    /// What has come into memory since the caller looked. Called under a lock of the flights: nothing is told.
    fn arrived(&self, key: &Key, want: Want, stale: Stale) -> Option<Hit<V>> {
        match (want, self.look(key, stale)) {
            (Want::Load, Look::Served(hit) | Look::ServedStale(hit)) => Some(hit),
            (Want::Refresh, Look::Served(hit)) if hit.entry.is_fresh(hit.now, &self.stamps) => Some(hit),
            _ => None,
        }
    }

    fn arrival(&self, key: &Key, hit: Hit<V>, request: Request, tried: Tried) -> Loaded<V> {
        // A call is counted once.
        if request.want == Want::Load && !tried.any() {
            self.count_hit(key, &hit);
        }
        let good = request.options.stale == Stale::Accept || hit.entry.is_fresh(hit.now, &self.stamps);
        Loaded::there(hit, if good { How::Hit } else { How::Stale })
    }

    fn prepare(&self, id: FlightId, error: TypeId, enough: Freshness) -> (Arc<Flight<V>>, ResultSender<V>) {
        let cell = self.stamps.cell(id.key.namespace());
        let (sender, result) = watch::channel(None);
        let origin = Arc::new(FlightOrigin::new(self.begin()));
        (Arc::new(Flight::new(id, origin, cell, error, enough, result)), sender)
    }

    /// Called outside the locks: a runtime that is shutting down drops the task, and the flight ends, within.
    fn start(
        self: &Arc<Self>,
        flight: &Arc<Flight<V>>,
        result: ResultSender<V>,
        options: &LoadOptions,
        loader: Loader<V>,
        executor: &Executor,
    ) {
        let landing = Landing {
            inner: Arc::clone(self),
            flight: Arc::clone(flight),
            result,
            terms: self.terms(options),
            at_most: AtMost::of(options),
            began: Instant::now(),
            landed: false,
        };
        let timeout = options.timeout.unwrap_or(self.config.load_timeout);
        flight.runs_in(executor.spawn(landing.fly(loader, timeout)));
    }

    pub(crate) fn context(&self, flight: &Flight<V>, refresh: bool) -> LoadContext {
        let (origin, stamps) = (Arc::clone(&flight.origin), Arc::clone(&self.stamps));
        LoadContext::new(origin, stamps, self.clock.clone(), flight.cancel.clone(), refresh)
    }
}
