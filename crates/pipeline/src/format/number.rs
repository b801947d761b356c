//! Numbers as text: what `arrow-json` and `arrow-csv` write, by faster algorithms.
//!
//! Both write the shortest digits that are read back as the same number; they differ in when they turn to exponents.
//! [`push_float`] follows the one (`1.0e10`), [`push_ryu`] the other (`10000000000.0`, `1e16`). Where both agree, which is
//! nearly always, so does the text that `zmij` gives.

use std::ops::RangeInclusive;

/// Appends a whole number.
#[inline]
pub(super) fn push_integer<I: itoa::Integer>(value: I, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A float of a column.
pub(super) trait Float: zmij::Float + Copy {
    /// The exponents that `arrow-csv` does not write.
    const CSV_FIXED: RangeInclusive<i32>;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Its distance from zero.
    fn magnitude(self) -> f64;
    /// Whether all ways of writing agree on it, and have no exponent.
    fn is_usual(self) -> bool;
}

macro_rules! float {
    ($type:ty, $csv_fixed:expr) => {
        impl Float for $type {
            const CSV_FIXED: RangeInclusive<i32> = $csv_fixed;

            #[inline]
            fn is_finite(self) -> bool {
                <$type>::is_finite(self)
            }

            #[inline]
            fn magnitude(self) -> f64 {
                self.abs().into()
            }

            #[inline]
            fn is_usual(self) -> bool {
                (1e-5..1e10).contains(&self.abs()) || self == 0.0
            }
        }
    };
}
float!(f32, -6..=12);
float!(f64, -5..=15);

/// Appends a float as `arrow-json` does: `null` for what is not finite, exponents below 1e-5 and from 1e10 on.
#[inline]
pub(super) fn push_float<F: Float>(value: F, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    if value.is_usual() {
        out.extend_from_slice(buffer.format_finite(value).as_bytes());
    } else if value.is_finite() {
        let text = buffer.format_finite(value);
        match exponent_of(text) {
            Some(at) => push_written(&text[..at], b".0", &text[at..], out),
            None => Parts::of(text).push_scientific(b".0", out),
        }
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a float as `arrow-csv` does: `NaN`, `inf`, exponents below 1e-5 and from 1e16 on (single precision: below 1e-6
/// and from 1e13 on).
#[inline]
pub(super) fn push_ryu<F: Float>(value: F, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(value);
    if value.is_usual() || !value.is_finite() {
        return out.extend_from_slice(text.as_bytes());
    }
    match exponent_of(text) {
        Some(at) if !(1e-7..1e16).contains(&value.magnitude()) => push_written(&text[..at], b"", &text[at..], out),
        _ => {
            let parts = Parts::of(text);
            if F::CSV_FIXED.contains(&parts.exponent) {
                parts.push_fixed(out);
            } else {
                parts.push_scientific(b"", out);
            }
        }
    }
}

/// Where the exponent of a float begins: no number has one of more than four characters.
#[inline]
fn exponent_of(text: &str) -> Option<usize> {
    let tail = text.len().saturating_sub(5);
    text.as_bytes()[tail..].iter().position(|byte| *byte == b'e').map(|at| tail + at)
}

/// Appends a number that is written with an exponent: `bare` is for a mantissa of one digit, a plus is left out.
#[inline]
fn push_written(mantissa: &str, bare: &[u8], exponent: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(mantissa.as_bytes());
    if mantissa.len() <= 2 {
        out.extend_from_slice(bare);
    }
    let exponent = exponent.as_bytes();
    out.push(b'e');
    out.extend_from_slice(exponent.strip_prefix(b"e+").unwrap_or(&exponent[1..]));
}

/// A float in pieces: `-1.25e-7` is a minus, the digits `125` and the exponent -7.
struct Parts {
    sign: &'static [u8],
    digits: [u8; 40],
    len: usize,
    exponent: i32,
}

impl Parts {
    fn of(text: &str) -> Self {
        let (sign, text): (&[u8], &str) = match text.strip_prefix('-') {
            Some(text) => (b"-", text),
            None => (b"", text),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i32 = exponent.parse().unwrap_or_default();
        let mut all = Self { sign, digits: [b'0'; 40], len: 0, exponent: 0 };
        let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
        for (to, digit) in all.digits.iter_mut().zip(whole.bytes().chain(fraction.bytes()).skip(zeros)) {
            *to = digit;
        }
        all.len = all.digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        // No float has a thousand digits.
        all.exponent = exponent + whole.len() as i32 - 1 - zeros as i32;
        all
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    /// Appends one digit, a point with the others, or `bare` if there are none, and the exponent.
    fn push_scientific(&self, bare: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.sign);
        match self.digits().split_first() {
            Some((first, [])) => {
                out.push(*first);
                out.extend_from_slice(bare);
            }
            Some((first, others)) => {
                out.extend_from_slice(&[*first, b'.']);
                out.extend_from_slice(others);
            }
            None => out.push(b'0'),
        }
        out.push(b'e');
        push_integer(self.exponent, out);
    }

    /// Appends all digits that stand for something, with at least one behind the point.
    fn push_fixed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.sign);
        let last = self.len as i32 - 1;
        let lowest = (self.exponent - last).min(-1);
        for place in (lowest..=self.exponent.max(0)).rev() {
            if place == -1 {
                out.push(b'.');
            }
            let digit = usize::try_from(self.exponent - place).ok().and_then(|at| self.digits().get(at));
            out.push(digit.copied().unwrap_or(b'0'));
        }
    }
}

/// Writes decimals of one scale.
pub(super) struct Decimal {
    scale: i8,
    text: Vec<u8>,
}

impl Decimal {
    pub(super) fn new(scale: i8) -> Self {
        Self { scale, text: Vec::with_capacity(48) }
    }

    /// The text of the number that is `unscaled` times ten to the power of minus `scale`.
    pub(super) fn digits<I: itoa::Integer>(&mut self, unscaled: I) -> &[u8] {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(unscaled);
        self.text.clear();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        let zeros = usize::from(self.scale.unsigned_abs());
        self.text.extend_from_slice(sign.as_bytes());
        if self.scale <= 0 {
            self.text.extend_from_slice(digits.as_bytes());
            if digits != "0" {
                self.text.resize(self.text.len() + zeros, b'0');
            }
        } else if digits.len() > zeros {
            let (whole, fraction) = digits.as_bytes().split_at(digits.len() - zeros);
            self.text.extend_from_slice(whole);
            self.text.push(b'.');
            self.text.extend_from_slice(fraction);
        } else {
            self.text.extend_from_slice(b"0.");
            self.text.resize(self.text.len() + zeros - digits.len(), b'0');
            self.text.extend_from_slice(digits.as_bytes());
        }
        &self.text
    }
}
