//! The pipeline over a source whose data, schema and failures the tests control.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use cache_core::{Codec, Stamps};
use parking_lot::{Condvar, Mutex};
use pipeline::query::{Rules, parse};
use pipeline::{
    Answer, AnswerFrom, Ask, CallOptions, DataPipeline, DirectFetch, Error, Mode, Next, PipelineOptions, Policy,
    PolicyOverrides, SourceHandle,
};
use plugin_sdk::{Applied, Context, DataSource, Dataset, ErrorCode, Fingerprint, Scan, ScanRequest, SourceError};

mod changes;
mod staleness;

const PATIENCE: Duration = Duration::from_secs(10);

/// Rows of the table, as (year, region).
type Rows = Vec<(i64, &'static str)>;

struct Source {
    rows: Mutex<Rows>,
    year_type: Mutex<DataType>,
    failure: Mutex<Option<SourceError>>,
    scans: AtomicUsize,
    seen: Mutex<Vec<ScanRequest>>,
    /// What it says of its data; nothing, if that is empty.
    fingerprint: Mutex<Result<Vec<u8>, SourceError>>,
    fingerprints: AtomicUsize,
    offers: Mutex<Vec<&'static str>>,
    /// While it is so, the source says nothing of its data.
    speechless: Mutex<bool>,
    speaks: Condvar,
    /// Why there is no schema.
    broken: Mutex<Option<SourceError>>,
    /// What it says that it does with each filter.
    applies: Mutex<Applied>,
}

impl Source {
    fn new(rows: Rows) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(rows),
            year_type: Mutex::new(DataType::Int64),
            failure: Mutex::default(),
            scans: AtomicUsize::new(0),
            seen: Mutex::default(),
            fingerprint: Mutex::new(Ok(Vec::new())),
            fingerprints: AtomicUsize::new(0),
            offers: Mutex::new(vec!["t"]),
            speechless: Mutex::default(),
            speaks: Condvar::new(),
            broken: Mutex::default(),
            applies: Mutex::default(),
        })
    }

    fn set_speechless(&self, speechless: bool) {
        *self.speechless.lock() = speechless;
        self.speaks.notify_all();
    }

    /// Other rows, and a fingerprint that says so.
    fn change(&self, rows: Rows, fingerprint: &str) {
        *self.rows.lock() = rows;
        *self.fingerprint.lock() = Ok(fingerprint.into());
    }

    fn scans(&self) -> usize {
        self.scans.load(Ordering::SeqCst)
    }
}

/// The trait is the plugin's; the test keeps its own handle of the source.
struct Handle(Arc<Source>);

impl DataSource for Handle {
    fn datasets(&self, _: &Context) -> plugin_sdk::Result<Vec<Dataset>> {
        Ok(self.0.offers.lock().iter().map(|name| Dataset::new(*name, "a table")).collect())
    }

    fn fingerprint(&self, _: &Context, _: &str) -> plugin_sdk::Result<Fingerprint> {
        self.0.fingerprints.fetch_add(1, Ordering::SeqCst);
        self.0.speaks.wait_while(&mut self.0.speechless.lock(), |speechless| *speechless);
        self.0.fingerprint.lock().clone().map(|bytes| Fingerprint::new(&bytes).expect("a short one"))
    }

    fn schema(&self, _: &Context, _: &str) -> plugin_sdk::Result<SchemaRef> {
        if let Some(error) = self.0.broken.lock().clone() {
            return Err(error);
        }
        Ok(Arc::new(Schema::new(vec![
            Field::new("year", self.0.year_type.lock().clone(), false),
            Field::new("region", DataType::Utf8, false),
        ])))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> plugin_sdk::Result<Scan> {
        self.0.scans.fetch_add(1, Ordering::SeqCst);
        self.0.seen.lock().push(request.clone());
        if let Some(error) = self.0.failure.lock().clone() {
            return Err(error);
        }
        let schema = self.schema(ctx, "t")?;
        let rows = self.0.rows.lock().clone();
        let years = Int64Array::from_iter_values(rows.iter().map(|(year, _)| *year));
        let years: ArrayRef = arrow::compute::cast(&years, schema.field(0).data_type())?;
        let regions = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, region)| *region)));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![years, regions])?;
        let applied = vec![*self.0.applies.lock(); request.filters.len()];
        Ok(Scan { applied, ..Scan::whole(schema, [Ok(batch)]).project(request)? })
    }
}

