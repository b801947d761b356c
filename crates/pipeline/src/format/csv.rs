//! CSV as RFC 4180 has it, with bare line feeds: quotes only where they are needed, nulls as nothing
//! and empty texts as `""`. (A null that is alone in its line is `""` too, as an empty line would be no row.)
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or an end of a line for a formula, and runs it,
//! in full width as well. [`Csv`] puts an apostrophe before such texts, names of columns included; [`RawCsv`] keeps them as they are.
//! Numbers, dates and JSON never need it.

use super::dialect::{Dialect, hexadecimal};
use super::number;
use super::window::{self, WINDOW, each, zeros};

/// CSV for spreadsheets.
pub(super) struct Csv;

/// CSV for programs.
pub(super) struct RawCsv;

macro_rules! spell {
    ($dialect:ty, $escapes_formulas:literal) => {
        impl Dialect for $dialect {
            const NESTED_AS_TEXT: bool = true;

            fn null(_: &mut Vec<u8>) {}

            fn boolean(value: bool, out: &mut Vec<u8>) {
                if value {
                    window::append_word(b"true    ", 4, out);
                } else {
                    window::append_word(b"false   ", 5, out);
                }
            }

            #[inline]
            fn signed(value: i64, out: &mut Vec<u8>) {
                number::signed(value, out);
            }

            #[inline]
            fn unsigned(value: u64, out: &mut Vec<u8>) {
                number::unsigned(value, out);
            }

            fn half(value: f32, out: &mut Vec<u8>) {
                out.extend_from_slice(value.to_string().as_bytes());
            }

            #[inline]
            fn single(value: f32, out: &mut Vec<u8>) {
                let mut buffer = zmij::Buffer::new();
                let text = buffer.format(value).as_bytes();
                let size = value.abs();
                if (1e-6..1e13).contains(&size) || size == 0.0 || !value.is_finite() {
                    out.extend_from_slice(text);
                } else {
                    number::scientific(text, number::Mantissa::Shortest, out);
                }
            }

            #[inline]
            fn double(value: f64, out: &mut Vec<u8>) {
                let mut buffer = zmij::Buffer::new();
                let text = buffer.format(value).as_bytes();
                let size = value.abs();
                if (1e-5..1e16).contains(&size) || size == 0.0 || !value.is_finite() {
                    out.extend_from_slice(text);
                } else {
                    number::scientific(text, number::Mantissa::Shortest, out);
                }
            }

            fn decimal(data: &[u8], len: usize, out: &mut Vec<u8>) {
                window::append(data, 0, len, out);
            }

            #[inline]
            fn text(data: &[u8], start: usize, len: usize, out: &mut Vec<u8>) {
                let is_formula = $escapes_formulas && len > 0 && begins_formula(&data[start..start + len]);
                match window::at(data, start) {
                    Some(window) if 0 < len && len <= WINDOW && !is_formula && is_plain(window) => {
                        let end = out.len() + len;
                        out.extend_from_slice(window);
                        out.truncate(end);
                    }
                    _ => field(&data[start..start + len], is_formula, out),
                }
            }

            #[inline]
            fn plain(data: &[u8], len: usize, out: &mut Vec<u8>) {
                window::append(data, 0, len, out);
            }

            fn binary(bytes: &[u8], out: &mut Vec<u8>) {
                hexadecimal(bytes, out);
            }

            fn open_list(_: usize, _: &mut Vec<u8>) {}
            fn close_list(_: &mut Vec<u8>) {}
            fn open_object(_: usize, _: &mut Vec<u8>) {}
            fn close_object(_: &mut Vec<u8>) {}

            fn separator(out: &mut Vec<u8>) {
                out.push(b',');
            }

            fn colon(_: &mut Vec<u8>) {}
        }
    };
}

spell!(Csv, true);
spell!(RawCsv, false);

fn begins_formula(text: &[u8]) -> bool {
    match text {
        [b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n', ..] => true,
        // The same signs in full width.
        [0xEF, 0xBC, 0x9D | 0x8B | 0x8D | 0xA0, ..] => true,
        _ => false,
    }
}

fn is_special(byte: u8) -> bool {
    byte == b',' || byte == b'"' || byte == b'\n' || byte == b'\r'
}

/// Without a branch per byte, so that it becomes vector instructions.
#[inline]
fn is_plain(block: &[u8; WINDOW]) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(is_special(*byte))) == 0
}

/// Marks of special bytes in a word.
fn marks(word: u64) -> u64 {
    zeros(word ^ each(b',')) | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\n')) | zeros(word ^ each(b'\r'))
}

fn mark_quotes(word: u64) -> u64 {
    zeros(word ^ each(b'"'))
}

/// Appends a text, with quotes if it needs them: one without a letter does, so that it is no null.
fn field(text: &[u8], is_formula: bool, out: &mut Vec<u8>) {
    let needs_quotes = text.is_empty() || window::plain_bytes(text, marks, is_special) < text.len();
    if needs_quotes {
        out.push(b'"');
    }
    if is_formula {
        out.push(b'\'');
    }
    if !needs_quotes {
        out.extend_from_slice(text);
        return;
    }
    let mut rest = text;
    loop {
        let plain = window::plain_bytes(rest, mark_quotes, |byte| byte == b'"');
        if plain == rest.len() {
            break;
        }
        out.extend_from_slice(&rest[..=plain]);
        out.push(b'"');
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
