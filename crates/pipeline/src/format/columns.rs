//! Column after column: an object of arrays. Every batch is needed before the first column ends.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::cells;
use super::json::{Json, push_string};

/// Writes columns as arrays, a part at a time.
pub(super) struct Columns {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    column: usize,
    batch: usize,
    row: usize,
    has_value: bool,
}

impl Columns {
    pub(super) fn new(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema: schema.clone(), batches, column: 0, batch: 0, row: 0, has_value: false }
    }

    /// Writes until `out` is of `limit` bytes, looking at `rows` rows at a time; false when there is no more to write.
    pub(super) fn write(&mut self, rows: usize, limit: usize, out: &mut Vec<u8>) -> Result<bool, ArrowError> {
        while let Some(field) = self.schema.fields().get(self.column) {
            if self.batch == 0 && self.row == 0 {
                out.push(if self.column == 0 { b'{' } else { b',' });
                push_string(field.name(), out);
                out.extend_from_slice(b":[");
                self.has_value = false;
            }
            while let Some(batch) = self.batches.get(self.batch) {
                let Some(column) = batch.columns().get(self.column) else {
                    return Err(ArrowError::SchemaError(format!("a batch has no column '{}'", field.name())));
                };
                let part = column.slice(self.row, rows.min(column.len() - self.row));
                let mut cell = cells::<Json>(part.as_ref(), field)?;
                for row in 0..part.len() {
                    if self.has_value {
                        out.push(b',');
                    }
                    self.has_value = true;
                    cell(row, out).map_err(|error| *error)?;
                    if out.len() >= limit {
                        self.row += row + 1;
                        return Ok(true);
                    }
                }
                self.row += part.len();
                if self.row == batch.num_rows() {
                    (self.batch, self.row) = (self.batch + 1, 0);
                }
            }
            out.push(b']');
            (self.column, self.batch, self.row) = (self.column + 1, 0, 0);
        }
        out.extend_from_slice(if self.column == 0 { b"{}" } else { b"}" });
        Ok(false)
    }
}
