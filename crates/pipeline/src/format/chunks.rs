//! The bytes of a result piece by piece.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::encoder::Encoder;
use super::json::Columns;
use super::{EncodeError, Format};

/// What a chunk aims at. Large enough for compression and the network, small enough that a client's going is noticed.
const CHUNK_BYTES: usize = 256 * 1024;
/// Rows of the first slice, when nothing is known of their size.
const FIRST_ROWS: usize = 1_024;

/// The bytes of a result in chunks; joined they are what [`Format::encode`] gives. Ends after an error.
pub struct Chunks {
    writer: Option<Writer>,
    format: Format,
    batches: VecDeque<RecordBatch>,
    rows: usize,
}

enum Writer {
    Rows(Encoder),
    /// One column after the other.
    Columns(Columns),
}

impl Chunks {
    /// The chunks of batches of `schema`.
    ///
    /// # Errors
    /// A column's type cannot be written in the format.
    pub fn new(format: Format, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, EncodeError> {
        let (writer, batches) = match format {
            Format::JsonColumns => (Writer::Columns(Columns::new(schema, batches)), Vec::new()),
            format => {
                let rows = batches.iter().map(RecordBatch::num_rows).sum();
                (Writer::Rows(Encoder::of_rows(format, schema, Some(rows))?), batches)
            }
        };
        Ok(Self { writer: Some(writer), format, batches: batches.into(), rows: FIRST_ROWS })
    }

    fn chunk(&mut self, writer: Writer) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        let mut encoder = match writer {
            Writer::Rows(encoder) => encoder,
            Writer::Columns(mut columns) => {
                while out.len() < CHUNK_BYTES {
                    if !columns.write(self.rows, &mut out).map_err(|error| self.format.unsupported(error))? {
                        return Ok(out);
                    }
                }
                self.writer = Some(Writer::Columns(columns));
                return Ok(out);
            }
        };
        while let Some(batch) = self.batches.pop_front() {
            let rows = batch.num_rows().min(self.rows);
            if rows < batch.num_rows() {
                self.batches.push_front(batch.slice(rows, batch.num_rows() - rows));
            }
            let before = out.len();
            encoder.push(&batch.slice(0, rows), &mut out)?;
            // What is in a slice tells how large the next one may be.
            let bytes = (out.len() - before).max(1);
            self.rows = (rows.max(1) * CHUNK_BYTES / bytes).clamp(16, 64 * 1024);
            if out.len() >= CHUNK_BYTES {
                self.writer = Some(Writer::Rows(encoder));
                return Ok(out);
            }
        }
        encoder.finish(&mut out)?;
        Ok(out)
    }
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, EncodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let writer = self.writer.take()?;
        Some(self.chunk(writer))
    }
}