fn pipeline(source: &Arc<Source>, policy: PolicyOverrides) -> DataPipeline {
    let pipeline = DataPipeline::new(PipelineOptions {
        query_memory: pipeline::eval::QueryMemory::new(1 << 30, 1 << 30),
        query_timeout: Duration::from_secs(60),
        slow_query: Duration::from_secs(60),
        policy: Policy { load_timeout: Duration::from_secs(10), max_bytes: 1 << 20, ..Policy::DEFAULT },
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
        fetch: Arc::new(DirectFetch::new(8, 4)),
        observer: None,
    })
    .unwrap();
    pipeline.publish(&[handle(source, "v1", policy)], Ask::New).wait(PATIENCE);
    pipeline
}

fn handle(source: &Arc<Source>, identity: &str, policy: PolicyOverrides) -> SourceHandle {
    SourceHandle {
        name: "s".into(),
        identity: identity.into(),
        source: Arc::new(Handle(Arc::clone(source))),
        policy,
        datasets: BTreeMap::new(),
    }
}

async fn ask(pipeline: &DataPipeline, question: &str) -> Result<Answer, Error> {
    let dataset = Arc::clone(pipeline.catalog().get("t")?);
    let query = parse(question, &dataset.schema, pipeline.rules())?;
    let call = CallOptions::new("test");
    let prepared = pipeline.prepare(&dataset, &call).await?;
    pipeline.answer(&prepared, &query, &call).await
}

fn years(answer: &Answer) -> Vec<i64> {
    let column = |batch: &RecordBatch| {
        let years = batch.column_by_name("year").expect("a column of years");
        let years = arrow::compute::cast(years, &DataType::Int64).expect("numbers");
        years.as_any().downcast_ref::<Int64Array>().expect("numbers").values().to_vec()
    };
    answer.batches.iter().flat_map(column).collect()
}

const ROWS: [(i64, &str); 4] = [(2018, "EU"), (2020, "US"), (2022, "EU"), (2024, "US")];

/// Lets time pass until this is so. What never becomes so fails the test instead of hanging it.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !so().await {
        assert!(std::time::Instant::now() < deadline, "{what}: it never became so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn mode(mode: Mode) -> PolicyOverrides {
    PolicyOverrides { mode: Some(mode), ..PolicyOverrides::default() }
}

#[tokio::test]
async fn one_scan_answers_every_query_in_table_mode() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    let first = ask(&pipeline, "year=gte.2020&order=year.desc").await.unwrap();
    assert_eq!((years(&first), first.from), (vec![2024, 2022, 2020], AnswerFrom::Source));
    let second = ask(&pipeline, "region=eq.EU&select=year").await.unwrap();
    assert_eq!((years(&second), second.from), (vec![2018, 2022], AnswerFrom::Cache));
    assert_eq!(second.origin, first.origin);
    assert_eq!(source.scans(), 1);
    let info = pipeline.table_info(pipeline.catalog().get("t").unwrap()).unwrap();
    assert_eq!(info.rows, 4);
}

#[tokio::test]
async fn a_limit_is_pushed_once_the_source_has_said_that_it_applies_the_filters_exactly() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, mode(Mode::Query));
    let limit = |at: usize| source.seen.lock()[at].limit;
    *source.applies.lock() = Applied::Exact;
    ask(&pipeline, "year=gte.2018&limit=1").await.unwrap();
    ask(&pipeline, "year=gte.2019&limit=1").await.unwrap();
    // One more tells whether there is a next page.
    assert_eq!((limit(0), limit(1)), (None, Some(2)));
    *source.applies.lock() = Applied::Inexact;
    let answer = ask(&pipeline, "year=gte.2020&limit=1").await.unwrap();
    // It was believed once more, and asked again without when it said otherwise.
    assert_eq!((limit(2), limit(3), answer.rows), (Some(2), None, 1));
    ask(&pipeline, "year=gte.2021&limit=1").await.unwrap();
    assert_eq!((limit(4), source.scans()), (None, 5));
    // Without a filter there is nothing to be exact about.
    ask(&pipeline, "limit=1").await.unwrap();
    assert_eq!(limit(5), Some(2));
}

