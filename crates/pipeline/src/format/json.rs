//! JSON: rows as objects, in an array or a line each; or columns as arrays.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Target, cells};
use super::text::push_string;

/// What stands around the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// One array.
    Array,
    /// One line a row.
    Lines,
}

/// Writes rows as objects.
pub(super) struct Rows {
    style: Style,
    /// What stands before each value of a row: its name, escaped, with all that is around it.
    before: Vec<Vec<u8>>,
    is_first: bool,
}

impl Rows {
    pub(super) fn new(schema: &SchemaRef, style: Style) -> Self {
        let name = |(at, field): (usize, &arrow::datatypes::FieldRef)| {
            let mut before = vec![if at == 0 { b'{' } else { b',' }];
            push_string(&mut before, field.name());
            before.push(b':');
            before
        };
        Self { style, before: schema.fields().iter().enumerate().map(name).collect(), is_first: true }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let schema = batch.schema_ref();
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cells(column.as_ref(), field, Target::Json));
        let mut columns = columns
            .zip(&self.before)
            .map(|(cell, before)| Ok((before, cell?)))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        for row in 0..batch.num_rows() {
            match (self.style, self.is_first) {
                (Style::Array, true) => out.push(b'['),
                (Style::Array, false) => out.push(b','),
                (Style::Lines, _) => {}
            }
            self.is_first = false;
            if columns.is_empty() {
                out.push(b'{');
            }
            for (before, cell) in &mut columns {
                out.extend_from_slice(before);
                cell(row, out);
            }
            out.push(b'}');
            if self.style == Style::Lines {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        match (self.style, self.is_first) {
            (Style::Array, true) => out.extend_from_slice(b"[]"),
            (Style::Array, false) => out.push(b']'),
            (Style::Lines, _) => {}
        }
    }
}

/// Writes columns as arrays, one after the other, a part at a time.
pub(super) struct Columns {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    column: usize,
    batch: usize,
    row: usize,
    is_first: bool,
}

impl Columns {
    pub(super) fn new(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let batches = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        Self { schema: schema.clone(), batches, column: 0, batch: 0, row: 0, is_first: true }
    }

    /// Writes at most so many values; false when all is written.
    pub(super) fn write(&mut self, values: usize, out: &mut Vec<u8>) -> Result<bool, ArrowError> {
        let fields = self.schema.fields();
        let Some(field) = fields.get(self.column) else {
            out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
            return Ok(false);
        };
        if self.batch == 0 && self.row == 0 {
            out.push(if self.column == 0 { b'{' } else { b',' });
            push_string(out, field.name());
            out.extend_from_slice(b":[");
            self.is_first = true;
        }
        if let Some(batch) = self.batches.get(self.batch) {
            let end = batch.num_rows().min(self.row.saturating_add(values));
            let part = batch.column(self.column).slice(self.row, end - self.row);
            let mut cell = cells(part.as_ref(), field, Target::Json)?;
            for row in 0..part.len() {
                if !self.is_first {
                    out.push(b',');
                }
                self.is_first = false;
                cell(row, out);
            }
            self.row = end;
            if end == batch.num_rows() {
                (self.batch, self.row) = (self.batch + 1, 0);
            }
        }
        if self.batch >= self.batches.len() {
            out.push(b']');
            (self.column, self.batch, self.row) = (self.column + 1, 0, 0);
        }
        Ok(true)
    }
}
