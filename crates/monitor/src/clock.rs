//! What time it is, exactly or for less.
//!
//! A timer asks for the exact time, twice. What records a duration that was measured elsewhere only has to find the slice
//! of ten seconds that it belongs to, and asks for the coarse time, which is a few milliseconds behind and much cheaper.
//!
//! The clock is given to the monitor: the process's own, one that the embedding program has already, or one that a test
//! moves by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A point of a monotonic time, in nanoseconds since some beginning. Only moments of the same clock can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment so long after the beginning of the clock.
    pub fn from_start(elapsed: Duration) -> Self {
        Self(nanos(elapsed))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved forward; at most to the end of time, in 584 years.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }

    /// How many whole spans of time lie between the beginning and this moment.
    pub(crate) fn whole(self, span: Duration) -> u64 {
        self.0 / nanos(span).max(1)
    }
}

/// A duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A source of moments. It never goes back by more than the coarse time is behind the exact one.
pub trait Clock: Send + Sync + 'static {
    /// The exact time.
    fn now(&self) -> Moment;

    /// The time, perhaps some milliseconds behind the exact one. It is asked for once for each duration recorded.
    fn coarse(&self) -> Moment {
        self.now()
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Moment {
        (**self).now()
    }

    fn coarse(&self) -> Moment {
        (**self).coarse()
    }
}

/// The coarse time of the system: what the kernel noted at its last tick, 1 to 10 ms ago.
#[cfg(target_os = "linux")]
const COARSE: ClockId = ClockId::MonotonicCoarse;
#[cfg(not(target_os = "linux"))]
const COARSE: ClockId = ClockId::Monotonic;

/// The monotonic clock of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    fn read(id: ClockId) -> Moment {
        let time = clock_gettime(id);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Moment(seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs()))
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Moment {
        Self::read(ClockId::Monotonic)
    }

    #[inline]
    fn coarse(&self) -> Moment {
        Self::read(COARSE)
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock at its beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward.
    pub fn advance(&self, time: Duration) {
        self.0.fetch_add(nanos(time), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_on_and_its_coarse_time_is_close_behind() {
        let (before, coarse) = (SystemClock.now(), SystemClock.coarse());
        let after = SystemClock.now();
        assert!(before <= after);
        assert!(coarse <= after && after.since(coarse) < Duration::from_secs(1), "{coarse:?} against {after:?}");
    }

    #[test]
    fn moments_stop_at_the_ends_of_time() {
        let (zero, second) = (Moment::default(), Moment::from_start(Duration::from_secs(1)));
        assert_eq!(zero.since(second), Duration::ZERO);
        assert_eq!(second.plus(Duration::MAX).plus(Duration::from_secs(1)), Moment(u64::MAX));
    }
}
