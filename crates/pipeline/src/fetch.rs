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
use plugin_sdk::{CancelToken, Context, DataSource, ErrorCode, Fingerprint, ScanRequest, SourceError};
use tokio::sync::Semaphore;

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
    /// Takes one batch.
    ///
    /// # Errors
    /// Ends the scan; the error is the job's.
    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError>;
}

/// One scan to run.
pub struct FetchJob {
    /// Name of the source instance, for permits and messages.
    pub source_name: Arc<str>,
    /// The source.
    pub source: Arc<dyn DataSource>,
    /// What to scan.
    pub request: ScanRequest,
    /// Where the batches go.
    pub sink: Arc<dyn Sink>,
    /// The request that this serves.
    pub request_id: Arc<str>,
    /// How long the job may take, queueing included.
    pub timeout: Duration,
}

/// A job in progress. Dropping it cancels the scan.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send>>;

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
                run(&ctx, &job)
            });
            scan.await.unwrap_or_else(|e| {
                Err(SourceError::new(ErrorCode::Panic, format!("the scan ended without an answer: {e}")))
            })
        })
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Scans on this thread: fingerprint and schema first, then every batch into the sink.
fn run(ctx: &Context, job: &FetchJob) -> Result<(), SourceError> {
    let fingerprint = job.source.fingerprint(ctx, &job.request.dataset)?;
    let schema = job.source.schema(ctx, &job.request.dataset)?;
    job.sink.begin(fingerprint, schema)?;
    let scan = job.source.scan(ctx, &job.request)?;
    for batch in scan.batches {
        if job.sink.batch(batch?)? == Flow::Done {
            return Ok(());
        }
        ctx.check()?;
    }
    Ok(())
}
