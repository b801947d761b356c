//! A source that does as it is told, and a pipeline over it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use cache_core::{Codec, Stamps};
use loader::{FetchOptions, Fetcher};
use parking_lot::Mutex;
use pipeline::eval::QueryMemory;
use pipeline::query::Rules;
use pipeline::{Ask, DataPipeline, PipelineOptions, Policy, PolicyOverrides, SourceHandle};
use plugin_sdk::{Context, DataSource, Dataset, ErrorCode, Progress, Scan, ScanRequest, SourceError};

/// Rows of a batch.
pub(crate) const BATCH: i64 = 100;

/// What a scan of a dataset does.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Gives so many batches, and says how many rows there will be.
    Batches(usize),
    /// Fails.
    Fails(SourceError),
    /// Waits until it is cancelled or its deadline passes, after so many batches.
    Hangs(usize),
    /// Waits until it is let go, whatever the caller wants.
    Ignores,
}

/// A source of datasets that are made up as they are asked for.
#[derive(Default)]
pub(crate) struct Source {
    names: Vec<&'static str>,
    /// What the next scans of a dataset do; then batches.
    script: Mutex<HashMap<String, VecDeque<Does>>>,
    pub(crate) scans: AtomicUsize,
    /// Scans under way.
    pub(crate) running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    /// While it is held, scans wait before their first batch.
    pub(crate) held: Mutex<bool>,
    pub(crate) let_go: Mutex<bool>,
}

impl Source {
    pub(crate) fn new(names: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { names: names.to_vec(), ..Self::default() })
    }

    pub(crate) fn next(&self, dataset: &str, does: impl IntoIterator<Item = Does>) {
        self.script.lock().entry(dataset.to_owned()).or_default().extend(does);
    }

    pub(crate) fn hold(&self, held: bool) {
        *self.held.lock() = held;
    }

    pub(crate) fn scans(&self) -> usize {
        self.scans.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

pub(crate) fn error(code: ErrorCode) -> SourceError {
    SourceError::new(code, "as the script says")
}

/// The trait is the plugin's; the test keeps its own handle of the source.
pub(crate) struct Handle(pub(crate) Arc<Source>);

/// Counts a scan as long as it is under way.
struct Running(Arc<Source>);

impl Running {
    fn new(source: &Arc<Source>) -> Self {
        let running = source.running.fetch_add(1, Ordering::SeqCst) + 1;
        source.most_running.fetch_max(running, Ordering::SeqCst);
        Self(Arc::clone(source))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

impl DataSource for Handle {
    fn datasets(&self, _: &Context) -> plugin_sdk::Result<Vec<Dataset>> {
        Ok(self.0.names.iter().map(|name| Dataset::new(*name, "")).collect())
    }

    fn schema(&self, _: &Context, _: &str) -> plugin_sdk::Result<SchemaRef> {
        Ok(schema())
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> plugin_sdk::Result<Scan> {
        let running = Running::new(&self.0);
        self.0.scans.fetch_add(1, Ordering::SeqCst);
        while *self.0.held.lock() {
            ctx.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let does = self.0.script.lock().get_mut(&request.dataset).and_then(VecDeque::pop_front);
        let (batches, hangs) = match does.unwrap_or(Does::Batches(1)) {
            Does::Fails(error) => return Err(error),
            Does::Batches(batches) => (batches, false),
            Does::Hangs(batches) => (batches, true),
            Does::Ignores => {
                while !*self.0.let_go.lock() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                (1, false)
            }
        };
        let ctx = ctx.clone();
        let total_rows = Some(BATCH as u64 * batches as u64);
        let batches = (0..batches as i64 + i64::from(hangs)).map(move |at| {
            let _running = &running;
            if hangs && at == batches as i64 {
                loop {
                    ctx.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            ctx.progress(Progress { rows: BATCH as u64 * (at as u64 + 1), total_rows, bytes: 800 * (at as u64 + 1) });
            let numbers = Int64Array::from_iter_values(at * BATCH..(at + 1) * BATCH);
            Ok(RecordBatch::try_new(schema(), vec![Arc::new(numbers)])?)
        });
        Scan::whole(schema(), batches).project(request)
    }
}

/// A pipeline over one source called `s`.
pub(crate) fn pipeline(source: &Arc<Source>, options: FetchOptions) -> (DataPipeline, Fetcher) {
    let fetcher = Fetcher::new(options);
    (over(&[("s", source)], &fetcher, PolicyOverrides::default()), fetcher)
}

/// A pipeline over several sources.
pub(crate) fn over(sources: &[(&str, &Arc<Source>)], fetcher: &Fetcher, policy: PolicyOverrides) -> DataPipeline {
    let pipeline = DataPipeline::new(PipelineOptions {
        query_memory: QueryMemory::new(1 << 30, 1 << 30),
        query_timeout: Duration::from_secs(60),
        slow_query: Duration::from_secs(60),
        policy: Policy { load_timeout: Duration::from_secs(300), check_interval: Duration::ZERO, ..Policy::DEFAULT },
        datasets: BTreeMap::new(),
        tables_max_bytes: 64 << 20,
        tables_max_entries: 1_000,
        rules: Rules::default(),
        describe_timeout: Duration::from_secs(10),
        stamps: Arc::new(Stamps::new()),
        tier: None,
        compression: Codec::default(),
        refresh_workers: 4,
        runtime: None,
        fetch: Arc::new(fetcher.clone()),
        observer: None,
    })
    .unwrap();
    let handle = |(name, source): &(&str, &Arc<Source>)| SourceHandle {
        name: (*name).into(),
        identity: (*name).into(),
        source: Arc::new(Handle(Arc::clone(source))),
        policy: policy.clone(),
        datasets: BTreeMap::new(),
    };
    let handles: Vec<SourceHandle> = sources.iter().map(handle).collect();
    pipeline.publish(&handles, Ask::New).wait(Duration::from_secs(10));
    pipeline
}

/// Waits, in real time, until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
