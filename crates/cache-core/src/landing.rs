//! The task of a flight: it looks on disk, else it runs the loader, and however that ends, it lands.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::entry::{AtMost, Item, State, Stored, Terms};
use crate::flight::{Failure, Flight, Landed, Purpose, ResultSender};
use crate::inner::Inner;
use crate::load::{LoadFuture, Loader, SharedError};
use crate::observer::{LoadOutcome, LoadReport};
use crate::sync;

/// What the task of a flight holds. Dropped before the landing (aborted, or its runtime is gone), it clears up.
pub(crate) struct Landing<V> {
    pub(crate) inner: Arc<Inner<V>>,
    pub(crate) flight: Arc<Flight<V>>,
    pub(crate) result: ResultSender<V>,
    /// For a value that does not bring its own.
    pub(crate) terms: Terms,
    /// For a value from disk.
    pub(crate) at_most: AtMost,
    pub(crate) began: Instant,
    pub(crate) landed: bool,
}

impl<V: Send + Sync + 'static> Landing<V> {
    /// Looks on disk; else runs the loader: both together for so long at most.
    pub(crate) async fn fly(mut self, loader: Loader<V>, timeout: Duration) {
        // None: it is so long that it never comes.
        let deadline = self.began.checked_add(timeout);
        // A disk that does not answer is as good as none. It leaves the loader half of the time at least.
        if self.flight.id.purpose == Purpose::Load
            && let Some(Some(entry)) =
                sync::timeout(timeout / 2, self.inner.restore(&self.flight.id.key, self.at_most)).await
            && let State::Usable(freshness) = entry.state(self.inner.clock.now(), &self.inner.stamps)
            && freshness <= self.flight.enough
        {
            self.leave_the_table();
            self.result.send_replace(Some(Ok(Landed { entry, stored: Stored::Yes, restored: true })));
            return;
        }
        if self.flight.id.purpose == Purpose::Load {
            self.inner.count_disk_miss();
        }
        self.began = Instant::now();
        let refresh = self.flight.id.purpose == Purpose::Reload;
        let context = self.inner.context(&self.flight, refresh);
        let loader = loader(context);
        let outcome = match sync::by(deadline, caught(loader)).await {
            // Who joined a load that had not begun was promised one that begins later.
            Some(Ok(Ok(_))) if self.flight.origin.began().is_none() => Err(Failure::Lost),
            Some(Ok(Ok(item))) => Ok(item),
            Some(Ok(Err(error))) => Err(Failure::Failed(error)),
            Some(Err(message)) => Err(Failure::Panicked(message)),
            None => {
                self.flight.cancel.raise();
                Err(Failure::TimedOut(timeout))
            }
        };
        self.land(outcome);
    }

    /// Stores, leaves the table, tells the waiters: in this order (see the flights' second invariant).
    fn land(mut self, outcome: Result<Item<V>, Failure>) {
        let (kind, bytes) = match &outcome {
            Ok(item) => (LoadOutcome::Loaded, item.bytes),
            Err(Failure::Panicked(_)) => (LoadOutcome::Panicked, 0),
            Err(Failure::TimedOut(_)) => (LoadOutcome::TimedOut, 0),
            Err(_) => (LoadOutcome::Failed, 0),
        };
        let cost = self.began.elapsed();
        let outcome = outcome.map(|item| {
            let key = &self.flight.id.key;
            let cell = Arc::clone(&self.flight.cell);
            let (entry, stored) = self.inner.store(key, item, self.flight.origin.get(), cost, self.terms, cell);
            self.inner.pauses.forget(key);
            Landed { entry, stored, restored: false }
        });
        self.leave_the_table();
        self.report(kind, bytes);
        self.result.send_replace(Some(outcome));
    }

    fn leave_the_table(&mut self) {
        self.inner.flights.remove(&self.flight);
        self.landed = true;
    }
}

impl<V> Landing<V> {
    fn report(&self, outcome: LoadOutcome, bytes: u64) {
        let report = LoadReport { outcome, elapsed: self.began.elapsed(), bytes };
        self.inner.counters.load(&report);
        // An observer that panics loses its own load, as any panic of this task does; a second panic would be the end
        // of the process.
        if let Some(observer) = self.inner.observer.as_ref().filter(|_| !std::thread::panicking()) {
            observer.load(&self.inner.config.name, &self.flight.id.key, &report);
        }
    }
}

impl<V> Drop for Landing<V> {
    fn drop(&mut self) {
        if !self.landed {
            self.flight.cancel.raise();
            self.inner.flights.remove(&self.flight);
            self.report(LoadOutcome::Cancelled, 0);
        }
    }
}

/// Polls a loader; a panic of it becomes a message.
async fn caught<V>(mut loader: LoadFuture<V>) -> Result<Result<Item<V>, SharedError>, Arc<str>> {
    poll_fn(move |context| {
        // Unwind safe: after a panic the future is dropped and never polled again.
        match catch_unwind(AssertUnwindSafe(|| loader.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(payload) => Poll::Ready(Err(message(&*payload))),
        }
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> Arc<str> {
    if let Some(text) = payload.downcast_ref::<&str>() {
        Arc::from(*text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Arc::from(text.as_str())
    } else {
        Arc::from("a panic without a message")
    }
}
