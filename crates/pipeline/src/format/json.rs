//! JSON: numbers as the Arrow project's writer spells them, texts escaped no more than they must be.

use super::dialect::{Dialect, HEXADECIMAL, hexadecimal};
use super::number;
use super::window::{self, WINDOW, each, zeros};

/// JSON's spelling.
pub(super) struct Json;

impl Dialect for Json {
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

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
        Self::single(value, out);
    }

    #[inline]
    fn single(value: f32, out: &mut Vec<u8>) {
        if !value.is_finite() {
            return Self::null(out);
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let size = value.abs();
        if (1e-5..1e10).contains(&size) || size == 0.0 {
            out.extend_from_slice(text);
        } else {
            number::scientific(text, number::Mantissa::WithPoint, out);
        }
    }

    #[inline]
    fn double(value: f64, out: &mut Vec<u8>) {
        if !value.is_finite() {
            return Self::null(out);
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let size = value.abs();
        if (1e-5..1e10).contains(&size) || size == 0.0 {
            out.extend_from_slice(text);
        } else {
            number::scientific(text, number::Mantissa::WithPoint, out);
        }
    }

    fn decimal(data: &[u8], len: usize, out: &mut Vec<u8>) {
        window::append(data, 0, len, out);
    }

    #[inline]
    fn text(data: &[u8], start: usize, len: usize, out: &mut Vec<u8>) {
        // What follows the text is looked at as well; a quote there only means the longer way.
        match window::at(data, start) {
            Some(window) if len <= WINDOW && is_plain(window) => quoted(window, len, out),
            _ => string(&data[start..start + len], out),
        }
    }

    #[inline]
    fn plain(data: &[u8], len: usize, out: &mut Vec<u8>) {
        match window::at(data, 0) {
            Some(window) if len <= WINDOW => quoted(window, len, out),
            _ => {
                out.push(b'"');
                out.extend_from_slice(&data[..len]);
                out.push(b'"');
            }
        }
    }

    fn binary(bytes: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        hexadecimal(bytes, out);
        out.push(b'"');
    }

    fn open_list(_: usize, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn close_list(out: &mut Vec<u8>) {
        out.push(b']');
    }

    fn open_object(_: usize, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn close_object(out: &mut Vec<u8>) {
        out.push(b'}');
    }

    fn separator(out: &mut Vec<u8>) {
        out.push(b',');
    }

    fn colon(out: &mut Vec<u8>) {
        out.push(b':');
    }
}

/// Appends the first `len` bytes between quotes.
#[inline]
fn quoted(window: &[u8; WINDOW], len: usize, out: &mut Vec<u8>) {
    let mut quoted = [b'"'; WINDOW + 2];
    quoted[1..=WINDOW].copy_from_slice(window);
    quoted[1 + len] = b'"';
    let end = out.len() + len + 2;
    out.extend_from_slice(&quoted);
    out.truncate(end);
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Without a branch per byte, so that it becomes vector instructions.
#[inline]
fn is_plain(block: &[u8; WINDOW]) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(is_special(*byte))) == 0
}

/// Marks of special bytes in a word.
fn marks(word: u64) -> u64 {
    let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
    control | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'))
}

/// Appends a text with quotes and escapes.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = window::plain_bytes(rest, marks, is_special);
        out.extend_from_slice(&rest[..plain]);
        let Some(byte) = rest.get(plain) else { break };
        escape(*byte, out);
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&HEXADECIMAL[byte as usize]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
