//! What a cache has done, in numbers.
//!
//! Hits and misses are counted in a slot of the counting thread ([`Slots`]), so that a hit never waits for another core's
//! cache line. All counters are relaxed: each is true, while two of one snapshot may be an instant apart.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;
use crate::observer::{Departure, LoadOutcome, LoadReport};
use crate::slots::Slots;

/// A snapshot. Counts are since the cache was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that were served from memory.
    pub hits: u64,
    /// Reads that were not.
    pub misses: u64,
    /// Of these: served from disk.
    pub disk_hits: u64,
    /// Looks on disk that found nothing of use. Those who wait for one load share its look.
    pub disk_misses: u64,
    /// Of the hits and the disk hits: stale values, which were to be loaded again behind the reader.
    pub stale_serves: u64,
    /// Refreshes that were left out because too many were under way.
    pub refreshes_skipped: u64,
    /// Old values that stood in for a load that had failed.
    pub stale_on_error: u64,
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
    /// The time that the values served from memory and disk had taken to load: what the cache has saved.
    pub load_time_saved: Duration,
    /// Reads of the last minute or so.
    pub window: Window,
    /// Loads under way.
    pub loading: u64,
    /// Entries that left to make room.
    pub evictions: u64,
    /// Entries that left because their ttl was over.
    pub expirations: u64,
    /// Entries that left because an invalidation covered them.
    pub invalidated: u64,
    /// Entries that left because they were deleted by key or prefix or released, or had a successor that was too large.
    pub removals: u64,
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
    /// The age of the oldest entry in memory that may be used. It is looked for when somebody asks; among more than a
    /// thousand entries, this may be what the last look has found, so that looking takes a hundredth of the time at most.
    pub oldest: Option<Duration>,
}

impl Stats {
    /// The share of reads that were served from memory or disk, 0 to 1; `None` before the first read.
    pub fn hit_rate(&self) -> Option<f64> {
        rate(self.hits + self.disk_hits, self.hits + self.misses)
    }
}

/// Reads of a short time up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Served from memory or disk.
    pub hits: u64,
    /// All of them.
    pub reads: u64,
    /// How long the time is: about a minute, unless the cache is younger or was not looked at for longer.
    pub span: Duration,
}

impl Window {
    /// The share of reads that were served from memory or disk, 0 to 1; `None` if there were none.
    pub fn hit_rate(&self) -> Option<f64> {
        rate(self.hits, self.reads)
    }
}

fn rate(hits: u64, reads: u64) -> Option<f64> {
    (reads > 0).then(|| hits as f64 / reads as f64)
}

/// The counts at moments of the last minute. They are taken when a read misses or somebody asks, so a hit pays nothing.
#[derive(Default)]
struct Samples(VecDeque<Sample>);

#[derive(Clone, Copy)]
struct Sample {
    at: Moment,
    hits: u64,
    reads: u64,
}

impl Samples {
    const EVERY: Duration = Duration::from_secs(5);
    const SPAN: Duration = Duration::from_secs(60);

    fn is_due(&self, now: Moment) -> bool {
        self.0.back().is_none_or(|last| now.since(last.at) >= Self::EVERY)
    }

    fn push(&mut self, sample: Sample) {
        self.0.push_back(sample);
        // The one before the window's beginning stays: the window is counted from it.
        while self.0.len() > 2 && sample.at.since(self.0[1].at) >= Self::SPAN {
            self.0.pop_front();
        }
    }

    fn window(&self, now: Sample) -> Window {
        let Some(first) = self.0.front() else {
            return Window { hits: now.hits, reads: now.reads, span: Duration::ZERO };
        };
        Window { hits: now.hits - first.hits, reads: now.reads - first.reads, span: now.at.since(first.at) }
    }
}

/// The counters of a read.
const HITS: usize = 0;
const MISSES: usize = 1;
const SAVED_US: usize = 2;

#[derive(Default)]
pub(crate) struct Counters {
    reads: Slots<3>,
    samples: Mutex<Samples>,
    disk_hits: AtomicU64,
    disk_misses: AtomicU64,
    stale_serves: AtomicU64,
    refreshes_skipped: AtomicU64,
    stale_on_error: AtomicU64,
    joined: AtomicU64,
    loads: AtomicU64,
    load_failures: AtomicU64,
    load_cancellations: AtomicU64,
    load_nanos: AtomicU64,
    evictions: AtomicU64,
    expirations: AtomicU64,
    invalidated: AtomicU64,
    removals: AtomicU64,
    refusals: AtomicU64,
    outdated: AtomicU64,
}

