//! The miss-ratio curve, live: what share of the reads would be hits if the cache were half, twice or four times as large.
//!
//! The curve comes of *miniature simulations* (Carl Waldspurger, Trausti Saemundsson, Irfan Ahmad and Nohhyun Park, "Cache
//! Modeling and Optimization using Miniature Simulations", USENIX ATC '17): a cache of the real policy that sees one key of
//! R, with an Rth of the capacity, misses about as often as the whole one. Keys are sampled by their hashes (as in their
//! SHARDS, FAST '15), so a key is always sampled or never. There are four miniatures: at 0.5, 1, 2 and 4 times the budget.
//!
//! 1. *A read that is not sampled* costs a count and a comparison. Only the others take a lock.
//! 2. *Memory is bounded.* Each miniature has a rate of its own; when it has 6,500 entries and remembered keys, the rate is
//!    halved and the keys that are not sampled any more are dropped. So the smaller sizes, which have fewer entries, are
//!    sampled more densely, and all four are about equally exact. Together they take up to 1.2 MB, and half as much again for
//!    a moment when a rate is halved.
//! 3. *Time is bounded.* No rate is above one key of two, and the highest are halved while the work comes to more than 90 ns
//!    for each read, by what look-ups and insertions usually cost.
//! 4. *The ratio is of all reads*, sampled or not: see the estimate's own page for what that takes.
//! 5. *It follows the traffic*: the counts are halved every ten minutes.
//!
//! At popularities as of Zipf's law, with and without scans, and on recorded traces the curve is within one point of a full
//! replay nearly always. It may be off by several where a few entries are a thousand times as heavy as most, and where the
//! same keys are read over and over in a loop that just does not fit, because there the policy itself wavers.
//!
//! What it does not see: entries that leave because they are too old or invalid. It tells what the size alone would do.

mod estimate;
mod mini;
mod rate;
mod simulation;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::count::Count;
use rate::Sample;
use simulation::Simulation;

/// The sizes of the curve, in budgets.
pub const FACTORS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// Of which cache a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurveSettings {
    /// The budget of the cache.
    pub capacity_bytes: u64,
    /// The most entries that it keeps, whatever its budget; as many as fit unless set.
    pub max_entries: u64,
    /// What an entry takes at least, its bookkeeping included. A cache remembers keys that have left in proportion to the
    /// entries that it may come to have, so this matters to the curve. 256 unless set.
    pub least_weight: u32,
    /// The counts are halved so often: every ten minutes unless set.
    pub half_life: Duration,
}

impl CurveSettings {
    /// A cache of so many bytes.
    pub fn new(capacity_bytes: u64) -> Self {
        Self { capacity_bytes, max_entries: u64::MAX, least_weight: 256, half_life: Duration::from_secs(600) }
    }
}

/// What the cache would do at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// The size, in budgets.
    pub factor: f64,
    /// The size, in bytes.
    pub capacity_bytes: u64,
    /// The share of reads that would be hits, 0 to 1; zero before the first read.
    pub hit_ratio: f64,
    /// The reads that this rests on: those of the last ten minutes count once, those of ten minutes before half, and so on.
    pub reads: u64,
    /// How much of the size is taken, 0 to 1. Sizes that are not full have not yet shown how they differ.
    pub fill: f64,
    /// The share of keys that is looked at.
    pub rate: f64,
}

/// A curve that is drawn while the cache is in use.
pub struct MissRatioCurve {
    reads: Count,
    /// Keys whose hashes lie below are sampled by one miniature at least.
    threshold: AtomicU64,
    clock: Box<dyn Clock>,
    simulation: Mutex<Simulation>,
}

impl MissRatioCurve {
    /// A curve without a read.
    pub fn new(settings: CurveSettings, clock: impl Clock) -> Self {
        let simulation = Simulation::new(settings, clock.coarse());
        let threshold = AtomicU64::new(simulation.threshold());
        Self { reads: Count::default(), threshold, clock: Box::new(clock), simulation: Mutex::new(simulation) }
    }

    /// Says that a key was read, hit or miss, and what its entry weighs. The hash is of the whole key, with 64 good bits,
    /// and the same for a key every time.
    #[inline]
    pub fn touch(&self, key_hash: u64, weight: u32) {
        self.reads.one_more();
        let spread = rate::spread(key_hash);
        if spread < self.threshold.load(Ordering::Relaxed) {
            self.touch_sampled(Sample::of(spread), weight);
        }
    }

    #[inline(never)]
    fn touch_sampled(&self, sample: Sample, weight: u32) {
        let mut simulation = self.simulation.lock();
        if simulation.touch(sample, weight) {
            simulation.look(self.clock.coarse(), self.reads.sum());
        }
        self.adopt(&simulation);
    }

    /// The curve as it is now, from the smallest size to the largest.
    pub fn curve(&self) -> Vec<Point> {
        let mut simulation = self.simulation.lock();
        let points = simulation.points(self.clock.coarse(), self.reads.sum());
        self.adopt(&simulation);
        points
    }

    /// Goes on with another budget. The counts begin anew; the miniatures keep the entries that they can use.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        let mut simulation = self.simulation.lock();
        simulation.set_capacity(capacity_bytes, self.reads.sum());
        self.adopt(&simulation);
    }

    /// What the miniatures take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.simulation.lock().memory_bytes()
    }

    fn adopt(&self, simulation: &Simulation) {
        let threshold = simulation.threshold();
        // Most often it is the same, and then nobody's copy of it has to be fetched again.
        if self.threshold.load(Ordering::Relaxed) != threshold {
            self.threshold.store(threshold, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for MissRatioCurve {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MissRatioCurve").field("curve", &self.curve()).finish_non_exhaustive()
    }
}
