//! Calls that run behind their callers, to load again what was served stale.
//!
//! They are bounded for the whole process: 4 run at a time, 64 more may wait for them, and further ones are left out;
//! whoever is served the stale result next asks again. Synchronous bodies run on threads of this crate's own,
//! asynchronous ones in tasks of the caller's runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::call::Missed;
use crate::flight::Leader;
use crate::kept::Kept;

const AT_ONCE: usize = 4;
const WAITING: usize = 64;

static TURNS: AtomicUsize = AtomicUsize::new(0);

/// A place among those that run or wait.
pub(crate) struct Turn(());

impl Turn {
    pub(crate) fn take() -> Option<Self> {
        let taken = TURNS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |turns| {
            (turns < AT_ONCE + WAITING).then_some(turns + 1)
        });
        // Made only when it is taken: dropping one gives it back.
        taken.is_ok().then(|| Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call to run behind its caller. Dropped, it is as if it had not been asked for.
#[must_use]
pub struct Behind<V: 'static> {
    missed: Missed<V>,
    leader: Leader<V>,
    turn: Turn,
}

impl<V: Clone + Send + Sync + 'static> Behind<V> {
    pub(crate) fn new(missed: Missed<V>, leader: Leader<V>, turn: Turn) -> Self {
        Self { missed, leader, turn }
    }

    /// Runs the body on a thread of the pool.
    pub fn run<R: Kept<V>>(self, body: impl FnOnce() -> R + Send + 'static) {
        static POOL: LazyLock<Option<Sender<Job>>> = LazyLock::new(pool);
        let Some(pool) = &*POOL else { return };
        let job: Job = Box::new(move || {
            let Self { missed, leader, turn } = self;
            let _turn = turn;
            let Some((store, key)) = missed.cached() else { return };
            let run = missed.start(store, key);
            drop(run.end(body(), Some(leader)));
        });
        // The threads live as long as the process; without them the job is dropped, and nothing is loaded.
        let _ = pool.send(job);
    }

    /// Runs the body in a task of the caller's runtime.
    pub fn spawn<R, F>(self, body: impl FnOnce() -> F + Send + 'static)
    where
        R: Kept<V>,
        F: Future<Output = R> + Send,
    {
        static PERMITS: Semaphore = Semaphore::const_new(AT_ONCE);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let Self { missed, leader, turn } = self;
            let (_turn, _permit) = (turn, PERMITS.acquire().await);
            let Some((store, key)) = missed.cached() else { return };
            let run = missed.start(store, key);
            let result = body().await;
            drop(run.end(result, Some(leader)));
        });
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Starts the threads. `None` if not one of them can be started.
fn pool() -> Option<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    let started = (0..AT_ONCE).filter(|number| {
        let jobs = Arc::clone(&jobs);
        thread::Builder::new().name(format!("smart-cache-{number}")).spawn(move || work(&jobs)).is_ok()
    });
    (started.count() > 0).then_some(sender)
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held by one idle thread, which waits for the next job in it; the others wait for the lock.
        let Ok(job) = jobs.lock().recv() else { return };
        // A panic is told by the panic hook, and ends the run as it would have ended the call.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}
