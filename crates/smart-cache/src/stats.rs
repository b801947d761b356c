//! What cached functions have done, in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::Stats;

use crate::function::Counts;

/// Where the results of a function are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// In memory, as was asked for.
    #[default]
    Off,
    /// In memory, although `persist = true`: no tier had been given when it was first called, and the default folder cannot
    /// be used. [`FunctionStats::problem`] says why.
    NoTier,
    /// In memory, although `persist = true`: a function that cannot be told from it persists already.
    NameTaken,
    /// In memory and in the tier.
    Tier,
}

/// What one function has done since it was first called, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionStats {
    /// Its path.
    pub name: Arc<str>,
    /// Calls that were served a fresh result from memory.
    pub hits: u64,
    /// Calls that found nothing fresh in memory.
    pub misses: u64,
    /// Of these: served from the tier, with those that waited for the same read.
    pub disk_hits: u64,
    /// Of these: served a result whose ttl was over.
    pub stale_serves: u64,
    /// Of these: took the result of another call.
    pub joined: u64,
    /// Runs of the body: in calls, behind them, and to refresh.
    pub runs: u64,
    /// Of these: with a result that is not stored, such as an error.
    pub not_stored: u64,
    /// Of these: ended by a panic or by being cancelled.
    pub unfinished: u64,
    /// Errors that an older result stood in for.
    pub stale_on_error: u64,
    /// Refreshes behind callers that were left out because too many were under way.
    pub refreshes_skipped: u64,
    /// The time that the runs took together.
    pub run_time: Duration,
    /// The time that the results served from memory and from the tier had taken.
    pub time_saved: Duration,
    /// Runs under way that others can join.
    pub running: u64,
    /// Results in memory.
    pub entries: u64,
    /// The bytes of their keys and bookkeeping, and the persisted ones' own.
    pub bytes: u64,
    /// Results that left memory to make room.
    pub evictions: u64,
    /// Results that left memory because they were too old.
    pub expirations: u64,
    /// Results that were too large for memory.
    pub refusals: u64,
    /// Where results are kept.
    pub persistence: Persistence,
    /// Why there is no cache at all, if there is none, or why its results are not persisted, if they cannot be.
    pub problem: Option<String>,
}

impl FunctionStats {
    pub(crate) fn new(
        name: Arc<str>,
        persistence: Persistence,
        problem: Option<String>,
        store: &Stats,
        counts: &Counts,
    ) -> Self {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            name,
            hits: store.hits,
            // The store counts a look on disk as a read of its own, after the one that missed in memory.
            misses: store.misses.saturating_sub(get(&counts.looks_on_disk)),
            disk_hits: store.disk_hits,
            stale_serves: get(&counts.stale_serves),
            joined: get(&counts.joined),
            runs: get(&counts.runs),
            not_stored: get(&counts.not_stored),
            unfinished: get(&counts.unfinished),
            stale_on_error: get(&counts.stale_on_error),
            refreshes_skipped: get(&counts.refreshes_skipped),
            run_time: Duration::from_nanos(get(&counts.run_nanos)),
            time_saved: store.load_time_saved,
            running: 0,
            entries: store.entries,
            bytes: store.bytes,
            evictions: store.evictions,
            expirations: store.expirations,
            refusals: store.refusals,
            persistence,
            problem,
        }
    }

    pub(crate) fn with_running(self, running: usize) -> Self {
        Self { running: running as u64, ..self }
    }

    /// The share of calls that were served without running the body for them, 0 to 1; `None` before the first call.
    pub fn hit_rate(&self) -> Option<f64> {
        let calls = self.hits + self.misses;
        let served = self.hits + self.disk_hits + self.stale_serves + self.joined;
        // Counts of one snapshot may be an instant apart.
        (calls > 0).then(|| (served as f64 / calls as f64).min(1.0))
    }
}

/// What all functions have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalStats {
    /// Each of them, in the order of names.
    pub functions: Vec<FunctionStats>,
}

impl GlobalStats {
    /// The sum over all functions. It has no name and no problem.
    pub fn total(&self) -> FunctionStats {
        self.functions.iter().fold(FunctionStats::default(), |sum, one| FunctionStats {
            hits: sum.hits + one.hits,
            misses: sum.misses + one.misses,
            disk_hits: sum.disk_hits + one.disk_hits,
            stale_serves: sum.stale_serves + one.stale_serves,
            joined: sum.joined + one.joined,
            runs: sum.runs + one.runs,
            not_stored: sum.not_stored + one.not_stored,
            unfinished: sum.unfinished + one.unfinished,
            stale_on_error: sum.stale_on_error + one.stale_on_error,
            refreshes_skipped: sum.refreshes_skipped + one.refreshes_skipped,
            run_time: sum.run_time + one.run_time,
            time_saved: sum.time_saved + one.time_saved,
            running: sum.running + one.running,
            entries: sum.entries + one.entries,
            bytes: sum.bytes + one.bytes,
            evictions: sum.evictions + one.evictions,
            expirations: sum.expirations + one.expirations,
            refusals: sum.refusals + one.refusals,
            ..sum
        })
    }
}
