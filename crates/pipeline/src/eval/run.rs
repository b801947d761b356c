//! One evaluation under way: when it has to stop, and how much memory it may take.
//!
//! Evaluation asks [`Run::check`] before each piece and within sorts, and [`Run::take`]s the bytes of whatever it builds. The
//! memory of all runs is bounded together ([`QueryMemory`]); what a run has taken is given back when the last handle of it is
//! dropped, so whoever holds its result keeps one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::EvalError;

/// The memory that evaluations may take.
#[derive(Debug, Clone)]
pub struct QueryMemory {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    query_max_bytes: u64,
    queries_max_bytes: u64,
    used: AtomicU64,
}

impl QueryMemory {
    /// At most `query_max_bytes` for one evaluation, and `queries_max_bytes` for all at a time.
    pub fn new(query_max_bytes: u64, queries_max_bytes: u64) -> Self {
        Self { pool: Arc::new(Pool { query_max_bytes, queries_max_bytes, used: AtomicU64::new(0) }) }
    }

    /// The bytes that evaluations hold now.
    pub fn used(&self) -> u64 {
        self.pool.used.load(Ordering::Relaxed)
    }
}

/// An evaluation under way. Cloning it gives another handle of the same one.
#[derive(Debug, Clone)]
pub struct Run {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    deadline: OnceLock<Instant>,
    cancelled: AtomicBool,
    pool: Option<Arc<Pool>>,
    taken: AtomicU64,
}

impl Run {
    /// An evaluation without bounds.
    pub fn unbounded() -> Self {
        Self::of(None, None)
    }

    /// An evaluation that stops at `deadline` and takes no more than `memory` has for it.
    pub fn new(memory: &QueryMemory, deadline: Option<Instant>) -> Self {
        Self::of(Some(Arc::clone(&memory.pool)), deadline)
    }

    fn of(pool: Option<Arc<Pool>>, deadline: Option<Instant>) -> Self {
        let deadline = deadline.map_or_else(OnceLock::new, OnceLock::from);
        let (cancelled, taken) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { deadline, cancelled, pool, taken }) }
    }

    /// Gives an evaluation a deadline that has none yet: one that waited for its rows first.
    pub fn stop_at(&self, deadline: Instant) {
        self.inner.deadline.get_or_init(|| deadline);
    }

    /// Has the evaluation stop at its next [`check`](Self::check).
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Relaxed);
    }

    /// Has the evaluation stop when the guard is dropped: whoever waited for it is gone.
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Some(self.clone()))
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`EvalError::Cancelled`], or [`EvalError::TimedOut`] past the deadline.
    pub fn check(&self) -> Result<(), EvalError> {
        if self.inner.cancelled.load(Ordering::Relaxed) {
            return Err(EvalError::Cancelled);
        }
        match self.inner.deadline.get() {
            Some(deadline) if Instant::now() >= *deadline => Err(EvalError::TimedOut),
            _ => Ok(()),
        }
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`EvalError::TooLarge`] for more than one evaluation may have; [`EvalError::Busy`] if all together would have too
    /// much.
    pub fn take(&self, bytes: usize) -> Result<(), EvalError> {
        let Some(pool) = &self.inner.pool else { return Ok(()) };
        let bytes = bytes as u64;
        // Added first and compared then: pieces that work side by side cannot pass the bound together.
        let mine = self.inner.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if mine > pool.query_max_bytes {
            self.inner.taken.fetch_sub(bytes, Ordering::Relaxed);
            return Err(EvalError::TooLarge { max_bytes: pool.query_max_bytes });
        }
        let all = pool.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > pool.queries_max_bytes {
            pool.used.fetch_sub(bytes, Ordering::Relaxed);
            self.inner.taken.fetch_sub(bytes, Ordering::Relaxed);
            return Err(EvalError::Busy { max_bytes: pool.queries_max_bytes });
        }
        Ok(())
    }

    /// Gives back `bytes` that were taken.
    pub fn give_back(&self, bytes: usize) {
        let Some(pool) = &self.inner.pool else { return };
        let bytes = (bytes as u64).min(self.inner.taken.load(Ordering::Relaxed));
        self.inner.taken.fetch_sub(bytes, Ordering::Relaxed);
        pool.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The bytes that the evaluation holds.
    pub fn taken(&self) -> u64 {
        self.inner.taken.load(Ordering::Relaxed)
    }
}

/// Stops an evaluation that nobody waits for any more.
#[derive(Debug)]
#[must_use]
pub struct StopOnDrop(Option<Run>);

impl StopOnDrop {
    /// Lets the evaluation go on: its outcome was taken.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(run) = &self.0 {
            run.cancel();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.used.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_takes_is_bounded_and_given_back() {
        let memory = QueryMemory::new(100, 150);
        let (one, two) = (Run::new(&memory, None), Run::new(&memory, None));
        one.take(100).unwrap();
        assert!(matches!(one.take(1), Err(EvalError::TooLarge { max_bytes: 100 })));
        two.take(50).unwrap();
        assert!(matches!(two.take(1), Err(EvalError::Busy { max_bytes: 150 })));
        one.give_back(30);
        two.take(30).unwrap();
        let held = two.clone();
        drop((one, two));
        assert_eq!((held.taken(), memory.used()), (80, 80));
        drop(held);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_run_stops_when_it_is_cancelled_and_at_its_deadline() {
        let memory = QueryMemory::new(1, 1);
        let late = Run::new(&memory, Some(Instant::now()));
        assert!(matches!(late.check(), Err(EvalError::TimedOut)));
        let run = Run::unbounded();
        run.check().unwrap();
        run.clone().cancel();
        assert!(matches!(run.check(), Err(EvalError::Cancelled)));
    }
}
