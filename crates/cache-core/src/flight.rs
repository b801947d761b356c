//! Many misses of one key, one load.
//!
//! A flight is a load under way. It runs in a task of its own and belongs to none of its waiters: each of them holds a
//! boarding card, and only when the last card is given back is the task aborted. The table holds a flight from its
//! start until it has landed or is aborted, and nothing else, so it does not grow with the keys.
//!
//! Invariants: (1) joining and leaving happen under the lock of the key's shard, so nobody joins a flight that its last
//! waiter has just left. (2) A flight stores its value, then leaves the table, then tells its waiters; who finds no
//! flight looks into the cache once more under the lock. So one success is never followed by a second load.
//! (3) The task owns the sending half of the result: however it ends, nobody waits for it afterwards.

use std::any::TypeId;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use triomphe::Arc as Shared;

use crate::cancel::CancelSignal;
use crate::entry::{Entry, Freshness, Hit, Stored};
use crate::key::{Key, Prehashed};
use crate::load::{FlightOrigin, SharedError};
use crate::stamps::Cell;
use crate::sync::{AtomicUsize, Mutex, Task, by};

const SHARDS: usize = if cfg!(feature = "shuttle") { 2 } else { 32 };

/// Why a load is under way: something is missing, or something is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Load,
    Reload,
}

/// What flights are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FlightId {
    pub(crate) key: Key,
    pub(crate) purpose: Purpose,
}

impl Hash for FlightId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Both purposes of a key share a hash; there are two at most.
        self.key.hash(state);
    }
}

/// The end that the task of a flight holds. Dropped without a result, it tells the waiters that there is none.
pub(crate) type ResultSender<V> = watch::Sender<Option<Outcome<V>>>;

/// The end of a flight, as each of its waiters gets it.
pub(crate) type Outcome<V> = Result<Landed<V>, Failure>;

pub(crate) struct Landed<V> {
    pub(crate) entry: Shared<Entry<V>>,
    pub(crate) stored: Stored,
    /// Whether it came from disk.
    pub(crate) restored: bool,
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        Self { entry: Shared::clone(&self.entry), ..*self }
    }
}

#[derive(Clone)]
pub(crate) enum Failure {
    Failed(SharedError),
    Panicked(Arc<str>),
    TimedOut(Duration),
    /// The task ended without a result: its runtime is shutting down.
    Lost,
    /// This waiter's own deadline.
    Deadline,
    NoRuntime,
}

impl Failure {
    /// Whether an old value may stand in for what could not be had.
    pub(crate) fn is_of_the_load(&self) -> bool {
        !matches!(self, Self::NoRuntime)
    }
}

pub(crate) struct Flight<V> {
    pub(crate) id: FlightId,
    pub(crate) origin: Arc<FlightOrigin>,
    pub(crate) cell: Arc<Cell>,
    pub(crate) cancel: CancelSignal,
    /// The type of the loader's error: only callers that expect it can be told of it.
    error: TypeId,
    /// Which values from disk will do: those that are this good, or better.
    pub(crate) enough: Freshness,
    result: watch::Receiver<Option<Outcome<V>>>,
    task: OnceLock<Task>,
    waiters: AtomicUsize,
}

impl<V> Flight<V> {
    pub(crate) fn new(
        id: FlightId,
        origin: Arc<FlightOrigin>,
        cell: Arc<Cell>,
        error: TypeId,
        enough: Freshness,
        result: watch::Receiver<Option<Outcome<V>>>,
    ) -> Self {
        Self {
            id,
            origin,
            cell,
            cancel: CancelSignal::default(),
            error,
            enough,
            result,
            task: OnceLock::new(),
            waiters: AtomicUsize::new(0),
        }
    }

    pub(crate) fn error(&self) -> TypeId {
        self.error
    }

    /// Tells which task to abort when nobody waits any more.
    pub(crate) fn runs_in(&self, task: Task) {
        self.task.get_or_init(|| task);
    }
}

type Table<V> = HashMap<FlightId, Arc<Flight<V>>, Prehashed>;
type Shard<V> = Mutex<Table<V>>;

/// The flights under way.
pub(crate) struct Flights<V> {
    shards: Box<[Shard<V>]>,
}

