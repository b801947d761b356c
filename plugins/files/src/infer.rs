//! Which type the values of a column have, told from all of them.
//!
//! Each text is put into one or two [`Kinds`]; a column's kinds are the union of its values', and the
//! union alone decides the type. So the answer does not depend on the order of the rows, inference
//! keeps no values, and files are merged by the same rule as rows.
//!
//! A text is only a number if a number can stand for it: codes with leading zeros (`00123`), numbers
//! with a plus sign (`+49 30`) and integers beyond 64 bits stay text.

use std::str::FromStr;
use std::sync::LazyLock;

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{DataType, Date32Type, Float64Type, TimeUnit};

use crate::declared_type::UTC;

static UTC_ZONE: LazyLock<Tz> = LazyLock::new(|| Tz::from_str(UTC).expect("an offset is a time zone"));

/// A set of kinds of value; the empty set is that of nulls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    /// No value but null.
    pub(crate) const NONE: Self = Self(0);
    /// `true` or `false`.
    pub(crate) const BOOL: Self = Self(1);
    /// An integer of 64 bits.
    pub(crate) const INT: Self = Self(1 << 1);
    /// An integer that needs more.
    pub(crate) const BIG: Self = Self(1 << 2);
    /// A number with a fraction or an exponent, an infinity, or NaN.
    pub(crate) const FLOAT: Self = Self(1 << 3);
    /// `2025-06-01`.
    pub(crate) const DATE: Self = Self(1 << 4);
    /// `2025-06-01 12:00:00`.
    pub(crate) const LOCAL: Self = Self(1 << 5);
    /// `2025-06-01T12:00:00Z`, or with another offset.
    pub(crate) const INSTANT: Self = Self(1 << 6);
    /// Comes with [`LOCAL`](Self::LOCAL) or [`INSTANT`](Self::INSTANT): more than six digits of a second.
    pub(crate) const NANOS: Self = Self(1 << 7);
    /// Comes with a date: so far away that 64 bits of nanoseconds do not reach it.
    pub(crate) const FAR: Self = Self(1 << 8);
    /// Anything else.
    pub(crate) const TEXT: Self = Self(1 << 9);

    /// The kinds of either.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other`'s kinds are in this set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn is_within(self, other: Self) -> bool {
        other.has(self)
    }

    /// The kinds of a text; of an empty one none, since it stands for null.
    pub(crate) fn of(text: &str) -> Self {
        let trimmed = text.trim_ascii();
        let kinds = match trimmed.as_bytes() {
            [] if text.is_empty() => return Self::NONE,
            [b'0'..=b'9' | b'-' | b'.', ..] => of_numeric(trimmed),
            [b't' | b'T' | b'f' | b'F', ..] => of_bool(trimmed),
            [b'n' | b'N' | b'i' | b'I', ..] => of_special_float(trimmed),
            _ => Self::TEXT,
        };
        // Readers trim numbers and dates, nothing else.
        let is_trimmable = kinds.is_within(Self::INT.with(Self::FLOAT).with(Self::DATE).with(Self::FAR));
        if trimmed.len() != text.len() && !is_trimmable { Self::TEXT } else { kinds }
    }

    /// The kinds of a text where numbers and booleans have their own notation, as in JSON: a date, a
    /// time, or text.
    pub(crate) fn of_quoted(text: &str) -> Self {
        match text.as_bytes() {
            [b'0'..=b'9', _, _, _, b'-', ..] => {
                let kinds = of_time(text);
                if kinds == Self::NONE { Self::TEXT } else { kinds }
            }
            _ => Self::TEXT,
        }
    }

    /// The narrowest type that holds values of all these kinds; [`DataType::Null`] for none.
    pub(crate) fn data_type(self) -> DataType {
        let timestamp = |zone: Option<&str>| {
            let unit = if self.has(Self::NANOS) { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
            DataType::Timestamp(unit, zone.map(Into::into))
        };
        let fine = Self::NANOS.with(Self::FAR);
        match self {
            Self::NONE => DataType::Null,
            Self::BOOL => DataType::Boolean,
            Self::INT => DataType::Int64,
            _ if self.has(Self::FLOAT) && self.is_within(Self::INT.with(Self::BIG).with(Self::FLOAT)) => {
                DataType::Float64
            }
            _ if self.is_within(Self::DATE.with(Self::FAR)) => DataType::Date32,
            _ if self.has(fine) => DataType::Utf8,
            _ if self.is_within(Self::INSTANT.with(fine)) => timestamp(Some(UTC)),
            _ if self.is_within(Self::LOCAL.with(Self::DATE).with(fine)) => timestamp(None),
            _ => DataType::Utf8,
        }
    }
}

