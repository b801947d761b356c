//! The bundled sample tables, made large: their rows again and again, each number moved by a seeded few percent.
//!
//! Repeating the rows as they are would please every coder, because a repetition compresses to nothing.

use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::random::Random;

/// One sample table, of about `bytes` as an Arrow IPC stream.
pub(super) fn sample(bytes: usize) -> anyhow::Result<RecordBatch> {
    enlarge(&read(&folder().join("sector_analysis.csv"))?, bytes)
}

/// Every sample table, each of about `bytes` as an Arrow IPC stream.
pub(super) fn samples(bytes: usize) -> anyhow::Result<Vec<RecordBatch>> {
    let mut paths: Vec<PathBuf> = folder()
        .read_dir()
        .context("list the sample tables")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .collect();
    paths.sort();
    paths.iter().map(|path| enlarge(&read(path)?, bytes)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

fn read(path: &Path) -> anyhow::Result<RecordBatch> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let (schema, _) = Format::default().with_header(true).infer_schema(&mut file, None)?;
    file.rewind()?;
    let mut batches = ReaderBuilder::new(Arc::new(schema)).with_header(true).build(file)?;
    batches.next().context("read a sample table: it is empty")?.context("read a sample table")
}

fn enlarge(table: &RecordBatch, bytes: usize) -> anyhow::Result<RecordBatch> {
    let mut random = Random::new(table.num_rows() as u64);
    let mut repeat = |times: usize| -> anyhow::Result<RecordBatch> {
        let copies: Vec<RecordBatch> = (0..times).map(|_| moved(table, &mut random)).collect::<Result<_, _>>()?;
        Ok(concat_batches(&table.schema(), &copies)?)
    };
    // The stream has a head: what a thousand copies take tells the size of one.
    let thousand = encode(&repeat(1_000)?)?.len();
    repeat((bytes * 1_000).div_ceil(thousand))
}

fn moved(table: &RecordBatch, random: &mut Random) -> anyhow::Result<RecordBatch> {
    let mut factor = || 0.95 + random.unit() / 10.0;
    let columns = table.columns().iter().map(|column| match column.data_type() {
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>();
            let moved = numbers.iter().map(|number| number.map(|number| (number * factor() * 100.0).round() / 100.0));
            Arc::new(Float64Array::from_iter(moved)) as ArrayRef
        }
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            let is_year = |number: i64| (1_900..2_100).contains(&number);
            let moved = numbers.iter().map(|number| {
                number.map(|number| if is_year(number) { number } else { (number as f64 * factor()).round() as i64 })
            });
            Arc::new(Int64Array::from_iter(moved))
        }
        _ => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(table.schema(), columns.collect())?)
}

/// The table as an Arrow IPC stream.
pub(super) fn encode(table: &RecordBatch) -> anyhow::Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), &table.schema())?;
    writer.write(table)?;
    Ok(writer.into_inner()?)
}

/// The table of an Arrow IPC stream.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<RecordBatch> {
    let mut batches = StreamReader::try_new(bytes, None)?;
    batches.next().context("read a table: the stream is empty")?.context("read a table")
}

/// The table as the JSON that clients get: a list of objects.
pub(super) fn json(table: &RecordBatch) -> anyhow::Result<Vec<u8>> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    writer.write(table)?;
    writer.finish()?;
    Ok(writer.into_inner())
}
