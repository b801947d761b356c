//! Leaves a source alone that fails again and again, so that it can recover and nobody waits for it in vain (Nygard,
//! *Release It!*, "Circuit Breaker").
//!
//! Closed, calls pass, and failures in a row are counted. At `failures` of them it opens: calls fail at once. After a while
//! one call may try (half-open): if it goes well the breaker closes, else it stays open for twice as long.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// When a source is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open it; never when zero.
    pub failures: u32,
    /// How long it stays open at first; twice as long after each try that fails.
    pub open_for: Duration,
    /// The longest time that it stays open.
    pub open_at_most: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(5), open_at_most: Duration::from_secs(120) }
    }
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls fail at once.
    Open,
    /// One call may try.
    HalfOpen,
}

impl BreakerState {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A look at a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSeen {
    /// How it stands.
    pub state: BreakerState,
    /// Failures in a row.
    pub failures: u32,
    /// How often it has opened.
    pub openings: u64,
    /// Until it is tried again, while it is open.
    pub retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    failures: u32,
    openings: u64,
    /// Since it was last closed.
    doublings: u32,
    position: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Closed,
    Open {
        until: Instant,
    },
    /// A call is trying.
    Trying,
}

/// Why a call may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) failures: u32,
    pub(crate) retry_after: Duration,
}

/// What a try that is still under way is waited for.
const WHILE_TRYING: Duration = Duration::from_secs(1);

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        let inner = Inner { failures: 0, openings: 0, doublings: 0, position: Position::Closed };
        Self { options, inner: Mutex::new(inner) }
    }

    /// Whether a call would pass now.
    pub(crate) fn check(&self) -> Result<(), Refused> {
        let inner = self.inner.lock();
        match inner.position {
            Position::Open { until } if Instant::now() < until => {
                Err(Refused { failures: inner.failures, retry_after: until - Instant::now() })
            }
            Position::Trying => Err(Refused { failures: inner.failures, retry_after: WHILE_TRYING }),
            _ => Ok(()),
        }
    }

    /// Lets a call pass, which has to say how it ended.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Pass, Refused> {
        self.check()?;
        let mut inner = self.inner.lock();
        let is_try = match inner.position {
            Position::Closed => false,
            Position::Open { until } if Instant::now() >= until => true,
            // Somebody else was quicker.
            _ => return Err(Refused { failures: inner.failures, retry_after: WHILE_TRYING }),
        };
        if is_try {
            inner.position = Position::Trying;
        }
        Ok(Pass { breaker: Arc::clone(self), is_try, is_told: false })
    }

    /// Closes it, whatever was.
    pub(crate) fn reset(&self) {
        self.inner.lock().close();
    }

    pub(crate) fn look(&self) -> BreakerSeen {
        let inner = self.inner.lock();
        let now = Instant::now();
        let (state, retry_after) = match inner.position {
            Position::Closed => (BreakerState::Closed, None),
            Position::Open { until } if now < until => (BreakerState::Open, Some(until - now)),
            Position::Open { .. } | Position::Trying => (BreakerState::HalfOpen, None),
        };
        BreakerSeen { state, failures: inner.failures, openings: inner.openings, retry_after }
    }

    fn open(&self, inner: &mut Inner) {
        let factor = 1_u32 << inner.doublings.min(16);
        let open_for = self.options.open_for.saturating_mul(factor).min(self.options.open_at_most);
        inner.position = Position::Open { until: Instant::now() + open_for };
        inner.openings += 1;
        inner.doublings += 1;
    }
}

impl Inner {
    fn close(&mut self) {
        (self.failures, self.doublings, self.position) = (0, 0, Position::Closed);
    }
}

/// A call that was let pass. Dropped without a word, it says nothing of the source.
#[derive(Debug)]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    is_try: bool,
    is_told: bool,
}

