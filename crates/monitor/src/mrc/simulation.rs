//! The four miniatures together: their counts, their costs, and how they follow the traffic and the budget.

use super::mini::{Mini, Size, Touch};
use super::rate::{Rate, Sample};
use super::{CurveSettings, FACTORS, Point};
use crate::clock::Moment;

/// A full miniature with fewer entries has a higher rate to come.
const FEW: usize = 256;
/// How many sampled reads there are from one look at the clock and the costs to the next.
const LOOK_EVERY: u64 = 4_096;
/// What the work may come to for each read, and what it usually costs.
const BUDGET_NS: f64 = 90.0;
const SAMPLED_NS: f64 = 20.0;
const HIT_NS: f64 = 25.0;
const MISS_NS: f64 = 80.0;
/// How far the work may be ahead of the reads: an empty cache has more misses than it will have.
const AHEAD_NS: f64 = 20e6;

pub(super) struct Simulation {
    settings: CurveSettings,
    /// One for each factor.
    minis: Vec<Mini>,
    /// Reads up to the last halving, as they count now, and what the counter of all reads stood at then.
    reads: f64,
    counted: u64,
    halved: Moment,
    /// The work that reads have not yet made up for, what their counter stood at at the last look, and sampled reads since.
    ahead_ns: f64,
    looked: u64,
    sampled: u64,
}

impl Simulation {
    pub(super) fn new(settings: CurveSettings, now: Moment) -> Self {
        Self {
            settings,
            minis: FACTORS.iter().map(|factor| Mini::new(Size::of(&settings, *factor), Rate::HIGHEST)).collect(),
            reads: 0.0,
            counted: 0,
            halved: now,
            ahead_ns: 0.0,
            looked: 0,
            sampled: 0,
        }
    }

    /// Reads a sampled key; says whether it is time for a look.
    pub(super) fn touch(&mut self, sample: Sample, weight: u32) -> bool {
        let mut work_ns = SAMPLED_NS;
        for mini in &mut self.minis {
            match mini.touch(sample, weight) {
                Touch::NotSampled => {}
                Touch::Hit => work_ns += HIT_NS,
                Touch::Miss => {
                    work_ns += MISS_NS;
                    mini.make_room();
                }
            }
        }
        self.ahead_ns += work_ns;
        self.sampled += 1;
        self.sampled >= LOOK_EVERY
    }

    /// Adapts to the costs and the time, after so many reads of all keys.
    pub(super) fn look(&mut self, now: Moment, reads: u64) {
        self.spare_time(reads);
        self.halve(now, reads);
    }

    /// The curve, after so many reads of all keys.
    pub(super) fn points(&mut self, now: Moment, reads: u64) -> Vec<Point> {
        self.halve(now, reads);
        let reads = self.reads_until(reads);
        let points = FACTORS.iter().zip(&self.minis).map(|(&factor, mini)| Point {
            factor,
            capacity_bytes: mini.size().bytes,
            hit_ratio: mini.hit_ratio(reads),
            reads: reads as u64,
            fill: mini.fill(),
            rate: 1.0 / mini.rate().weight(),
        });
        points.collect()
    }

    /// Halves the highest rates if the work was too much for so few reads.
    fn spare_time(&mut self, reads: u64) {
        let earned_ns = reads.saturating_sub(self.looked) as f64 * BUDGET_NS;
        self.ahead_ns = (self.ahead_ns - earned_ns).max(0.0);
        if self.ahead_ns > AHEAD_NS {
            let highest = self.highest_rate();
            for mini in self.minis.iter_mut().filter(|mini| mini.rate() == highest) {
                mini.change(mini.size(), highest.halved());
            }
            self.ahead_ns = 0.0;
        }
        (self.looked, self.sampled) = (reads, 0);
    }

    /// Halves the counts as often as it is time for.
    fn halve(&mut self, now: Moment, reads: u64) {
        let times = now.since(self.halved).as_nanos() / self.settings.half_life.as_nanos().max(1);
        if times == 0 {
            return;
        }
        let factor = 0.5_f64.powi(i32::try_from(times).unwrap_or(i32::MAX));
        self.reads = self.reads_until(reads) * factor;
        self.counted = reads;
        self.halved = now;
        for mini in &mut self.minis {
            mini.scale_counts(factor);
            // Entries have become heavier since the rate was halved: so few of them say little.
            if mini.fill() > 0.9 && mini.entries() < FEW {
                mini.change(mini.size(), mini.rate().doubled());
            }
        }
    }

