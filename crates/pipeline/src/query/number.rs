//! Decimal text as an exact number, so that `1.005` is compared with a price of two decimals, not rounded to one.

use arrow::datatypes::i256;

/// More digits than any column can hold.
const MAX_TEXT_BYTES: usize = 512;
/// A greater exponent overflows, or vanishes in, every column type.
const MAX_EXPONENT: i64 = 1_000;
/// What fits into 256 bits whatever the digits.
const MAX_DIGITS: i64 = 76;

/// A number as it was written: digits times a power of ten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    /// Without leading zeros; empty for zero.
    digits: String,
    exponent: i64,
}

impl Number {
    /// Reads `-12.5e3` and its like; no spaces, no separators of thousands.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !all_digits || whole.len() + fraction.len() == 0 || exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0').to_owned();
        Some(Self { negative, digits, exponent: exponent - i64::try_from(fraction.len()).ok()? })
    }

    /// The greatest whole number of units of 10^-scale that is not above the number, and whether it is the number.
    /// `None` when it is beyond every column type.
    pub(super) fn in_units(&self, scale: i8) -> Option<(i256, bool)> {
        let shift = self.exponent + i64::from(scale);
        let len = i64::try_from(self.digits.len()).ok()?;
        if len == 0 {
            return Some((i256::ZERO, true));
        }
        if len + shift > MAX_DIGITS {
            return None;
        }
        let (units, exact) = if shift >= 0 {
            let zeros = "0".repeat(usize::try_from(shift).ok()?);
            (i256::from_string(&format!("{}{zeros}", self.digits))?, true)
        } else {
            let kept = usize::try_from((len + shift).max(0)).ok()?;
            let (whole, lost) = self.digits.split_at(kept);
            let units = if whole.is_empty() { i256::ZERO } else { i256::from_string(whole)? };
            (units, lost.bytes().all(|b| b == b'0'))
        };
        Some(match (self.negative, exact) {
            (false, exact) => (units, exact),
            (true, true) => (units.wrapping_neg(), true),
            (true, false) => (units.wrapping_neg().wrapping_sub(i256::ONE), false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, scale: i8, expected: Option<(i128, bool)>) {
        let found = Number::parse(text).and_then(|number| number.in_units(scale));
        assert_eq!(found, expected.map(|(units, exact)| (i256::from_i128(units), exact)), "{text} at scale {scale}");
    }

    #[test]
    fn numbers_are_exact_or_rounded_down() {
        check("0", 0, Some((0, true)));
        check("-0.000", 0, Some((0, true)));
        check("42", 0, Some((42, true)));
        check("+42", 2, Some((4200, true)));
        check("1.005", 2, Some((100, false)));
        check("-1.005", 2, Some((-101, false)));
        check("-0.5", 0, Some((-1, false)));
        check("0.5", 0, Some((0, false)));
        check("10.0", 0, Some((10, true)));
        check("1e3", 0, Some((1000, true)));
        check("1.5E1", 0, Some((15, true)));
        check("12345", -2, Some((123, false)));
        check("12300", -2, Some((123, true)));
        check("1e-900", 4, Some((0, false)));
        check(".5", 1, Some((5, true)));
        check("5.", 1, Some((50, true)));
        check("1e77", 0, None);
    }

    #[test]
    fn other_text_is_no_number() {
        for text in ["", "-", ".", "e5", "1e", "1,000", " 1", "1 ", "0x10", "1e99999", "--1", "1.2.3", "nan", "١"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
