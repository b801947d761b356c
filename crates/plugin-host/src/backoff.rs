//! When a worker may be started again after it crashed, and when it is given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::options::Limits;

/// Counts the crashes of one instance.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    crashes: VecDeque<Instant>,
    in_a_row: u32,
    not_before: Option<Instant>,
    quarantined: bool,
}

impl Breaker {
    /// A worker that ran for `lifetime` crashed.
    pub(crate) fn crashed(&mut self, now: Instant, lifetime: Duration, limits: &Limits) {
        while self.crashes.front().is_some_and(|first| now - *first > limits.crash_window) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        if self.crashes.len() >= limits.max_crashes {
            self.quarantined = true;
        }
        self.delay(now, lifetime, limits);
    }

    /// A worker could not be started or opened, which says nothing about its stability.
    pub(crate) fn not_opened(&mut self, now: Instant, limits: &Limits) {
        self.delay(now, Duration::ZERO, limits);
    }

    /// A call left its worker of age `lifetime` in an unknown state. Its neighbours are fine, so it is
    /// no crash that counts, but each further worker takes longer to come.
    pub(crate) fn poisoned(&mut self, now: Instant, lifetime: Duration, limits: &Limits) {
        self.delay(now, lifetime, limits);
    }

    fn delay(&mut self, now: Instant, lifetime: Duration, limits: &Limits) {
        if lifetime > limits.crash_window {
            self.in_a_row = 0;
        }
        let wait = limits.backoff_base.saturating_mul(1 << self.in_a_row.min(16)).min(limits.backoff_max);
        self.in_a_row += 1;
        self.not_before = Some(now + wait.mul_f64(0.75 + 0.5 * jitter()));
    }

    /// A worker is open.
    pub(crate) fn opened(&mut self) {
        self.not_before = None;
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// How long the next start has to wait.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |then| then.saturating_duration_since(now))
    }
}

/// A number in 0..1, so that workers that died together do not start together.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn three_crashes_in_a_minute_are_too_many_and_three_in_an_hour_are_not() {
        let (limits, start) = (Limits::default(), Instant::now());
        let mut breaker = Breaker::default();
        for minutes in [0, 20, 40] {
            breaker.crashed(start + seconds(60 * minutes), seconds(1), &limits);
        }
        assert!(!breaker.is_quarantined());
        breaker.crashed(start + seconds(60 * 40 + 10), seconds(1), &limits);
        assert!(!breaker.is_quarantined());
        breaker.crashed(start + seconds(60 * 40 + 20), seconds(1), &limits);
        assert!(breaker.is_quarantined());
    }

    #[test]
    fn poisoned_workers_are_replaced_slower_and_slower_and_never_quarantined() {
        let (limits, now) = (Limits::default(), Instant::now());
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            let before = breaker.wait(now);
            breaker.poisoned(now, seconds(1), &limits);
            assert!(breaker.wait(now) > before || breaker.wait(now) > seconds(22));
        }
        assert!(!breaker.is_quarantined());
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_and_starts_over_after_a_long_life() {
        let (limits, now) = (Limits { max_crashes: 1000, ..Limits::default() }, Instant::now());
        let mut breaker = Breaker::default();
        let mut wait = |lifetime| {
            breaker.crashed(now, lifetime, &limits);
            breaker.wait(now).as_secs_f64()
        };
        for expected in [0.1, 0.2, 0.4, 0.8] {
            let got = wait(seconds(1));
            assert!((0.74 * expected..1.26 * expected).contains(&got), "{got} is not about {expected}");
        }
        for _ in 0..20 {
            wait(seconds(1));
        }
        assert!((22.0..38.0).contains(&wait(seconds(1))));
        assert!(wait(seconds(3600)) < 0.2);
        breaker.opened();
        assert_eq!(breaker.wait(now), Duration::ZERO);
    }
}
