//! Round trips through the C table: the SDK's export on one side, the host's import on the other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use plugin_sdk::{CancelToken, Filter, Plugin, PluginInfo};

use super::*;

/// Offers `numbers`, whose values repeat what it was asked.
struct Echo {
    calls: AtomicU32,
}

impl Plugin for Echo {
    const INFO: PluginInfo = PluginInfo::new("echo", "1.0.0", "says what it was asked");
    fn open(_: &Context, config: &str) -> Result<Box<dyn DataSource>> {
        match config {
            "{}" => Ok(Box::new(Echo { calls: AtomicU32::new(0) })),
            other => Err(SourceError::invalid_config(format!("no such thing as {other}"))),
        }
    }
}

fn schema() -> SchemaRef {
    let fields = vec![Field::new("n", DataType::Int64, false), Field::new("s", DataType::Utf8, true)];
    Arc::new(Schema::new(fields).with_metadata(std::collections::HashMap::from([("k".to_owned(), "v".to_owned())])))
}

impl DataSource for Echo {
    fn datasets(&self, _: &Context) -> Result<Vec<Dataset>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Dataset::new("numbers", "described"), Dataset::new("empty", "")])
    }

    fn schema(&self, _: &Context, dataset: &str) -> Result<SchemaRef> {
        if dataset == "numbers" { Ok(schema()) } else { Err(SourceError::no_dataset(dataset)) }
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        assert_eq!(dataset, "numbers");
        Ok(Fingerprint::new(ctx.request_id().as_bytes()).unwrap())
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        let mut answers = Vec::new();
        let mut applied = Vec::new();
        for filter in &request.filters {
            let exact = filter.op == FilterOp::In;
            if exact {
                answers.extend_from_slice(filter.values.as_primitive::<Int64Type>().values());
            }
            applied.push(if exact { Applied::Exact } else { Applied::Inexact });
        }
        answers.push(request.limit.map_or(-1, |limit| limit as i64));
        let rows = answers.len();
        let texts: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(|n| (n > 0).then_some("x"))));
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(answers)), texts])?;
        let ctx = ctx.clone();
        let failing = std::iter::once_with(move || {
            ctx.check()?;
            let mut error = SourceError::new(ErrorCode::ResourceExhausted, "no more\0today");
            error.retry_after = Some(Duration::from_secs(7));
            Err(error)
        });
        let batches = [Ok(batch)].into_iter().chain(failing.take(usize::from(request.dataset == "broken")));
        Ok(Scan { applied, ..Scan::whole(schema(), batches).project(request)? })
    }
}

static TABLE: PluginV1 = plugin_sdk::export::table::<Echo>(b"");

fn ctx() -> Context {
    Context::detached("request-7", None, CancelToken::new())
}

fn open(table: &'static PluginV1) -> Result<ForeignSource> {
    ForeignSource::open(Library::of_table(table), &ctx(), "{}")
}

#[test]
fn names_schemas_and_tokens_cross_the_boundary() {
    let source = open(&TABLE).unwrap();
    let datasets = [Dataset::new("numbers", "described"), Dataset::new("empty", "")];
    assert_eq!(source.datasets(&ctx()).unwrap(), datasets);
    assert_eq!(source.schema(&ctx(), "numbers").unwrap(), schema());
    assert_eq!(source.fingerprint(&ctx(), "numbers").unwrap().as_bytes(), b"request-7");
    assert_eq!(source.schema(&ctx(), "x").unwrap_err(), SourceError::no_dataset("x"));
    let refused = ForeignSource::open(Library::of_table(&TABLE), &ctx(), "[]").unwrap_err();
    assert_eq!(refused, SourceError::invalid_config("no such thing as []"));
    // A panic is stopped at the boundary.
    assert_eq!(source.fingerprint(&ctx(), "x").unwrap_err().code, ErrorCode::Panic);
}

#[test]
fn a_request_arrives_whole_and_its_answer_comes_back() {
    let source = open(&TABLE).unwrap();
    let none = arrow::array::new_empty_array(&DataType::Null);
    let request = ScanRequest {
        projection: Some(vec![1, 0]),
        filters: vec![
            Filter { column: 0, op: FilterOp::IsNotNull, values: none },
            Filter { column: 0, op: FilterOp::In, values: Arc::new(Int64Array::from(vec![4, 5])) },
        ],
        limit: Some(9),
        ..ScanRequest::all("numbers")
    };
    let scan = source.scan(&ctx(), &request).unwrap();
    assert_eq!(scan.applied, [Applied::Inexact, Applied::Exact]);
    drop(source);
    let batches: Vec<_> = scan.batches.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].schema().field(0).name(), "s");
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().values(), &[4, 5, 9]);
    assert!(batches[0].column(0).is_null(0));

    let source = open(&TABLE).unwrap();
    let none = ScanRequest { projection: Some(vec![]), ..ScanRequest::all("numbers") };
    let batch = source.scan(&ctx(), &none).unwrap().batches.next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.num_rows()), (0, 1));
}

