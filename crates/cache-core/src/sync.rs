//! Where the crate meets threads and time: its locks, its atomics, its tasks and its time-outs.
//!
//! What other threads can see of an ordering between two caches' operations goes through here. Under the feature
//! `shuttle`, which is for `tests/schedules` alone, the same names are locks, atomics and tasks of a scheduler that
//! tries one interleaving after the other. There is no time there: a time-out below a millisecond comes whenever the
//! schedule wants it to, any other never.
//!
//! Not here: what only counts (statistics), what only the clock's thread writes, and tokio's `watch`, which is passive.

#[cfg(not(feature = "shuttle"))]
pub(crate) use self::threads::{AtomicU64, AtomicUsize, Executor, Mutex, Task, by, timeout};

#[cfg(feature = "shuttle")]
pub(crate) use self::schedule::{AtomicU64, AtomicUsize, Executor, Mutex, Task, by, timeout};

/// Threads, tokio and the clock of the machine.
#[cfg(not(feature = "shuttle"))]
mod threads {
    use std::time::{Duration, Instant};

    use tokio::runtime::Handle;
    use tokio::task::AbortHandle;

    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};

    /// Where tasks run.
    #[derive(Clone)]
    pub(crate) struct Executor(Handle);

    impl Executor {
        /// The one that was given, or that of the caller; `None` outside a runtime.
        pub(crate) fn of(given: Option<&Handle>) -> Option<Self> {
            given.cloned().or_else(|| Handle::try_current().ok()).map(Self)
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
            Task(self.0.spawn(task).abort_handle())
        }

        /// Does work that may block on a thread for that. `Err` if it could not begin any more, or if it panicked.
        pub(crate) async fn block<T: Send + 'static>(
            &self,
            work: impl FnOnce() -> T + Send + 'static,
        ) -> Result<T, tokio::task::JoinError> {
            self.0.spawn_blocking(work).await
        }
    }

    /// A task that can be aborted.
    #[derive(Debug)]
    pub(crate) struct Task(AbortHandle);

    impl Task {
        pub(crate) fn abort(&self) {
            self.0.abort();
        }
    }

    /// `None` when the time is over first.
    pub(crate) async fn timeout<T>(after: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(after, work).await.ok()
    }

    /// `None` when the moment comes first, if there is one.
    pub(crate) async fn by<T>(moment: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
        match moment {
            Some(moment) => tokio::time::timeout_at(moment.into(), work).await.ok(),
            None => Some(work.await),
        }
    }
}

/// The scheduler of a test.
#[cfg(feature = "shuttle")]
mod schedule {
    use std::time::{Duration, Instant};

    use shuttle::future::{AbortHandle, yield_now};
    use shuttle::rand::{Rng, thread_rng};
    use tokio::runtime::Handle;

    pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};

    /// As parking_lot's, which knows no poison.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// The scheduler of the test that runs.
    #[derive(Clone)]
    pub(crate) struct Executor;

    impl Executor {
        pub(crate) fn of(_: Option<&Handle>) -> Option<Self> {
            Some(Self)
        }

        pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
            Task(shuttle::future::spawn(task).abort_handle())
        }

        pub(crate) async fn block<T: Send + 'static>(
            &self,
            work: impl FnOnce() -> T + Send + 'static,
        ) -> Result<T, tokio::task::JoinError> {
            // A task of its own: it goes on when nobody waits for it any more, as a blocking thread does.
            let worked = shuttle::future::spawn(async move { work() }).await;
            Ok(worked.expect("nobody aborts it"))
        }
    }

    #[derive(Debug)]
    pub(crate) struct Task(AbortHandle);

    impl Task {
        pub(crate) fn abort(&self) {
            self.0.abort();
        }
    }

    /// A time-out that comes at some step of the schedule, if it is short; otherwise never.
    pub(crate) async fn timeout<T>(after: Duration, work: impl Future<Output = T>) -> Option<T> {
        if after >= Duration::from_millis(1) {
            return Some(work.await);
        }
        tokio::select! {
            biased;
            result = work => Some(result),
            () = a_few_steps() => None,
        }
    }

    /// A deadline that has not come yet never does.
    pub(crate) async fn by<T>(moment: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
        let left = moment.map_or(Duration::MAX, |moment| moment.saturating_duration_since(Instant::now()));
        timeout(left, work).await
    }

    async fn a_few_steps() {
        for _ in 0..thread_rng().gen_range(0..8) {
            yield_now().await;
        }
    }
}
