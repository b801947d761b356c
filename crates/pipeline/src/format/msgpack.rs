//! MessagePack: an array of maps. The array's length comes first, so where it is not known the rows are held until all are
//! there.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Target, cells};

/// Writes rows.
pub(super) struct MessagePack {
    /// How many rows there will be, if that is known; none once it is written.
    announced: Option<usize>,
    is_announced: bool,
    rows: usize,
    held: Vec<u8>,
    names: Vec<Vec<u8>>,
}

impl MessagePack {
    pub(super) fn new(schema: &SchemaRef, rows: Option<usize>) -> Self {
        let name = |field: &arrow::datatypes::FieldRef| {
            let mut name = Vec::new();
            push_text(&mut name, field.name());
            name
        };
        let names = schema.fields().iter().map(name).collect();
        Self { announced: rows, is_announced: rows.is_some(), rows: 0, held: Vec::new(), names }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| cells(column.as_ref(), field, Target::MessagePack));
        let mut columns = columns.collect::<Result<Vec<_>, _>>()?;
        self.announce(out);
        let out = if self.is_announced { out } else { &mut self.held };
        for row in 0..batch.num_rows() {
            push(rmp::encode::write_map_len(out, length(columns.len())));
            for (name, cell) in self.names.iter().zip(&mut columns) {
                out.extend_from_slice(name);
                cell(row, out);
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn announce(&mut self, out: &mut Vec<u8>) {
        if let Some(rows) = self.announced.take() {
            push(rmp::encode::write_array_len(out, length(rows)));
        }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.announce(out);
        if !self.is_announced {
            push(rmp::encode::write_array_len(out, length(self.rows)));
            out.extend_from_slice(&self.held);
        }
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Writing to memory never fails.
fn push<T, E>(_written: Result<T, E>) {}

pub(super) fn push_nil(out: &mut Vec<u8>) {
    push(rmp::encode::write_nil(out));
}

pub(super) fn push_bool(out: &mut Vec<u8>, value: bool) {
    push(rmp::encode::write_bool(out, value));
}

pub(super) fn push_integer(out: &mut Vec<u8>, value: i128) {
    match (u64::try_from(value), i64::try_from(value)) {
        (Ok(value), _) => push(rmp::encode::write_uint(out, value)),
        (_, Ok(value)) => push(rmp::encode::write_sint(out, value)),
        _ => push_nil(out),
    }
}

pub(super) fn push_float(out: &mut Vec<u8>, value: f64) {
    push(rmp::encode::write_f64(out, value));
}

pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    push(rmp::encode::write_str(out, text));
}

pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push(rmp::encode::write_bin(out, bytes));
}

/// Appends a short text that is written by a function.
pub(super) fn push_written(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut text = Vec::with_capacity(40);
    write(&mut text);
    push_text(out, &String::from_utf8_lossy(&text));
}

/// Appends a value that is there as JSON.
pub(super) fn push_json(out: &mut Vec<u8>, json: &[u8]) {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    push(rmp_serde::encode::write(out, &value));
}
