//! MessagePack: numbers and binary as they are, dates, times and decimals as the texts that JSON has.

use super::dialect::Dialect;
use super::window;

/// MessagePack's spelling; the shortest form of each number and length.
pub(super) struct MessagePack;

impl Dialect for MessagePack {
    fn null(out: &mut Vec<u8>) {
        out.push(0xc0);
    }

    fn boolean(value: bool, out: &mut Vec<u8>) {
        out.push(if value { 0xc3 } else { 0xc2 });
    }

    fn signed(value: i64, out: &mut Vec<u8>) {
        if let Ok(value) = u64::try_from(value) {
            Self::unsigned(value, out);
        } else if value >= -32 {
            out.push(value as u8);
        } else if let Ok(value) = i8::try_from(value) {
            marked(0xd0, value.to_be_bytes(), out);
        } else if let Ok(value) = i16::try_from(value) {
            marked(0xd1, value.to_be_bytes(), out);
        } else if let Ok(value) = i32::try_from(value) {
            marked(0xd2, value.to_be_bytes(), out);
        } else {
            marked(0xd3, value.to_be_bytes(), out);
        }
    }

    fn unsigned(value: u64, out: &mut Vec<u8>) {
        if value < 128 {
            out.push(value as u8);
        } else if let Ok(value) = u8::try_from(value) {
            marked(0xcc, value.to_be_bytes(), out);
        } else if let Ok(value) = u16::try_from(value) {
            marked(0xcd, value.to_be_bytes(), out);
        } else if let Ok(value) = u32::try_from(value) {
            marked(0xce, value.to_be_bytes(), out);
        } else {
            marked(0xcf, value.to_be_bytes(), out);
        }
    }

    fn half(value: f32, out: &mut Vec<u8>) {
        Self::single(value, out);
    }

    fn single(value: f32, out: &mut Vec<u8>) {
        marked(0xca, value.to_be_bytes(), out);
    }

    fn double(value: f64, out: &mut Vec<u8>) {
        marked(0xcb, value.to_be_bytes(), out);
    }

    fn decimal(data: &[u8], len: usize, out: &mut Vec<u8>) {
        Self::plain(data, len, out);
    }

    fn text(data: &[u8], start: usize, len: usize, out: &mut Vec<u8>) {
        Self::plain(&data[start..], len, out);
    }

    fn plain(data: &[u8], len: usize, out: &mut Vec<u8>) {
        match len {
            ..32 => out.push(0xa0 | len as u8),
            32..256 => marked(0xd9, [len as u8], out),
            _ => sized(len, 0xda, 0xdb, out),
        }
        window::append(data, 0, len, out);
    }

    fn binary(bytes: &[u8], out: &mut Vec<u8>) {
        match bytes.len() {
            len @ ..256 => marked(0xc4, [len as u8], out),
            len => sized(len, 0xc5, 0xc6, out),
        }
        out.extend_from_slice(bytes);
    }

    fn open_list(items: usize, out: &mut Vec<u8>) {
        match items {
            ..16 => out.push(0x90 | items as u8),
            _ => sized(items, 0xdc, 0xdd, out),
        }
    }

    fn close_list(_: &mut Vec<u8>) {}

    fn open_object(members: usize, out: &mut Vec<u8>) {
        match members {
            ..16 => out.push(0x80 | members as u8),
            _ => sized(members, 0xde, 0xdf, out),
        }
    }

    fn close_object(_: &mut Vec<u8>) {}
    fn separator(_: &mut Vec<u8>) {}
    fn colon(_: &mut Vec<u8>) {}
}

#[inline]
fn marked<const N: usize>(marker: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}

/// A length in two or four bytes. A single value of 4 GiB cannot come here: no answer may be as long.
fn sized(len: usize, short: u8, long: u8, out: &mut Vec<u8>) {
    match u16::try_from(len) {
        Ok(len) => marked(short, len.to_be_bytes(), out),
        Err(_) => marked(long, u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes(), out),
    }
}
