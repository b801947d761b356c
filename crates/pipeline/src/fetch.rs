//! How a scan is run: the seam between the pipeline, which decides what to read, and whoever calls
//! the blocking sources under permits, deadlines and retries.
//!
//! A [`FetchJob`] says what to scan and hands every batch to a [`Sink`]; a [`Fetch`] runs it. The
//! pipeline's own [`DirectFetch`] makes one attempt under a bound on concurrent calls.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use plugin_sdk::{Applied, CancelToken, Context, DataSource, ErrorCode, Fingerprint, Scan, ScanRequest, SourceError};
use tokio::sync::Semaphore;

use crate::eval::batch_bytes;
use crate::progress::{LoadProgress, Stage};

/// Whether a sink wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// More batches are wanted.
    Continue,
    /// The scan may stop here.
    Done,
}

/// Takes the batches of a scan, on the thread that scans.
pub trait Sink: Send + Sync {
    /// A scan begins: forget what an earlier attempt brought. Fingerprint and schema of the whole
    /// dataset are from before it.
    ///
    /// # Errors
    /// Ends the job before the scan; the error is the job's.
    fn begin(&self, fingerprint: Fingerprint, schema: SchemaRef) -> Result<(), SourceError>;
    /// The source has said what it does with each filter.
    fn applied(&self, applied: &[Applied]) {
        let _ = applied;
    }
    /// Takes one batch.
    ///
    /// # Errors
    /// Ends the scan; the error is the job's.
    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError>;
}

/// One scan to run.
#[derive(Clone)]
pub struct FetchJob {
    /// Name of the source instance, for permits and messages.
    pub source_name: Arc<str>,
    /// The source.
    pub source: Arc<dyn DataSource>,
    /// The name under which the dataset is served.
    pub dataset: Arc<str>,
    /// What to scan.
    pub request: ScanRequest,
    /// Where the batches go.
    pub sink: Arc<dyn Sink>,
    /// The request that this serves.
    pub request_id: Arc<str>,
    /// Who asked for it: permits go round between owners.
    pub owner: Arc<str>,
    /// How long the job may take, queueing included.
    pub timeout: Duration,
    /// How long one attempt may take; as long as the job when `None`.
    pub attempt_timeout: Option<Duration>,
    /// How often it may be tried again; as its runner thinks fit when `None`.
    pub retries: Option<u32>,
    /// Is told how far it has come.
    pub progress: Arc<LoadProgress>,
}

/// Why a job brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Too many jobs wait for their sources.
    #[error("{queued} loads wait for their sources, and no more may")]
    QueueFull {
        /// How many wait.
        queued: usize,
        /// When it is worth another try.
        retry_after: Duration,
    },
    /// The source has failed so often that it is left alone for a while.
    #[error("source '{source_name}' failed {failures} times in a row and is left alone for a while")]
    BreakerOpen {
        /// The source.
        source_name: Arc<str>,
        /// How often.
        failures: u32,
        /// When it is tried again.
        retry_after: Duration,
    },
}

/// A job in progress. Dropping it cancels the scan.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<(), FetchError>> + Send>>;

/// Runs jobs.
pub trait Fetch: Send + Sync {
    /// Starts a job.
    fn fetch(&self, job: FetchJob) -> FetchFuture;
}

/// One attempt a job, on tokio's blocking threads, with a bound on jobs at a time in all and for each
/// source: one that hangs cannot take all permits.
#[derive(Debug)]
pub struct DirectFetch {
    all: Arc<Semaphore>,
    per_source: usize,
    /// Gone once no job of the source waits or runs.
    sources: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

impl DirectFetch {
    /// At most `concurrent` scans at a time, and at most `per_source` of one source.
    pub fn new(concurrent: usize, per_source: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(concurrent)), per_source, sources: Mutex::default() }
    }

    fn permits_of(&self, source: &Arc<str>) -> Arc<Semaphore> {
        let mut sources = self.sources.lock();
        if let Some(permits) = sources.get(source).and_then(Weak::upgrade) {
            return permits;
        }
        sources.retain(|_, permits| permits.strong_count() > 0);
        let permits = Arc::new(Semaphore::new(self.per_source));
        sources.insert(Arc::clone(source), Arc::downgrade(&permits));
        permits
    }
}

impl Fetch for DirectFetch {
    fn fetch(&self, job: FetchJob) -> FetchFuture {
        let (all, own) = (Arc::clone(&self.all), self.permits_of(&job.source_name));
        let deadline = Instant::now() + job.timeout;
        Box::pin(async move {
            // The source's own permit first, so that whoever waits for it holds none of the common ones.
            let permits = async move { (own.acquire_owned().await, all.acquire_owned().await) };
            let permits = tokio::time::timeout_at(deadline.into(), permits)
                .await
                .map_err(|_| SourceError::new(ErrorCode::Timeout, "no source call became free before the deadline"))?;
            let cancel = CancelOnDrop(CancelToken::new());
            let ctx = Context::detached(Arc::clone(&job.request_id), Some(deadline), cancel.0.clone());
            let scan = tokio::task::spawn_blocking(move || {
                // Held until the source really stopped, even if nobody waits any more.
                let _permits = permits;
                job.progress.begin_attempt();
                scan(&ctx, &job)
            });
            let ended = scan.await.unwrap_or_else(|e| {
                Err(SourceError::new(ErrorCode::Panic, format!("the scan ended without an answer: {e}")))
            });
            Ok(ended?)
        })
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Makes one attempt on this thread: fingerprint and schema first, then every batch into the sink.
///
/// # Errors
/// What the source or the sink says; time-out and cancellation as `ctx` says.
pub fn scan(ctx: &Context, job: &FetchJob) -> Result<(), SourceError> {
    let fingerprint = job.source.fingerprint(ctx, &job.request.dataset)?;
    let schema = job.source.schema(ctx, &job.request.dataset)?;
    job.sink.begin(fingerprint, schema)?;
    for batch in start(ctx, job)?.batches {
        let batch = batch?;
        job.progress.receive(batch.num_rows() as u64, batch_bytes(&batch) as u64);
        if job.sink.batch(batch)? == Flow::Done {
            break;
        }
        ctx.check()?;
    }
    job.progress.set_stage(Stage::Read);
    Ok(())
}

/// Starts the scan. A limit holds only where every filter is applied exactly: a source that stops at it and says that it
/// has filtered less than that would leave out rows that match, so it is asked again without.
fn start(ctx: &Context, job: &FetchJob) -> Result<Scan, SourceError> {
    let request = &job.request;
    let scan = job.source.scan(ctx, request)?;
    let applied: Vec<Applied> =
        (0..request.filters.len()).map(|at| scan.applied.get(at).copied().unwrap_or_default()).collect();
    job.sink.applied(&applied);
    if request.limit.is_none() || applied.iter().all(|applied| *applied == Applied::Exact) {
        return Ok(scan);
    }
    // Its calls of one instance may come one at a time: this one has to be over first.
    drop(scan);
    job.source.scan(ctx, &ScanRequest { limit: None, ..request.clone() })
}