impl Counters {
    /// A hit, and what its value had cost to load.
    #[inline]
    pub(crate) fn hit(&self, cost_us: u32) {
        self.reads.add([(HITS, 1), (SAVED_US, u64::from(cost_us))]);
    }

    pub(crate) fn disk_hit(&self, cost_us: u32) {
        add(&self.disk_hits, 1);
        self.reads.add([(SAVED_US, u64::from(cost_us))]);
    }

    pub(crate) fn disk_miss(&self) {
        add(&self.disk_misses, 1);
    }

    pub(crate) fn stale_serve(&self) {
        add(&self.stale_serves, 1);
    }

    pub(crate) fn refresh_skipped(&self) {
        add(&self.refreshes_skipped, 1);
    }

    pub(crate) fn stale_on_error(&self) {
        add(&self.stale_on_error, 1);
    }

    /// Takes a sample for the window, if it is time for one.
    pub(crate) fn sample(&self, now: Moment) {
        let Some(mut samples) = self.samples.try_lock() else { return };
        if samples.is_due(now) {
            samples.push(self.now(now));
        }
    }

    fn now(&self, at: Moment) -> Sample {
        // The hits first, those on disk before all: each of them is a miss as well, counted before it. A read that is
        // counted between the two must not look like a hit too many.
        let disk_hits = get(&self.disk_hits);
        let hits = self.reads.sum(HITS);
        Sample { at, hits: hits + disk_hits, reads: hits + self.reads.sum(MISSES) }
    }

    pub(crate) fn miss(&self) {
        self.reads.add([(MISSES, 1)]);
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

    /// So many entries left to make room, all at once.
    pub(crate) fn evicted(&self, entries: u64) {
        add(&self.evictions, entries);
    }

    pub(crate) fn depart(&self, why: Departure) {
        match why {
            Departure::Evicted => add(&self.evictions, 1),
            Departure::Expired => add(&self.expirations, 1),
            Departure::Invalidated => add(&self.invalidated, 1),
            Departure::Removed => add(&self.removals, 1),
        }
    }

    pub(crate) fn refused(&self) {
        add(&self.refusals, 1);
    }

    pub(crate) fn outdated(&self) {
        add(&self.outdated, 1);
    }

    /// The counts; what is not counted here is left at zero.
    pub(crate) fn snapshot(&self, now: Moment) -> Stats {
        self.sample(now);
        let window = self.samples.lock().window(self.now(now));
        // Before the misses, of which they are a part.
        let disk_hits = get(&self.disk_hits);
        Stats {
            hits: self.reads.sum(HITS),
            misses: self.reads.sum(MISSES),
            disk_hits,
            disk_misses: get(&self.disk_misses),
            stale_serves: get(&self.stale_serves),
            refreshes_skipped: get(&self.refreshes_skipped),
            stale_on_error: get(&self.stale_on_error),
            load_time_saved: Duration::from_micros(self.reads.sum(SAVED_US)),
            window,
            joined: get(&self.joined),
            loads: get(&self.loads),
            load_failures: get(&self.load_failures),
            load_cancellations: get(&self.load_cancellations),
            load_time: Duration::from_nanos(get(&self.load_nanos)),
            evictions: get(&self.evictions),
            expirations: get(&self.expirations),
            invalidated: get(&self.invalidated),
            removals: get(&self.removals),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_what_is_older_than_a_minute() {
        let counters = Counters::default();
        let at = |seconds| Moment::from_start(Duration::from_secs(seconds));
        counters.sample(at(0));
        (0..100).for_each(|_| counters.miss());
        for second in (5..=60).step_by(5) {
            counters.sample(at(second));
        }
        assert_eq!(counters.snapshot(at(60)).window.hit_rate(), Some(0.0));
        (0..10).for_each(|_| counters.hit(0));
        let window = counters.snapshot(at(70)).window;
        assert_eq!((window.hits, window.reads), (10, 10), "{window:?}");
        assert_eq!(window.hit_rate(), Some(1.0));
        assert!(window.span >= Duration::from_secs(60) && window.span <= Duration::from_secs(70), "{window:?}");
    }

    #[test]
    fn there_is_no_hit_rate_before_the_first_read() {
        assert_eq!(Stats::default().hit_rate(), None);
        let stats = Stats { hits: 3, misses: 1, ..Stats::default() };
        assert_eq!(stats.hit_rate(), Some(0.75));
    }
}