impl Pass {
    /// The source has answered. Gives the new state, if this changed it.
    pub(crate) fn succeeded(mut self) -> Option<BreakerState> {
        self.is_told = true;
        let mut inner = self.breaker.inner.lock();
        // A call that began before the breaker opened does not close it.
        match inner.position {
            Position::Closed => {
                inner.failures = 0;
                None
            }
            Position::Trying if self.is_try => {
                inner.close();
                Some(BreakerState::Closed)
            }
            _ => None,
        }
    }

    /// The source has failed. Gives the new state, if this changed it.
    pub(crate) fn failed(mut self) -> Option<BreakerState> {
        self.is_told = true;
        let mut inner = self.breaker.inner.lock();
        let limit = self.breaker.options.failures;
        inner.failures = inner.failures.saturating_add(1);
        let opens = match inner.position {
            Position::Closed => limit > 0 && inner.failures >= limit,
            Position::Trying => self.is_try,
            Position::Open { .. } => false,
        };
        if opens {
            self.breaker.open(&mut inner);
        }
        opens.then_some(BreakerState::Open)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_try && !self.is_told {
            let mut inner = self.breaker.inner.lock();
            if inner.position == Position::Trying {
                // The next one may try at once.
                inner.position = Position::Open { until: Instant::now() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Arc<Breaker> {
        let options =
            BreakerOptions { failures: 3, open_for: Duration::from_secs(10), open_at_most: Duration::from_secs(30) };
        Arc::new(Breaker::new(options))
    }

    #[track_caller]
    fn check(breaker: &Breaker, state: BreakerState, retry_after: Option<u64>) {
        let seen = breaker.look();
        assert_eq!((seen.state, seen.retry_after), (state, retry_after.map(Duration::from_secs)), "{seen:?}");
    }

    fn fail(breaker: &Arc<Breaker>) -> Option<BreakerState> {
        breaker.admit().unwrap().failed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_closes_after_a_try_that_goes_well() {
        let breaker = breaker();
        fail(&breaker);
        fail(&breaker);
        assert_eq!(breaker.admit().unwrap().succeeded(), None);
        fail(&breaker);
        fail(&breaker);
        check(&breaker, BreakerState::Closed, None);
        assert_eq!(fail(&breaker), Some(BreakerState::Open));
        check(&breaker, BreakerState::Open, Some(10));
        assert_eq!(breaker.admit().unwrap_err().retry_after, Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(10)).await;
        check(&breaker, BreakerState::HalfOpen, None);
        let pass = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "one call tries");
        assert_eq!(pass.succeeded(), Some(BreakerState::Closed));
        check(&breaker, BreakerState::Closed, None);
        assert_eq!(breaker.look().openings, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_open_for_twice_as_long_after_each_try_that_fails() {
        let breaker = breaker();
        for _ in 0..3 {
            fail(&breaker);
        }
        for expected in [20, 30, 30] {
            let wait = breaker.look().retry_after.unwrap();
            tokio::time::advance(wait).await;
            assert_eq!(fail(&breaker), Some(BreakerState::Open));
            check(&breaker, BreakerState::Open, Some(expected));
        }
        breaker.reset();
        check(&breaker, BreakerState::Closed, None);
        for _ in 0..3 {
            fail(&breaker);
        }
        check(&breaker, BreakerState::Open, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_was_given_up_lets_the_next_one_try() {
        let breaker = breaker();
        let late = breaker.admit().unwrap();
        for _ in 0..3 {
            fail(&breaker);
        }
        assert_eq!(late.succeeded(), None);
        check(&breaker, BreakerState::Open, Some(10));
        tokio::time::advance(Duration::from_secs(10)).await;
        drop(breaker.admit().unwrap());
        assert!(breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_switched_off() {
        let breaker = Arc::new(Breaker::new(BreakerOptions { failures: 0, ..BreakerOptions::default() }));
        for _ in 0..100 {
            fail(&breaker);
        }
        check(&breaker, BreakerState::Closed, None);
    }
}