#[tokio::test]
async fn query_mode_pushes_what_it_can_and_keeps_each_result() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, mode(Mode::Query));
    for _ in 0..2 {
        let answer = ask(&pipeline, "year=gte.2020&select=region&limit=2").await.unwrap();
        assert_eq!(answer.rows, 2);
    }
    assert_eq!(source.scans(), 1);
    let request = source.seen.lock()[0].clone();
    assert_eq!(request.filters.len(), 1);
    // The source has not said that it applies the filter.
    assert_eq!(request.limit, None);
    ask(&pipeline, "year=gte.2021&select=region").await.unwrap();
    assert_eq!(source.scans(), 2);
}

#[tokio::test]
async fn auto_goes_from_table_to_query_when_the_table_is_too_large() {
    let source = Source::new((0..10_000).map(|year| (year, "a region of some length")).collect());
    let small = PolicyOverrides { max_bytes: Some(bytesize::ByteSize::kib(10)), ..PolicyOverrides::default() };
    let pipeline = pipeline(&source, small);
    assert_eq!(years(&ask(&pipeline, "year=lt.3").await.unwrap()), [0, 1, 2]);
    assert_eq!(pipeline.catalog().get("t").unwrap().mode(), Mode::Query);
    let page = ask(&pipeline, "year=gte.0").await.unwrap();
    assert!(matches!(page.next, Some(Next::Cursor(_))), "a page that ends where it had become too large");
    let too_much = ask(&pipeline, "year=gte.0&order=region,year.desc").await.unwrap_err();
    assert!(matches!(too_much, Error::TooLarge { narrower_helps: true, .. }), "{too_much}");

    source.rows.lock().truncate(5);
    pipeline.refresh("t", &CallOptions::new("test")).await.unwrap();
    assert_eq!(pipeline.catalog().get("t").unwrap().mode(), Mode::Table);
    assert_eq!(years(&ask(&pipeline, "year=gte.3").await.unwrap()), [3, 4]);
}

#[tokio::test]
async fn table_mode_refuses_what_is_too_large() {
    let source = Source::new((0..10_000).map(|year| (year, "a region")).collect());
    let policy = PolicyOverrides { max_bytes: Some(bytesize::ByteSize::kib(10)), ..mode(Mode::Table) };
    let error = ask(&pipeline(&source, policy), "limit=1").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { narrower_helps: false, .. }), "{error}");
}

#[tokio::test]
async fn a_refresh_serves_new_data_under_a_new_version_and_a_failed_one_keeps_the_old() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    ask(&pipeline, "").await.unwrap();
    let version = pipeline.catalog().get("t").unwrap().version();

    *source.failure.lock() = Some(SourceError::new(ErrorCode::Unavailable, "away"));
    let error = pipeline.refresh("t", &CallOptions::new("test")).await.unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error}");
    assert_eq!(ask(&pipeline, "").await.unwrap().rows, 4);
    assert_eq!(pipeline.catalog().get("t").unwrap().version(), version);

    *source.failure.lock() = None;
    source.rows.lock().push((2026, "EU"));
    let refreshed = pipeline.refresh("t", &CallOptions::new("test")).await.unwrap();
    assert_eq!(refreshed.table.unwrap().rows, 5);
    assert_eq!(ask(&pipeline, "").await.unwrap().rows, 5);
    assert!(pipeline.catalog().get("t").unwrap().version() > version);
}

#[tokio::test]
async fn failures_are_told_and_never_kept() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    *source.failure.lock() = Some(SourceError::new(ErrorCode::Unavailable, "away"));
    assert!(matches!(ask(&pipeline, "").await.unwrap_err(), Error::Source { .. }));
    *source.failure.lock() = None;
    assert_eq!(ask(&pipeline, "").await.unwrap().rows, 4);
}

