//! The formats of files. A new one is a module here and one line in [`FORMATS`].
//!
//! A format answers two questions about one file: which columns it has ([`Format::inspect`]) and what
//! is in some of them ([`Format::read`]). It knows nothing of datasets, of folders or of the order in
//! which columns were asked for; filters it only uses to skip what it need not read.

mod csv;
mod csv_records;
mod ipc;
mod json;
mod json_rows;
mod json_text;
mod parquet;
mod prune;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{FieldRef, SchemaRef};
use plugin_sdk::{BatchIter, Context, Filter, Progress, Result};

use crate::config::Options;
use crate::guess::Guess;
use crate::source_file::SourceFile;

/// Every format there is.
pub(crate) const FORMATS: &[&dyn Format] =
    &[&csv::CSV, &csv::TSV, &json::JSON, &json::NDJSON, &parquet::Parquet, &ipc::Ipc];

/// The most rows in a batch.
pub(crate) const MAX_BATCH_ROWS: usize = 64 << 10;

/// However wide a table is, its batches have room for so many rows.
const MIN_BATCH_ROWS: usize = 256;

/// One kind of file.
pub(crate) trait Format: Send + Sync {
    /// Its name in a configuration and in the names of datasets.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn label(&self) -> &'static str;

    /// The extensions by which its files are known, in lower case.
    fn extensions(&self) -> &'static [&'static str];

    /// Where the types of its columns come from.
    fn typing(&self) -> Typing;

    /// The columns of a file, which may mean to read all of it.
    fn inspect(&self, pass: &Pass<'_>, file: &SourceFile, options: &Options) -> Result<FileSchema>;

    /// Starts to read a file. The batches hold the columns of the plan in its order, of the plan's types
    /// or, from a typed file, of the file's own.
    fn read(&self, ctx: &Context, file: &SourceFile, options: &Options, plan: &ReadPlan) -> Result<BatchIter>;
}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A look at a file, on behalf of a call.
pub(crate) struct Pass<'a> {
    /// The call.
    pub(crate) ctx: &'a Context,
    /// Where the bytes that are read are counted.
    pub(crate) bytes: &'a Arc<AtomicU64>,
}

impl Pass<'_> {
    /// Says how far the pass is, so that a long one is not taken for a hang, and fails once the caller
    /// gave up.
    pub(crate) fn check(&self) -> Result<()> {
        self.ctx.progress(Progress { bytes: self.bytes.load(Ordering::Relaxed), ..Progress::default() });
        self.ctx.check()
    }
}

/// Where the types of a file's columns come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    /// They are told from the values, which may be read as another type just as well.
    Inferred,
    /// The file says them.
    Stored,
}

/// The columns of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileSchema {
    /// The columns in the file's order. In an inferred schema a column without values is of type Null.
    pub(crate) schema: SchemaRef,
    /// What the types were told from, for each column, if they were: none of a declared type.
    pub(crate) guesses: Option<Arc<[Guess]>>,
    /// How many rows it has, if that is known.
    pub(crate) rows: Option<u64>,
    /// About how many bytes a row of a text has, uncompressed; 0 if that is not known.
    pub(crate) row_bytes: u64,
}

/// What to read of a file.
pub(crate) struct ReadPlan {
    /// The columns of the file.
    pub(crate) file: FileSchema,
    /// Which of them to read, ascending.
    pub(crate) columns: Vec<usize>,
    /// The same columns as the dataset has them: the types that a text is to be read as.
    pub(crate) fields: Vec<FieldRef>,
    /// Conditions on columns of the file of its own types, all of which a row must meet to be of use.
    pub(crate) filters: Vec<Filter>,
    /// How many rows will do, if not all are wanted.
    pub(crate) limit: Option<u64>,
    /// Where the bytes that are read are counted.
    pub(crate) bytes: Arc<AtomicU64>,
}

impl ReadPlan {
    /// How many rows to put in a batch of so many columns, if each row has so many bytes.
    fn batch_rows(&self, columns: usize, row_bytes: u64) -> usize {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_BATCH_ROWS);
        batch_rows(columns, self.file.rows, row_bytes).min(limit.max(MIN_BATCH_ROWS))
    }
}

/// The format of a name in a configuration.
pub(crate) fn named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The format of a file, by its extension; a text may be compressed, with `.gz` after it.
pub(crate) fn of_file(name: &str) -> Option<&'static dyn Format> {
    let lower = name.to_ascii_lowercase();
    let (plain, is_compressed) = match lower.strip_suffix(".gz") {
        Some(inner) => (inner, true),
        None => (lower.as_str(), false),
    };
    let (stem, extension) = plain.rsplit_once('.')?;
    let format = FORMATS.iter().copied().find(|format| format.extensions().contains(&extension))?;
    let is_readable = !is_compressed || format.typing() == Typing::Inferred;
    (is_readable && !stem.is_empty()).then_some(format)
}

/// How many rows to put in a batch, so that neither wide tables nor long rows make it large; readers
/// reserve memory for all of them, so a short file is not given more than it has.
fn batch_rows(columns: usize, rows: Option<u64>, row_bytes: u64) -> usize {
    const CELLS: usize = 1 << 20;
    const BYTES: u64 = 16 << 20;
    let by_cells = CELLS / columns.max(1);
    let rows = rows.and_then(|rows| usize::try_from(rows).ok()).unwrap_or(usize::MAX);
    let by_bytes = usize::try_from(BYTES / row_bytes.max(1)).unwrap_or(usize::MAX);
    by_cells.min(rows).clamp(MIN_BATCH_ROWS, MAX_BATCH_ROWS).min(by_bytes.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(of_file(name).map(|f| f.name()), expected, "{name}");
    }

    #[test]
    fn a_file_is_known_by_its_extension() {
        check("a.csv", Some("csv"));
        check("a.CSV.gz", Some("csv"));
        check("a.tsv", Some("tsv"));
        check("a.b.jsonl", Some("ndjson"));
        check("a.ndjson", Some("ndjson"));
        check("a.json", Some("json"));
        check("a.parquet", Some("parquet"));
        check("a.parquet.gz", None);
        check("a.feather", Some("arrow"));
        check("a.arrow", Some("arrow"));
        check("README.md", None);
        check("csv", None);
        check(".csv", None);
    }

    #[test]
    fn batches_are_bounded_by_cells_and_bytes() {
        assert_eq!(batch_rows(4, None, 0), MAX_BATCH_ROWS);
        assert_eq!(batch_rows(1024, None, 0), 1024);
        assert_eq!(batch_rows(1_000_000, None, 0), 256);
        assert_eq!(batch_rows(2, Some(10_000), 16_384), 1024);
        assert_eq!(batch_rows(2, None, 16_384), 1024);
        assert_eq!(batch_rows(2, Some(10_000), 8 << 20), 2);
        assert_eq!(batch_rows(2, Some(10_000), 1 << 30), 1);
        assert_eq!(batch_rows(2, Some(5_000), 2), 5_000);
        assert_eq!(batch_rows(2, Some(0), 0), MIN_BATCH_ROWS);
    }
}
