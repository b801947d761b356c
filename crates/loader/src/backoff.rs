//! How long to wait before a failed attempt is made again: exponential, with full jitter, so that those who failed together
//! do not come back together (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

/// Waits of `base * 2^n` at most, and of `max` at most; each is drawn between nothing and that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest of all waits.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(200), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The wait after so many failed attempts; not less than what the source asked for.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let longest = self.longest(failures);
        longest.mul_f64(fastrand::f64()).max(asked.unwrap_or_default())
    }

    fn longest(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_from_zero() {
        let backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_millis(350) };
        let longest: Vec<u128> = (1..=5).map(|failures| backoff.longest(failures).as_millis()).collect();
        assert_eq!(longest, [100, 200, 350, 350, 350]);
        let waits: Vec<Duration> = (0..400).map(|_| backoff.wait(2, None)).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(200)));
        let below = waits.iter().filter(|wait| **wait < Duration::from_millis(100)).count();
        assert!((120..280).contains(&below), "{below} of 400 in the lower half");
        assert_eq!(backoff.longest(u32::MAX), Duration::from_millis(350));
    }

    #[test]
    fn what_the_source_asks_for_is_waited_at_least() {
        let asked = Duration::from_secs(7);
        assert_eq!(Backoff::default().wait(1, Some(asked)), asked);
    }
}
