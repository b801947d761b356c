//! Durations as numbers of buckets: how the histograms round.
//!
//! As in an HDR histogram, each doubling of the duration ("octave") is cut into equally many buckets: 64. A bucket is at
//! most 1/64 of its least duration wide and stands for its middle, so a figure is wrong by less than 0.8 %: two
//! significant digits. The octaves reach from 64 ns to beyond an hour; what is shorter than 64 ns counts as 64 ns, what is
//! longer than an hour as an hour.

/// Buckets of an octave.
pub(crate) const PER_OCTAVE: usize = 64;
/// The octaves from 64 ns to beyond an hour.
pub(crate) const OCTAVES: usize = 36;
/// All buckets.
pub(crate) const BUCKETS: usize = OCTAVES * PER_OCTAVE;

/// The shortest duration that is told from shorter ones.
const LEAST: u64 = 64;
const LEAST_BITS: u32 = LEAST.ilog2();
/// The longest duration that is told from longer ones: an hour.
const MOST: u64 = 3_600_000_000_000;

/// The bucket of a duration.
#[inline]
pub(crate) fn of(nanos: u64) -> usize {
    let nanos = nanos.clamp(LEAST, MOST);
    let octave = nanos.ilog2() - LEAST_BITS;
    // The bit above these says which octave it is.
    let within = (nanos >> octave) as usize & (PER_OCTAVE - 1);
    octave as usize * PER_OCTAVE + within
}

/// The duration that a bucket stands for.
pub(crate) fn middle(bucket: usize) -> u64 {
    let (octave, within) = (bucket / PER_OCTAVE, bucket % PER_OCTAVE);
    let least = (LEAST + within as u64) << octave;
    least + (1 << octave) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(nanos: u64, stands_for: u64) {
        assert_eq!(middle(of(nanos)), stands_for, "{nanos} ns");
    }

    #[test]
    fn short_durations_are_told_by_the_nanosecond_and_long_ones_by_a_64th() {
        check(64, 64);
        check(65, 65);
        check(127, 127);
        check(128, 129);
        check(129, 129);
        check(1_000_000, 1_003_520);
    }

    #[test]
    fn what_is_out_of_range_counts_as_the_nearest_end() {
        check(0, 64);
        check(63, 64);
        assert_eq!(of(u64::MAX), of(MOST));
        assert!(of(MOST) < BUCKETS);
    }

    #[test]
    fn a_bucket_is_wrong_by_less_than_a_hundredth() {
        let mut nanos = LEAST;
        while nanos < MOST {
            let stands_for = middle(of(nanos));
            let error = stands_for.abs_diff(nanos) as f64 / nanos as f64;
            assert!(error < 0.008, "{nanos} stands as {stands_for}");
            nanos += nanos / 100 + 1;
        }
    }

    #[test]
    fn longer_durations_never_have_lower_buckets() {
        let mut last = 0;
        for bits in 0..42 {
            for nanos in [1_u64 << bits, (1 << bits) + (1 << bits) / 3, (2 << bits) - 1] {
                assert!(of(nanos) >= last, "{nanos}");
                last = of(nanos);
            }
        }
    }
}
