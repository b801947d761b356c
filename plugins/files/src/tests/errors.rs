//! What a caller is told when a file cannot be read.

use plugin_sdk::{DataSource, ErrorCode, ScanRequest};

use super::tree::{Tree, ctx, read, recorder};
use crate::Source;
use crate::config::Config;

/// The error of reading the one dataset of a tree.
#[track_caller]
fn check(name: &str, content: &[u8], expected: &str) {
    let tree = Tree::new(&[]);
    tree.write(&format!("sub/{name}"), content);
    let error = read(&tree.source(), &ScanRequest::all("sub")).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidData, "{error}");
    assert!(error.message.starts_with(&format!("'sub/{name}'")), "{error}");
    assert!(error.message.contains(expected), "{error}");
    assert!(!error.message.contains(tree.root().to_str().unwrap()), "{error}");
}

#[test]
fn a_malformed_file_is_named_with_the_line() {
    check("a.csv", b"x,y\n1,2\n3\n", "line 3 has 1 fields where the first line has 2");
    check("a.csv", b"x,y\n1,2\n1,2,3\n", "line 3 has 3 fields");
    check("a.csv", b"x\nok\n\xff\xfe\n", "line 3 is not valid UTF-8");
    check("a.csv", b"", "has no columns");
    check("a.csv.gz", b"this is no gzip file at all", "gzip");
    check("a.ndjson", b"{\"a\": 1}\n{\"a\": 1,}\n", "line 2");
    check("a.json", b"[{\"a\": 1},\n{\"a\": 2}", "line 2");
    check("a.json", b"[1, 2]", "expected an object");
    check("a.parquet", b"PAR1 not really PAR1", "");
    check("a.arrow", b"ARROW1\0\0nonsense", "");
    check("a.feather", b"FEA1", "version 1");
}

#[test]
fn a_value_that_is_not_of_its_declared_type_is_named_with_its_line() {
    let tree = Tree::new(&[("a.csv", "id,when\n1,2025-01-01\n2,soon\n")]);
    let source = tree.source_with(r#"{"a": {"path": "a.csv", "types": {"id": "int64", "when": "date32"}}}"#);
    let error = read(&source, &ScanRequest::all("a")).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidData);
    assert!(error.message.contains("'a.csv'") && error.message.contains("line 3"), "{error}");
    assert!(!error.message.contains("Row data"), "{error}");
}

#[test]
fn a_declared_type_of_a_missing_column_is_a_mistake() {
    let tree = Tree::new(&[("a.csv", "id\n1\n")]);
    let source = tree.source_with(r#"{"a": {"path": "a.csv", "types": {"idd": "int64"}}}"#);
    let error = source.schema(&ctx(), "a").unwrap_err();
    assert_eq!((error.code, error.message.contains("'idd'")), (ErrorCode::InvalidConfig, true));
}

#[test]
fn an_unknown_dataset_is_not_found() {
    let tree = Tree::new(&[]);
    assert_eq!(tree.source().schema(&ctx(), "x").unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(tree.source().fingerprint(&ctx(), "../x").unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(tree.source().scan(&ctx(), &ScanRequest::all("x")).unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn a_missing_root_may_come_yet_and_is_not_named() {
    let source = Source::new(Config::parse(r#"{"root": "/no/such/place"}"#).unwrap());
    let error = source.datasets(&ctx()).unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    assert!(!error.message.contains("/no/such"), "{error}");
}

#[test]
fn a_cancelled_scan_stops_between_batches() {
    let mut text = String::from("x\n");
    (0..200_000).for_each(|i| text.push_str(&format!("{i}\n")));
    let tree = Tree::new(&[("a.csv", &text)]);
    let source = tree.source();
    let (recorder, ctx) = recorder();
    let mut batches = source.scan(&ctx, &ScanRequest::all("a")).unwrap().batches;
    assert!(batches.next().unwrap().is_ok());
    recorder.cancel.cancel();
    assert_eq!(batches.next().unwrap().unwrap_err().code, ErrorCode::Cancelled);
    assert!(batches.next().is_none());
    assert_eq!(tree.source().schema(&ctx, "a").unwrap_err().code, ErrorCode::Cancelled);
}

#[test]
fn a_file_that_changes_under_a_reader_is_said_to_have_changed() {
    let mut text = String::from("x\n");
    (0..200_000).for_each(|i| text.push_str(&format!("{i}\n")));
    let tree = Tree::new(&[("a.csv", &text)]);
    let source = tree.source();
    let mut batches = source.scan(&ctx(), &ScanRequest::all("a")).unwrap().batches;
    assert!(batches.next().unwrap().is_ok());
    // In place, so that the reader's own file changes.
    tree.write("a.csv", "not a number\n".repeat(200_000));
    let error = batches.find_map(Result::err).unwrap();
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    assert_eq!(error.message, "'a.csv' was changed while it was read");
}

#[test]
fn what_is_appended_during_a_scan_is_not_read() {
    let tree = Tree::new(&[("a.csv", "x\n1\n2\n")]);
    let source = tree.source();
    let batches = source.scan(&ctx(), &ScanRequest::all("a")).unwrap().batches;
    tree.write("a.csv", "x\n1\n2\nthree\n");
    assert_eq!(batches.map(|b| b.unwrap().num_rows()).sum::<usize>(), 2);
}
