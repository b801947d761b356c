//! What a fetcher and a loader can be told. Every bound has a default.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::breaker::BreakerOptions;
use crate::gate::GateOptions;

/// How sources are called.
#[derive(Debug, Clone, Copy)]
pub struct FetchOptions {
    /// How many calls at a time, and how many may wait.
    pub gate: GateOptions,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How often a failed attempt is made again, if its error says that this may help.
    pub retries: u32,
    /// How long to wait before that.
    pub backoff: Backoff,
    /// When a source is left alone.
    pub breaker: BreakerOptions,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            gate: GateOptions::default(),
            attempt_timeout: Duration::from_secs(30),
            retries: 2,
            backoff: Backoff::default(),
            breaker: BreakerOptions::default(),
        }
    }
}

/// How many datasets are loaded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Requests of one load that are worked on at a time.
    pub max_workers: usize,
    /// How long one attempt to read a source may take.
    pub timeout: Duration,
    /// How often a failed attempt is made again.
    pub retries: u32,
    /// How long the whole load may take; for ever when `None`, as each of its requests ends by itself.
    pub deadline: Option<Duration>,
    /// The shortest time between two events of progress of one request.
    pub progress_every: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            max_workers: 4,
            timeout: Duration::from_secs(30),
            retries: 2,
            deadline: None,
            progress_every: Duration::from_millis(100),
        }
    }
}