    fn reads_until(&self, reads: u64) -> f64 {
        self.reads + reads.saturating_sub(self.counted) as f64
    }

    /// Goes on with another budget, after so many reads of all keys.
    pub(super) fn set_capacity(&mut self, capacity_bytes: u64, reads: u64) {
        self.settings.capacity_bytes = capacity_bytes;
        let sizes = FACTORS.map(|factor| Size::of(&self.settings, factor));
        // Each goes on as the one that is nearest in size. They are dealt with from the largest, so that one which nobody
        // goes on from is dropped in time, and only one that several go on from is copied.
        let sources = sizes.map(|size| self.nearest(size));
        let unused = sources[0];
        self.minis.drain(..unused);
        let mut minis = Vec::with_capacity(FACTORS.len());
        for (number, size) in sizes.into_iter().enumerate().rev() {
            self.minis.truncate(sources[number] - unused + 1);
            let is_last = !sources[..number].contains(&sources[number]);
            let source = if is_last { self.minis.pop() } else { self.minis.last().cloned() };
            minis.extend(source.map(|mut mini| {
                let is_half = mini.size().bytes >= size.bytes.saturating_mul(2);
                mini.change(size, if is_half { mini.rate().doubled() } else { mini.rate() });
                mini.scale_counts(0.0);
                mini
            }));
        }
        minis.reverse();
        (self.minis, self.reads, self.counted) = (minis, 0.0, reads);
    }

    /// The miniature whose size is nearest to this one, in doublings.
    fn nearest(&self, size: Size) -> usize {
        let distance = |mini: &Mini| (mini.size().bytes.max(1) as f64 / size.bytes.max(1) as f64).ln().abs();
        let by_distance = |one: &&Mini, two: &&Mini| distance(one).total_cmp(&distance(two));
        let nearest = self.minis.iter().enumerate().min_by(|one, two| by_distance(&one.1, &two.1));
        nearest.map_or(0, |(number, _)| number)
    }

    fn highest_rate(&self) -> Rate {
        self.minis.iter().map(Mini::rate).max().unwrap_or(Rate::HIGHEST)
    }

