//! What happens in a load, as it happens.

use std::sync::Arc;
use std::time::Duration;

use pipeline::Stage;
use plugin_sdk::ErrorCode;

use crate::request::Outcome;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct LoadEvent {
    /// Since the load began.
    pub at: Duration,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The load began, with so many requests.
    Began {
        /// How many.
        requests: usize,
    },
    /// A request waits for a worker.
    Queued {
        /// Name of the request.
        name: Arc<str>,
    },
    /// A worker has taken a request.
    Started {
        /// Name of the request.
        name: Arc<str>,
    },
    /// A request has come further.
    Progress {
        /// Name of the request.
        name: Arc<str>,
        /// How far.
        seen: Seen,
    },
    /// An attempt to read the source failed, and another follows.
    Retrying {
        /// Name of the request.
        name: Arc<str>,
        /// The number of the attempt that follows.
        attempt: u32,
        /// Why the last one failed.
        code: Option<ErrorCode>,
    },
    /// A request is done with.
    Finished {
        /// What came of it.
        outcome: Arc<Outcome>,
        /// Requests that are done with.
        done: usize,
        /// Requests in all.
        of: usize,
        /// Until all are done, once there is a basis for a guess.
        time_left: Option<Duration>,
    },
    /// The load is over.
    Ended {
        /// How many requests failed.
        failed: usize,
        /// Whether it was cancelled.
        cancelled: bool,
    },
}

/// How far a request has come. Numbers only grow from one event of it to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// What its load is doing.
    pub stage: Stage,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// How many rows there will be, where that is known.
    pub total_rows: Option<u64>,
    /// The part that is done, 0 to 1, where that is known.
    pub fraction: Option<f64>,
    /// Until it is done, once there is a basis for a guess.
    pub time_left: Option<Duration>,
}
