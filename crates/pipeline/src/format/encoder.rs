//! Batch after batch into bytes.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::columns::Columns;
use super::dictionaries;
use super::rows::Rows;
use super::{EncodeError, Format};

/// Rows of a group in Parquet: what is held until it is written.
const GROUP_ROWS: usize = 128 * 1024;
/// Bytes of such a group, about.
const GROUP_BYTES: usize = 16 * 1024 * 1024;

/// Writes a result batch by batch.
///
/// What has been written need not be kept. Three formats want to know the end before they begin: [`Format::JsonColumns`];
/// [`Format::MessagePack`], which says first how many rows there are; and [`Format::ArrowFile`] with dictionaries, of which
/// it can have only one a column. With these the batches are held (not copied) until the end. [`Chunks`](super::Chunks) is
/// given all batches at once and holds nothing of them twice.
pub struct Encoder {
    format: Format,
    schema: SchemaRef,
    work: Work,
}

enum Work {
    Direct(Writer),
    Held(Vec<RecordBatch>),
}

impl Encoder {
    /// Begins to write batches of `schema`.
    ///
    /// # Errors
    /// A column's type cannot be written in the format.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, EncodeError> {
        let is_held = match format {
            Format::JsonColumns | Format::MessagePack => true,
            Format::ArrowFile => dictionaries::has_any(schema),
            _ => false,
        };
        let work = if is_held { Work::Held(Vec::new()) } else { Work::Direct(Writer::new(format, schema, 0)?) };
        Ok(Self { format, schema: schema.clone(), work })
    }

    /// Writes a batch; what is ready is appended to `out`.
    ///
    /// # Errors
    /// A value cannot be written in the format.
    pub fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &mut self.work {
            Work::Held(batches) => batches.push(batch.clone()),
            Work::Direct(writer) => {
                writer.push(batch, usize::MAX, out).map_err(|error| self.format.unsupported(error))?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A value cannot be written in the format.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Self { format, schema, work } = self;
        let failed = |error| format.unsupported(error);
        let batches = match work {
            Work::Direct(writer) => return writer.finish(out).map_err(failed),
            Work::Held(batches) => batches,
        };
        if format == Format::JsonColumns {
            return Columns::new(&schema, batches).write(usize::MAX, usize::MAX, out).map(|_| ()).map_err(failed);
        }
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let mut writer = Writer::new(format, &schema, rows)?;
        for batch in dictionaries::unified(format, &schema, batches)? {
            writer.push(&batch, usize::MAX, out).map_err(failed)?;
        }
        writer.finish(out).map_err(failed)
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Writes batches at once. Dictionaries are one a column where the format wants that.
pub(super) enum Writer {
    Rows(Box<Rows>),
    Stream(Box<StreamWriter<Vec<u8>>>),
    File(Box<FileWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Writer {
    /// A writer of so many rows, which only MessagePack has to know. JSON in columns has none: it is not written by rows.
    pub(super) fn new(format: Format, schema: &SchemaRef, rows: usize) -> Result<Self, EncodeError> {
        let writer = || -> Result<Self, ArrowError> {
            Ok(match format {
                Format::Json | Format::JsonColumns => Self::Rows(Box::new(Rows::json(schema))),
                Format::Ndjson => Self::Rows(Box::new(Rows::ndjson(schema))),
                Format::Csv => Self::Rows(Box::new(Rows::csv(schema))),
                Format::CsvRaw => Self::Rows(Box::new(Rows::csv_raw(schema))),
                Format::MessagePack => Self::Rows(Box::new(Rows::message_pack(schema, rows)?)),
                Format::Arrow => Self::Stream(Box::new(StreamWriter::try_new(Vec::new(), schema)?)),
                Format::ArrowFile => Self::File(Box::new(FileWriter::try_new(Vec::new(), schema)?)),
                Format::Parquet => Self::Parquet(Box::new(parquet(schema)?)),
            })
        };
        writer().map_err(|error| format.unsupported(error))
    }

    /// Writes rows of a batch and appends what is ready to `out`; gives how many it has written. Rows of text are written
    /// until `out` is of `limit` bytes, other formats take the batch as it is.
    pub(super) fn push(&mut self, batch: &RecordBatch, limit: usize, out: &mut Vec<u8>) -> Result<usize, ArrowError> {
        match self {
            Self::Rows(rows) => return rows.write(batch, limit, out),
            Self::Stream(writer) => {
                writer.write(batch)?;
                out.append(writer.get_mut());
            }
            Self::File(writer) => {
                writer.write(batch)?;
                out.append(writer.get_mut());
            }
            Self::Parquet(writer) => {
                writer.write(batch)?;
                out.append(writer.inner_mut());
            }
        }
        Ok(batch.num_rows())
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        match self {
            Self::Rows(mut rows) => rows.finish(out),
            Self::Stream(mut writer) => {
                writer.finish()?;
                out.append(writer.get_mut());
            }
            Self::File(mut writer) => {
                writer.finish()?;
                out.append(writer.get_mut());
            }
            Self::Parquet(writer) => out.append(&mut writer.into_inner()?),
        }
        Ok(())
    }
}

fn parquet(schema: &SchemaRef) -> Result<ArrowWriter<Vec<u8>>, ArrowError> {
    if schema.fields().is_empty() {
        return Err(ArrowError::NotYetImplemented("rows without columns".to_owned()));
    }
    // The writer gives up with a panic at these.
    if let Some(field) = schema.flattened_fields().iter().find(|field| matches!(field.data_type(), DataType::Union(..)))
    {
        return Err(ArrowError::NotYetImplemented(format!("column '{}' is a union", field.name())));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_max_row_group_bytes(Some(GROUP_BYTES))
        .build();
    Ok(ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?)
}
