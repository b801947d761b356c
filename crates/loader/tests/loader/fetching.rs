//! Retries, time-outs and breakers of single loads. In paused time the fetcher is called by itself: what the pipeline does
//! on other threads is nothing that paused time waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use loader::{Backoff, BreakerOptions, BreakerState, FetchOptions, Fetcher, GateOptions};
use pipeline::{
    Answer, AnswerFrom, CallOptions, DataPipeline, Error, Fetch, FetchError, FetchJob, Flow, LoadProgress,
    PolicyOverrides, Sink,
};
use plugin_sdk::{
    Applied, Context, DataSource, Dataset, ErrorCode, Filter, FilterOp, Fingerprint, Scan, ScanRequest, SourceError,
};
use tokio::time::Instant;

use crate::source::{Does, Handle, Source, error, over, pipeline, wait_until};

async fn ask(pipeline: &DataPipeline, dataset: &str) -> Result<Answer, Error> {
    let dataset = Arc::clone(pipeline.catalog().get(dataset)?);
    let query = pipeline::query::parse("", &dataset.schema, pipeline.rules())?;
    let call = CallOptions::new("test");
    let prepared = pipeline.prepare(&dataset, &call).await?;
    let mut answer = pipeline.answer(&prepared, &query, &call).await?;
    answer.from = prepared.from().unwrap_or(answer.from);
    Ok(answer)
}

/// No more than three seconds between two attempts, and a breaker that stays out of the way.
fn options() -> FetchOptions {
    FetchOptions {
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(3) },
        breaker: BreakerOptions { failures: 0, ..BreakerOptions::default() },
        ..FetchOptions::default()
    }
}

/// Counts rows.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Sink for Counting {
    fn begin(&self, _: Fingerprint, _: SchemaRef) -> Result<(), SourceError> {
        self.0.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError> {
        self.0.fetch_add(batch.num_rows(), Ordering::SeqCst);
        Ok(Flow::Continue)
    }
}

/// One job of a scan.
struct Job {
    request: ScanRequest,
    timeout: Duration,
    attempt_timeout: Option<Duration>,
}

impl Default for Job {
    fn default() -> Self {
        Self { request: ScanRequest::all("t"), timeout: Duration::from_secs(300), attempt_timeout: None }
    }
}

impl Job {
    /// Has a fetcher run it; gives how many rows came.
    async fn run(self, fetcher: &Fetcher, source: impl DataSource + 'static) -> Result<usize, FetchError> {
        let sink = Arc::new(Counting::default());
        let job = FetchJob {
            source_name: "s".into(),
            source: Arc::new(source),
            dataset: "t".into(),
            request: self.request,
            sink: sink.clone(),
            request_id: "r".into(),
            owner: "r".into(),
            timeout: self.timeout,
            attempt_timeout: self.attempt_timeout,
            retries: None,
            progress: Arc::new(LoadProgress::default()),
        };
        fetcher.fetch(job).await?;
        Ok(sink.0.load(Ordering::SeqCst))
    }
}

/// A source that does these things one after the other, and a fetcher that reads it.
struct Scripted(Arc<Source>, Fetcher);

impl Scripted {
    fn new(options: FetchOptions, script: impl IntoIterator<Item = Does>) -> Self {
        let source = Source::new(&["t"]);
        source.next("t", script);
        Self(source, Fetcher::new(options))
    }

    async fn fetch(&self) -> Result<usize, FetchError> {
        Job::default().run(&self.1, Handle(Arc::clone(&self.0))).await
    }
}

