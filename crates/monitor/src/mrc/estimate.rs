//! From what the sampled keys did to what all keys did.
//!
//! The sampled keys' reads, each counted as often as the rate says, are rarely as many as all reads: a popular key is in
//! the sample or not. What to make of the difference depends on the traffic. Where few keys are read most of the time, the
//! reads too many or too few are those of popular keys, which are hits: the misses need no correction (SHARDS-adj). Where
//! all keys are read about as often, they are misses as much as any others, and the misses go with them in proportion.
//!
//! The sample itself tells which it is. It lies in 64 groups by the keys' hashes, and the slope of misses against reads
//! over the groups is how many misses a read too many has brought: a regression estimate, as survey statisticians call it.

use super::rate::Sample;

const GROUPS: usize = 64;

/// Reads and misses of all keys, as many as the sampled ones stand for.
#[derive(Clone, Debug)]
pub(super) struct Estimate([Group; GROUPS]);

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    reads: f64,
    misses: f64,
}

impl Estimate {
    pub(super) fn new() -> Self {
        Self([Group::default(); GROUPS])
    }

    /// Counts a read of a key that stands for `weight` keys.
    #[inline]
    pub(super) fn add(&mut self, sample: Sample, weight: f64, missed: bool) {
        let group = &mut self.0[sample.number() % GROUPS];
        group.reads += weight;
        group.misses += if missed { weight } else { 0.0 };
    }

    pub(super) fn scale(&mut self, factor: f64) {
        for group in &mut self.0 {
            group.reads *= factor;
            group.misses *= factor;
        }
    }

    /// The share of reads that were hits, where there were so many of all keys: 0 to 1, zero without a read.
    pub(super) fn hit_ratio(&self, reads: f64) -> f64 {
        if reads <= 0.0 {
            return 0.0;
        }
        let (sampled, misses) = (self.sum(|group| group.reads), self.sum(|group| group.misses));
        let misses = misses - self.slope() * (sampled - reads);
        (1.0 - misses / reads).clamp(0.0, 1.0)
    }

    /// How many misses a read more has brought, 0 to 1.
    fn slope(&self) -> f64 {
        let mean_reads = self.sum(|group| group.reads) / GROUPS as f64;
        let mean_misses = self.sum(|group| group.misses) / GROUPS as f64;
        let together = self.sum(|group| (group.reads - mean_reads) * (group.misses - mean_misses));
        let alone = self.sum(|group| (group.reads - mean_reads).powi(2));
        if alone > 0.0 { (together / alone).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn sum(&self, of: impl Fn(&Group) -> f64) -> f64 {
        self.0.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 64 sampled keys, one a group, key n is read `reads(n)` times and missed `misses(n)` times.
    #[track_caller]
    fn check(reads: impl Fn(u32) -> u32, misses: impl Fn(u32) -> u32, all_reads: f64, hit_ratio: f64) {
        let mut estimate = Estimate::new();
        for key in 0..GROUPS as u32 {
            for read in 0..reads(key) {
                estimate.add(Sample::of(u64::from(key) << 31), 1.0, read < misses(key));
            }
        }
        let estimated = estimate.hit_ratio(all_reads);
        assert!((estimated - hit_ratio).abs() < 0.01, "{estimated} against {hit_ratio}");
    }

    #[test]
    fn reads_too_many_are_hits_where_a_popular_key_is_in_the_sample() {
        // One key is read a thousand times, and misses as often as others do.
        check(|key| if key == 5 { 1_000 } else { 10 }, |_| 5, 1_630.0, 1.0 - 320.0 / 1_630.0);
        check(|key| if key == 5 { 1_000 } else { 10 }, |_| 5, 1_000.0, 1.0 - 320.0 / 1_000.0);
    }

    #[test]
    fn reads_too_many_are_misses_in_proportion_where_keys_are_alike() {
        check(|key| 10 * (1 + key % 3), |key| 8 * (1 + key % 3), 500.0, 0.2);
        check(|key| 10 + key, |key| 10 + key, 500.0, 0.0);
    }

    #[test]
    fn an_estimate_without_reads_is_zero() {
        check(|_| 0, |_| 0, 0.0, 0.0);
        check(|_| 1, |_| 0, 64.0, 1.0);
    }
}
