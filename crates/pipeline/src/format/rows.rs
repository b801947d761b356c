//! Formats that write a row after the other: JSON, NDJSON, CSV and MessagePack differ in [`Shape`] and spelling alone.

use std::marker::PhantomData;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use super::cells::cells;
use super::dialect::Dialect;
use super::encoder::Writer;
use super::window::Fragment;

/// Writes rows in the spelling of `D`.
pub(super) struct Rows<D> {
    shape: Shape,
    /// What stands before the value of each column.
    before: Vec<Fragment>,
    /// What stands between the last value of a row and the first one of the next.
    between: Fragment,
    is_first: bool,
    dialect: PhantomData<D>,
}

/// What stands around rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) head: Head,
    pub(super) has_names: bool,
    pub(super) end_of_row: &'static [u8],
    pub(super) between_rows: &'static [u8],
    /// A row that has not a single byte.
    pub(super) blank: &'static [u8],
    pub(super) tail: &'static [u8],
}

/// What comes before the first row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Head {
    Bytes(&'static [u8]),
    /// The names of the columns, as a row.
    Names,
    /// The number of rows.
    Count,
}

impl Shape {
    pub(super) const JSON: Self = Self {
        head: Head::Bytes(b"["),
        has_names: true,
        end_of_row: b"}",
        between_rows: b",",
        blank: b"{",
        tail: b"]",
    };
    pub(super) const NDJSON: Self =
        Self { head: Head::Bytes(b""), end_of_row: b"}\n", between_rows: b"", tail: b"", ..Self::JSON };
    pub(super) const CSV: Self = Self {
        head: Head::Names,
        has_names: false,
        end_of_row: b"\n",
        between_rows: b"",
        // A line without anything would be taken for no row at all.
        blank: b"\"\"",
        tail: b"",
    };
    pub(super) const MESSAGE_PACK: Self =
        Self { head: Head::Count, has_names: true, end_of_row: b"", between_rows: b"", blank: b"\x80", tail: b"" };
}

impl<D: Dialect> Rows<D> {
    pub(super) fn new(shape: Shape, schema: &Schema) -> Self {
        let before = schema.fields().iter().enumerate().map(|(index, field)| -> Vec<u8> {
            let mut bytes = Vec::new();
            if index > 0 {
                D::separator(&mut bytes);
            } else {
                D::open_object(schema.fields().len(), &mut bytes);
            }
            if shape.has_names {
                D::text(field.name().as_bytes(), 0, field.name().len(), &mut bytes);
                D::colon(&mut bytes);
            }
            bytes
        });
        let before: Vec<Vec<u8>> = before.collect();
        let first = before.first().map_or(&[][..], Vec::as_slice);
        Self {
            shape,
            between: Fragment::new([shape.end_of_row, shape.between_rows, first].concat()),
            before: before.into_iter().map(Fragment::new).collect(),
            is_first: true,
            dialect: PhantomData,
        }
    }

    /// Appends the end of a row that began at `start`.
    fn end_row(&self, start: usize, out: &mut Vec<u8>) {
        if out.len() == start {
            out.extend_from_slice(self.shape.blank);
        }
        out.extend_from_slice(self.shape.end_of_row);
    }
}

impl<D: Dialect> Writer for Rows<D> {
    fn start(&mut self, schema: &Schema, rows: usize, out: &mut Vec<u8>) {
        match self.shape.head {
            Head::Bytes(bytes) => out.extend_from_slice(bytes),
            Head::Count => D::open_list(rows, out),
            Head::Names => {
                let start = out.len();
                for (field, before) in schema.fields().iter().zip(&self.before) {
                    before.append_to(out);
                    D::text(field.name().as_bytes(), 0, field.name().len(), out);
                }
                self.end_row(start, out);
            }
        }
    }

    fn write(&mut self, batch: &RecordBatch, _: usize, out: &mut Vec<u8>, until: usize) -> Result<usize, ArrowError> {
        let columns = self.before.iter().zip(batch.columns());
        let columns = columns.map(|(before, column)| Ok((before, cells::<D>(column)?)));
        let mut columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        let mut row = 0;
        let may_be_blank = columns.is_empty() || (columns.len() == 1 && !self.shape.has_names);
        let Some(((before, first), others)) = columns.split_first_mut().filter(|_| !may_be_blank) else {
            while row < batch.num_rows() && out.len() < until {
                if !std::mem::replace(&mut self.is_first, false) {
                    out.extend_from_slice(self.shape.between_rows);
                }
                let start = out.len();
                if let Some((_, cells)) = columns.first_mut() {
                    cells.write(row, out);
                }
                self.end_row(start, out);
                row += 1;
            }
            return Ok(row);
        };
        while row < batch.num_rows() && out.len() < until {
            if row > 0 {
                self.between.append_to(out);
            } else {
                if !self.is_first {
                    out.extend_from_slice(self.shape.between_rows);
                }
                before.append_to(out);
            }
            first.write(row, out);
            for (before, cells) in &mut *others {
                before.append_to(out);
                cells.write(row, out);
            }
            row += 1;
        }
        out.extend_from_slice(self.shape.end_of_row);
        self.is_first = false;
        Ok(row)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        out.extend_from_slice(self.shape.tail);
        Ok(())
    }
}