#[test]
fn an_error_in_mid_stream_is_whole_with_the_twin_and_told_without_it() {
    let mut poor = plugin_sdk::export::table::<Echo>(b"");
    poor.stream_error = None;
    for (table, code, retry_after) in [
        (&TABLE, ErrorCode::ResourceExhausted, Some(Duration::from_secs(7))),
        (Box::leak(Box::new(poor)), ErrorCode::Internal, None),
    ] {
        let scan = open(table).unwrap().scan(&ctx(), &ScanRequest::all("broken")).unwrap();
        let outcomes: Vec<_> = scan.batches.collect();
        assert_eq!(outcomes.len(), 2);
        let error = outcomes[1].as_ref().unwrap_err();
        assert_eq!((error.code, error.retry_after), (code, retry_after));
        assert!(error.message.starts_with("no more"), "{error}");
    }
}

#[test]
fn a_shorter_table_serves_and_one_that_lacks_functions_is_refused() {
    let mut short = plugin_sdk::export::table::<Echo>(b"");
    short.struct_size = std::mem::offset_of!(PluginV1, stream_error) as u32;
    let short: &'static PluginV1 = Box::leak(Box::new(short));
    let scan = open(short).unwrap().scan(&ctx(), &ScanRequest::all("broken")).unwrap();
    assert_eq!(scan.batches.last().unwrap().unwrap_err().code, ErrorCode::Internal);

    let mut too_short = plugin_sdk::export::table::<Echo>(b"");
    too_short.struct_size = std::mem::offset_of!(PluginV1, scan) as u32;
    let error = open(Box::leak(Box::new(too_short))).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    let mut newer = plugin_sdk::export::table::<Echo>(b"");
    newer.abi_major = 2;
    assert!(open(Box::leak(Box::new(newer))).unwrap_err().message.contains("ABI 2"));
}

#[test]
fn whoever_waits_for_its_turn_notices_that_it_was_cancelled() {
    let source = open(&TABLE).unwrap();
    let turn = source.0.turn.lock();
    let late = Context::detached("late", Some(Instant::now()), CancelToken::new());
    assert_eq!(source.datasets(&late).unwrap_err().code, ErrorCode::Timeout);
    drop(turn);
    assert_eq!(source.datasets(&late).unwrap().len(), 2);
}

#[test]
fn a_stream_that_is_dropped_during_anothers_turn_is_released_after_it() {
    let source = open(&TABLE).unwrap();
    let scan = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
    let other = Turn { instance: &source.0, guard: Some(source.0.turn.lock()) };
    drop(scan);
    assert_eq!(source.0.left.lock().len(), 1);
    drop(other);
    assert!(source.0.left.lock().is_empty());
    let scan = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
    drop(scan);
    assert!(source.0.left.lock().is_empty());
}

/// A stream of a careless plugin: fails without a message.
mod careless {
    use std::ffi::{c_char, c_int};

    use super::*;

    unsafe extern "C" fn get_schema(_: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
        // SAFETY: the host passes a place of its own.
        unsafe { out.write(FFI_ArrowSchema::try_from(schema().as_ref()).unwrap()) };
        0
    }

    unsafe extern "C" fn get_next(_: *mut FFI_ArrowArrayStream, _: *mut FFI_ArrowArray) -> c_int {
        5
    }

    unsafe extern "C" fn get_last_error(_: *mut FFI_ArrowArrayStream) -> *const c_char {
        ptr::null()
    }

    unsafe extern "C" fn release(stream: *mut FFI_ArrowArrayStream) {
        // SAFETY: the host passes the stream itself.
        unsafe { (*stream).set_release(None) };
    }

    unsafe extern "C" fn scan(
        _: *mut c_void,
        _: *const RawContext,
        _: *const RawScanRequest,
        out: *mut FFI_ArrowArrayStream,
        _: *mut u8,
        _: *mut RawError,
    ) -> i32 {
        // SAFETY: the host passes a place of its own; the callbacks need no private data.
        unsafe {
            out.write(FFI_ArrowArrayStream::new_unchecked(
                Some(get_schema),
                Some(get_next),
                Some(get_last_error),
                Some(release),
                ptr::null_mut(),
            ));
        }
        0
    }

    #[test]
    fn an_error_without_a_message_is_still_an_error() {
        let mut table = plugin_sdk::export::table::<Echo>(b"");
        table.scan = scan;
        table.stream_error = None;
        let source = open(Box::leak(Box::new(table))).unwrap();
        let mut scan = source.scan(&ctx(), &ScanRequest::all("numbers")).unwrap();
        let error = scan.batches.next().unwrap().unwrap_err();
        assert!(error.message.contains("without saying why"), "{error}");
        assert!(scan.batches.next().is_none());
    }
}
