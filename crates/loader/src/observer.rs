//! What the loader tells of its work while it happens.

use std::time::Duration;

use plugin_sdk::ErrorCode;

use crate::breaker::BreakerState;

/// Is told what happens. Every method does nothing unless it is written.
pub trait Observer: Send + Sync {
    /// A job got its permit after so long.
    fn admitted(&self, source: &str, waited: Duration) {
        let _ = (source, waited);
    }

    /// A job was refused: too many wait.
    fn refused(&self, source: &str) {
        let _ = source;
    }

    /// An attempt to read a dataset of a source, by the source's name for it, ended. It was made for the request of this id,
    /// and for all who joined it.
    fn attempted(&self, source: &str, dataset: &str, request_id: &str, took: Duration, end: AttemptEnd) {
        let _ = (source, dataset, request_id, took, end);
    }

    /// A breaker changed.
    fn breaker(&self, source: &str, state: BreakerState) {
        let _ = (source, state);
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// All was read.
    Read,
    /// It failed, and is made again after so long.
    Retried(ErrorCode, Duration),
    /// It failed, and that was the last one.
    Failed(ErrorCode),
    /// Whoever read it had enough, or nobody waited any more.
    Stopped,
}

/// Tells nobody.
pub(crate) struct Nobody;

impl Observer for Nobody {}
