//! JSON by columns: `{"a":[1,2],"b":["x","y"]}`. Each column is a pass over all batches.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use super::cells::cells;
use super::encoder::Writer;
use super::json::{Json, string};

/// Writes a column after the other.
pub(super) struct Columns {
    /// What comes before each column's values.
    before: Vec<Vec<u8>>,
    is_first: bool,
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Self {
        let before = schema.fields().iter().enumerate().map(|(index, field)| {
            let mut bytes = if index == 0 { Vec::new() } else { b"],".to_vec() };
            string(field.name().as_bytes(), &mut bytes);
            bytes.extend_from_slice(b":[");
            bytes
        });
        Self { before: before.collect(), is_first: true }
    }
}

impl Writer for Columns {
    fn passes(&self) -> usize {
        self.before.len()
    }

    fn start(&mut self, _: &Schema, _: usize, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn start_pass(&mut self, pass: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before[pass]);
        self.is_first = true;
    }

    fn write(
        &mut self,
        batch: &RecordBatch,
        pass: usize,
        out: &mut Vec<u8>,
        until: usize,
    ) -> Result<usize, ArrowError> {
        let mut values = cells::<Json>(batch.column(pass))?;
        for row in 0..batch.num_rows() {
            if out.len() >= until {
                return Ok(row);
            }
            if !std::mem::replace(&mut self.is_first, false) {
                out.push(b',');
            }
            values.write(row, out);
        }
        Ok(batch.num_rows())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        out.extend_from_slice(if self.before.is_empty() { b"}" } else { b"]}" });
        Ok(())
    }
}
