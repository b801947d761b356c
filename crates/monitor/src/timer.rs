//! A running timer, as a guard: it counts once, as a call that went well, as one that failed, or as abandoned.

use std::time::Duration;

use crate::clock::Moment;
use crate::operation::{Operation, Outcome};

/// Times one call. Dropped without [`Timer::end`] or [`Timer::fail`] it counts as abandoned, not as a call.
#[derive(Debug)]
#[must_use = "a timer that is dropped at once counts as abandoned"]
pub struct Timer {
    began: Moment,
    /// Gone when the timer has counted.
    operation: Option<Operation>,
}

impl Timer {
    pub(crate) fn start(operation: Operation) -> Self {
        Self { began: operation.now(), operation: Some(operation) }
    }

    /// Counts a call that went well; says how long it took.
    pub fn end(self) -> Duration {
        self.finish(Outcome::Ok)
    }

    /// Counts a call that failed; says how long it took.
    pub fn fail(self) -> Duration {
        self.finish(Outcome::Error)
    }

    /// Counts a call; says how long it took.
    pub fn finish(mut self, outcome: Outcome) -> Duration {
        let Some(operation) = self.operation.take() else { return Duration::ZERO };
        let now = operation.now();
        let time = now.since(self.began);
        operation.record_at(now, time, outcome);
        time
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        self.operation.as_ref().map_or(Duration::ZERO, |operation| operation.now().since(self.began))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            operation.abandon();
        }
    }
}
