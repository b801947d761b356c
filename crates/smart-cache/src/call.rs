//! One call that found nothing fresh: it joins a run, or runs the body and stores what comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, ThreadId};

use cache_core::{Hit, Key};
use tokio::runtime::Handle;

use crate::behind::{Behind, Turn};
use crate::flight::{Boarding, Landing, Leader, Want};
use crate::function::{Counts, Function};
use crate::kept::Kept;
use crate::park::block_on;
use crate::store::{Begun, Store};

/// A call that found nothing fresh in memory.
#[must_use]
pub struct Missed<V: 'static> {
    function: &'static Function<V>,
    /// None if the call has no key, or the function no cache.
    key: Option<Key>,
    want: Want,
    tags: Vec<Arc<str>>,
    /// Whether the tier has been asked already.
    looked_on_disk: bool,
}

impl<V: Clone + Send + Sync + 'static> Missed<V> {
    pub(crate) fn new(function: &'static Function<V>, key: Option<Key>, want: Want) -> Self {
        Self { function, key, want, tags: Vec::new(), looked_on_disk: false }
    }

    /// The result gets these tags.
    pub fn tagged(mut self, tags: Vec<Arc<str>>) -> Self {
        self.tags = tags;
        self
    }

    /// Runs the body, or takes the result of a call that runs it now.
    pub fn run<R: Kept<V>>(self, body: impl FnOnce() -> R) -> R {
        let Some((store, key)) = self.cached() else { return body() };
        let thread = Some(thread::current().id());
        loop {
            match self.board(store, key, thread) {
                Boarding::Arrived(hit) => return R::from_kept(hit.into_value()),
                Boarding::Within => return self.start(store, key).end(body(), None),
                Boarding::Joined(waiter) => match block_on(waiter.landing()) {
                    Landing::Result(value) => return self.joined(value),
                    Landing::NotShared => return self.start(store, key).end(body(), None),
                    Landing::GivenUp => {}
                },
                Boarding::Led(leader) => {
                    if self.may_be_on_disk(store)
                        && let Some(hit) = store.find_blocking(key)
                    {
                        return landed(leader, hit);
                    }
                    return self.start(store, key).end(body(), Some(leader));
                }
            }
        }
    }

    /// As [`Missed::run`], for a body that is a future. It is polled by the caller, so it may borrow, and needs no
    /// runtime.
    pub async fn run_async<R: Kept<V>, F: Future<Output = R>>(self, body: impl FnOnce() -> F) -> R {
        let Some((store, key)) = self.cached() else { return body().await };
        loop {
            match self.board(store, key, None) {
                Boarding::Arrived(hit) => return R::from_kept(hit.into_value()),
                Boarding::Within => return self.start(store, key).end(body().await, None),
                Boarding::Joined(waiter) => match waiter.landing().await {
                    Landing::Result(value) => return self.joined(value),
                    Landing::NotShared => return self.start(store, key).end(body().await, None),
                    Landing::GivenUp => {}
                },
                Boarding::Led(leader) => {
                    if self.may_be_on_disk(store)
                        && let Some(hit) = store.find(key).await
                    {
                        return landed(leader, hit);
                    }
                    return self.start(store, key).end(body().await, Some(leader));
                }
            }
        }
    }

    /// A stale result, and the refresh to run behind it, unless one is under way or too many of them are.
    ///
    /// # Errors
    /// There is no stale result: the call goes on.
    pub fn stale(mut self) -> Result<(V, Option<Behind<V>>), Self> {
        let Some((store, key)) = self.cached() else { return Err(self) };
        let mut found = store.stale(key);
        if found.is_none() && self.may_be_on_disk(store) {
            found = store.find_blocking(key).or_else(|| store.stale(key));
            self.looked_on_disk = true;
        }
        match found {
            Some(hit) => Ok(self.serve(hit)),
            None => Err(self),
        }
    }

    /// As [`Missed::stale`], off the async thread. Without a runtime nothing can run behind the caller, and nothing stale
    /// is served.
    ///
    /// # Errors
    /// As there.
    pub async fn stale_async(mut self) -> Result<(V, Option<Behind<V>>), Self> {
        let Some((store, key)) = self.cached() else { return Err(self) };
        if Handle::try_current().is_err() {
            return Err(self);
        }
        let mut found = store.stale(key);
        if found.is_none() && self.may_be_on_disk(store) {
            found = store.find(key).await.or_else(|| store.stale(key));
            self.looked_on_disk = true;
        }
        match found {
            Some(hit) => Ok(self.serve(hit)),
            None => Err(self),
        }
    }

    fn serve(self, hit: Hit<V>) -> (V, Option<Behind<V>>) {
        if !hit.remaining().is_zero() {
            // It has been loaded again since the call began, or was on disk.
            return (hit.into_value(), None);
        }
        Counts::add(&self.function.counts.stale_serves);
        let behind = self.key.as_ref().and_then(|key| self.function.flights.board_behind(key, &self.tags));
        let behind = behind.and_then(|leader| match Turn::take() {
            Some(turn) => Some(Behind::new(self, leader, turn)),
            None => {
                Counts::add(&self.function.counts.refreshes_skipped);
                None
            }
        });
        (hit.into_value(), behind)
    }

    pub(crate) fn cached(&self) -> Option<(&'static Store<V>, &Key)> {
        Some((self.function.store.as_ref()?, self.key.as_ref()?))
    }

    fn board(&self, store: &Store<V>, key: &Key, thread: Option<ThreadId>) -> Boarding<V, Hit<V>> {
        self.function.flights.board(key, self.want, &self.tags, thread, || store.fresh(key))
    }

    fn may_be_on_disk(&self, store: &Store<V>) -> bool {
        let look = self.want == Want::Result && store.is_persisted() && !self.looked_on_disk;
        if look {
            Counts::add(&self.function.counts.looks_on_disk);
        }
        look
    }

    fn joined<R: Kept<V>>(&self, value: V) -> R {
        Counts::add(&self.function.counts.joined);
        R::from_kept(value)
    }

    /// Begins a run.
    pub(crate) fn start<'a>(&'a self, store: &'static Store<V>, key: &'a Key) -> Run<'a, V> {
        Counts::add(&self.function.counts.runs);
        Run { missed: self, store, key, begun: store.begin(), ended: false }
    }
}

