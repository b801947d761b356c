//! One attempt to read a source: on a thread of its own, with a deadline, and without a trace once it is given up.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use pipeline::{FetchJob, Flow, LoadProgress, Sink, scan};
use plugin_sdk::{Applied, Caller, CancelToken, Context, ErrorCode, Fingerprint, Level, Progress, SourceError};
use tokio::time::Instant;

use crate::gate::Permit;

/// How long after its deadline a source may take to say that it has stopped, before nobody listens any more.
const GRACE: Duration = Duration::from_millis(200);

/// Makes one attempt until `until`. Dropping the future gives it up.
///
/// # Errors
/// What the source or the sink says; a time-out.
pub(crate) async fn attempt(job: &FetchJob, permit: Permit, until: Instant) -> Result<(), SourceError> {
    let sink = Arc::new(Guarded { sink: Arc::clone(&job.sink), is_open: Mutex::new(true) });
    let cancel = CancelToken::new();
    let _given_up = GiveUp { cancel: cancel.clone(), sink: Arc::clone(&sink) };
    let caller = Waiter { cancel, until: until.into_std(), progress: Arc::clone(&job.progress) };
    let ctx = Context::new(Arc::clone(&job.request_id), Arc::new(caller));
    let job = FetchJob { sink, ..job.clone() };
    job.progress.begin_attempt();
    let reading = tokio::task::spawn_blocking(move || {
        // Held until the source has really stopped, even if nobody waits any more.
        let _permit = permit;
        scan(&ctx, &job)
    });
    match tokio::time::timeout_at(until + GRACE, reading).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => {
            Err(SourceError::new(ErrorCode::Panic, format!("the attempt ended without an answer: {error}")))
        }
        Err(_) => Err(SourceError::new(ErrorCode::Timeout, "the source did not answer in time")),
    }
}

/// A sink that takes nothing more once its attempt was given up: a source that does not listen may go on for a while.
struct Guarded {
    sink: Arc<dyn Sink>,
    is_open: Mutex<bool>,
}

impl Guarded {
    fn when_open<T>(&self, take: impl FnOnce(&dyn Sink) -> Result<T, SourceError>) -> Result<T, SourceError> {
        // Held while the sink takes: giving up waits for that, so that the next attempt has the sink for itself.
        let is_open = self.is_open.lock();
        if !*is_open {
            return Err(SourceError::new(ErrorCode::Cancelled, "the attempt was given up"));
        }
        take(&*self.sink)
    }
}

impl Sink for Guarded {
    fn begin(&self, fingerprint: Fingerprint, schema: SchemaRef) -> Result<(), SourceError> {
        self.when_open(|sink| sink.begin(fingerprint, schema))
    }

    fn applied(&self, applied: &[Applied]) {
        // What a scan says that was given up is as true as ever.
        self.sink.applied(applied);
    }

    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError> {
        self.when_open(|sink| sink.batch(batch))
    }
}

struct GiveUp {
    cancel: CancelToken,
    sink: Arc<Guarded>,
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.cancel.cancel();
        *self.sink.is_open.lock() = false;
    }
}

/// The other end of the call's context.
struct Waiter {
    cancel: CancelToken,
    until: std::time::Instant,
    progress: Arc<LoadProgress>,
}

impl Caller for Waiter {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn progress(&self, progress: Progress) {
        self.progress.report(progress);
    }

    /// Whoever runs the source writes its lines to the log already.
    fn log(&self, _: Level, _: &str) {}

    fn remaining(&self) -> Option<Duration> {
        Some(self.until.saturating_duration_since(std::time::Instant::now()))
    }
}
