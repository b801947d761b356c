//! A miniature of the cache at one size: the real policy, a sample of the keys, and as small a part of the capacity.

use std::hash::{BuildHasher, Hash, Hasher};

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::CurveSettings;
use super::estimate::Estimate;
use super::rate::{Rate, Sample};

/// The share of a cache for entries that have proved themselves; quick_cache admits nothing heavier. As in the real one.
const HOT: f64 = 0.97;
/// The keys that have left and are remembered, in entries that the cache may come to have. As in the real one.
const GHOSTS: f64 = 0.5;
/// What quick_cache takes for an entry, or a remembered key that has left, without the table that finds it.
const ENTRY_BYTES: usize = 32;
/// How many there may be.
const MAX_ENTRIES: usize = 6_500;
/// No entry takes more than this part of a miniature: one heavy entry of the sample stands for few in the real cache, and
/// must not drive out all others.
const HEAVIEST_PART: u64 = 4;

/// How large the real cache would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) bytes: u64,
    /// The most entries it would keep.
    pub(super) entries: u64,
    /// What the lightest entry takes.
    pub(super) least_weight: u64,
}

impl Size {
    /// With so many budgets.
    pub(super) fn of(settings: &CurveSettings, budgets: f64) -> Self {
        let bytes = (settings.capacity_bytes as f64 * budgets) as u64;
        let entries = settings.max_entries.min(bytes / u64::from(settings.least_weight.max(1))).max(1);
        Self { bytes, entries, least_weight: (bytes / settings.max_entries.max(1)).max(1) }
    }
}

/// What a touch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    NotSampled,
    Hit,
    Miss,
}

#[derive(Clone)]
pub(super) struct Mini {
    size: Size,
    rate: Rate,
    /// The values are the weights.
    cache: Cache<Sample, u32, ByWeight, AsItIs>,
    /// The most entries and remembered keys that there have been, or may be.
    most: usize,
    estimate: Estimate,
}

impl Mini {
    pub(super) fn new(size: Size, rate: Rate) -> Self {
        let items = rate.of(size.entries).max(1);
        let options = OptionsBuilder::new()
            .hot_allocation(HOT)
            .ghost_allocation(GHOSTS)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(rate.of(size.bytes).max(1))
            .build()
            .expect("the two settings without a default are given");
        let cache = Cache::with_options(options, ByWeight, AsItIs, DefaultLifecycle::default());
        Self { size, rate, cache, most: MAX_ENTRIES, estimate: Estimate::new() }
    }

    /// Goes on with other keys, or as the miniature of another size. What is still sampled stays, in its state.
    pub(super) fn change(&mut self, size: Size, rate: Rate) {
        if rate < self.rate {
            self.cache.retain(|sample, _| rate.takes(*sample));
        }
        self.cache.set_capacity(rate.of(size.bytes).max(1));
        (self.size, self.rate) = (size, rate);
    }

    /// Has a lower rate if there is one entry more than there may be.
    #[inline]
    pub(super) fn make_room(&mut self) {
        if self.cache.memory_used().entries > self.most * ENTRY_BYTES {
            self.halve();
        }
    }

    #[cold]
    fn halve(&mut self) {
        let taken = self.cache.memory_used().entries / ENTRY_BYTES;
        if taken > self.cache.len() * 2 {
            // Most are remembered keys. Of these, the ones that are not sampled any more cannot be told and would stay.
            let mut mini = Self::new(self.size, self.rate.halved());
            for (sample, weight) in self.cache.iter().filter(|(sample, _)| mini.rate.takes(**sample)) {
                mini.cache.insert(*sample, *weight);
            }
            mini.estimate = self.estimate.clone();
            *self = mini;
        } else {
            self.change(self.size, self.rate.halved());
            // Places that are free now are taken again before there is one more.
            self.most = taken;
            // There are places for twice as many; a copy has places for no more than there have been.
            self.cache = self.cache.clone();
        }
    }

    #[inline]
    pub(super) fn touch(&mut self, sample: Sample, weight: u32) -> Touch {
        if !self.rate.takes(sample) {
            return Touch::NotSampled;
        }
        let (weight, admitted) = self.weigh(weight);
        let found = self.cache.get(&sample).copied();
        if found != Some(weight) && admitted {
            self.cache.insert(sample, weight);
        }
        self.estimate.add(sample, self.rate.weight(), found.is_none());
        if found.is_some() { Touch::Hit } else { Touch::Miss }
    }

    /// What an entry weighs in here, and whether the real cache would take it.
    fn weigh(&self, weight: u32) -> (u32, bool) {
        let real = u64::from(weight).max(self.size.least_weight);
        let most = (self.cache.capacity() / HEAVIEST_PART).max(1);
        (u32::try_from(real.min(most)).unwrap_or(u32::MAX), real as f64 <= self.size.bytes as f64 * HOT)
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    pub(super) fn hit_ratio(&self, reads: f64) -> f64 {
        self.estimate.hit_ratio(reads)
    }

    /// Has all that was counted so far count so much less.
    pub(super) fn scale_counts(&mut self, factor: f64) {
        self.estimate.scale(factor);
    }

    /// How much of the capacity is taken, 0 to 1.
    pub(super) fn fill(&self) -> f64 {
        (self.cache.weight() as f64 / self.cache.capacity() as f64).min(1.0)
    }

    pub(super) fn entries(&self) -> usize {
        self.cache.len()
    }

    /// What the entries and the remembered keys take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.cache.memory_used().total()
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Sample, u32> for ByWeight {
    #[inline]
    fn weight(&self, _: &Sample, weight: &u32) -> u64 {
        u64::from(*weight)
    }
}

/// Hashes what is a hash already.
#[derive(Clone, Copy)]
struct AsItIs;

struct Passed(u64);

impl BuildHasher for AsItIs {
    type Hasher = Passed;

    #[inline]
    fn build_hasher(&self) -> Passed {
        Passed(0)
    }
}

impl Hash for Sample {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.table_hash());
    }
}

impl Hasher for Passed {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_as_much_as_is_reckoned_with() {
        let size = Size { bytes: 1 << 30, entries: 1 << 20, least_weight: 1 };
        let mut mini = Mini::new(size, Rate::HIGHEST);
        (0..1_000_u64).for_each(|number| assert_eq!(mini.touch(Sample::of(number << 31), 100), Touch::Miss));
        assert_eq!(mini.cache.memory_used().entries, 1_000 * ENTRY_BYTES);
    }
}
