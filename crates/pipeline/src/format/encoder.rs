//! Batch after batch into bytes.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::csv::Csv;
use super::json::{Columns, Rows, Style};
use super::msgpack::MessagePack;
use super::{EncodeError, Format};

/// Rows of a group in Parquet: what is held until it is written.
const GROUP_ROWS: usize = 128 * 1024;

/// Writes a result. Holds no rows but those of a Parquet group, of JSON in columns, and of MessagePack, which says at its
/// beginning how many there are.
pub struct Encoder {
    format: Format,
    writer: Writer,
}

enum Writer {
    Json(Rows),
    Columns(SchemaRef, Vec<RecordBatch>),
    Csv(Box<Csv>),
    MessagePack(MessagePack),
    Stream(Box<StreamWriter<Vec<u8>>>),
    File(Box<FileWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl Encoder {
    /// Begins to write batches of `schema`.
    ///
    /// # Errors
    /// A column's type cannot be written in the format.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, EncodeError> {
        Self::of_rows(format, schema, None)
    }

    /// As [`new`](Self::new), for so many rows in all, if that is known.
    pub(super) fn of_rows(format: Format, schema: &SchemaRef, rows: Option<usize>) -> Result<Self, EncodeError> {
        let writer = || -> Result<Writer, ArrowError> {
            Ok(match format {
                Format::Json => Writer::Json(Rows::new(schema, Style::Array)),
                Format::Ndjson => Writer::Json(Rows::new(schema, Style::Lines)),
                Format::JsonColumns => Writer::Columns(schema.clone(), Vec::new()),
                Format::Csv => Writer::Csv(Box::new(Csv::new(schema, true))),
                Format::CsvRaw => Writer::Csv(Box::new(Csv::new(schema, false))),
                Format::MessagePack => Writer::MessagePack(MessagePack::new(schema, rows)),
                Format::Arrow => Writer::Stream(Box::new(StreamWriter::try_new(Vec::new(), schema)?)),
                Format::ArrowFile => Writer::File(Box::new(FileWriter::try_new(Vec::new(), schema)?)),
                Format::Parquet => {
                    let properties = WriterProperties::builder()
                        .set_compression(Compression::SNAPPY)
                        .set_max_row_group_row_count(Some(GROUP_ROWS))
                        .build();
                    let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
                    Writer::Parquet(Box::new(writer))
                }
            })
        };
        Ok(Self { format, writer: writer().map_err(|error| format.unsupported(error))? })
    }

    /// Writes a batch; what is ready is appended to `out`.
    ///
    /// # Errors
    /// A value cannot be written in the format.
    pub fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let written = match &mut self.writer {
            Writer::Json(rows) => rows.write(batch, out),
            Writer::Columns(_, batches) => {
                batches.push(batch.clone());
                Ok(())
            }
            Writer::Csv(csv) => csv.write(batch, out),
            Writer::MessagePack(messages) => messages.write(batch, out),
            Writer::Stream(writer) => writer.write(batch).map(|()| out.append(writer.get_mut())),
            Writer::File(writer) => writer.write(batch).map(|()| out.append(writer.get_mut())),
            Writer::Parquet(writer) => {
                writer.write(batch).map(|()| out.append(writer.inner_mut())).map_err(ArrowError::from)
            }
        };
        written.map_err(|error| self.format.unsupported(error))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A value cannot be written in the format.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let written = || -> Result<(), ArrowError> {
            match self.writer {
                Writer::Json(rows) => rows.finish(out),
                Writer::Columns(schema, batches) => {
                    let mut columns = Columns::new(&schema, batches);
                    while columns.write(usize::MAX, out)? {}
                }
                Writer::Csv(csv) => csv.finish(out),
                Writer::MessagePack(messages) => messages.finish(out),
                Writer::Stream(mut writer) => {
                    writer.finish()?;
                    out.append(writer.get_mut());
                }
                Writer::File(mut writer) => {
                    writer.finish()?;
                    out.append(writer.get_mut());
                }
                Writer::Parquet(writer) => out.append(&mut writer.into_inner()?),
            }
            Ok(())
        };
        written().map_err(|error| self.format.unsupported(error))
    }
}
