//! What a load does: it has a source scanned into a table or through a query, and says what went wrong.
//!
//! The source's fingerprint is noted before the scan. If it is not what it was, that invalidates all that is cached of
//! the dataset, and this load, which has read nothing yet, begins again with the stamp of that.

use std::sync::Arc;
use std::time::Instant;

use cache_core::{Item, Key, LoadContext};
use plugin_sdk::{Fingerprint, ScanRequest};

use crate::answer::CallOptions;
use crate::compute::compute;
use crate::data_pipeline::{DataPipeline, table_key};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::eval::{self, Run};
use crate::exactness::FilterShape;
use crate::fetch::{FetchError, FetchJob, Sink};
use crate::observer::Brought;
use crate::progress::LoadProgress;
use crate::query::BoundQuery;
use crate::scan::{OnApplied, OnBegin, ResultSink, ScanFailure, TableSink};
use crate::table::Table;
use crate::usage::WholeScan;

/// What a load has read.
struct Read {
    item: Item<Arc<Table>>,
    brought: Brought,
    /// Whether there are no more rows behind it.
    is_last: bool,
}

type BoxedLoad = std::pin::Pin<Box<dyn Future<Output = Result<Item<Arc<Table>>, Error>> + Send>>;

impl DataPipeline {
    pub(crate) fn table_loader(
        &self,
        dataset: &Arc<Dataset>,
        call: &CallOptions,
    ) -> impl FnOnce(LoadContext) -> BoxedLoad + Send + 'static {
        let (this, dataset, call) = (self.clone(), Arc::clone(dataset), call.clone());
        move |context| {
            Box::pin(async move {
                context.postpone();
                let (version, started) = (this.next_version(), Instant::now());
                let listed = this.inner.under_way.begin(&table_key(&dataset), call.begun.as_deref());
                let loaded = async {
                    let on_begin = this.on_begin(&dataset, context);
                    let max_bytes = dataset.policy.max_bytes;
                    let sink = Arc::new(TableSink::new(Arc::clone(&dataset.schema), max_bytes, on_begin));
                    let request = ScanRequest::all(&dataset.source_dataset);
                    let job = job(&dataset, request, sink.clone(), &call, &listed.progress);
                    let fetched = this.inner.fetch.fetch(job).await;
                    fetched.map_err(|error| this.scan_failed(&dataset, sink.failure(), error))?;
                    let table = compute(u64::MAX, move || sink.finish(version)).await?;
                    this.read(&dataset, table)
                };
                let loaded = loaded.await;
                let brought = loaded.as_ref().map(|read| read.brought);
                dataset.usage().table_load(started.elapsed(), brought.as_ref().ok().map(|it| (it.rows, it.bytes)));
                this.inner.observer.loaded(&dataset, &call.request_id, started.elapsed(), brought);
                loaded.map(|read| read.item)
            })
        }
    }

    pub(crate) fn result_loader(
        &self,
        dataset: &Arc<Dataset>,
        query: &BoundQuery,
        key: &Key,
        call: &CallOptions,
    ) -> impl FnOnce(LoadContext) -> BoxedLoad + Send + 'static {
        let (this, dataset, call, query) = (self.clone(), Arc::clone(dataset), call.clone(), query.clone());
        let key = key.clone();
        move |context| {
            Box::pin(async move {
                context.postpone();
                let (version, started) = (this.next_version(), Instant::now());
                let listed = this.inner.under_way.begin(&key, call.begun.as_deref());
                let pushdown = eval::pushdown(&query);
                let shape = FilterShape::of(&pushdown.filters);
                let asked = shape.clone();
                let columns = pushdown.projection.as_ref().map_or(dataset.schema.fields().len(), Vec::len);
                let request = ScanRequest {
                    dataset: dataset.source_dataset.clone(),
                    projection: pushdown.projection.clone(),
                    limit: pushdown.limit.filter(|_| dataset.exactness().is_exact(&shape)),
                    filters: pushdown.filters,
                };
                let learning = Arc::clone(&dataset);
                let on_applied: OnApplied = Box::new(move |applied| learning.exactness().learn(&shape, applied));
                let told = (this.on_begin(&dataset, context), on_applied);
                // The source has a deadline of its own; the query's begins when the source is done.
                let run = Run::new(&this.inner.query_memory, None);
                let stop = run.stop_on_drop();
                let projection = pushdown.projection.as_deref();
                let sink = ResultSink::new(&dataset, &query, projection, told, run.clone())?;
                let sink = Arc::new(sink);
                let loaded = async {
                    let job = job(&dataset, request, sink.clone(), &call, &listed.progress);
                    let fetched = this.inner.fetch.fetch(job).await;
                    fetched.map_err(|error| this.scan_failed(&dataset, sink.failure(), error))?;
                    run.stop_at(Instant::now() + this.inner.query_timeout);
                    let table = compute(u64::MAX, move || sink.finish(version)).await?;
                    this.read(&dataset, table)
                };
                let loaded = loaded.await;
                stop.disarm();
                let brought = loaded.as_ref().map(|read| read.brought);
                dataset.usage().result_load(started.elapsed(), brought.as_ref().ok().map(|brought| brought.bytes));
                // Fewer rows than asked for are all that there are: the source was read to its end.
                let to_the_end = loaded
                    .as_ref()
                    .is_ok_and(|read| read.is_last && query.limit().is_none_or(|limit| read.brought.rows < limit));
                if to_the_end && !dataset.exactness().pushes_down(&asked) {
                    let (rows, bytes) = listed.progress.received();
                    let bytes = bytes * dataset.schema.fields().len() as u64 / columns.max(1) as u64;
                    dataset.usage().whole_scan(WholeScan { rows, bytes, took: started.elapsed() });
                }
                this.inner.observer.loaded(&dataset, &call.request_id, started.elapsed(), brought);
                loaded.map(|read| read.item)
            })
        }
    }

    /// Notes the fingerprint. Called on the thread that scans, which may block.
    fn on_begin(&self, dataset: &Arc<Dataset>, context: LoadContext) -> OnBegin {
        let (this, dataset) = (self.clone(), Arc::clone(dataset));
        Box::new(move |fingerprint: &Fingerprint| {
            if let Err(error) = this.tables().note_fingerprint(&dataset.namespace, fingerprint.as_bytes()) {
                // This process obeys; the disk tier was given up, so the next one has nothing that is too old.
                tracing::error!(dataset = %dataset.name, error = %error,
                    "the data of dataset '{}' has changed, but: failed to {error}", dataset.name);
            }
            dataset.answered(*fingerprint);
            context.begin_again();
        })
    }

    fn read(&self, dataset: &Dataset, table: Result<Table, ScanFailure>) -> Result<Read, Error> {
        let table = table.map_err(|failure| self.failed(dataset, failure))?;
        let (brought, bytes) = (Brought { rows: table.rows, bytes: table.bytes }, table.weight());
        let is_last = table.next.is_none();
        Ok(Read { item: Item::new(Arc::new(table), bytes).with_tags(dataset.item_tags()), brought, is_last })
    }

    /// The error of a scan that the sink ended, or that the source failed.
    fn scan_failed(&self, dataset: &Dataset, own: Option<ScanFailure>, error: FetchError) -> Error {
        self.failed(dataset, own.unwrap_or(ScanFailure::Fetch(error)))
    }

    fn failed(&self, dataset: &Dataset, failure: ScanFailure) -> Error {
        match failure {
            ScanFailure::Source(source) | ScanFailure::Fetch(FetchError::Source(source)) => {
                Error::Source { dataset: dataset.name.clone(), source }
            }
            ScanFailure::Fetch(FetchError::QueueFull { queued, retry_after }) => {
                Error::QueueFull { dataset: dataset.name.clone(), queued, retry_after }
            }
            ScanFailure::Fetch(FetchError::BreakerOpen { source_name, failures, retry_after }) => {
                Error::BreakerOpen { dataset: dataset.name.clone(), source_name, failures, retry_after }
            }
            ScanFailure::Eval(error) => Error::Eval(error),
            ScanFailure::TooLarge { narrower_helps } => {
                if !narrower_helps {
                    dataset.set_too_large(true);
                }
                Error::TooLarge { dataset: dataset.name.clone(), limit_bytes: dataset.policy.max_bytes, narrower_helps }
            }
            ScanFailure::SchemaChanged(schema) => {
                self.inner.registry.adopt_schema(dataset, schema);
                Error::SchemaChanged { dataset: dataset.name.clone() }
            }
        }
    }
}

fn job(
    dataset: &Dataset,
    request: ScanRequest,
    sink: Arc<dyn Sink>,
    call: &CallOptions,
    progress: &Arc<LoadProgress>,
) -> FetchJob {
    FetchJob {
        source_name: Arc::clone(&dataset.source_name),
        source: Arc::clone(&dataset.source),
        dataset: Arc::clone(&dataset.name),
        request,
        sink,
        request_id: Arc::clone(&call.request_id),
        owner: Arc::clone(&call.owner),
        attempt_timeout: call.attempt_timeout,
        retries: call.retries,
        progress: Arc::clone(progress),
        timeout: dataset.policy.load_timeout,
    }
}