    pub(super) fn threshold(&self) -> u64 {
        self.highest_rate().threshold()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.minis.iter().map(Mini::memory_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    /// A simulation, and the reads of all keys so far.
    struct Traffic(Simulation, u64);

    impl Traffic {
        fn new(capacity_bytes: u64) -> Self {
            Self(Simulation::new(CurveSettings::new(capacity_bytes), at(0)), 0)
        }

        /// Reads each of these keys once, a KiB each; returns how many were sampled.
        fn read(&mut self, keys: std::ops::Range<u64>) -> u64 {
            let mut sampled = 0;
            for key in keys {
                self.1 += 1;
                let spread = super::super::rate::spread(key.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ key >> 7);
                if spread < self.0.threshold() {
                    sampled += 1;
                    if self.0.touch(Sample::of(spread), 1 << 10) {
                        self.0.look(at(0), self.1);
                    }
                }
            }
            sampled
        }

        fn hit_ratios(&mut self, now: Moment) -> [f64; 4] {
            let points = self.0.points(now, self.1);
            std::array::from_fn(|point| points[point].hit_ratio)
        }

        fn rates(&self) -> [f64; 4] {
            std::array::from_fn(|mini| self.0.minis[mini].rate().weight())
        }
    }

    #[track_caller]
    fn check(ratios: [f64; 4], expected: [f64; 4]) {
        let close = ratios.iter().zip(&expected).all(|(ratio, expected)| (ratio - expected).abs() < 0.03);
        assert!(close, "{ratios:?} against {expected:?}");
    }

    #[test]
    fn sizes_that_hold_all_keys_differ_from_those_that_do_not() {
        // 3,000 keys, over and over: a budget of two MiB holds two thirds of them, and twice as much holds all.
        let mut traffic = Traffic::new(2 << 20);
        (0..20).for_each(|_| _ = traffic.read(0..3_000));
        let [half, one, two, four] = traffic.hit_ratios(at(0));
        assert!(half < one && one < 0.8, "{half} {one}");
        check([0.0, 0.0, two, four], [0.0, 0.0, 0.95, 0.95]);
    }

    #[test]
    fn counts_are_halved_with_time_and_the_curve_follows_the_traffic() {
        let mut traffic = Traffic::new(64 << 10);
        (0..10).for_each(|_| _ = traffic.read(0..10_000));
        check(traffic.hit_ratios(at(0)), [0.0; 4]);
        assert_eq!(traffic.0.points(at(599), traffic.1)[0].reads, 100_000);
        assert_eq!(traffic.0.points(at(600), traffic.1)[0].reads, 50_000);
        assert_eq!(traffic.0.points(at(1_199), traffic.1)[0].reads, 50_000);
        // Twelve keys fit even half the budget.
        (0..10_000).for_each(|_| _ = traffic.read(20_000..20_012));
        check(traffic.hit_ratios(at(1_199)), [120.0 / 170.0; 4]);
        check(traffic.hit_ratios(at(6_000)), [120.0 / 170.0; 4]);
        (0..10_000).for_each(|_| _ = traffic.read(20_000..20_012));
        check(traffic.hit_ratios(at(6_000)), [1.0; 4]);
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_keys() {
        let mut traffic = Traffic::new(1 << 40);
        let keys = if cfg!(debug_assertions) { 300_000 } else { 20_000_000 };
        traffic.read(0..keys);
        assert!(traffic.0.memory_bytes() < 1_300 << 10, "{}", traffic.0.memory_bytes());
        let [half, .., four] = traffic.rates();
        assert!(half >= 32.0 && four >= 32.0, "{half} {four}");
    }

    #[test]
    fn small_sizes_are_sampled_more_densely() {
        let mut traffic = Traffic::new(16 << 20);
        (0..3).for_each(|_| _ = traffic.read(0..100_000));
        let [half, one, two, four] = traffic.rates();
        assert!(half < four && half <= one && one <= two && two <= four, "{half} {one} {two} {four}");
    }

    #[test]
    fn fewer_keys_are_sampled_where_nearly_all_reads_miss() {
        let mut traffic = Traffic::new(64 << 10);
        traffic.read(0..400_000);
        assert!(traffic.rates().iter().all(|weight| *weight >= 4.0), "{:?}", traffic.rates());
        let sampled = traffic.read(1_000_000..1_100_000);
        assert!(sampled as f64 * (SAMPLED_NS + 4.0 * MISS_NS) < 100_000.0 * BUDGET_NS, "{sampled}");
        // Where most are hits there is time for one key of two.
        let mut traffic = Traffic::new(64 << 10);
        (0..100_000).for_each(|_| _ = traffic.read(0..10));
        assert_eq!(traffic.rates(), [2.0; 4]);
    }

    #[test]
    fn a_full_miniature_of_few_entries_looks_at_more_keys_in_time() {
        let mut traffic = Traffic::new(64 << 10);
        traffic.read(0..400_000);
        let before = traffic.rates();
        traffic.hit_ratios(at(600));
        assert_eq!(traffic.rates(), before.map(|weight| weight / 2.0));
    }

    #[test]
    fn another_budget_begins_new_counts_with_the_entries_there_are() {
        let mut traffic = Traffic::new(2 << 20);
        (0..10).for_each(|_| _ = traffic.read(0..3_000));
        for capacity in [4 << 20, 8 << 20, 2 << 20, 1 << 30, 2 << 20, 2 << 20] {
            traffic.0.set_capacity(capacity, traffic.1);
            let point = traffic.0.points(at(0), traffic.1)[1];
            assert_eq!((point.capacity_bytes, point.reads, point.hit_ratio), (capacity, 0, 0.0));
            traffic.read(0..3_000);
            let ratios = traffic.hit_ratios(at(0));
            assert!(ratios[2] > 0.9 && ratios[3] > 0.9, "{capacity}: all keys are there still: {ratios:?}");
        }
    }
}
