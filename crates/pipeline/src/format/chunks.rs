//! The bytes of a result piece by piece.

use std::collections::VecDeque;
use std::fmt;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::columns::Columns;
use super::dictionaries;
use super::encoder::Writer;
use super::{EncodeError, Format};

/// What a chunk aims at: large enough for compression and the network, small enough that a client's leaving is noticed.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows of the first slice of texts, when nothing is known of their length.
const FIRST_ROWS: usize = 1_024;
/// Bounds of the rows of a slice: fewer cost more to begin than to write.
const SLICE_ROWS: std::ops::RangeInclusive<usize> = 64..=64 * 1024;

/// The bytes of a result in chunks of about 256 KiB; joined they are what [`Format::encode`] gives. Ends after an error.
pub struct Chunks {
    format: Format,
    source: Source,
    /// Rows of the next slice.
    rows: usize,
    /// Bytes that have been made in one go and are longer than a chunk, and how many of them are given.
    ready: Vec<u8>,
    given: usize,
}

enum Source {
    Rows {
        writer: Writer,
        batches: VecDeque<RecordBatch>,
        /// Rows of the first batch that are written.
        row: usize,
    },
    Columns(Columns),
    Ended,
}

impl Chunks {
    /// The chunks of batches of `schema`.
    ///
    /// # Errors
    /// A column's type cannot be written in the format.
    pub fn new(format: Format, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, EncodeError> {
        let source = if format == Format::JsonColumns {
            Source::Columns(Columns::new(schema, batches))
        } else {
            let rows = batches.iter().map(RecordBatch::num_rows).sum();
            let batches = dictionaries::unified(format, schema, batches)?.into();
            Source::Rows { writer: Writer::new(format, schema, rows)?, batches, row: 0 }
        };
        Ok(Self { format, source, rows: FIRST_ROWS, ready: Vec::new(), given: 0 })
    }

    /// Appends the next bytes: of about one chunk, unless a format cannot give less at once. False when there are none.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        let failed = |error| self.format.unsupported(error);
        let limit = out.len() + CHUNK_BYTES;
        let (writer, batches, row) = match &mut self.source {
            Source::Rows { writer, batches, row } => (writer, batches, row),
            Source::Columns(columns) => {
                if !columns.write(*SLICE_ROWS.end(), limit, out).map_err(failed)? {
                    self.source = Source::Ended;
                }
                return Ok(true);
            }
            Source::Ended => return Ok(false),
        };
        while let Some(batch) = batches.front() {
            if *row == 0
                && let Some(rows) = rows_of(writer, batch)
            {
                self.rows = rows;
            }
            let slice = batch.slice(*row, self.rows.min(batch.num_rows() - *row));
            let before = out.len();
            let written = writer.push(&slice, limit, out).map_err(failed)?;
            *row += written;
            if *row == batch.num_rows() {
                batches.pop_front();
                *row = 0;
            }
            if matches!(writer, Writer::Rows(_)) && written > 0 {
                // What has been written tells how many rows the next chunk may have.
                let bytes = (out.len() - before).max(1);
                self.rows = (written * CHUNK_BYTES / bytes + 1).clamp(*SLICE_ROWS.start(), *SLICE_ROWS.end());
            }
            if out.len() >= limit {
                return Ok(true);
            }
        }
        if let Source::Rows { writer, .. } = std::mem::replace(&mut self.source, Source::Ended) {
            writer.finish(out).map_err(failed)?;
        }
        Ok(true)
    }
}

/// The rows of a slice whose buffers are sent as they are, from their size.
fn rows_of(writer: &Writer, batch: &RecordBatch) -> Option<usize> {
    if matches!(writer, Writer::Rows(_)) {
        return None;
    }
    let bytes: usize = batch.columns().iter().filter_map(|column| column.to_data().get_slice_memory_size().ok()).sum();
    Some((batch.num_rows() * CHUNK_BYTES / bytes.max(1)).clamp(FIRST_ROWS, *SLICE_ROWS.end()))
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, EncodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.given == self.ready.len() {
            (self.ready, self.given) = (Vec::new(), 0);
            let mut bytes = Vec::new();
            match self.fill(&mut bytes) {
                Ok(false) => return None,
                Ok(true) if bytes.len() <= 2 * CHUNK_BYTES => return Some(Ok(bytes)),
                Ok(true) => self.ready = bytes,
                Err(error) => {
                    self.source = Source::Ended;
                    return Some(Err(error));
                }
            }
        }
        let start = self.given;
        self.given = self.ready.len().min(start + CHUNK_BYTES);
        Some(Ok(self.ready[start..self.given].to_vec()))
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("format", &self.format).finish_non_exhaustive()
    }
}
