//! Guesses of the time that is left.

use std::time::Duration;

/// Rows before there is a basis for a guess.
const LEAST_FRACTION: f64 = 0.01;
/// A guess on less time than this would jump about.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// The part that is done, where it is known how much there is.
pub(crate) fn fraction(rows: u64, total: Option<u64>) -> Option<f64> {
    let total = total.filter(|total| *total > 0)?;
    Some((rows as f64 / total as f64).min(1.0))
}

/// The time that the rest of one request takes, at the speed so far.
pub(crate) fn of_rest(elapsed: Duration, fraction: Option<f64>) -> Option<Duration> {
    let fraction = fraction.filter(|fraction| *fraction >= LEAST_FRACTION)?;
    (elapsed >= LEAST_TIME).then(|| elapsed.mul_f64((1.0 - fraction) / fraction))
}

/// The time that the rest of a load takes: what is left, at the pace so far.
pub(crate) fn of_load(elapsed: Duration, done: usize, of: usize) -> Option<Duration> {
    (done > 0).then(|| elapsed.mul_f64((of - done) as f64 / done as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_for_its_part_as_the_part_before() {
        let second = Duration::from_secs(1);
        assert_eq!(of_rest(second, fraction(25, Some(100))), Some(Duration::from_secs(3)));
        assert_eq!(of_rest(second, fraction(120, Some(100))), Some(Duration::ZERO));
        assert_eq!(of_load(second, 2, 6), Some(Duration::from_secs(2)));
        assert_eq!(of_load(second, 6, 6), Some(Duration::ZERO));
    }

    #[test]
    fn there_is_no_guess_without_a_basis() {
        assert_eq!(of_rest(Duration::from_secs(1), fraction(5, None)), None);
        assert_eq!(of_rest(Duration::from_secs(1), fraction(1, Some(1_000))), None);
        assert_eq!(of_rest(Duration::from_millis(1), fraction(50, Some(100))), None);
        assert_eq!(of_load(Duration::from_secs(1), 0, 6), None);
    }
}
