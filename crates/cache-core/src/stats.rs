//! What a cache has done, in numbers.
//!
//! Hits and misses are counted in a slot of the counting thread, so that a hit never waits for another core's cache
//! line. All counters are relaxed: each is true, while two of one snapshot may be an instant apart.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::observer::{Departure, LoadOutcome, LoadReport};

/// A snapshot. Counts are since the cache was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that were served from memory.
    pub hits: u64,
    /// Reads that were not.
    pub misses: u64,
    /// Misses that joined a load under way.
    pub joined: u64,
    /// Loads that ended, well or not.
    pub loads: u64,
    /// Of these: with an error, a panic, or by the load time-out.
    pub load_failures: u64,
    /// Of these: because nobody waited any more.
    pub load_cancellations: u64,
    /// The time that all of them took together.
    pub load_time: Duration,
    /// Loads under way.
    pub loading: u64,
    /// Entries that left to make room.
    pub evictions: u64,
    /// Entries that left because their ttl was over.
    pub expirations: u64,
    /// Entries that left because an invalidation covered them.
    pub invalidated: u64,
    /// Stamps given: invalidations and deletes, of all caches that share them.
    pub invalidations: u64,
    /// Values that were larger than the cache allows, and were only handed to their callers.
    pub refusals: u64,
    /// Values that were out of date before they could be stored.
    pub outdated: u64,
    /// Entries in memory.
    pub entries: u64,
    /// Their bytes, keys and bookkeeping included.
    pub bytes: u64,
    /// What they count for against `max_bytes`: small entries count for more than their bytes.
    pub weight: u64,
}

impl Stats {
    /// The share of reads that were hits, 0 to 1; `None` before the first read.
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }
}

const SLOTS: usize = 16;

/// A slot has a cache line of its own, and the one beside it, which processors fetch along.
#[derive(Default)]
#[repr(align(128))]
struct Slot {
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Counters {
    slots: [Slot; SLOTS],
    joined: AtomicU64,
    loads: AtomicU64,
    load_failures: AtomicU64,
    load_cancellations: AtomicU64,
    load_nanos: AtomicU64,
    evictions: AtomicU64,
    expirations: AtomicU64,
    invalidated: AtomicU64,
    refusals: AtomicU64,
    outdated: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn hit(&self) {
        add(&self.slots[slot()].hits, 1);
    }

    pub(crate) fn miss(&self) {
        add(&self.slots[slot()].misses, 1);
    }

    pub(crate) fn joined(&self) {
        add(&self.joined, 1);
    }

    pub(crate) fn load(&self, report: &LoadReport) {
        add(&self.loads, 1);
        add(&self.load_nanos, u64::try_from(report.elapsed.as_nanos()).unwrap_or(u64::MAX));
        match report.outcome {
            LoadOutcome::Loaded => {}
            LoadOutcome::Failed | LoadOutcome::Panicked | LoadOutcome::TimedOut => add(&self.load_failures, 1),
            LoadOutcome::Cancelled => add(&self.load_cancellations, 1),
        }
    }

    pub(crate) fn depart(&self, why: Departure) {
        match why {
            Departure::Evicted => add(&self.evictions, 1),
            Departure::Expired => add(&self.expirations, 1),
            Departure::Invalidated => add(&self.invalidated, 1),
            Departure::Removed => {}
        }
    }

    pub(crate) fn refused(&self) {
        add(&self.refusals, 1);
    }

    pub(crate) fn outdated(&self) {
        add(&self.outdated, 1);
    }

    /// The counts; what is not counted here is left at zero.
    pub(crate) fn snapshot(&self) -> Stats {
        let sum = |field: fn(&Slot) -> &AtomicU64| self.slots.iter().map(|slot| get(field(slot))).sum();
        Stats {
            hits: sum(|slot| &slot.hits),
            misses: sum(|slot| &slot.misses),
            joined: get(&self.joined),
            loads: get(&self.loads),
            load_failures: get(&self.load_failures),
            load_cancellations: get(&self.load_cancellations),
            load_time: Duration::from_nanos(get(&self.load_nanos)),
            evictions: get(&self.evictions),
            expirations: get(&self.expirations),
            invalidated: get(&self.invalidated),
            refusals: get(&self.refusals),
            outdated: get(&self.outdated),
            ..Stats::default()
        }
    }
}

#[inline]
fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The slot of this thread: threads take them in turn.
#[inline]
fn slot() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SLOT.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        mine.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_many_threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..SLOTS * 2 {
                scope.spawn(|| (0..100).for_each(|_| counters.hit()));
            }
        });
        counters.miss();
        let stats = counters.snapshot();
        assert_eq!((stats.hits, stats.misses), (SLOTS as u64 * 200, 1));
    }

    #[test]
    fn there_is_no_hit_rate_before_the_first_read() {
        assert_eq!(Stats::default().hit_rate(), None);
        let stats = Stats { hits: 3, misses: 1, ..Stats::default() };
        assert_eq!(stats.hit_rate(), Some(0.75));
    }
}
