//! The source as a host sees it.

use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use plugin_sdk::{CancelToken, Context, DataSource, ErrorCode, Filter, FilterOp, Result, ScanRequest};

use crate::Source;
use crate::config::SCHEMA;

const COLUMNS: &str = r#"[{"name": "id", "type": "sequence"},
    {"name": "n", "type": "int", "null_ratio": 0.1},
    {"name": "x", "type": "float"},
    {"name": "s", "type": "string", "cardinality": 9},
    {"name": "b", "type": "bool", "null_ratio": 0.5},
    {"name": "d", "type": "date"},
    {"name": "t", "type": "timestamp"}]"#;

fn ctx() -> Context {
    Context::detached("test", None, CancelToken::new())
}

/// A source with a table `t` that has more settings than its columns.
fn source(settings: &str) -> Source {
    Source::new(&format!(r#"{{"datasets": {{"t": {{"columns": {COLUMNS}, {settings}}}}}}}"#)).unwrap()
}

fn batches(source: &Source, request: &ScanRequest) -> Vec<RecordBatch> {
    source.scan(&ctx(), request).unwrap().batches.collect::<Result<_>>().unwrap()
}

fn read(source: &Source, request: &ScanRequest) -> RecordBatch {
    let batches = batches(source, request);
    concat_batches(&request.projected(&source.schema(&ctx(), &request.dataset).unwrap()).unwrap(), &batches).unwrap()
}

#[test]
fn the_table_does_not_depend_on_the_batches() {
    for repeat in [false, true] {
        let table = |batch_rows: usize| {
            let source =
                source(&format!(r#""rows": 150000, "seed": 3, "repeat": {repeat}, "batch_rows": {batch_rows}"#));
            let request = ScanRequest::all("t");
            assert!(batches(&source, &request).iter().all(|b| b.num_rows() <= batch_rows));
            read(&source, &request)
        };
        let whole = table(1 << 20);
        assert_eq!(whole.num_rows(), 150_000);
        for batch_rows in [1_000, 65_536, 77_777] {
            assert_eq!(table(batch_rows), whole, "{batch_rows}");
        }
        let is_repeated = whole.slice(0, 10_000) == whole.slice(65_536, 10_000);
        assert_eq!(is_repeated, repeat);
    }
}

#[test]
fn another_seed_is_another_table() {
    let table = |seed: u64| read(&source(&format!(r#""rows": 100, "seed": {seed}"#)), &ScanRequest::all("t"));
    assert_eq!(table(1), table(1));
    assert_ne!(table(1), table(2));
}

#[test]
fn a_repeating_table_hands_out_the_same_memory() {
    let source = source(r#""rows": 200000, "repeat": true"#);
    let batches = batches(&source, &ScanRequest::all("t"));
    let values = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [65_536, 65_536, 65_536, 3_392]);
    assert!(batches.iter().all(|batch| values(batch) == values(&batches[0])));
}

#[test]
fn projection_and_limit_are_honoured_and_filters_are_not() {
    let source = source(r#""rows": 1000, "batch_rows": 64"#);
    let whole = read(&source, &ScanRequest::all("t"));
    let projection = Some(vec![5, 0, 0]);
    let mut request = ScanRequest { projection: projection.clone(), limit: Some(100), ..ScanRequest::all("t") };
    assert_eq!(read(&source, &request), whole.project(&[5, 0, 0]).unwrap().slice(0, 100));
    request.filters = vec![Filter { column: 0, op: FilterOp::Eq, values: whole.column(0).slice(3, 1) }];
    assert!(source.scan(&ctx(), &request).unwrap().applied.is_empty());
    assert_eq!(read(&source, &request).num_rows(), 1000);
    request = ScanRequest { projection: Some(vec![]), ..ScanRequest::all("t") };
    assert_eq!(batches(&source, &request).iter().map(RecordBatch::num_rows).sum::<usize>(), 1000);
    request.projection = Some(vec![9]);
    assert_eq!(source.scan(&ctx(), &request).unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn the_share_of_scans_that_fail_is_that_of_the_configuration() {
    let outcomes = |rate: f64| -> Vec<bool> {
        let source = source(&format!(r#""rows": 1, "failure_rate": {rate}"#));
        let call = |_| match source.scan(&ctx(), &ScanRequest::all("t")) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
                true
            }
        };
        (0..1000).map(call).collect()
    };
    let failures = |rate| outcomes(rate).iter().filter(|failed| **failed).count();
    assert_eq!((failures(0.0), failures(1.0)), (0, 1000));
    assert!((250..350).contains(&failures(0.3)));
    assert_eq!(outcomes(0.3), outcomes(0.3));
}

#[test]
fn a_latency_ends_when_the_caller_gives_up() {
    for settings in [r#""rows": 1, "latency_ms": 3600000"#, r#""rows": 1, "batch_latency_ms": 3600000"#] {
        let source = source(settings);
        let cancel = CancelToken::new();
        let scan = source.scan(&Context::detached("r", None, cancel.clone()), &ScanRequest::all("t")).unwrap();
        let reader = std::thread::spawn(move || scan.batches.collect::<Vec<_>>());
        cancel.cancel();
        let items = reader.join().unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].as_ref().unwrap_err().code, ErrorCode::Cancelled);
        let late = Context::detached("r", Some(Instant::now()), CancelToken::new());
        let mut batches = source.scan(&late, &ScanRequest::all("t")).unwrap().batches;
        assert_eq!(batches.next().unwrap().unwrap_err().code, ErrorCode::Timeout);
        assert!(batches.next().is_none());
    }
}

#[test]
fn the_fingerprint_follows_the_configuration_and_its_version() {
    let token = |settings: &str| source(settings).fingerprint(&ctx(), "t").unwrap();
    let first = token(r#""rows": 5"#);
    assert!(first.is_known());
    assert_eq!(token(r#""rows": 5"#), first);
    assert_ne!(token(r#""rows": 6"#), first);
    assert_ne!(token(r#""rows": 5, "version": 2"#), first);
}

/// A table `t` with a control folder, and a way to write its files.
struct Controlled {
    folder: tempfile::TempDir,
    source: Source,
}

impl Controlled {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = serde_json::to_string(folder.path()).unwrap();
        let columns = r#"[{"name": "id", "type": "sequence"}, {"name": "v", "type": "version"}]"#;
        let table = format!(r#"{{"rows": 9, "batch_rows": 4, "columns": {columns}, "control": {path}}}"#);
        Self { source: Source::new(&format!(r#"{{"datasets": {{"t": {table}}}}}"#)).unwrap(), folder }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    fn versions(batches: &[RecordBatch]) -> Vec<i64> {
        let of = |batch: &RecordBatch| batch.column(1).as_primitive::<Int64Type>().values().to_vec();
        batches.iter().flat_map(of).collect()
    }
}

#[test]
fn the_version_in_the_control_folder_is_in_rows_and_fingerprint() {
    let table = Controlled::new();
    let scan = || Controlled::versions(&batches(&table.source, &ScanRequest::all("t")));
    let token = || table.source.fingerprint(&ctx(), "t").unwrap();
    let first = token();
    assert_eq!(scan(), [0; 9]);
    table.write("version", "7\n");
    assert_ne!(token(), first);
    assert_eq!(scan(), [7; 9]);
    let late = table.source.scan(&ctx(), &ScanRequest::all("t")).unwrap();
    table.write("version", "8");
    let late: Vec<_> = late.batches.collect::<Result<_>>().unwrap();
    assert_eq!(Controlled::versions(&late), [7; 9], "a scan is of one version");
    table.write("version", "0");
    assert_eq!(token(), first);
    let calls = std::fs::read_to_string(table.folder.path().join("calls")).unwrap();
    assert_eq!(calls, "fingerprint t 0\nscan t 0\nfingerprint t 7\nscan t 7\nscan t 7\nfingerprint t 0\n");
    table.write("mute", "");
    assert!(!token().is_known());
    table.write("version", "seven");
    assert_eq!(table.source.fingerprint(&ctx(), "t").unwrap_err().code, ErrorCode::InvalidData);
}

#[test]
fn the_control_folder_takes_the_source_down_and_up_again() {
    let table = Controlled::new();
    table.write("down", "");
    for error in [
        table.source.fingerprint(&ctx(), "t").unwrap_err(),
        table.source.scan(&ctx(), &ScanRequest::all("t")).err().unwrap(),
    ] {
        assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    }
    assert!(table.source.schema(&ctx(), "t").is_ok());
    table.remove("down");
    assert_eq!(batches(&table.source, &ScanRequest::all("t")).len(), 3);
}

#[test]
fn calls_hang_until_the_control_folder_lets_them_go_or_the_caller_gives_up() {
    let table = Controlled::new();
    table.write("hang_scan", "");
    assert!(table.source.fingerprint(&ctx(), "t").is_ok());
    table.write("hang_fingerprint", "");
    let cancel = CancelToken::new();
    cancel.cancel();
    let gone = Context::detached("r", None, cancel);
    assert_eq!(table.source.fingerprint(&gone, "t").unwrap_err().code, ErrorCode::Cancelled);
    let scan = table.source.scan(&ctx(), &ScanRequest::all("t")).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| scan.batches.collect::<Result<Vec<_>>>().unwrap().len());
        let token = scope.spawn(|| table.source.fingerprint(&ctx(), "t").is_ok());
        table.remove("hang_scan");
        table.remove("hang_fingerprint");
        assert_eq!((reader.join().unwrap(), token.join().unwrap()), (3, true));
    });
    table.write("delay_ms", "3600000");
    let late = Context::detached("r", Some(Instant::now()), CancelToken::new());
    let mut batches = table.source.scan(&late, &ScanRequest::all("t")).unwrap().batches;
    assert_eq!(batches.next().unwrap().unwrap_err().code, ErrorCode::Timeout);
}

#[test]
fn without_a_configuration_there_is_a_demo() {
    let source = Source::new("{}").unwrap();
    let listed = source.datasets(&ctx()).unwrap();
    assert_eq!(listed.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["synthetic_orders"]);
    let orders = read(&source, &ScanRequest::all("synthetic_orders"));
    let names: Vec<_> = orders.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["id", "ordered_at", "region", "customer", "amount", "quantity", "express"]);
    assert_eq!(orders.num_rows(), 10_000);
    assert!((300..700).contains(&orders.column(6).null_count()));
    assert_eq!(source.schema(&ctx(), "x").unwrap_err().code, ErrorCode::NotFound);
}

#[track_caller]
fn check_refused(table: &str, part: &str) {
    let error = Source::new(&format!(r#"{{"datasets": {{"t": {table}}}}}"#)).err().expect("refused");
    assert_eq!(error.code, ErrorCode::InvalidConfig);
    assert!(error.message.contains(part), "{error}");
}

#[test]
fn mistakes_in_a_configuration_are_named() {
    check_refused(r#"{"rows": 1, "columns": [], "colour": 1}"#, "unknown field `colour`");
    check_refused(r#"{"rows": 1, "columns": []}"#, "no columns");
    check_refused(
        r#"{"rows": 1, "columns": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}"#,
        "two columns 'a'",
    );
    check_refused(r#"{"rows": 1, "columns": [{"name": "a", "type": "blob"}]}"#, "unknown variant `blob`");
    check_refused(r#"{"rows": 1, "columns": [{"name": "a", "type": "int", "null_ratio": 2}]}"#, "null_ratio");
    check_refused(r#"{"rows": 1, "columns": [{"name": "a", "type": "int", "min": 9, "max": 1}]}"#, "column 'a'");
    check_refused(r#"{"rows": 1, "batch_rows": 0, "columns": [{"name": "a", "type": "int"}]}"#, "batch_rows");
    check_refused(r#"{"rows": 1, "columns": [{"name": "a", "type": "bool", "cardinality": 2}]}"#, "cardinality");
    check_refused(r#"{"rows": 1, "columns": [{"name": "a", "type": "version"}]}"#, "control");
    check_refused(r#"{"rows": 1, "control": "c", "columns": [{"name": "a", "type": "version", "min": 1}]}"#, "version");
}

#[test]
fn the_schema_of_the_configuration_is_json() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["additionalProperties"], false);
}
