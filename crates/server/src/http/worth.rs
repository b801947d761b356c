//! Whether a body is worth a record on disk.
//!
//! A body that took long to make is. One that was made of a cached table within a millisecond costs more to write to disk
//! and to read back than to make again; a few of those are kept all the same, so that a quiet server starts warm, but no
//! more than the disk tier takes without being noticed.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A body that took longer is always kept.
const CHEAP: Duration = Duration::from_millis(1);
/// Cheap bodies that are kept at once.
const BURST: u32 = 256;
/// Cheap bodies that are kept in a second, in the long run.
const RATE: f64 = 32.0;

/// Counts what was let through: a token bucket.
#[derive(Debug)]
pub struct Worth(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Worth {
    /// A full bucket.
    pub fn new() -> Self {
        Self(Mutex::new(Bucket { tokens: f64::from(BURST), at: Instant::now() }))
    }

    /// Whether a body that took `cost` to make goes to disk.
    pub fn admits(&self, cost: Duration) -> bool {
        cost >= CHEAP || self.0.lock().take(Instant::now())
    }
}

impl Default for Worth {
    fn default() -> Self {
        Self::new()
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * RATE;
        self.tokens = (self.tokens + earned).min(f64::from(BURST));
        self.at = now;
        let is_enough = self.tokens >= 1.0;
        if is_enough {
            self.tokens -= 1.0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_cheap_bodies_is_kept_and_then_as_many_as_the_rate_allows() {
        let start = Instant::now();
        let mut bucket = Bucket { tokens: f64::from(BURST), at: start };
        assert_eq!((0..1_000).filter(|_| bucket.take(start)).count(), BURST as usize);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..1_000).filter(|_| bucket.take(later)).count(), 64);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..1_000).filter(|_| bucket.take(much_later)).count(), BURST as usize);
    }

    #[test]
    fn what_took_long_is_always_kept() {
        let worth = Worth(Mutex::new(Bucket { tokens: 0.0, at: Instant::now() }));
        assert!((0..100).all(|_| worth.admits(CHEAP)));
    }
}
