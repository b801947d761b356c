//! Many misses of one key, one run of the body.
//!
//! A flight is a run under way. Unlike those of cache-core it runs inside the call that came first, the leader, because
//! a body may borrow its arguments and cannot leave the caller. The others wait for it. The table holds the flights
//! under way and nothing else.
//!
//! Invariants: (1) whoever waits is told something: a leader that goes without landing tells so as it is dropped. (2) A
//! leader stores its result, then takes the flight out of the table, then tells those who wait; who finds no flight
//! looks into the cache once more under the lock. So one success is never followed by a second run. (3) An invalidation
//! takes effect in the cache first and takes the flights out of the table then, so nobody who comes after it joins a
//! flight from before it. (4) Only the flight that is in the table is taken out, never one that has taken its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use cache_core::Key;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::patience::{PATIENCE, Watched};

/// What a caller wants, and what a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// The result, stored or not.
    Result,
    /// A result from after this call.
    Anew,
}

/// What those who wait are told.
#[derive(Clone, Debug)]
pub(crate) enum Landing<V> {
    /// The result.
    Result(V),
    /// There is a result, or a panic, that cannot be shared: each runs the body itself.
    NotShared,
    /// There is none: one of them runs the body for the others.
    GivenUp,
}

/// The flights of one function.
pub(crate) struct Flights<V: 'static> {
    table: Mutex<HashMap<Key, Arc<Flight<V>>>>,
}

struct Flight<V: 'static> {
    key: Key,
    home: &'static Flights<V>,
    want: Want,
    /// The tags that the result will have.
    tags: Box<[Arc<str>]>,
    /// The thread that runs the body, where it does not leave that thread.
    thread: Option<ThreadId>,
    landing: watch::Sender<Option<Landing<V>>>,
    is_watched: AtomicBool,
}

/// What a caller is to do.
pub(crate) enum Boarding<V: 'static, A> {
    /// Take what is in the cache.
    Arrived(A),
    /// Run the body for all.
    Led(Leader<V>),
    /// Wait.
    Joined(Waiter<V>),
    /// Run the body for itself: it is within a run for the same key, and would wait for itself.
    Within,
}

impl<V: Clone + Send + Sync + 'static> Flights<V> {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::default() }
    }

    /// Finds the flight to join, or what has `arrived` in the cache, or begins a flight. `thread` is the caller's, if
    /// the body will not leave it.
    pub(crate) fn board<A>(
        &'static self,
        key: &Key,
        want: Want,
        tags: &[Arc<str>],
        thread: Option<ThreadId>,
        arrived: impl FnOnce() -> Option<A>,
    ) -> Boarding<V, A> {
        let mut table = self.table.lock();
        if let Some(flight) = table.get(key).filter(|flight| want == Want::Result || flight.want == Want::Anew) {
            if thread.is_some() && flight.thread == thread {
                return Boarding::Within;
            }
            return Boarding::Joined(Waiter { landing: flight.landing.subscribe(), flight: Arc::clone(flight) });
        }
        if want == Want::Result
            && let Some(arrived) = arrived()
        {
            return Boarding::Arrived(arrived);
        }
        Boarding::Led(self.lead(&mut table, key, want, tags, thread))
    }

    /// Begins a flight to load a result again, unless one is under way for this key.
    pub(crate) fn board_behind(&'static self, key: &Key, tags: &[Arc<str>]) -> Option<Leader<V>> {
        let mut table = self.table.lock();
        (!table.contains_key(key)).then(|| self.lead(&mut table, key, Want::Anew, tags, None))
    }

    fn lead(
        &'static self,
        table: &mut HashMap<Key, Arc<Flight<V>>>,
        key: &Key,
        want: Want,
        tags: &[Arc<str>],
        thread: Option<ThreadId>,
    ) -> Leader<V> {
        let flight = Arc::new(Flight {
            key: key.clone(),
            home: self,
            want,
            tags: tags.into(),
            thread,
            landing: watch::Sender::new(None),
            is_watched: AtomicBool::new(false),
        });
        // One that was here began before what this caller wants to see. It lands for those who wait for it.
        table.insert(key.clone(), Arc::clone(&flight));
        Leader { flight }
    }

    /// Nobody joins a flight of this key any more that is under way now.
    pub(crate) fn detach(&self, key: &Key) {
        self.table.lock().remove(key);
    }

    /// Nobody joins a flight any more that is under way now and whose result will have this tag.
    pub(crate) fn detach_tag(&self, tag: &str) {
        self.table.lock().retain(|_, flight| flight.tags.iter().all(|of_flight| **of_flight != *tag));
    }

    /// Nobody joins a flight any more that is under way now.
    pub(crate) fn detach_all(&self) {
        self.table.lock().clear();
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.table.lock().len()
    }
}

impl<V> Flight<V> {
    fn leave(self: &Arc<Self>) {
        let mut table = self.home.table.lock();
        if table.get(&self.key).is_some_and(|present| Arc::ptr_eq(present, self)) {
            table.remove(&self.key);
        }
    }

    /// Only the first landing counts.
    fn tell(&self, landing: Landing<V>) {
        self.landing.send_if_modified(|told| match told {
            Some(_) => false,
            None => {
                *told = Some(landing);
                true
            }
        });
    }
}