#[track_caller]
fn check_failed(outcome: Result<usize, FetchError>, code: ErrorCode) {
    match outcome {
        Err(FetchError::Source(source)) => assert_eq!(source.code, code),
        other => panic!("expected an error of the source, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_help_is_tried_again_and_what_may_not_is_not() {
    let fails = |code| Does::Fails(error(code));
    let script = Scripted::new(options(), [fails(ErrorCode::Unavailable), fails(ErrorCode::Timeout)]);
    assert_eq!(script.fetch().await, Ok(100));
    assert_eq!(script.0.scans(), 3);

    let script = Scripted::new(options(), std::iter::repeat_n(fails(ErrorCode::Unavailable), 9));
    check_failed(script.fetch().await, ErrorCode::Unavailable);
    assert_eq!(script.0.scans(), 3, "one attempt and two retries");

    let script = Scripted::new(options(), [fails(ErrorCode::InvalidData)]);
    check_failed(script.fetch().await, ErrorCode::InvalidData);
    assert_eq!(script.0.scans(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_when_is_not_asked_before() {
    let later = |seconds| SourceError {
        retry_after: Some(Duration::from_secs(seconds)),
        ..error(ErrorCode::ResourceExhausted)
    };
    let script = Scripted::new(options(), [Does::Fails(later(40))]);
    let started = Instant::now();
    assert_eq!(script.fetch().await, Ok(100));
    assert!(started.elapsed() >= Duration::from_secs(40), "{:?}", started.elapsed());

    // Beyond the job's own deadline of 300 s there is no use in waiting.
    let script = Scripted::new(options(), [Does::Fails(later(301))]);
    let started = Instant::now();
    check_failed(script.fetch().await, ErrorCode::ResourceExhausted);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(script.0.scans(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_again_and_again_is_left_alone_until_it_answers() {
    let breaker =
        BreakerOptions { failures: 3, open_for: Duration::from_secs(10), open_at_most: Duration::from_secs(60) };
    let fails = std::iter::repeat_n(Does::Fails(error(ErrorCode::Unavailable)), 4);
    let script = Scripted::new(FetchOptions { breaker, ..options() }, fails);
    check_failed(script.fetch().await, ErrorCode::Unavailable);
    assert_eq!(script.1.breaker("s").unwrap().state, BreakerState::Open);
    let refused = script.fetch().await.unwrap_err();
    assert!(matches!(refused, FetchError::BreakerOpen { failures: 3, .. }), "{refused:?}");
    assert_eq!(script.0.scans(), 3, "it was not called");

    tokio::time::sleep(Duration::from_secs(10)).await;
    check_failed(script.fetch().await, ErrorCode::Unavailable);
    assert_eq!(script.0.scans(), 4, "one call tried");
    assert_eq!(script.1.breaker("s").unwrap().retry_after, Some(Duration::from_secs(20)));

    script.1.reset_breaker("s");
    assert_eq!(script.fetch().await, Ok(100));
    assert_eq!(script.1.breaker("s").unwrap().state, BreakerState::Closed);
}

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up_and_made_again() {
    let source = Source::new(&["t"]);
    let attempt_timeout = Duration::from_millis(50);
    let backoff = Backoff { base: Duration::from_millis(1), max: Duration::from_millis(1) };
    let (pipeline, fetcher) = pipeline(&source, FetchOptions { attempt_timeout, backoff, ..options() });
    source.next("t", [Does::Hangs(3)]);
    let answer = ask(&pipeline, "t").await.unwrap();
    // Nothing of what the first one had brought is in it.
    assert_eq!((answer.rows, source.scans()), (100, 2));

    // One that does not listen is left behind, keeps its permit, and writes nothing any more.
    let source = Source::new(&["t"]);
    let (pipeline, fetcher_of_deaf) =
        crate::source::pipeline(&source, FetchOptions { attempt_timeout, backoff, ..options() });
    source.next("t", [Does::Ignores]);
    assert_eq!(ask(&pipeline, "t").await.unwrap().rows, 100);
    assert_eq!((source.running(), fetcher_of_deaf.gate().running), (1, 1));
    *source.let_go.lock() = true;
    wait_until("the permit is back", || fetcher_of_deaf.gate().running == 0 && source.running() == 0);
    assert_eq!(fetcher.gate().running, 0);
    assert_eq!(ask(&pipeline, "t").await.unwrap().rows, 100);
}

#[tokio::test]
async fn only_a_time_out_after_the_usual_time_is_held_against_the_source() {
    let breaker = BreakerOptions { failures: 1, ..BreakerOptions::default() };
    let fetcher = Fetcher::new(FetchOptions { breaker, retries: 0, ..options() });
    let source = Source::new(&["t"]);
    source.next("t", [Does::Hangs(0), Does::Hangs(0)]);
    let hasty = Job { attempt_timeout: Some(Duration::from_millis(50)), ..Job::default() };
    check_failed(hasty.run(&fetcher, Handle(Arc::clone(&source))).await, ErrorCode::Timeout);
    assert_eq!(fetcher.breaker("s").unwrap().state, BreakerState::Closed);
    // All the time that the dataset's policy gives.
    let whole = Job { timeout: Duration::from_millis(100), ..Job::default() };
    check_failed(whole.run(&fetcher, Handle(source)).await, ErrorCode::Timeout);
    assert_eq!(fetcher.breaker("s").unwrap().state, BreakerState::Open);
}

#[tokio::test]
async fn with_an_open_breaker_an_old_value_stands_in_and_says_so() {
    let source = Source::new(&["t"]);
    let breaker = BreakerOptions { failures: 1, ..BreakerOptions::default() };
    let fetcher = Fetcher::new(FetchOptions { breaker, retries: 0, ..options() });
    let policy = PolicyOverrides {
        ttl: Some(Duration::from_millis(20)),
        stale_if_error: Some(Duration::from_secs(3600)),
        ..PolicyOverrides::default()
    };
    let pipeline = over(&[("s", &source)], &fetcher, policy);
    assert_eq!(ask(&pipeline, "t").await.unwrap().from, AnswerFrom::Source);
    source.next("t", [Does::Fails(error(ErrorCode::Unavailable))]);
    // Ages are those of a clock that does not pause.
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(ask(&pipeline, "t").await.unwrap().from, AnswerFrom::StaleOnError);
    std::thread::sleep(Duration::from_millis(1_100));
    let answer = ask(&pipeline, "t").await.unwrap();
    assert_eq!((answer.from, answer.rows, source.scans()), (AnswerFrom::StaleOnError, 100, 2));
}

#[tokio::test]
async fn one_source_at_its_bound_and_a_full_queue_harm_no_other() {
    let (slow, quick) = (Source::new(&["a", "b", "c", "d"]), Source::new(&["q"]));
    slow.hold(true);
    let gate = GateOptions { concurrent: 8, per_source: 2, max_queued: 1 };
    let fetcher = Fetcher::new(FetchOptions { gate, ..options() });
    let pipeline = over(&[("slow", &slow), ("quick", &quick)], &fetcher, PolicyOverrides::default());
    let waiting: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let pipeline = pipeline.clone();
            tokio::spawn(async move { ask(&pipeline, name).await })
        })
        .into();
    while fetcher.gate().queued < 1 || slow.running() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(ask(&pipeline, "q").await.unwrap().rows, 100);
    assert!(matches!(ask(&pipeline, "d").await, Err(Error::QueueFull { queued: 1, .. })));
    slow.hold(false);
    for outcome in waiting {
        assert_eq!(outcome.await.unwrap().unwrap().rows, 100);
    }
    assert_eq!(slow.most_running.load(Ordering::SeqCst), 2);
}

/// Stops at the limit whatever it has filtered.
struct Hasty(Applied);

impl DataSource for Hasty {
    fn datasets(&self, _: &Context) -> plugin_sdk::Result<Vec<Dataset>> {
        Ok(vec![Dataset::new("t", "")])
    }

    fn schema(&self, _: &Context, _: &str) -> plugin_sdk::Result<SchemaRef> {
        Ok(Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)])))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> plugin_sdk::Result<Scan> {
        let schema = self.schema(ctx, "t")?;
        let numbers = Int64Array::from_iter_values(0..request.limit.unwrap_or(1_000) as i64);
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(numbers)])?;
        Ok(Scan { applied: vec![self.0], ..Scan::whole(schema, [Ok(batch)]) })
    }
}

#[tokio::test]
async fn a_limit_is_not_believed_to_a_source_that_filters_less_than_exactly() {
    for (applied, expected) in [(Applied::Exact, 10), (Applied::Inexact, 1_000), (Applied::No, 1_000)] {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![500]));
        let filters = vec![Filter { column: 0, op: FilterOp::Gt, values }];
        let request = ScanRequest { filters, limit: Some(10), ..ScanRequest::all("t") };
        let job = Job { request, ..Job::default() };
        assert_eq!(job.run(&Fetcher::new(options()), Hasty(applied)).await, Ok(expected), "{applied:?}");
    }
}
