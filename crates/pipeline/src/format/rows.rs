//! Row after row: what stands before, between and behind the cells, in every format that writes rows.

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;

use super::cell::{Dialect, cells};
use super::csv::Csv;
use super::json::{Json, push_string};
use super::msgpack::{self, MessagePack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Json,
    Csv,
    CsvRaw,
    MessagePack,
}

/// Writes rows.
pub(super) struct Rows {
    values: Values,
    /// Before everything; taken when it is written.
    open: Option<Vec<u8>>,
    /// Before each row but the first.
    between: &'static [u8],
    has_row: bool,
    /// Before each cell of a row: its name, escaped, and whatever is around it.
    before: Vec<Vec<u8>>,
    /// What a row is whose cells have written nothing.
    empty: &'static [u8],
    /// Behind each row.
    end: &'static [u8],
    /// Behind everything.
    close: &'static [u8],
}

impl Rows {
    /// One JSON array of objects.
    pub(super) fn json(schema: &SchemaRef) -> Self {
        Self { open: Some(b"[".to_vec()), between: b",", end: b"}", close: b"]", ..Self::ndjson(schema) }
    }

    /// A JSON object a line.
    pub(super) fn ndjson(schema: &SchemaRef) -> Self {
        let before = |(at, field): (usize, &FieldRef)| {
            let mut before = vec![if at == 0 { b'{' } else { b',' }];
            push_string(field.name(), &mut before);
            before.push(b':');
            before
        };
        Self {
            values: Values::Json,
            open: None,
            between: b"",
            has_row: false,
            before: schema.fields().iter().enumerate().map(before).collect(),
            empty: b"{",
            end: b"}\n",
            close: b"",
        }
    }

    /// Lines of comma-separated values; texts are no formulas.
    pub(super) fn csv(schema: &SchemaRef) -> Self {
        Self::csv_of::<true>(schema, Values::Csv)
    }

    /// Lines of comma-separated values; texts are as they are.
    pub(super) fn csv_raw(schema: &SchemaRef) -> Self {
        Self::csv_of::<false>(schema, Values::CsvRaw)
    }

    fn csv_of<const SAFE: bool>(schema: &SchemaRef, values: Values) -> Self {
        // A line without a byte would be none.
        let (empty, end): (&[u8], &[u8]) = (b"\"\"", b"\n");
        let mut header = Vec::new();
        let mut before = Vec::new();
        for field in schema.fields() {
            let comma = if before.is_empty() { Vec::new() } else { vec![b','] };
            header.extend_from_slice(&comma);
            Csv::<SAFE>::text(field.name(), &mut header);
            before.push(comma);
        }
        if header.is_empty() {
            header.extend_from_slice(empty);
        }
        header.extend_from_slice(end);
        Self { values, open: Some(header), between: b"", has_row: false, before, empty, end, close: b"" }
    }

    /// A MessagePack array of maps, which says in its beginning how many there will be.
    pub(super) fn message_pack(schema: &SchemaRef, rows: usize) -> Result<Self, ArrowError> {
        if u32::try_from(rows).is_err() {
            return Err(ArrowError::InvalidArgumentError(format!("an array of {rows} rows is too long")));
        }
        let mut open = Vec::new();
        msgpack::push_array_length(rows, &mut open);
        let before = |(at, field): (usize, &FieldRef)| {
            let mut before = Vec::new();
            if at == 0 {
                msgpack::push_map_length(schema.fields().len(), &mut before);
            }
            before.extend_from_slice(&msgpack::name(field));
            before
        };
        Ok(Self {
            values: Values::MessagePack,
            open: Some(open),
            between: b"",
            has_row: false,
            before: schema.fields().iter().enumerate().map(before).collect(),
            empty: &[0x80],
            end: b"",
            close: b"",
        })
    }

    /// Writes rows until there are none or `out` is of `limit` bytes; gives how many it has written.
    pub(super) fn write(&mut self, batch: &RecordBatch, limit: usize, out: &mut Vec<u8>) -> Result<usize, ArrowError> {
        if let Some(open) = self.open.take() {
            out.extend_from_slice(&open);
        }
        if batch.num_columns() != self.before.len() {
            let (are, should) = (batch.num_columns(), self.before.len());
            return Err(ArrowError::SchemaError(format!("a batch has {are} columns instead of {should}")));
        }
        match self.values {
            Values::Json => self.write_as::<Json>(batch, limit, out),
            Values::Csv => self.write_as::<Csv<true>>(batch, limit, out),
            Values::CsvRaw => self.write_as::<Csv<false>>(batch, limit, out),
            Values::MessagePack => self.write_as::<MessagePack>(batch, limit, out),
        }
    }

    fn write_as<D: Dialect>(
        &mut self,
        batch: &RecordBatch,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, ArrowError> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(self.before.len());
        for ((column, field), before) in batch.columns().iter().zip(schema.fields()).zip(&self.before) {
            columns.push((before.as_slice(), cells::<D>(column.as_ref(), field)?));
        }
        for row in 0..batch.num_rows() {
            if self.has_row {
                out.extend_from_slice(self.between);
            }
            self.has_row = true;
            let start = out.len();
            for (before, cell) in &mut columns {
                out.extend_from_slice(before);
                cell(row, out).map_err(|error| *error)?;
            }
            if out.len() == start {
                out.extend_from_slice(self.empty);
            }
            out.extend_from_slice(self.end);
            if out.len() >= limit {
                return Ok(row + 1);
            }
        }
        Ok(batch.num_rows())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(open) = self.open.take() {
            out.extend_from_slice(&open);
        }
        out.extend_from_slice(self.close);
    }
}
