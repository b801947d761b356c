//! Seeded numbers, and ranks by Zipf's law: every run asks for the same keys in the same order.

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ranks of which the rth, from 0, comes with a weight of `1 / (r + 1)^exponent`.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// The sums of the weights.
    sums: Vec<f64>,
}

impl Zipf {
    /// The law for so many ranks.
    pub(crate) fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self { sums: sums.collect() }
    }

    /// A rank.
    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let at = random.unit() * self.sums.last().copied().unwrap_or_default();
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_comes_as_often_as_the_law_says() {
        let (zipf, mut random) = (Zipf::new(100, 1.0), Random::new(1));
        let firsts = (0..100_000).filter(|_| zipf.rank(&mut random) == 0).count();
        // The sum of 1/r up to 100 is 5.187.
        assert!((18_800..19_800).contains(&firsts), "{firsts}");
    }
}
