//! Values as fields of comma-separated lines: RFC 4180 with lines that end in a line feed.
//!
//! A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return may be run as a formula by a spreadsheet that opens
//! the file; it gets a `'` in front, unless the texts are wanted raw. Numbers are never touched. A null is an empty field, a
//! nested value is its JSON.

use arrow::array::Array;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::util::display::ArrayFormatter;

use super::calendar::Stamp;
use super::cell::{Cell, DISPLAY, Dialect, Whole, Written};
use super::json::{Json, push_hex};
use super::number::{push_integer, push_ryu};
use super::scan;

/// Fields; `SAFE` when texts must not be formulas.
pub(super) struct Csv<const SAFE: bool>;

impl<const SAFE: bool> Dialect for Csv<SAFE> {
    #[inline]
    fn null(_: &mut Vec<u8>) {}

    #[inline]
    fn boolean(value: bool, out: &mut Vec<u8>) {
        Json::boolean(value, out);
    }

    #[inline]
    fn integer<I: Whole>(value: I, out: &mut Vec<u8>) {
        push_integer(value, out);
    }

    #[inline]
    fn float32(value: f32, out: &mut Vec<u8>) {
        push_ryu(value, out);
    }

    #[inline]
    fn float64(value: f64, out: &mut Vec<u8>) {
        push_ryu(value, out);
    }

    #[inline]
    fn decimal(digits: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(digits);
    }

    #[inline]
    fn text(value: &str, out: &mut Vec<u8>) {
        let prefix: &[u8] = match value.as_bytes().first() {
            Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') if SAFE => b"'",
            _ => b"",
        };
        push_field(prefix, value.as_bytes(), out);
    }

    #[inline]
    fn time(value: &Stamp, out: &mut Vec<u8>) {
        value.push_to(out);
    }

    #[inline]
    fn bytes(value: &[u8], out: &mut Vec<u8>) {
        push_hex(value, out);
    }

    fn displayed(formatter: &ArrayFormatter<'_>, row: usize, out: &mut Vec<u8>) -> Written {
        let mut text = String::new();
        formatter.value(row).write(&mut text)?;
        push_field(b"", text.as_bytes(), out);
        Ok(())
    }

    fn rare<'a>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError> {
        if column.data_type().is_nested() {
            let mut cell = Json::rare(column, field)?;
            let mut json = Vec::new();
            return Ok(Box::new(move |row, out| {
                json.clear();
                cell(row, &mut json)?;
                push_field(b"", &json, out);
                Ok(())
            }));
        }
        let formatter = ArrayFormatter::try_new(column, &DISPLAY)?;
        let mut text = String::new();
        Ok(Box::new(move |row, out| {
            text.clear();
            formatter.value(row).write(&mut text)?;
            push_field(b"", text.as_bytes(), out);
            Ok(())
        }))
    }
}

/// Appends a field, in quotes if it needs them.
#[inline]
fn push_field(prefix: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if scan::csv(value).is_some() {
        return push_quoted(prefix, value, out);
    }
    out.extend_from_slice(prefix);
    out.extend_from_slice(value);
}

fn push_quoted(prefix: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(prefix);
    for part in value.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
