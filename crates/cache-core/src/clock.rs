//! What time it is, for the price of one atomic load.
//!
//! A thread of the process ("the ticker") writes the monotonic time into an atomic every 10 ms; a hit reads that. What
//! begins a load asks for the exact time, because two loads of one key are put in order by it. So an age is at most a
//! tick too young, and an entry is served at most a tick beyond its ttl.
//!
//! The time of day is used for what outlives the process. It never goes back against the monotonic time: who sets the
//! machine's clock back makes no value of this process younger. A later process cannot know; to it, a value from the
//! future is of no use.
//!
//! Tests move a [`ManualClock`] by hand.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How often the ticker sets the clock.
const TICK: Duration = Duration::from_millis(10);

/// What lies before the beginning of a clock: an entry that was loaded by an earlier process has a moment too.
const BEFORE: u64 = 100 * 365 * 24 * 3600 * 1_000_000_000;

/// A loading time this far in the future is no rounding: the wall clock went backwards.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A point of the monotonic time of one process, in nanoseconds, counted from 100 years before its clock began. Only
/// moments of the same clock can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment so long after the clock began.
    pub fn from_start(elapsed: Duration) -> Self {
        Self(BEFORE.saturating_add(nanos(elapsed)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved forward; at most to the end of time, in 484 years.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }

    /// This moment moved backward; at most to the beginning of time.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(time)))
    }

    /// The nanoseconds from `other` to this moment, negative if `other` is later.
    pub(crate) fn nanos_after(self, other: Self) -> i64 {
        i64::try_from(i128::from(self.0) - i128::from(other.0)).unwrap_or(i64::MAX)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A source of [`Moment`]s. Cloning is cheap and gives the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The moment that was last set.
    ticks: Arc<AtomicU64>,
    /// How far a manual clock's time of day is ahead of its time since the epoch, in nanoseconds.
    skew: Arc<AtomicU64>,
    /// How far the time of day has been ahead of the time since the clock began, at most, in nanoseconds.
    ahead: Arc<AtomicU64>,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Ticker { began: Instant },
    Manual,
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
        let ticks = Arc::new(AtomicU64::new(BEFORE));
        let set = Arc::clone(&ticks);
        std::thread::Builder::new().name("cache-clock".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(TICK);
                set.store(Moment::from_start(began.elapsed()).0, Ordering::Relaxed);
            }
        })?;
        Ok(process.insert(Self::new(ticks, Arc::default(), Source::Ticker { began })).clone())
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
            Source::Manual => self.now(),
        }
    }

    /// The time of day; if that was set back, as it would be otherwise.
    pub fn wall(&self) -> SystemTime {
        let said = match self.source {
            Source::Ticker { .. } => SystemTime::now(),
            Source::Manual => {
                let skew = Duration::from_nanos(self.skew.load(Ordering::Relaxed));
                SystemTime::UNIX_EPOCH + skew + self.now().since(Moment(BEFORE))
            }
        };
        let running = self.exact().since(Moment(BEFORE));
        let ahead = said.duration_since(SystemTime::UNIX_EPOCH + running).map_or(0, nanos);
        let most = self.ahead.fetch_max(ahead, Ordering::Relaxed).max(ahead);
        SystemTime::UNIX_EPOCH + running + Duration::from_nanos(most)
    }

    fn new(ticks: Arc<AtomicU64>, skew: Arc<AtomicU64>, source: Source) -> Self {
        let clock = Self { ticks, skew, ahead: Arc::default(), source };
        // A first look, so that a setting back before the second is seen.
        let _ = clock.wall();
        clock
    }

    /// The moment of a time of day in the past; `None` if it is in the future: then the time of day was set back since,
    /// before this process, and nobody knows how old that is.
    pub(crate) fn moment_of(&self, time: SystemTime) -> Option<Moment> {
        match self.wall().duration_since(time) {
            Ok(age) => Some(self.exact().minus(age)),
            Err(ahead) if ahead.duration() <= TOLERANCE => Some(self.exact()),
            Err(_) => None,
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Clock);

impl ManualClock {
    /// A clock at its beginning, whose time of day is ten days after the Unix epoch.
    pub fn new() -> Self {
        let skew = Arc::new(AtomicU64::new(nanos(Duration::from_secs(10 * 24 * 3600))));
        Self(Clock::new(Arc::new(AtomicU64::new(BEFORE)), skew, Source::Manual))
    }

    /// A clock of another process on the same machine: its monotonic time begins now, its time of day goes on.
    #[must_use]
    pub fn restarted(&self) -> Self {
        let ran = nanos(self.0.now().since(Moment(BEFORE)));
        let skew = self.0.skew.load(Ordering::Relaxed).saturating_add(ran);
        Self(Clock::new(Arc::new(AtomicU64::new(BEFORE)), Arc::new(AtomicU64::new(skew)), Source::Manual))
    }

    /// Sets the time of day back, as an administrator may; the monotonic time stays. At most to the epoch.
    pub fn set_back(&self, time: Duration) {
        let back = |skew: u64| Some(skew.saturating_sub(nanos(time)));
        // The closure always gives a value.
        let _ = self.0.skew.fetch_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }

    /// The clock to give to a cache.
    pub fn clock(&self) -> Clock {
        self.0.clone()
    }

    /// Moves the clock forward.
    pub fn advance(&self, time: Duration) {
        self.0.ticks.fetch_add(nanos(time), Ordering::Relaxed);
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
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(10 * 24 * 3600 + 90));
    }

    #[test]
    fn a_time_of_day_has_a_moment_unless_it_is_in_the_future() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let then = clock.wall();
        manual.advance(Duration::from_secs(60));
        assert_eq!(clock.moment_of(then), Some(clock.now().minus(Duration::from_secs(60))));
        assert_eq!(
            clock.moment_of(then - Duration::from_secs(86_400)).map(|m| clock.now().since(m).as_secs()),
            Some(86_460)
        );
        assert_eq!(clock.moment_of(clock.wall() + Duration::from_secs(2)), None);
    }

    #[test]
    fn setting_the_time_of_day_back_makes_nothing_younger() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let then = clock.wall();
        manual.advance(Duration::from_secs(60));
        manual.set_back(Duration::from_secs(45));
        assert_eq!(clock.moment_of(then), Some(clock.now().minus(Duration::from_secs(60))));
        manual.set_back(Duration::from_secs(3600));
        assert_eq!(clock.moment_of(then), Some(clock.now().minus(Duration::from_secs(60))));
        let later = manual.restarted().clock();
        assert_eq!(later.moment_of(then), None, "another process only sees a time in the future");
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
