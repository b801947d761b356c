//! The encoder: batches go in, bytes come out as they are ready.
//!
//! Each format is a [`Writer`]; the encoder holds the batches that have not been written yet and feeds them in slices,
//! so that a writer never makes much more than it is asked for. Most formats are one pass over the rows; JSON by
//! columns takes one for each column.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::columns::Columns;
use super::csv::{Csv, RawCsv};
use super::json::Json;
use super::msgpack::MessagePack;
use super::rows::{Rows, Shape};
use super::{EncodeError, Format, containers};
use crate::stored;

/// Rows that are handed to a writer at once, unless it says otherwise.
const SLICE_ROWS: usize = 8 * 1024;
/// Slices that are written at once, however few bytes come out: Parquet keeps rows until it has a group of them.
const SLICES_AT_ONCE: usize = 16;

/// How a format is written.
pub(super) trait Writer: Send {
    /// How often it has to see every row.
    fn passes(&self) -> usize {
        1
    }

    /// How many rows of `batch` it is given at once.
    fn slice_rows(&self, _batch: &RecordBatch) -> usize {
        SLICE_ROWS
    }

    /// Appends what comes before everything. `rows` is only known to formats that get all batches beforehand.
    fn start(&mut self, _schema: &Schema, _rows: usize, _out: &mut Vec<u8>) {}

    /// Appends what comes before a pass.
    fn start_pass(&mut self, _pass: usize, _out: &mut Vec<u8>) {}

    /// Appends rows of `batch` and says how many; it may stop once `out` is `until` bytes long, not before the first.
    fn write(&mut self, batch: &RecordBatch, pass: usize, out: &mut Vec<u8>, until: usize)
    -> Result<usize, ArrowError>;

    /// Appends what comes after everything.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError>;
}

/// Writes batches as they come.
///
/// JSON by columns and MessagePack, which begins with the number of rows, keep the batches until [`finish`], and so
/// do Arrow files of tables with dictionaries; a Parquet file grows by whole row groups of about 16 MiB. Anything else
/// is written as it is pushed.
///
/// [`finish`]: Self::finish
pub struct Encoder {
    format: Format,
    schema: SchemaRef,
    writer: Box<dyn Writer>,
    waiting: VecDeque<RecordBatch>,
    keeps_batches: bool,
    is_started: bool,
    is_finished: bool,
    pass: usize,
    /// The batch among those waiting that comes next, and the row in it.
    batch: usize,
    row: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("format", &self.format).field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder of batches of `schema`. Texts in them may be dictionary-encoded where it says that they are texts.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`]: the format cannot carry a column's type. Some types are only seen to be such when
    /// the first batch is written.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, EncodeError> {
        let writer = writer_of(format, schema).map_err(|source| unsupported(format, source))?;
        let keeps_batches = match format {
            Format::JsonColumns | Format::MessagePack => true,
            Format::ArrowFile => containers::has_dictionary(schema),
            _ => false,
        };
        Ok(Self {
            format,
            schema: Arc::clone(schema),
            writer,
            waiting: VecDeque::new(),
            keeps_batches,
            is_started: false,
            is_finished: false,
            pass: 0,
            batch: 0,
            row: 0,
        })
    }

    /// Takes a batch and appends to `out` what is ready.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`]: the format cannot carry a column's type.
    pub fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.waiting.push_back(batch.clone());
        if !self.keeps_batches {
            self.drain(out, usize::MAX)?;
        }
        Ok(())
    }

    /// Appends all that is missing to `out`.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`]: the format cannot carry a column's type.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        while !self.advance(out, usize::MAX)? {}
        Ok(())
    }

    /// An encoder that has all its batches.
    pub(super) fn of(format: Format, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, EncodeError> {
        Ok(Self { waiting: batches.into(), ..Self::new(format, schema)? })
    }

    /// Appends until `out` is at least `until` bytes long, or for so many rows that it is time to look whether anybody
    /// waits, or until everything is written; says whether it is.
    pub(super) fn advance(&mut self, out: &mut Vec<u8>, until: usize) -> Result<bool, EncodeError> {
        if !self.is_finished && self.drain(out, until)? {
            self.writer.finish(out).map_err(|source| unsupported(self.format, source))?;
            self.is_finished = true;
        }
        Ok(self.is_finished)
    }

    /// Writes the batches that wait; says whether none is left.
    fn drain(&mut self, out: &mut Vec<u8>, until: usize) -> Result<bool, EncodeError> {
        self.try_drain(out, until).map_err(|source| unsupported(self.format, source))
    }

    fn try_drain(&mut self, out: &mut Vec<u8>, until: usize) -> Result<bool, ArrowError> {
        if !self.is_started {
            self.start(out)?;
        }
        if self.writer.passes() == 0 {
            return Ok(true);
        }
        let most = if until < usize::MAX { SLICES_AT_ONCE } else { usize::MAX };
        let mut slices = 0..most;
        while out.len() < until && slices.next().is_some() {
            let Some(batch) = self.waiting.get(self.batch) else {
                if self.pass + 1 >= self.writer.passes() {
                    return Ok(true);
                }
                (self.pass, self.batch) = (self.pass + 1, 0);
                self.writer.start_pass(self.pass, out);
                continue;
            };
            let left = batch.num_rows() - self.row;
            if left > 0 {
                let rows = left.min(self.writer.slice_rows(batch));
                let slice = if self.format.is_ipc() && stored::has_numbered(batch, &self.schema) {
                    // A number may become many bytes. (Parquet's writer takes numbers for texts.)
                    stored::as_declared(&batch.slice(self.row, rows.min(SLICE_ROWS)), &self.schema)?
                } else {
                    batch.slice(self.row, rows)
                };
                self.row += self.writer.write(&slice, self.pass, out, until)?;
            }
            if self.row == batch.num_rows() {
                self.row = 0;
                if self.pass + 1 < self.writer.passes() {
                    self.batch += 1;
                } else {
                    // Nobody needs it any more.
                    self.waiting.remove(self.batch);
                }
            }
        }
        Ok(false)
    }

    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.is_started = true;
        if self.format == Format::ArrowFile && self.keeps_batches {
            self.waiting = containers::with_one_dictionary(&self.schema, self.waiting.make_contiguous())?.into();
        }
        let rows = self.waiting.iter().map(RecordBatch::num_rows).sum();
        self.writer.start(&self.schema, rows, out);
        if self.writer.passes() > 0 {
            self.writer.start_pass(0, out);
        }
        Ok(())
    }
}

fn writer_of(format: Format, schema: &SchemaRef) -> Result<Box<dyn Writer>, ArrowError> {
    Ok(match format {
        Format::Json => Box::new(Rows::<Json>::new(Shape::JSON, schema)),
        Format::JsonColumns => Box::new(Columns::new(schema)),
        Format::Ndjson => Box::new(Rows::<Json>::new(Shape::NDJSON, schema)),
        Format::Csv => Box::new(Rows::<Csv>::new(Shape::CSV, schema)),
        Format::CsvRaw => Box::new(Rows::<RawCsv>::new(Shape::CSV, schema)),
        Format::MessagePack => Box::new(Rows::<MessagePack>::new(Shape::MESSAGE_PACK, schema)),
        Format::Arrow => Box::new(StreamWriter::try_new(Vec::new(), schema)?),
        Format::ArrowFile => Box::new(FileWriter::try_new(Vec::new(), schema)?),
        Format::Parquet => Box::new(containers::parquet(schema)?),
    })
}

fn unsupported(format: Format, source: ArrowError) -> EncodeError {
    EncodeError::Unsupported { format: format.name(), source: Arc::new(source) }
}