impl<V: Send + Sync + 'static> Watched for Flight<V> {
    fn give_up(self: Arc<Self>) {
        self.leave();
        self.tell(Landing::GivenUp);
    }
}

/// Who runs the body.
pub(crate) struct Leader<V: 'static> {
    flight: Arc<Flight<V>>,
}

impl<V: Clone + 'static> Leader<V> {
    /// Lands with a result to share, which is stored already, or without one.
    pub(crate) fn land(self, result: Option<&V>) {
        self.flight.leave();
        // Out of the table, it can be joined by nobody more.
        if self.flight.landing.receiver_count() > 0 {
            self.flight.tell(result.map_or(Landing::NotShared, |result| Landing::Result(result.clone())));
        }
    }
}

impl<V> Drop for Leader<V> {
    fn drop(&mut self) {
        self.flight.leave();
        // After a panic another run would most likely panic too; one after the other would be slower than all at once.
        self.flight.tell(if std::thread::panicking() { Landing::NotShared } else { Landing::GivenUp });
    }
}

/// Who waits.
pub(crate) struct Waiter<V: 'static> {
    flight: Arc<Flight<V>>,
    landing: watch::Receiver<Option<Landing<V>>>,
}

impl<V: Clone + Send + Sync + 'static> Waiter<V> {
    /// Waits for the landing.
    pub(crate) async fn landing(mut self) -> Landing<V> {
        if !self.flight.is_watched.swap(true, Ordering::Relaxed) {
            let flight: Weak<Flight<V>> = Arc::downgrade(&self.flight);
            PATIENCE.watch(flight);
        }
        match self.landing.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(landing)) => landing.clone(),
            // The waiter holds the flight, and with it the sender.
            Ok(None) | Err(_) => Landing::GivenUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::park::block_on;

    fn flights() -> (&'static Flights<u32>, Key) {
        (Box::leak(Box::new(Flights::new())), Key::new(&cache_core::Namespace::new("test"), *b"key"))
    }

    fn board(flights: &'static Flights<u32>, key: &Key, want: Want) -> Boarding<u32, ()> {
        flights.board(key, want, &[], None, || None)
    }

    #[track_caller]
    fn led(boarding: Boarding<u32, ()>) -> Leader<u32> {
        let Boarding::Led(leader) = boarding else { panic!("it should lead") };
        leader
    }

    #[track_caller]
    fn joined(boarding: Boarding<u32, ()>) -> Waiter<u32> {
        let Boarding::Joined(waiter) = boarding else { panic!("it should join") };
        waiter
    }

    #[test]
    fn those_who_wait_too_long_are_sent_on_and_one_of_them_leads() {
        let (flights, key) = flights();
        let slow = led(board(flights, &key, Want::Result));
        let waiters = [(); 2].map(|()| joined(board(flights, &key, Want::Result)));
        Arc::clone(&slow.flight).give_up();
        for waiter in waiters {
            assert!(matches!(block_on(waiter.landing()), Landing::GivenUp));
        }
        let next = led(board(flights, &key, Want::Result));
        let waiter = joined(board(flights, &key, Want::Result));
        slow.land(Some(&1));
        assert_eq!(flights.len(), 1, "the slow one does not take out the one in its place");
        next.land(Some(&2));
        assert!(matches!(block_on(waiter.landing()), Landing::Result(2)));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn a_new_result_is_not_awaited_from_an_old_run() {
        let (flights, key) = flights();
        let _old = led(board(flights, &key, Want::Result));
        let new = led(board(flights, &key, Want::Anew));
        let waiters = [Want::Result, Want::Anew].map(|want| joined(board(flights, &key, want)));
        assert!(flights.board_behind(&key, &[]).is_none());
        new.land(None);
        for waiter in waiters {
            assert!(matches!(block_on(waiter.landing()), Landing::NotShared));
        }
        assert!(flights.board_behind(&key, &[]).is_some());
    }

    #[test]
    fn a_flight_from_before_an_invalidation_is_not_joined_and_lands_for_those_who_wait() {
        let (flights, key) = flights();
        let early = led(board(flights, &key, Want::Result));
        let waiter = joined(board(flights, &key, Want::Result));
        flights.detach(&key);
        let late = led(board(flights, &key, Want::Result));
        early.land(Some(&1));
        assert!(matches!(block_on(waiter.landing()), Landing::Result(1)));
        let tagged = flights.board_behind(&Key::new(key.namespace(), *b"other"), &["x".into()]);
        flights.detach_tag("y");
        assert_eq!(flights.len(), 2);
        flights.detach_tag("x");
        assert_eq!(flights.len(), 1, "a tag reaches what will have it, and nothing else");
        flights.detach_all();
        drop((late, tagged));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn a_leader_that_goes_leaves_the_lead_to_another() {
        let (flights, key) = flights();
        let leader = led(board(flights, &key, Want::Result));
        let waiter = joined(board(flights, &key, Want::Result));
        drop(leader);
        assert!(matches!(block_on(waiter.landing()), Landing::GivenUp));
        let arrived = flights.board(&key, Want::Result, &[], None, || Some(7));
        assert!(matches!(arrived, Boarding::Arrived(7)), "what has come into the cache meanwhile is seen");
    }
}
