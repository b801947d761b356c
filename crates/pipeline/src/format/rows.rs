//! Row after row: what stands before, between and behind the cells, in every format that writes rows.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::cell::{Dialect, cells};
use super::csv::Csv;
use super::json::{Json, push_string};
use super::msgpack::{self, MessagePack};
use super::piece::Piece;

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
    /// Before the first row, and from a row to the next one, each with what stands before the first cell.
    first: Piece,
    next: Piece,
    has_row: bool,
    /// Before each cell but the first of a row: its name, escaped, and whatever is around it.
    before: Vec<Piece>,
    columns: usize,
    /// What a row is whose cells have written nothing.
    empty: &'static [u8],
    /// Behind the last row, and behind everything.
    end: &'static [u8],
    close: &'static [u8],
}

/// What is around the rows of a format.
struct Around {
    open: Vec<u8>,
    between: &'static [u8],
    start: Vec<u8>,
    empty: &'static [u8],
    end: &'static [u8],
    close: &'static [u8],
}

impl Rows {
    /// Rows of cells that have a name, or nothing, and what separates them from others before them.
    fn new(values: Values, around: Around, names: impl Iterator<Item = Vec<u8>>) -> Self {
        let Around { open, between, start, empty, end, close } = around;
        let mut names = names.collect::<Vec<_>>().into_iter();
        let columns = names.len();
        let first = [start, names.next().unwrap_or_default()].concat();
        Self {
            values,
            open: Some(open),
            next: Piece::new([end, between, &first].concat()),
            first: Piece::new(first),
            has_row: false,
            before: names.map(Piece::new).collect(),
            columns,
            empty,
            end,
            close,
        }
    }

    /// One JSON array of objects.
    pub(super) fn json(schema: &SchemaRef) -> Self {
        let (open, start) = (b"[".to_vec(), b"{".to_vec());
        let around = Around { open, between: b",", start, empty: b"", end: b"}", close: b"]" };
        Self::new(Values::Json, around, json_names(schema))
    }

    /// A JSON object a line.
    pub(super) fn ndjson(schema: &SchemaRef) -> Self {
        let around =
            Around { open: Vec::new(), between: b"", start: b"{".to_vec(), empty: b"", end: b"}\n", close: b"" };
        Self::new(Values::Json, around, json_names(schema))
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
        let comma = |at: usize| if at == 0 { Vec::new() } else { b",".to_vec() };
        let mut open = Vec::new();
        for (at, field) in schema.fields().iter().enumerate() {
            open.extend(comma(at));
            Csv::<SAFE>::text(field.name(), &mut open);
        }
        if open.is_empty() {
            open.extend_from_slice(empty);
        }
        open.extend_from_slice(end);
        let around = Around { open, between: b"", start: Vec::new(), empty, end, close: b"" };
        Self::new(values, around, (0..schema.fields().len()).map(comma))
    }

    /// A MessagePack array of maps, which says in its beginning how many there will be.
    pub(super) fn message_pack(schema: &SchemaRef, rows: usize) -> Result<Self, ArrowError> {
        if u32::try_from(rows).is_err() {
            return Err(ArrowError::InvalidArgumentError(format!("an array of {rows} rows is too long")));
        }
        let (mut open, mut start) = (Vec::new(), Vec::new());
        msgpack::push_array_length(rows, &mut open);
        msgpack::push_map_length(schema.fields().len(), &mut start);
        let around = Around { open, between: b"", start, empty: b"", end: b"", close: b"" };
        Ok(Self::new(Values::MessagePack, around, schema.fields().iter().map(msgpack::name)))
    }

    /// Writes rows until there are none or `out` is of `limit` bytes; gives how many it has written.
    pub(super) fn write(&mut self, batch: &RecordBatch, limit: usize, out: &mut Vec<u8>) -> Result<usize, ArrowError> {
        if let Some(open) = self.open.take() {
            out.extend_from_slice(&open);
        }
        if batch.num_columns() != self.columns {
            let (are, should) = (batch.num_columns(), self.columns);
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
        let fields = batch.schema_ref().fields();
        let mut columns = Vec::with_capacity(self.columns);
        for (column, field) in batch.columns().iter().zip(fields) {
            columns.push(cells::<D>(column.as_ref(), field)?);
        }
        let mut columns = columns.into_iter();
        let mut first = columns.next();
        let mut others: Vec<_> = self.before.iter().zip(columns).collect();
        for row in 0..batch.num_rows() {
            if self.has_row {
                self.next.push(out);
            } else {
                self.first.push(out);
                self.has_row = true;
            }
            let start = out.len();
            if let Some(cell) = &mut first {
                cell(row, out).map_err(|error| *error)?;
            }
            for (before, cell) in &mut others {
                before.push(out);
                cell(row, out).map_err(|error| *error)?;
            }
            if out.len() == start {
                out.extend_from_slice(self.empty);
            }
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
        if self.has_row {
            out.extend_from_slice(self.end);
        }
        out.extend_from_slice(self.close);
    }
}

fn json_names(schema: &SchemaRef) -> impl Iterator<Item = Vec<u8>> {
    schema.fields().iter().enumerate().map(|(at, field)| {
        let mut name = if at == 0 { Vec::new() } else { b",".to_vec() };
        push_string(field.name(), &mut name);
        name.push(b':');
        name
    })
}
