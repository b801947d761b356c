//! What a load does: it has a source scanned into a table or through a query, and says what went wrong.
//!
//! The source's fingerprint is noted before the scan. If it is not what it was, that invalidates all that is cached of
//! the dataset, and this load, which has read nothing yet, begins again with the stamp of that.

use std::sync::Arc;
use std::time::Instant;

use cache_core::{Item, LoadContext};
use plugin_sdk::{Fingerprint, ScanRequest};

use crate::answer::CallOptions;
use crate::compute::compute;
use crate::data_pipeline::DataPipeline;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::eval::{self, Run};
use crate::fetch::{FetchJob, Sink};
use crate::query::BoundQuery;
use crate::scan::{OnBegin, ResultSink, ScanFailure, TableSink};
use crate::table::Table;

/// Stops an evaluation that nobody waits for any more.
struct Stop(Run);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
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
                let version = this.next_version();
                let on_begin = this.on_begin(&dataset, context);
                let sink = Arc::new(TableSink::new(Arc::clone(&dataset.schema), dataset.policy.max_bytes, on_begin));
                let request = ScanRequest::all(&dataset.source_dataset);
                let fetched = this.inner.fetch.fetch(job(&dataset, request, sink.clone(), &call)).await;
                fetched.map_err(|error| this.scan_failed(&dataset, sink.failure(), error))?;
                let table = compute(u64::MAX, move || sink.finish(version)).await?;
                this.item(&dataset, table)
            })
        }
    }

    pub(crate) fn result_loader(
        &self,
        dataset: &Arc<Dataset>,
        query: &BoundQuery,
        call: &CallOptions,
    ) -> impl FnOnce(LoadContext) -> BoxedLoad + Send + 'static {
        let (this, dataset, call, query) = (self.clone(), Arc::clone(dataset), call.clone(), query.clone());
        move |context| {
            Box::pin(async move {
                context.postpone();
                let version = this.next_version();
                let pushdown = eval::pushdown(&query);
                let request = ScanRequest {
                    dataset: dataset.source_dataset.clone(),
                    projection: pushdown.projection.clone(),
                    filters: pushdown.filters,
                    limit: pushdown.limit,
                };
                let on_begin = this.on_begin(&dataset, context);
                // The source has a deadline of its own; the query's begins when the source is done.
                let run = Run::new(&this.inner.query_memory, None);
                let _stop = Stop(run.clone());
                let projection = pushdown.projection.as_deref();
                let sink = ResultSink::new(&dataset, &query, projection, on_begin, run.clone())?;
                let sink = Arc::new(sink);
                let fetched = this.inner.fetch.fetch(job(&dataset, request, sink.clone(), &call)).await;
                fetched.map_err(|error| this.scan_failed(&dataset, sink.failure(), error))?;
                run.stop_at(Instant::now() + this.inner.query_timeout);
                let table = compute(u64::MAX, move || sink.finish(version)).await?;
                this.item(&dataset, table)
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
            dataset.checks().answered(*fingerprint);
            context.begin_again();
        })
    }

    fn item(&self, dataset: &Dataset, table: Result<Table, ScanFailure>) -> Result<Item<Arc<Table>>, Error> {
        let table = table.map_err(|failure| self.failed(dataset, failure))?;
        let bytes = table.weight();
        Ok(Item::new(Arc::new(table), bytes).with_tags(dataset.item_tags()))
    }

    /// The error of a scan that the sink ended, or that the source failed.
    fn scan_failed(&self, dataset: &Dataset, own: Option<ScanFailure>, error: plugin_sdk::SourceError) -> Error {
        self.failed(dataset, own.unwrap_or(ScanFailure::Source(error)))
    }

    fn failed(&self, dataset: &Dataset, failure: ScanFailure) -> Error {
        match failure {
            ScanFailure::Source(source) => Error::Source { dataset: dataset.name.clone(), source },
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

fn job(dataset: &Dataset, request: ScanRequest, sink: Arc<dyn Sink>, call: &CallOptions) -> FetchJob {
    FetchJob {
        source_name: Arc::clone(&dataset.source_name),
        source: Arc::clone(&dataset.source),
        request,
        sink,
        request_id: Arc::clone(&call.request_id),
        timeout: dataset.policy.load_timeout,
    }
}