fn landed<V: Clone, R: Kept<V>>(leader: Leader<V>, hit: Hit<V>) -> R {
    leader.land(Some(hit.value()));
    R::from_kept(hit.into_value())
}

/// A run of the body, from before it began.
pub(crate) struct Run<'a, V: 'static> {
    missed: &'a Missed<V>,
    store: &'static Store<V>,
    key: &'a Key,
    begun: Begun,
    ended: bool,
}

impl<V: Clone + Send + Sync + 'static> Run<'_, V> {
    /// Stores the result if it is one to be stored, tells those who wait, and gives the caller what it is to return.
    pub(crate) fn end<R: Kept<V>>(mut self, result: R, leader: Option<Leader<V>>) -> R {
        self.ended = true;
        let Missed { function, tags, want, .. } = self.missed;
        function.counts.run_nanos.fetch_add(self.begun.nanos(), Ordering::Relaxed);
        if let Some(value) = result.kept() {
            self.store.insert(self.key, value.clone(), &self.begun, tags);
            if let Some(leader) = leader {
                leader.land(Some(value));
            }
            return result;
        }
        Counts::add(&function.counts.not_stored);
        // Who asks for a new result is told of the error.
        let stands_in = function.has_stale_if_error && *want == Want::Result && result.is_error();
        let older = if stands_in { self.store.in_place_of_an_error(self.key) } else { None };
        if let Some(leader) = leader {
            leader.land(older.as_ref().map(Hit::value));
        }
        match older {
            Some(older) => {
                Counts::add(&function.counts.stale_on_error);
                R::from_kept(older.into_value())
            }
            None => result,
        }
    }
}

impl<V> Drop for Run<'_, V> {
    fn drop(&mut self) {
        if !self.ended {
            Counts::add(&self.missed.function.counts.unfinished);
        }
    }
}
