//! Which keys are sampled: those whose hash lies below a threshold, so that a key is sampled always or never.

/// A share of all keys: a half, a quarter, an eighth and so on. Keys of a rate are keys of every higher one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rate {
    /// The first hash that is not sampled: a power of two.
    threshold: u64,
}

impl Rate {
    /// One key of two.
    pub(super) const HIGHEST: Self = Self { threshold: 1 << 63 };
    /// One key of about a million. There are no more than 8,192 of them to be told apart.
    const LOWEST: Self = Self { threshold: 1 << 44 };

    pub(super) fn halved(self) -> Self {
        Self { threshold: self.threshold / 2 }.max(Self::LOWEST)
    }

    pub(super) fn doubled(self) -> Self {
        if self == Self::HIGHEST { self } else { Self { threshold: self.threshold * 2 } }
    }

    /// Keys whose [`spread`] hashes lie below are sampled.
    pub(super) fn threshold(self) -> u64 {
        self.threshold
    }

    /// Whether a key of the highest rate is one of this rate.
    #[inline]
    pub(super) fn takes(self, sample: Sample) -> bool {
        u64::from(sample.0) < self.threshold >> Sample::LEFT_OUT
    }

    /// How many keys one sampled key stands for.
    pub(super) fn weight(self) -> f64 {
        2.0 * (Self::HIGHEST.threshold / self.threshold) as f64
    }

    /// What a size comes to in a cache of the sampled keys alone.
    pub(super) fn of(self, size: u64) -> u64 {
        (size as f64 / self.weight()) as u64
    }
}

/// 2^64 divided by the golden ratio: a multiplication by it brings every bit of a number into the upper bits.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a key as it is compared with thresholds.
#[inline]
pub(super) fn spread(key_hash: u64) -> u64 {
    key_hash.wrapping_mul(GOLDEN)
}

/// A sampled key as the miniatures know it: 32 bits of its hash, which tell as many keys apart as there are, but for one
/// of some thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample(u32);

impl Sample {
    /// The bits below, of a spread hash below the highest threshold, are left out.
    const LEFT_OUT: u32 = 31;

    /// Of a key that the highest rate takes.
    #[inline]
    pub(super) fn of(spread: u64) -> Self {
        Self((spread >> Self::LEFT_OUT) as u32)
    }

    /// A number that says nothing of whether the key is sampled: the lowest 12 bits at least are any.
    #[inline]
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }

    /// The hash for a table, which goes by the uppermost and the lowest bits.
    #[inline]
    pub(super) fn table_hash(self) -> u64 {
        u64::from(self.0).wrapping_mul(GOLDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: Rate, one_of: u64) {
        let hashes = 0..1_000_000_u64;
        let taken = hashes.clone().filter(|hash| spread(*hash) < rate.threshold()).count() as f64;
        let expected = hashes.count() as f64 / one_of as f64;
        assert!((taken / expected - 1.0).abs() < 0.02, "{taken} of {expected}");
        assert_eq!(rate.weight(), one_of as f64);
        assert_eq!(rate.of(1 << 20), (1 << 20) / one_of);
    }

    #[test]
    fn a_rate_takes_its_share_of_the_keys() {
        check(Rate::HIGHEST, 2);
        check(Rate::HIGHEST.halved(), 4);
        check(Rate::HIGHEST.halved().halved().halved(), 16);
    }

    #[test]
    fn a_sample_is_of_the_rates_that_its_hash_is_of() {
        let quarter = Rate::HIGHEST.halved();
        for spread in [0, 1, quarter.threshold() - 1, quarter.threshold(), Rate::HIGHEST.threshold() - 1] {
            assert_eq!(quarter.takes(Sample::of(spread)), spread < quarter.threshold(), "{spread}");
            assert!(Rate::HIGHEST.takes(Sample::of(spread)), "{spread}");
        }
    }

    #[test]
    fn rates_have_ends() {
        assert_eq!(Rate::HIGHEST.doubled(), Rate::HIGHEST);
        assert_eq!(Rate::HIGHEST.halved().doubled(), Rate::HIGHEST);
        assert_eq!(Rate::LOWEST.halved(), Rate::LOWEST);
    }
}
