//! Comma-separated values: RFC 4180 with lines that end in a line feed.
//!
//! A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return may be run as a formula by a spreadsheet that opens
//! the file; it gets a `'` in front, unless the texts are wanted raw. Numbers are never touched.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Target, cells};

/// Writes rows.
pub(super) struct Csv {
    header: Option<Vec<u8>>,
    escape: bool,
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef, escape: bool) -> Self {
        let mut header = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            if at > 0 {
                header.push(b',');
            }
            push_text(&mut header, field.name(), escape);
        }
        end_line(&mut header, 0, schema.fields().len());
        Self { header: Some(header), escape }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(&header);
        }
        let target = Target::Csv { escape: self.escape };
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let mut columns =
            columns.map(|(column, field)| cells(column.as_ref(), field, target)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let start = out.len();
            for (at, cell) in columns.iter_mut().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                cell(row, out);
            }
            end_line(out, start, columns.len());
        }
        Ok(())
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        if let Some(header) = self.header {
            out.extend_from_slice(&header);
        }
    }
}

/// A line of one empty field is written in quotes: an empty line is none.
fn end_line(out: &mut Vec<u8>, start: usize, columns: usize) {
    if out.len() == start && columns <= 1 {
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}

/// Appends a text as a field.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str, escape: bool) {
    let bytes = text.as_bytes();
    let is_formula = escape && matches!(bytes.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
    if !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        if is_formula {
            out.push(b'\'');
        }
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    if is_formula {
        out.push(b'\'');
    }
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
