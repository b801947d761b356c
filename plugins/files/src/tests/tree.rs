//! A folder for a test, and which datasets are found in folders.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use plugin_sdk::{Applied, Caller, CancelToken, Context, DataSource, ErrorCode, Level, Progress, Result, ScanRequest};
use tempfile::TempDir;

use crate::Source;
use crate::config::Config;

/// A folder with files in it.
pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(TempDir::new().unwrap());
        for (name, text) in files {
            tree.write(name, text);
        }
        tree
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn source(&self) -> Source {
        self.source_with("{}")
    }

    /// A source whose `datasets` are this JSON.
    pub(super) fn source_with(&self, datasets: &str) -> Source {
        let root = serde_json::to_string(self.root()).unwrap();
        Source::new(Config::parse(&format!(r#"{{"root": {root}, "datasets": {datasets}}}"#)).unwrap())
    }
}

/// A caller that remembers what it was told.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) progress: Mutex<Vec<Progress>>,
    pub(super) log: Mutex<Vec<String>>,
    pub(super) cancel: CancelToken,
}

impl Caller for Recorder {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }
    fn log(&self, _: Level, message: &str) {
        self.log.lock().unwrap().push(message.to_owned());
    }
    fn remaining(&self) -> Option<Duration> {
        None
    }
}

pub(super) fn recorder() -> (Arc<Recorder>, Context) {
    let recorder = Arc::new(Recorder::default());
    (Arc::clone(&recorder), Context::new("test", recorder))
}

pub(super) fn ctx() -> Context {
    Context::detached("test", None, CancelToken::new())
}

/// All rows of a scan as one batch, and what was done with the filters.
pub(super) fn read(source: &Source, request: &ScanRequest) -> Result<(RecordBatch, Vec<Applied>)> {
    let scan = source.scan(&ctx(), request)?;
    let batches = scan.batches.collect::<Result<Vec<_>>>()?;
    for batch in &batches {
        assert_eq!(batch.schema(), scan.schema);
    }
    if scan.schema.fields().is_empty() {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        return Ok((RecordBatch::try_new_with_options(scan.schema, vec![], &options)?, scan.applied));
    }
    Ok((concat_batches(&scan.schema, &batches)?, scan.applied))
}

pub(super) fn read_all(source: &Source, dataset: &str) -> RecordBatch {
    read(source, &ScanRequest::all(dataset)).unwrap().0
}

/// The columns as `name: type`.
pub(super) fn types(source: &Source, dataset: &str) -> Vec<String> {
    let schema = source.schema(&ctx(), dataset).unwrap();
    schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type())).collect()
}

/// The rows as text, with `null` for null.
pub(super) fn rows(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"))
        .collect()
}

fn names(source: &Source) -> Vec<String> {
    source.datasets(&ctx()).unwrap().into_iter().map(|d| d.name).collect()
}

#[track_caller]
fn check(files: &[&str], expected: &[&str]) {
    let tree = Tree::new(&files.iter().map(|name| (*name, "a\n1\n")).collect::<Vec<_>>());
    assert_eq!(names(&tree.source()), expected, "{files:?}");
}

#[test]
fn files_and_folders_of_like_files_are_datasets() {
    check(&[], &[]);
    check(&["b.csv", "a.ndjson"], &["a", "b"]);
    check(&["README.md", ".hidden.csv", ".git/x.csv", "notes.txt", "a.csv"], &["a"]);
    check(&["sales/2024.csv", "sales/2025.csv", "sales/README.md"], &["sales"]);
    check(&["mixed/a.csv", "mixed/b.json"], &["mixed_a", "mixed_b"]);
    check(&["x/y/a.csv", "x/y/b.csv", "x/z/a.tsv"], &["x_y", "x_z"]);
    check(&["x/a.csv", "x/deep/b.csv"], &["x", "x_deep"]);
}

#[test]
fn names_are_slugs_and_never_collide() {
    check(&["Größe 2024 (final).csv"], &["gr_e_2024_final"]);
    check(&["日本.csv"], &["dataset"]);
    check(&["v1.2-data.csv"], &["v1_2-data"]);
    check(&["sales.csv", "sales.json"], &["sales", "sales_json"]);
    check(&["a b.csv", "a_b.csv", "a+b.csv"], &["a_b", "a_b_2", "a_b_csv"]);
    let long = format!("{}.csv", "x".repeat(90));
    check(&[&long], &["x".repeat(64).as_str()]);
}

