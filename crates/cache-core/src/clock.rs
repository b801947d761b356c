//! What time it is, for the price of one atomic load.
//!
//! A thread of the process ("the ticker") writes the monotonic time into an atomic every 10 ms; a hit reads that. What
//! begins a load asks for the exact time, because two loads of one key are put in order by it. So an age is at most a
//! tick too young, and an entry is served at most a tick beyond its ttl.
//!
//! Tests move a [`ManualClock`] by hand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How often the ticker sets the clock.
const TICK: Duration = Duration::from_millis(10);

/// A point of the monotonic time of one process, in nanoseconds. Only moments of the same clock can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment so long after the clock began.
    pub fn from_start(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved forward; at most to the end of time, in 584 years.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_start(time).0))
    }
}

/// A source of [`Moment`]s. Cloning is cheap and gives the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Nanoseconds since the clock began, as they were last set.
    ticks: Arc<AtomicU64>,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Ticker { began: Instant },
    Manual { began: SystemTime },
}

impl Clock {
    /// The clock of this process. The first call starts the ticker thread.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn process() -> io::Result<Self> {
        static PROCESS: Mutex<Option<Clock>> = Mutex::new(None);
        let mut process = PROCESS.lock();
        if let Some(clock) = &*process {
            return Ok(clock.clone());
        }
        let began = Instant::now();
        let ticks = Arc::new(AtomicU64::new(0));
        let set = Arc::clone(&ticks);
        std::thread::Builder::new().name("cache-clock".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(TICK);
                set.store(Moment::from_start(began.elapsed()).0, Ordering::Relaxed);
            }
        })?;
        Ok(process.insert(Self { ticks, source: Source::Ticker { began } }).clone())
    }

    /// The coarse time: at most about a tick behind.
    #[inline]
    pub fn now(&self) -> Moment {
        Moment(self.ticks.load(Ordering::Relaxed))
    }

    /// The exact time.
    pub fn exact(&self) -> Moment {
        match self.source {
            Source::Ticker { began } => Moment::from_start(began.elapsed()),
            Source::Manual { .. } => self.now(),
        }
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        match self.source {
            Source::Ticker { .. } => SystemTime::now(),
            Source::Manual { began } => began + self.now().since(Moment(0)),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Clock);

impl ManualClock {
    /// A clock at moment zero, whose time of day begins at the Unix epoch.
    pub fn new() -> Self {
        let source = Source::Manual { began: SystemTime::UNIX_EPOCH };
        Self(Clock { ticks: Arc::new(AtomicU64::new(0)), source })
    }

    /// The clock to give to a cache.
    pub fn clock(&self) -> Clock {
        self.0.clone()
    }

    /// Moves the clock forward.
    pub fn advance(&self, time: Duration) {
        let step = Moment::from_start(time).0;
        self.0.ticks.fetch_add(step, Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let start = clock.now();
        assert_eq!(clock.exact(), start);
        manual.advance(Duration::from_secs(90));
        assert_eq!(clock.now().since(start), Duration::from_secs(90));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(90));
    }

    #[test]
    fn time_saturates_at_both_ends() {
        let end = Moment(5).plus(Duration::MAX);
        assert_eq!(end, Moment(u64::MAX));
        assert_eq!(Moment(5).since(end), Duration::ZERO);
    }

    #[test]
    fn the_clock_of_the_process_is_one() {
        let first = Clock::process().unwrap();
        let second = Clock::process().unwrap();
        assert!(Arc::ptr_eq(&first.ticks, &second.ticks));
    }

    #[test]
    fn the_coarse_time_is_never_ahead_of_the_exact_one() {
        let clock = Clock::process().unwrap();
        for _ in 0..1_000 {
            let coarse = clock.now();
            assert!(coarse <= clock.exact());
        }
    }
}