fn of_bool(text: &str) -> Kinds {
    let is_bool = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    if is_bool { Kinds::BOOL } else { Kinds::TEXT }
}

fn of_special_float(text: &str) -> Kinds {
    if matches!(text, "NaN" | "nan" | "inf" | "Inf" | "infinity" | "Infinity") { Kinds::FLOAT } else { Kinds::TEXT }
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// A number, a date or a time: all begin with a digit, a sign or a point.
fn of_numeric(text: &str) -> Kinds {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let bytes = unsigned.as_bytes();
    let whole = count_digits(bytes);
    if whole > 1 && bytes[0] == b'0' && bytes.get(4) != Some(&b'-') {
        return Kinds::TEXT;
    }
    let rest = &bytes[whole..];
    match rest {
        [] if whole == 0 => Kinds::TEXT,
        [] if whole <= 18 || text.parse::<i64>().is_ok() => Kinds::INT,
        [] => Kinds::BIG,
        [b'.' | b'e' | b'E', ..] => of_float(text),
        [b'-', ..] if whole == 4 && bytes.len() == text.len() => match of_time(text) {
            Kinds::NONE => Kinds::TEXT,
            kinds => kinds,
        },
        _ if unsigned.len() < text.len() && matches!(unsigned, "inf" | "Infinity") => Kinds::FLOAT,
        _ => Kinds::TEXT,
    }
}

/// A finite number that the reader's own parser takes: `1e999` and `12e4f` are text.
fn of_float(text: &str) -> Kinds {
    match Float64Type::parse(text) {
        Some(number) if number.is_finite() => Kinds::FLOAT,
        _ => Kinds::TEXT,
    }
}

/// A date or a time, as the reader's own parser takes it; nothing otherwise.
fn of_time(text: &str) -> Kinds {
    let bytes = text.as_bytes();
    let is_date = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-' && text.is_ascii();
    if !is_date {
        return Kinds::NONE;
    }
    let year: u16 = text[..4].parse().unwrap_or(0);
    let distance = if (1678..=2261).contains(&year) { Kinds::NONE } else { Kinds::FAR };
    if bytes.len() == 10 {
        return if Date32Type::parse(text).is_some() { Kinds::DATE.with(distance) } else { Kinds::NONE };
    }
    if string_to_datetime(&*UTC_ZONE, text).is_err() {
        return Kinds::NONE;
    }
    let time = &bytes[11..];
    let has_offset = time.iter().any(|b| matches!(b, b'Z' | b'z' | b'+' | b'-'));
    let fraction = time.iter().position(|&b| b == b'.').map_or(0, |dot| count_digits(&time[dot + 1..]));
    let precision = if fraction > 6 { Kinds::NANOS } else { Kinds::NONE };
    let kind = if has_offset { Kinds::INSTANT } else { Kinds::LOCAL };
    kind.with(precision).with(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: DataType) {
        let kinds = values.iter().fold(Kinds::NONE, |all, value| all.with(Kinds::of(value)));
        assert_eq!(kinds.data_type(), expected, "{values:?}");
    }

    fn timestamp(unit: TimeUnit, zone: Option<&str>) -> DataType {
        DataType::Timestamp(unit, zone.map(Into::into))
    }

    #[test]
    fn numbers_are_told_from_codes() {
        check(&["1", "-5", "0", ""], DataType::Int64);
        check(&["1", "2.5"], DataType::Float64);
        check(&["1e3", ".5", "-0.25", "5.", "1E-7"], DataType::Float64);
        check(&["9223372036854775807", "-9223372036854775808"], DataType::Int64);
        check(&["9223372036854775808", "1"], DataType::Utf8);
        check(&["9223372036854775808", "1.5"], DataType::Float64);
        check(&["NaN", "1"], DataType::Float64);
        check(&["-inf", "inf"], DataType::Float64);
        check(&[" 1", "2 "], DataType::Int64);
        check(&["00123", "45678"], DataType::Utf8);
        check(&["00.5"], DataType::Utf8);
        check(&["+4930123"], DataType::Utf8);
        check(&["1e999"], DataType::Utf8);
        check(&["12e4f"], DataType::Utf8);
        check(&["1,5"], DataType::Utf8);
        check(&["1.2.3"], DataType::Utf8);
        check(&["-"], DataType::Utf8);
        check(&["."], DataType::Utf8);
        check(&["--1"], DataType::Utf8);
    }

    #[test]
    fn booleans_are_words() {
        check(&["true", "FALSE", "True", ""], DataType::Boolean);
        check(&["true", "1"], DataType::Utf8);
        check(&["true", "maybe"], DataType::Utf8);
        check(&[" true"], DataType::Utf8);
        check(&["t", "f"], DataType::Utf8);
    }

    #[test]
    fn dates_and_times_are_told_apart() {
        check(&["2025-06-01", "0099-12-31"], DataType::Date32);
        check(&["2025-06-31"], DataType::Utf8);
        check(&["2025-6-1"], DataType::Utf8);
        check(&["2025-06-01 12:00:00", "2025-06-01T12:00:00.123456"], timestamp(TimeUnit::Microsecond, None));
        check(&["2025-06-01", "2025-06-01 12:00:00"], timestamp(TimeUnit::Microsecond, None));
        check(&["2025-06-01T12:00:00Z", "2025-06-01T12:00:00+02:00"], timestamp(TimeUnit::Microsecond, Some(UTC)));
        check(&["2025-06-01T12:00:00.123456789"], timestamp(TimeUnit::Nanosecond, None));
        check(&["2025-06-01T12:00:00.123456789", "1500-01-01"], DataType::Utf8);
        check(&["1500-01-01", "2025-06-01T12:00:00"], timestamp(TimeUnit::Microsecond, None));
        check(&["2025-06-01T12:00:00Z", "2025-06-01T12:00:00"], DataType::Utf8);
        check(&["2025-06-01T12:00:00Z", "2025-06-01"], DataType::Utf8);
        check(&["2025-06-01T25:00:00"], DataType::Utf8);
        check(&["2025-06-01", "20250601"], DataType::Utf8);
        check(&["-2025-06-01"], DataType::Utf8);
    }

    #[test]
    fn nothing_is_null_and_blanks_are_text() {
        check(&[""], DataType::Null);
        check(&[], DataType::Null);
        check(&[" "], DataType::Utf8);
        check(&["ä"], DataType::Utf8);
    }

    #[test]
    fn a_quoted_text_is_no_number() {
        assert_eq!(Kinds::of_quoted("12"), Kinds::TEXT);
        assert_eq!(Kinds::of_quoted("true"), Kinds::TEXT);
        assert_eq!(Kinds::of_quoted(""), Kinds::TEXT);
        assert_eq!(Kinds::of_quoted("2025-06-01"), Kinds::DATE);
        assert_eq!(Kinds::of_quoted("2025-06-01T12:00:00Z"), Kinds::INSTANT);
        assert_eq!(Kinds::of_quoted("2025-about"), Kinds::TEXT);
    }
}
