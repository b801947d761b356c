//! An operation: a name, and what is known of its calls.
//!
//! Whoever records often looks an operation up once and keeps it: recording is then one reading of the coarse clock and
//! one short lock. An operation stays as long as its monitor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Moment};
use crate::figures::{Figures, Scratch};
use crate::history::{History, Windows};
use crate::timer::Timer;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// With an error.
    Error,
}

/// An operation that has been looked up. Clones are the same operation.
#[derive(Clone)]
pub struct Operation(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    clock: Arc<dyn Clock>,
    history: Mutex<History>,
}

impl Operation {
    pub(crate) fn new(name: Arc<str>, clock: Arc<dyn Clock>) -> Self {
        let history = Mutex::new(History::new(clock.now()));
        Self(Arc::new(Inner { name, clock, history }))
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    /// Counts a call that has just ended.
    #[inline]
    pub fn record(&self, time: Duration, outcome: Outcome) {
        self.record_at(self.0.clock.coarse(), time, outcome);
    }

    /// Counts a call that has ended at this moment, of the monitor's clock: for who knows what time it is.
    #[inline]
    pub fn record_at(&self, ended: Moment, time: Duration, outcome: Outcome) {
        self.0.history.lock().record(ended, time, outcome == Outcome::Error);
    }

    /// Starts a timer of a call of its own, whatever other timers of the operation are running.
    pub fn start_timer(&self) -> Timer {
        Timer::start(self.clone())
    }

    /// Counts a call that was begun and of which nobody said how it ended.
    pub(crate) fn abandon(&self) {
        self.0.history.lock().abandon(self.now());
    }

    /// The exact time.
    pub(crate) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    pub(crate) fn windows(&self, now: Moment, began: Moment, scratch: &mut Scratch) -> Windows {
        self.0.history.lock().windows(now, began, scratch)
    }

    pub(crate) fn minute(&self, now: Moment, began: Moment, scratch: &mut Scratch) -> Figures {
        self.0.history.lock().minute(now, began, scratch)
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Operation").field(&self.name()).finish()
    }
}
