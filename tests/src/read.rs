//! Answers read back by readers that are not the server's writers, and what is different between two tables.

use std::cmp::Ordering;
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::cell::{Cell, Table};
use crate::oracle::compare;

/// The batches of an Arrow stream; an empty one if it has none.
///
/// # Panics
/// When it is none.
pub fn arrow_stream(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader = StreamReader::try_new(bytes, None).expect("an Arrow stream");
    let schema = reader.schema();
    not_none(schema, reader.map(|batch| batch.expect("a batch")).collect())
}

/// The batches of an Arrow file; an empty one if it has none.
///
/// # Panics
/// When it is none.
pub fn arrow_file(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader = FileReader::try_new(Cursor::new(bytes), None).expect("an Arrow file");
    let schema = reader.schema();
    not_none(schema, reader.map(|batch| batch.expect("a batch")).collect())
}

/// The batches of a Parquet file; an empty one if it has none.
///
/// # Panics
/// When it is none.
pub fn parquet(bytes: &[u8]) -> Vec<RecordBatch> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::copy_from_slice(bytes)).expect("a Parquet file");
    let schema = reader.schema().clone();
    let reader = reader.build().expect("a reader");
    not_none(schema, reader.map(|batch| batch.expect("a batch")).collect())
}

fn not_none(schema: SchemaRef, mut batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    batches
}

/// What is different between two tables, if anything is; the last digits of floats, which depend on the order in which
/// they are added, are not.
pub fn difference(expected: &Table, got: &Table) -> Option<String> {
    let names = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    if names(expected) != names(got) {
        return Some(format!("the columns are {:?}, not {:?}", names(got), names(expected)));
    }
    if expected.rows != got.rows {
        return Some(format!("there are {} rows, not {}", got.rows, expected.rows));
    }
    for (expected, got) in expected.columns.iter().zip(&got.columns) {
        let rows = expected.cells.iter().zip(&got.cells).enumerate();
        if let Some((row, (expected_cell, got_cell))) = rows.into_iter().find(|(_, (a, b))| !is_same(a, b)) {
            return Some(format!("{} of row {row} is {got_cell:?}, not {expected_cell:?}", expected.name));
        }
    }
    None
}

fn is_same(a: &Cell, b: &Cell) -> bool {
    match (a, b) {
        (Cell::Null, Cell::Null) | (Cell::Opaque, Cell::Opaque) => true,
        (Cell::Null, _) | (_, Cell::Null) => false,
        (Cell::Float(x), Cell::Float(y)) if x.is_finite() && y.is_finite() => {
            (x - y).abs() <= 1e-9 * (1.0 + x.abs().max(y.abs()))
        }
        (a, b) => compare(a, b) == Some(Ordering::Equal),
    }
}
