//! Values in JSON. What is not finite is `null`, bytes are hexadecimal, decimals are numbers with all their digits.

use std::io::Write as _;
use std::sync::LazyLock;

use arrow::array::Array;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::ArrayFormatter;

use super::calendar::Stamp;
use super::cell::{Cell, Dialect, Whole, Written};
use super::number::{push_float, push_integer};
use super::piece::push_start;
use super::scan;

/// Values in JSON.
pub(super) struct Json;

impl Dialect for Json {
    #[inline]
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

    #[inline]
    fn boolean(value: bool, out: &mut Vec<u8>) {
        const TEXTS: [[u8; 8]; 2] = [*b"false   ", *b"true    "];
        push_start(&TEXTS[usize::from(value)], 5 - usize::from(value), out);
    }

    #[inline]
    fn integer<I: Whole>(value: I, out: &mut Vec<u8>) {
        push_integer(value, out);
    }

    #[inline]
    fn float32(value: f32, out: &mut Vec<u8>) {
        push_float(value, out);
    }

    #[inline]
    fn float64(value: f64, out: &mut Vec<u8>) {
        push_float(value, out);
    }

    #[inline]
    fn decimal(digits: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(digits);
    }

    #[inline]
    fn text(value: &str, out: &mut Vec<u8>) {
        push_string(value, out);
    }

    #[inline]
    fn time(value: &Stamp, out: &mut Vec<u8>) {
        out.push(b'"');
        value.push_to(out);
        out.push(b'"');
    }

    #[inline]
    fn bytes(value: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        push_hex(value, out);
        out.push(b'"');
    }

    fn displayed(formatter: &ArrayFormatter<'_>, row: usize, out: &mut Vec<u8>) -> Written {
        out.push(b'"');
        let start = out.len();
        // Writing to memory does not fail; a value that has no text becomes a message that says so.
        let _ = write!(out, "{}", formatter.value(row));
        if scan::json(&out[start..]).is_some() {
            let text = out.split_off(start);
            push_escaped(&text, out);
        }
        out.push(b'"');
        Ok(())
    }

    fn rare<'a>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError> {
        static OPTIONS: LazyLock<EncoderOptions> =
            LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true));
        let mut encoder = make_encoder(field, column, &OPTIONS)?;
        Ok(Box::new(move |row, out| {
            encoder.encode(row, out);
            Ok(())
        }))
    }
}

/// Appends bytes as lower-case hexadecimal digits.
#[inline]
pub(super) fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

/// Appends a JSON string: what JSON wants escaped is, and nothing else.
#[inline]
pub(super) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    push_escaped(text.as_bytes(), out);
    out.push(b'"');
}

#[inline]
fn push_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    match scan::json(bytes) {
        None => out.extend_from_slice(bytes),
        Some(at) => push_escaped_from(at, bytes, out),
    }
}

#[cold]
fn push_escaped_from(mut at: usize, mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        out.extend_from_slice(&bytes[..at]);
        let byte = bytes[at];
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => b'u',
        };
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            out.extend_from_slice(b"00");
            push_hex(&[byte], out);
        }
        bytes = &bytes[at + 1..];
        match scan::json(bytes) {
            Some(next) => at = next,
            None => return out.extend_from_slice(bytes),
        }
    }
}
