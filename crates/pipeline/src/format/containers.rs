//! Arrow's IPC stream and file, and Parquet: schemas stay as they are, dictionaries too.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::encoder::Writer;

/// Bytes of Arrow data that are given to a writer at once.
const SLICE_BYTES: usize = 1024 * 1024;

/// Encoded bytes of a row group of Parquet, which has to be complete before any of it can be written.
const ROW_GROUP_BYTES: usize = 16 * 1024 * 1024;

/// How many rows of `batch` have about [`SLICE_BYTES`].
fn slice_rows(batch: &RecordBatch) -> usize {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_default());
    let bytes = sizes.sum::<usize>().max(1);
    (batch.num_rows() as u64 * SLICE_BYTES as u64 / bytes as u64).max(64) as usize
}

/// Moves what has been written so far.
fn drain(written: &mut Vec<u8>, out: &mut Vec<u8>) {
    out.append(written);
}

impl Writer for StreamWriter<Vec<u8>> {
    fn slice_rows(&self, batch: &RecordBatch) -> usize {
        slice_rows(batch)
    }

    fn write(&mut self, batch: &RecordBatch, _: usize, out: &mut Vec<u8>, _: usize) -> Result<usize, ArrowError> {
        StreamWriter::write(self, batch)?;
        drain(self.get_mut(), out);
        Ok(batch.num_rows())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        StreamWriter::finish(self)?;
        drain(self.get_mut(), out);
        Ok(())
    }
}

impl Writer for FileWriter<Vec<u8>> {
    fn slice_rows(&self, batch: &RecordBatch) -> usize {
        slice_rows(batch)
    }

    fn write(&mut self, batch: &RecordBatch, _: usize, out: &mut Vec<u8>, _: usize) -> Result<usize, ArrowError> {
        FileWriter::write(self, batch)?;
        drain(self.get_mut(), out);
        Ok(batch.num_rows())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        FileWriter::finish(self)?;
        drain(self.get_mut(), out);
        Ok(())
    }
}

/// A writer of Parquet.
pub(super) fn parquet(schema: &SchemaRef) -> Result<ArrowWriter<Vec<u8>>, ArrowError> {
    if schema.fields().is_empty() {
        return Err(ArrowError::NotYetImplemented("a table without columns".to_owned()));
    }
    // The writer panics at one.
    if any_holds(schema, is_union) {
        return Err(ArrowError::NotYetImplemented("a column of unions".to_owned()));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .build();
    Ok(ArrowWriter::try_new(Vec::new(), SchemaRef::clone(schema), Some(properties))?)
}

impl Writer for ArrowWriter<Vec<u8>> {
    fn slice_rows(&self, batch: &RecordBatch) -> usize {
        slice_rows(batch)
    }

    fn write(&mut self, batch: &RecordBatch, _: usize, out: &mut Vec<u8>, _: usize) -> Result<usize, ArrowError> {
        ArrowWriter::write(self, batch)?;
        self.sync()?;
        drain(self.inner_mut(), out);
        Ok(batch.num_rows())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        ArrowWriter::finish(self)?;
        self.sync()?;
        drain(self.inner_mut(), out);
        Ok(())
    }
}

/// Whether a column is or holds something of a kind.
fn any_holds(schema: &Schema, is_wanted: fn(&DataType) -> bool) -> bool {
    schema.fields().iter().any(|field| holds(field.data_type(), is_wanted))
}

fn holds(data_type: &DataType, is_wanted: fn(&DataType) -> bool) -> bool {
    is_wanted(data_type)
        || match data_type {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _)
            | DataType::RunEndEncoded(_, item) => holds(item.data_type(), is_wanted),
            DataType::Struct(fields) => fields.iter().any(|field| holds(field.data_type(), is_wanted)),
            DataType::Union(fields, _) => fields.iter().any(|(_, field)| holds(field.data_type(), is_wanted)),
            DataType::Dictionary(_, values) => holds(values, is_wanted),
            _ => false,
        }
}

/// Whether a column is or holds a dictionary.
pub(super) fn has_dictionary(schema: &Schema) -> bool {
    any_holds(schema, is_dictionary)
}

fn is_dictionary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(..))
}

fn is_union(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Union(..))
}

/// The same batches with one dictionary for all rows of a column: an Arrow file has room for no other.
pub(super) fn with_one_dictionary(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut columns: Vec<Vec<_>> = batches.iter().map(|batch| batch.columns().to_vec()).collect();
    for (index, field) in schema.fields().iter().enumerate() {
        if !holds(field.data_type(), is_dictionary) || have_one_dictionary(batches, index) {
            continue;
        }
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(index).as_ref()).collect();
        let whole = concat(&parts)?;
        let mut row = 0;
        for columns in &mut columns {
            let rows = columns[index].len();
            columns[index] = whole.slice(row, rows);
            row += rows;
        }
    }
    columns.into_iter().zip(batches).map(|(columns, batch)| RecordBatch::try_new(batch.schema(), columns)).collect()
}

/// Whether the batches share one dictionary already, as the parts of one table often do.
fn have_one_dictionary(batches: &[RecordBatch], column: usize) -> bool {
    let values =
        |batch: &RecordBatch| batch.column(column).as_any_dictionary_opt().map(|array| array.values().to_data());
    let Some((first, rest)) = batches.split_first() else { return true };
    let first = values(first);
    rest.iter().all(|batch| matches!((values(batch), &first), (Some(a), Some(b)) if a.ptr_eq(b)))
}
