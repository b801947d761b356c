//! Random numbers that can be asked for in any order.
//!
//! SplitMix64 adds a constant to its state and mixes the state into a number, so that the number at any
//! position of its sequence is a pure function of seed and position. Source: Steele, Lea and Flood,
//! "Fast splittable pseudorandom number generators", OOPSLA 2014; constants as in Vigna's public-domain
//! `splitmix64.c`.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One sequence of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence(u64);

impl Sequence {
    /// The sequence of a seed and a name; sequences of different names are independent.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self(name.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte))))
    }

    /// The number at a position.
    pub(crate) fn at(self, position: u64) -> u64 {
        mix(self.0.wrapping_add(position.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The number at a position as one of `0..bound`.
    pub(crate) fn below(self, position: u64, bound: u64) -> u64 {
        // The high half of the product is uniform, as far as 64 bits divide.
        ((u128::from(self.at(position)) * u128::from(bound)) >> 64) as u64
    }

    /// The number at a position as a fraction of one, from 0 and less than 1.
    pub(crate) fn fraction(self, position: u64) -> f64 {
        (self.at(position) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_splitmix64() {
        // The first numbers of splitmix64.c for the seed 1234567.
        let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let sequence = Sequence(1_234_567);
        assert_eq!([0, 1, 2].map(|i| sequence.at(i)), known);
    }

    #[test]
    fn numbers_stay_in_their_range_and_fill_it() {
        let sequence = Sequence::new(7, "x");
        let mut seen = [0u32; 10];
        for i in 0..10_000 {
            seen[usize::try_from(sequence.below(i, 10)).unwrap()] += 1;
            assert!((0.0..1.0).contains(&sequence.fraction(i)));
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert_ne!(Sequence::new(7, "x"), Sequence::new(7, "y"));
        assert_ne!(Sequence::new(7, "x"), Sequence::new(8, "x"));
    }
}