#[test]
fn a_collision_is_logged_once() {
    let tree = Tree::new(&[("sales.csv", "a\n"), ("sales.json", "[]")]);
    let source = tree.source();
    let (recorder, ctx) = recorder();
    source.datasets(&ctx).unwrap();
    source.datasets(&ctx).unwrap();
    let log = recorder.log.lock().unwrap();
    assert_eq!(*log, ["'sales.json' is offered as 'sales_json', since there is another 'sales'"]);
}

#[test]
fn a_new_file_appears_and_a_removed_one_goes() {
    let tree = Tree::new(&[("a.csv", "x\n1\n")]);
    let source = tree.source();
    assert_eq!(names(&source), ["a"]);
    tree.write("b.csv", "x\n2\n");
    assert_eq!(rows(&read_all(&source, "b")), ["2"]);
    assert_eq!(names(&source), ["a", "b"]);
    std::fs::remove_file(tree.path("a.csv")).unwrap();
    assert_eq!(source.schema(&ctx(), "a").unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(names(&source), ["b"]);
}

#[test]
fn a_declared_dataset_takes_its_file_out_of_the_listing() {
    let tree = Tree::new(&[("raw/export.txt", "1;00042\n2;7\n"), ("a.csv", "x\n1\n")]);
    let source = tree.source_with(
        r#"{"codes": {"path": "raw/export.txt", "format": "csv", "delimiter": ";", "header": false,
            "types": {"column_1": "decimal(6,2)"}, "description": "the codes"}, "b": {"path": "a.csv"}}"#,
    );
    let listed = source.datasets(&ctx()).unwrap();
    let listed: Vec<_> = listed.iter().map(|d| (d.name.as_str(), d.description.as_str())).collect();
    assert_eq!(listed, [("b", "CSV data of a.csv"), ("codes", "the codes")]);
    assert_eq!(types(&source, "codes"), ["column_1: Decimal128(6, 2)", "column_2: Utf8"]);
    assert_eq!(rows(&read_all(&source, "codes")), ["1.00|00042", "2.00|7"]);
}

#[test]
fn links_are_followed_within_the_root_only() {
    let outside = Tree::new(&[("secret.csv", "x\n1\n")]);
    let tree = Tree::new(&[("a.csv", "x\n1\n"), ("sub/b.csv", "x\n1\n")]);
    let link = |target: &Path, name: &str| std::os::unix::fs::symlink(target, tree.path(name)).unwrap();
    link(&outside.path("secret.csv"), "leak.csv");
    link(outside.root(), "leaks");
    link(&tree.path("a.csv"), "inner.csv");
    link(tree.root(), "sub/loop");
    link(Path::new("nowhere.csv"), "broken.csv");
    assert_eq!(names(&tree.source()), ["a", "inner", "sub"]);
    let declared = tree.source_with(r#"{"leak": {"path": "leak.csv"}}"#);
    assert_eq!(declared.schema(&ctx(), "leak").unwrap_err().code, ErrorCode::PermissionDenied);
}

#[test]
fn a_pipe_is_refused_without_waiting_for_its_other_end() {
    let tree = Tree::new(&[("a.csv", "x\n1\n")]);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, tree.path("b.csv"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(names(&tree.source()), ["a"]);
    let declared = tree.source_with(r#"{"pipe": {"path": "b.csv"}}"#);
    assert!(declared.schema(&ctx(), "pipe").is_err());
    let root = crate::source_file::Root::new(tree.root().to_path_buf());
    assert_eq!(root.open("b.csv").unwrap_err().code, ErrorCode::InvalidData);
}

#[test]
fn a_readme_beside_the_files_describes_them() {
    let readme = "| file | what |\n|---|---|\n| a.csv | things |\n";
    let tree = Tree::new(&[("a.csv", "x\n"), ("b.csv", "x\n"), ("README.md", readme), ("d/1.json", "[]")]);
    let listed = tree.source().datasets(&ctx()).unwrap();
    let listed: Vec<_> = listed.iter().map(|d| d.description.as_str()).collect();
    assert_eq!(listed, ["things (CSV file a.csv)", "CSV file b.csv", "JSON files in folder d"]);
}

#[test]
fn a_file_may_be_declared_twice() {
    let tree = Tree::new(&[("a.csv", "x\n007\n"), ("more/b.dat", "x\n1\n"), ("more/README.md", "#")]);
    let source = tree.source_with(
        r#"{"codes": {"path": "a.csv"}, "numbers": {"path": "a.csv", "types": {"x": "int64"}},
            "more": {"path": "more", "format": "csv"}}"#,
    );
    assert_eq!(names(&source), ["codes", "more", "numbers"]);
    assert_eq!(types(&source, "codes"), ["x: Utf8"]);
    assert_eq!(types(&source, "numbers"), ["x: Int64"]);
    assert_eq!(rows(&read_all(&source, "more")), ["1"]);
}
