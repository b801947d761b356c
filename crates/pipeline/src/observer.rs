//! What a pipeline tells of its work while it happens.

use std::time::Duration;

use crate::dataset::Dataset;
use crate::error::Error;

/// Is told what happens in a pipeline. Every method does nothing unless it is written. The calls come from the thread in
/// which it happens.
pub trait Observer: Send + Sync {
    /// A load of a table or a result ended, queueing and retries included. There are no rows where it failed. It was made
    /// for the request of this id, and for all who joined it.
    fn loaded(&self, dataset: &Dataset, request_id: &str, took: Duration, brought: Result<Brought, &Error>) {
        let _ = (dataset, request_id, took, brought);
    }

    /// A question was answered from kept rows, or from those that were just read.
    fn answered(&self, dataset: &Dataset, took: Duration, ok: bool) {
        let _ = (dataset, took, ok);
    }

    /// Old data was answered with: because loading it again failed, or while it is loaded again.
    fn stale(&self, dataset: &Dataset, load_failed: bool) {
        let _ = (dataset, load_failed);
    }

    /// A source was asked whether the data of a dataset has changed: it failed (`Err`), or has said so; `None` if it cannot
    /// tell, or was asked for the first time.
    fn checked(&self, dataset: &Dataset, took: Duration, changed: Result<Option<bool>, ()>) {
        let _ = (dataset, took, changed);
    }
}

/// What a load brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// Rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Tells nobody.
pub(crate) struct Nobody;

impl Observer for Nobody {}