#[tokio::test]
async fn a_changed_schema_is_published_and_the_next_question_is_bound_to_it() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    ask(&pipeline, "").await.unwrap();
    let before = pipeline.catalog();
    *source.year_type.lock() = DataType::Float64;
    pipeline.refresh("t", &CallOptions::new("test")).await.unwrap();
    let after = pipeline.catalog();
    assert!(after.generation > before.generation);
    assert_eq!(after.get("t").unwrap().schema.field(0).data_type(), &DataType::Float64);
    assert_eq!(years(&ask(&pipeline, "year=gt.2021.5").await.unwrap()), [2022, 2024]);
}

#[tokio::test]
async fn another_library_never_answers_with_what_the_one_before_loaded() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    ask(&pipeline, "").await.unwrap();
    let replaced = Source::new(vec![(1, "EU")]);
    pipeline.publish(&[handle(&replaced, "v2", PolicyOverrides::default())], Ask::New).wait(PATIENCE);
    assert_eq!(years(&ask(&pipeline, "").await.unwrap()), [1]);
    assert_eq!(pipeline.table_stats().entries, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_questions_at_once_are_one_scan() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    let questions = (0..100).map(|i| {
        let pipeline = pipeline.clone();
        tokio::spawn(async move { ask(&pipeline, &format!("year=gte.{}", 1900 + i)).await.unwrap().rows })
    });
    for rows in questions.collect::<Vec<_>>() {
        assert_eq!(rows.await.unwrap(), 4);
    }
    assert_eq!(source.scans(), 1);
}

#[tokio::test]
async fn the_dashboards_call_applies_what_it_knows_and_lists_the_rest() {
    let source = Source::new(ROWS.to_vec());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    let filters = serde_json::json!({ "year_min": 2019, "year_max": 2023, "regions": ["EU"], "sectors": ["x"] });
    let processed = pipeline.load_and_process_data("t", filters.as_object().unwrap()).await.unwrap();
    assert_eq!(years(&processed.answer), [2022]);
    assert_eq!(processed.ignored_filters, ["sectors"]);
    let unknown = pipeline.load_and_process_data("u", filters.as_object().unwrap()).await.unwrap_err();
    assert!(matches!(unknown, Error::UnknownDataset { .. }), "{unknown}");
}

#[tokio::test]
async fn texts_by_number_have_their_own_type_for_callers_and_pages_by_cursor() {
    const REGIONS: [&str; 5] = ["EU", "US", "Asia", "Africa", "Oceania"];
    let mut rows: Rows = (0..10_000).map(|n| (n, REGIONS[n as usize * n as usize % 7 % 5])).collect();
    let source = Source::new(rows.clone());
    let pipeline = pipeline(&source, PolicyOverrides::default());
    let whole = ask(&pipeline, "").await.unwrap();
    assert_ne!(whole.batches[0].schema(), whole.schema, "stored by number");
    let declared = whole.declared().unwrap();
    assert!(declared.iter().all(|batch| batch.schema() == whole.schema));
    let regions = |batch: &RecordBatch| batch.column(1).as_any().downcast_ref::<StringArray>().unwrap().clone();
    let regions: Vec<_> = declared.iter().map(regions).collect();
    assert!(regions.iter().flatten().eq(rows.iter().map(|(_, region)| Some(*region))));

    rows.sort_by_key(|(year, region)| (std::cmp::Reverse(*region), *year));
    let (mut question, mut found) = ("order=region.desc&limit=900".to_owned(), Vec::new());
    loop {
        let page = ask(&pipeline, &question).await.unwrap();
        found.extend(years(&page));
        match page.next {
            Some(Next::Cursor(cursor)) => question = format!("order=region.desc&limit=900&cursor={cursor}"),
            Some(Next::Offset(_)) => panic!("no cursor"),
            None => break,
        }
    }
    assert_eq!(found, rows.iter().map(|(year, _)| *year).collect::<Vec<_>>());
}
