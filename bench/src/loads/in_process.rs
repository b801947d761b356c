//! Loads as a library: sources in the process, a fetcher, a pipeline and a loader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use cache_core::{Codec, Stamps};
use loader::{AsyncDataLoader, FetchOptions, Fetcher, LoadOptions, LoadRequest};
use pipeline::eval::QueryMemory;
use pipeline::query::Rules;
use pipeline::{AnswerFrom, Ask, DataPipeline, PipelineOptions, Policy, PolicyOverrides, SourceHandle};
use plugin_sdk::{Context, DataSource, Dataset, Scan, ScanRequest};
use tokio::runtime::Runtime;

use super::{LATENCY_MS, Place, ROWS, Rows, SOURCES, name_of};
use crate::server::WORKERS;

/// A loader and what it needs.
pub(super) struct Library {
    runtime: Runtime,
    pipeline: DataPipeline,
    loader: AsyncDataLoader,
}

impl Library {
    /// A loader over all sources.
    pub(super) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
        let pipeline = pipeline()?;
        let sources: Vec<SourceHandle> = (0..SOURCES).map(|number| handle(&name_of(number))).collect();
        pipeline.publish(&sources, Ask::New).wait(Duration::from_secs(10));
        let options = LoadOptions { max_workers: SOURCES, ..LoadOptions::default() };
        let loader = AsyncDataLoader::with_options(pipeline.clone(), options);
        Ok(Self { runtime, pipeline, loader })
    }
}

impl Place for Library {
    fn forget(&self) -> anyhow::Result<()> {
        self.runtime.block_on(self.pipeline.tables().clear()).context("clear the cache")?;
        Ok(())
    }

    fn load(&self, requests: &[LoadRequest], from: Rows) -> anyhow::Result<f64> {
        let requests = requests.to_vec();
        let expected = match from {
            Rows::OfSource => AnswerFrom::Source,
            Rows::Kept => AnswerFrom::Cache,
        };
        let started = Instant::now();
        let report = self.runtime.block_on(self.loader.load_multiple_datasets(requests));
        let time = started.elapsed().as_secs_f64() * 1e3;
        for outcome in report.outcomes {
            let loaded = outcome.result.with_context(|| format!("load {}", outcome.name))?;
            ensure!(loaded.from == expected && loaded.rows > 0, "load {} from {expected:?}: {loaded:?}", outcome.name);
        }
        Ok(time)
    }
}

/// A source with one dataset of its name, which takes its time.
struct Slow {
    name: String,
}

fn schema() -> SchemaRef {
    let field = |name, data_type| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![field("id", DataType::Int64), field("n", DataType::Int64), field("s", DataType::Utf8)]))
}

impl DataSource for Slow {
    fn datasets(&self, _: &Context) -> plugin_sdk::Result<Vec<Dataset>> {
        Ok(vec![Dataset::new(&self.name, "")])
    }

    fn schema(&self, _: &Context, _: &str) -> plugin_sdk::Result<SchemaRef> {
        Ok(schema())
    }

    fn scan(&self, _: &Context, request: &ScanRequest) -> plugin_sdk::Result<Scan> {
        sleep(Duration::from_millis(LATENCY_MS));
        let ids = Int64Array::from_iter_values(0..ROWS as i64);
        let numbers = Int64Array::from_iter_values((0..ROWS as i64).map(|row| row * 7_919 % 10));
        let texts = StringArray::from_iter_values((0..ROWS).map(|row| format!("text {row}")));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(numbers), Arc::new(texts)])?;
        Scan::whole(schema(), [Ok(batch)]).project(request)
    }
}

fn handle(name: &str) -> SourceHandle {
    SourceHandle {
        name: name.into(),
        identity: name.into(),
        source: Arc::new(Slow { name: name.to_owned() }),
        policy: PolicyOverrides::default(),
        datasets: BTreeMap::new(),
    }
}

fn pipeline() -> anyhow::Result<DataPipeline> {
    let minute = Duration::from_secs(60);
    DataPipeline::new(PipelineOptions {
        policy: Policy::DEFAULT,
        datasets: BTreeMap::new(),
        tables_max_bytes: 256 << 20,
        tables_max_entries: 1_000,
        rules: Rules::default(),
        describe_timeout: minute,
        stamps: Arc::new(Stamps::new()),
        tier: None,
        compression: Codec::default(),
        refresh_workers: 4,
        runtime: None,
        query_memory: QueryMemory::new(1 << 30, 1 << 30),
        query_timeout: minute,
        slow_query: minute,
        fetch: Arc::new(Fetcher::new(FetchOptions::default())),
        observer: None,
    })
    .context("make a pipeline")
}
