//! Loads many datasets at once.

use std::fmt::Write;
use std::sync::Arc;

use pipeline::DataPipeline;

use crate::event::LoadEvent;
use crate::options::LoadOptions;
use crate::request::{LoadReport, LoadRequest};
use crate::run::Run;
use crate::tracked::Rows;

/// Loads many datasets at once, through a pipeline and so through its cache. Must be used within a tokio runtime; of
/// several threads, so that work on small tables does not wait for each other.
///
/// ```
/// # async fn example(pipeline: pipeline::DataPipeline) {
/// use loader::{AsyncDataLoader, LoadRequest};
///
/// let loader = AsyncDataLoader::new(pipeline);
/// let report = loader.load_multiple_datasets(vec![LoadRequest::new("sales"), LoadRequest::new("prices")]).await;
/// for outcome in &report.outcomes {
///     match &outcome.result {
///         Ok(loaded) => println!("{}: {} rows in {:?}", outcome.name, loaded.rows, outcome.took),
///         Err(error) => println!("{}: {error}", outcome.name),
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct AsyncDataLoader {
    pipeline: DataPipeline,
    options: LoadOptions,
}

impl AsyncDataLoader {
    /// A loader of four workers, with time-outs of 30 s and two retries.
    pub fn new(pipeline: DataPipeline) -> Self {
        Self::with_options(pipeline, LoadOptions::default())
    }

    /// A loader as `options` say.
    pub fn with_options(pipeline: DataPipeline, options: LoadOptions) -> Self {
        Self { pipeline, options }
    }

    /// Loads all of them side by side. One that fails or hangs holds up no other; its outcome says why. Dropping the future
    /// cancels what nobody else waits for.
    pub async fn load_multiple_datasets(&self, requests: Vec<LoadRequest>) -> LoadReport {
        self.load_data_with_progress(requests, |_| {}).await
    }

    /// The same, and tells of what happens: queued, started, progress (at most ten times a second for each request),
    /// retries, finished. `on_event` is called in order, and should be quick.
    pub async fn load_data_with_progress(
        &self,
        requests: Vec<LoadRequest>,
        on_event: impl Fn(LoadEvent) + Send + Sync + 'static,
    ) -> LoadReport {
        let run = Run { pipeline: self.pipeline.clone(), options: self.options, owner: fresh_id(), rows: Rows::Kept };
        run.load(requests, Arc::new(on_event)).await
    }
}

/// An id that no other load has: 64 random bits.
pub(crate) fn fresh_id() -> Arc<str> {
    let mut id = String::with_capacity(16);
    // Writing to a String cannot fail.
    let _ = write!(id, "{:016x}", fastrand::u64(..));
    id.into()
}
