//! Numbers as text.

use super::window::{Short, TWO_DIGITS};

/// Digits of the largest whole number of 64 bits, and a sign.
const ROOM: usize = 24;

/// Appends a whole number.
#[inline]
pub(super) fn signed(value: i64, out: &mut Vec<u8>) {
    let mut text = [b'-'; ROOM];
    let sign = usize::from(value < 0);
    let len = sign + digits(value.unsigned_abs(), &mut text[sign..]);
    cut(text, len, out);
}

/// Appends a whole number.
#[inline]
pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    let mut text = [0; ROOM];
    let len = digits(value, &mut text);
    cut(text, len, out);
}

/// Appends the first `len` bytes by a copy of constant length.
#[inline]
fn cut(text: [u8; ROOM], len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len;
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Writes the digits of a number to the beginning of `text` and says how many there are.
#[inline]
fn digits(mut number: u64, text: &mut [u8]) -> usize {
    let len = number.checked_ilog10().map_or(1, |power| power as usize + 1);
    let text = &mut text[..len];
    let mut at = len;
    while number >= 10_000 {
        let four = (number % 10_000) as usize;
        number /= 10_000;
        at -= 4;
        text[at..at + 2].copy_from_slice(&TWO_DIGITS[four / 100]);
        text[at + 2..at + 4].copy_from_slice(&TWO_DIGITS[four % 100]);
    }
    let mut number = number as usize;
    if number >= 100 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&TWO_DIGITS[number % 100]);
        number /= 100;
    }
    if number >= 10 {
        text[..2].copy_from_slice(&TWO_DIGITS[number]);
    } else {
        text[0] = b'0' + number as u8;
    }
    len
}

/// How the part before the exponent is written when it is one digit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mantissa {
    /// `1e21`
    Shortest,
    /// `1.0e21`
    WithPoint,
}

/// Appends a number other than 0, given as zmij writes it (`12345678901.5`, `0.000001`, `1.5e+21`), as a mantissa of
/// one digit before the point and an exponent: `1.23456789015e10`.
///
/// Where two mantissas of the same length are equally near, zmij takes the even one and the Arrow project's writer of
/// JSON the other: 3322900.2 and 3322900.3 for 3322900.25 of 32 bits. Both read back as the same number; ours is what
/// CSV has as well.
pub(super) fn scientific(text: &[u8], mantissa: Mantissa, out: &mut Vec<u8>) {
    let (sign, text) = text.split_at(usize::from(text[0] == b'-'));
    out.extend_from_slice(sign);
    if let Some(e) = text.iter().rposition(|byte| *byte == b'e') {
        out.extend_from_slice(&text[..e]);
        if e == 1 && mantissa == Mantissa::WithPoint {
            out.extend_from_slice(b".0");
        }
        out.push(b'e');
        let (sign, power) = text[e + 1..].split_at(1);
        if sign == b"-" {
            out.push(b'-');
        }
        // At least two digits come, of which the first may be a zero.
        out.extend_from_slice(&power[usize::from(power[0] == b'0')..]);
        return;
    }
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    // Zeros before the first digit that counts move the point and are not written.
    let first = text.iter().position(|byte| !matches!(byte, b'0' | b'.')).unwrap_or(0);
    let mut digits = [0; ROOM];
    let mut len = point - first.min(point);
    digits[..len].copy_from_slice(&text[first.min(point)..point]);
    let fraction = &text[first.max(point + 1).min(text.len())..];
    digits[len..len + fraction.len()].copy_from_slice(fraction);
    len += fraction.len();
    while len > 1 && digits[len - 1] == b'0' {
        len -= 1;
    }
    out.push(digits[0]);
    if len > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..len]);
    } else if mantissa == Mantissa::WithPoint {
        out.extend_from_slice(b".0");
    }
    out.push(b'e');
    let power = if first < point { point as i64 - 1 } else { point as i64 - first as i64 };
    signed(power, out);
}

/// The lowest scale that [`decimal`] takes.
pub(super) const LOWEST_SCALE: i8 = -38;
/// The highest scale that [`decimal`] takes.
pub(super) const HIGHEST_SCALE: i8 = 38;

/// Appends a decimal to `text`: `unscaled` with the point `scale` digits from its right end, or zeros behind it for a negative scale.
pub(super) fn decimal(unscaled: i128, scale: i8, text: &mut Short) {
    let mut buffer = itoa::Buffer::new();
    // Most fit into 64 bits, and are written faster so.
    let digits = match u64::try_from(unscaled.unsigned_abs()) {
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(unscaled.unsigned_abs()),
    };
    let digits = digits.as_bytes();
    if unscaled < 0 {
        text.put(*b"-");
    }
    let places = usize::from(scale.max(0).unsigned_abs());
    if digits.len() > places {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        text.put_slice(whole);
        if places > 0 {
            text.put(*b".");
            text.put_slice(fraction);
        }
        if unscaled != 0 {
            (scale..0).for_each(|_| text.put(*b"0"));
        }
    } else {
        text.put(*b"0.");
        (digits.len()..places).for_each(|_| text.put(*b"0"));
        text.put_slice(digits);
    }
}