/// What a caller gets at the gate.
pub(crate) enum Boarding<'a, V> {
    Arrived(Hit<V>),
    /// The caller starts the flight that it has a card for.
    Led(BoardingCard<'a, V>, ResultSender<V>),
    Joined(BoardingCard<'a, V>),
}

impl<V> Flights<V> {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Joins a flight of this id; or, where a load is wanted, a reload of the same key; or finds that the value has
    /// arrived meanwhile; or prepares a flight.
    pub(crate) fn board(
        &self,
        id: FlightId,
        may_join: impl Fn(&Flight<V>) -> bool,
        arrived: impl FnOnce() -> Option<Hit<V>>,
        prepare: impl FnOnce(FlightId) -> (Arc<Flight<V>>, ResultSender<V>),
    ) -> Boarding<'_, V> {
        let mut shard = self.shard(&id.key).lock();
        let reload = FlightId { purpose: Purpose::Reload, ..id.clone() };
        let under_way = [&id, &reload].into_iter().find_map(|id| shard.get(id).filter(|flight| may_join(flight)));
        if let Some(flight) = under_way {
            return Boarding::Joined(self.card(flight));
        }
        if let Some(hit) = arrived() {
            return Boarding::Arrived(hit);
        }
        let (flight, result) = prepare(id.clone());
        let card = self.card(&flight);
        // A flight that was here already began before an invalidation. It lands for its own waiters.
        shard.insert(id, flight);
        Boarding::Led(card, result)
    }

    /// Whether there is one of this id.
    pub(crate) fn is_under_way(&self, id: &FlightId) -> bool {
        self.shard(&id.key).lock().contains_key(id)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Takes a flight out, unless another one has taken its place.
    pub(crate) fn remove(&self, flight: &Arc<Flight<V>>) {
        Self::take_out(&mut self.shard(&flight.id.key).lock(), flight);
    }

    fn take_out(shard: &mut Table<V>, flight: &Arc<Flight<V>>) {
        if let Place::Occupied(place) = shard.entry(flight.id.clone())
            && Arc::ptr_eq(place.get(), flight)
        {
            place.remove();
        }
    }

    fn leave(&self, flight: &Arc<Flight<V>>) {
        let mut shard = self.shard(&flight.id.key).lock();
        if flight.waiters.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        Self::take_out(&mut shard, flight);
        drop(shard);
        flight.cancel.raise();
        if let Some(task) = flight.task.get() {
            task.abort();
        }
    }

    /// Must be called under the lock of the key's shard.
    fn card(&self, flight: &Arc<Flight<V>>) -> BoardingCard<'_, V> {
        flight.waiters.fetch_add(1, Ordering::Relaxed);
        BoardingCard { flights: self, flight: Arc::clone(flight), landed: false }
    }

    fn shard(&self, key: &Key) -> &Shard<V> {
        &self.shards[(key.precomputed_hash() >> 40) as usize % SHARDS]
    }
}

/// One waiter's place on a flight. Dropping it before the flight has landed is leaving it.
pub(crate) struct BoardingCard<'a, V> {
    flights: &'a Flights<V>,
    flight: Arc<Flight<V>>,
    landed: bool,
}

impl<V> BoardingCard<'_, V> {
    pub(crate) fn flight(&self) -> &Arc<Flight<V>> {
        &self.flight
    }

    /// Waits for the landing, at most until the deadline.
    pub(crate) async fn wait(mut self, deadline: Option<Instant>) -> Outcome<V> {
        let mut result = self.flight.result.clone();
        let landing = result.wait_for(Option::is_some);
        let Some(outcome) = by(deadline, landing).await else { return Err(Failure::Deadline) };
        // Without a result the card stays good until it is dropped: leaving takes the flight out of the table, where
        // its task can have failed to.
        let Some(outcome) = outcome.ok().and_then(|outcome| outcome.clone()) else { return Err(Failure::Lost) };
        self.landed = true;
        outcome
    }
}

impl<V> Drop for BoardingCard<'_, V> {
    fn drop(&mut self) {
        // After the landing there is nothing to abort, and the table has let go of the flight already.
        if !self.landed {
            self.flights.leave(&self.flight);
        }
    }
}
