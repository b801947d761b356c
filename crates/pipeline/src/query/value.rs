//! Texts to values of a column's type.
//!
//! A text may lie *between* two values that a column can hold: `10.5` for whole numbers, `1.005` for a price of two
//! decimals, half a second for whole ones. It is then read as the value below it and marked as not exact, and whoever
//! compares with it takes care of the rest; it is never rounded.
//!
//! - Numbers are decimal text with an optional exponent. Floats also take `nan`, `inf` and `infinity`.
//! - Booleans are `true t yes y on 1` and `false f no n off 0`, in whatever case.
//! - Dates and times are ISO 8601: `2024-01-31`, `2024-01-31T09:30:00.5+02:00`, a space instead of the `T`, without seconds
//!   if there are none. A time without a zone is UTC, and a column without one is taken to hold UTC.
//! - Binary values are hexadecimal digits, as answers have them, or such after `\x`, as PostgreSQL has them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal32Array, Decimal64Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    UInt8Array, UInt16Array, UInt32Array, UInt64Array, make_array,
};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{DataType, Float64Type, Time64NanosecondType, TimeUnit, i256};

use super::number::Number;
use super::params::hex_digit;

/// What can be asked of a column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers: between two of them there is nothing.
    Whole,
    /// Numbers with a fraction, and points in time.
    Ordered,
    /// Texts: `like` works too.
    Text,
    /// Truth values: `is.true` works too.
    Bool,
    /// Bytes.
    Binary,
    /// Nothing but whether it is null.
    Opaque,
}

/// What can be asked of values of `data_type`.
pub(super) fn kind(data_type: &DataType) -> Kind {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Kind::Whole,
        Float16 | Float32 | Float64 => Kind::Ordered,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => Kind::Ordered,
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) => Kind::Ordered,
        Utf8 | LargeUtf8 | Utf8View => Kind::Text,
        Boolean => Kind::Bool,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Kind::Binary,
        _ => Kind::Opaque,
    }
}

/// Whether rows can be ordered by values of `data_type`, which is no dictionary.
pub(super) fn is_sortable(data_type: &DataType) -> bool {
    kind(data_type) != Kind::Opaque || matches!(data_type, DataType::Duration(_))
}

/// The type that a column's values are compared as: a dictionary's values, else the type itself.
pub(super) fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// A text read as a type.
pub(super) struct Fit {
    /// One value.
    pub(super) value: ArrayRef,
    /// Whether it is the value of the text, or the next one below.
    pub(super) exact: bool,
}

/// Why a text cannot be read as a type.
pub(super) enum Misfit {
    /// It is no such thing.
    Malformed,
    /// It is, but beyond what the type holds.
    OutOfRange,
}

type Fitted = Result<Fit, Misfit>;

/// Reads `text` as `data_type`, which is no dictionary.
pub(super) fn fit(data_type: &DataType, text: &str) -> Fitted {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => whole(data_type, text),
        Float16 | Float32 | Float64 => float(data_type, text),
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => decimal(data_type, *precision, *scale, text),
        Date32 | Date64 | Timestamp(..) => instant(data_type, text),
        Time32(_) | Time64(_) => time_of_day(data_type, text),
        Boolean => truth(text),
        Utf8 | LargeUtf8 | Utf8View => exactly(as_type(&StringArray::from(vec![text]), data_type)),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => bytes(data_type, text),
        _ => Err(Misfit::Malformed),
    }
}

fn exactly(value: Result<ArrayRef, Misfit>) -> Fitted {
    Ok(Fit { value: value?, exact: true })
}

fn as_type(array: &dyn Array, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    cast(array, data_type).map_err(|_| Misfit::Malformed)
}

/// The same bits under another type of the same width.
pub(super) fn relabelled(array: &dyn Array, data_type: &DataType) -> Result<ArrayRef, Misfit> {
    let data = array.to_data().into_builder().data_type(data_type.clone()).build();
    data.map(make_array).map_err(|_| Misfit::Malformed)
}

fn whole(data_type: &DataType, text: &str) -> Fitted {
    let (units, exact) = Number::parse(text).ok_or(Misfit::Malformed)?.in_units(0).ok_or(Misfit::OutOfRange)?;
    let units = units.to_i128().ok_or(Misfit::OutOfRange)?;
    macro_rules! array {
        ($array:ty, $native:ty) => {
            Arc::new(<$array>::from(vec![<$native>::try_from(units).map_err(|_| Misfit::OutOfRange)?])) as ArrayRef
        };
    }
    let value = match data_type {
        DataType::Int8 => array!(Int8Array, i8),
        DataType::Int16 => array!(Int16Array, i16),
        DataType::Int32 => array!(Int32Array, i32),
        DataType::Int64 => array!(Int64Array, i64),
        DataType::UInt8 => array!(UInt8Array, u8),
        DataType::UInt16 => array!(UInt16Array, u16),
        DataType::UInt32 => array!(UInt32Array, u32),
        _ => array!(UInt64Array, u64),
    };
    Ok(Fit { value, exact })
}

/// A text is read at the column's own precision, as PostgreSQL reads a literal: `0.1` is what a column of that type holds
/// for 0.1.
fn float(data_type: &DataType, text: &str) -> Fitted {
    if text.contains(char::is_whitespace) {
        return Err(Misfit::Malformed);
    }
    let double: f64 = text.parse().map_err(|_| Misfit::Malformed)?;
    let spelled = text.contains(['i', 'I']);
    let value: ArrayRef = match data_type {
        DataType::Float64 => Arc::new(Float64Array::from(vec![double])),
        _ => Arc::new(Float32Array::from(vec![text.parse::<f32>().map_err(|_| Misfit::Malformed)?])),
    };
    let value = as_type(&value, data_type)?;
    let held = as_type(&value, &DataType::Float64)?;
    let infinite = held.as_primitive::<Float64Type>().value(0).is_infinite();
    if infinite && !spelled { Err(Misfit::OutOfRange) } else { Ok(Fit { value, exact: true }) }
}

fn decimal(data_type: &DataType, precision: u8, scale: i8, text: &str) -> Fitted {
    let (units, exact) = Number::parse(text).ok_or(Misfit::Malformed)?.in_units(scale).ok_or(Misfit::OutOfRange)?;
    let end = i256::from_i128(10).checked_pow(u32::from(precision)).ok_or(Misfit::OutOfRange)?;
    if units >= end || units <= end.wrapping_neg() {
        return Err(Misfit::OutOfRange);
    }
    let narrow = || units.to_i128().ok_or(Misfit::OutOfRange);
    let value: ArrayRef = match data_type {
        DataType::Decimal32(..) => {
            Arc::new(Decimal32Array::from(vec![i32::try_from(narrow()?).map_err(|_| Misfit::OutOfRange)?]))
        }
        DataType::Decimal64(..) => {
            Arc::new(Decimal64Array::from(vec![i64::try_from(narrow()?).map_err(|_| Misfit::OutOfRange)?]))
        }
        DataType::Decimal128(..) => Arc::new(Decimal128Array::from(vec![narrow()?])),
        _ => Arc::new(Decimal256Array::from(vec![units])),
    };
    Ok(Fit { value: relabelled(&value, data_type)?, exact })
}

const NANOS: i128 = 1_000_000_000;

/// The nanoseconds in one unit.
fn unit_nanos(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => NANOS,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Arrow's readers cut what is finer than a nanosecond; a text that fine is refused instead.
fn is_plain_time(text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    text.is_ascii() && text.len() <= 64 && fraction.bytes().take_while(u8::is_ascii_digit).count() <= 9
}

/// A date and time with its seconds, which forms on web pages leave out: `2024-01-31T09:30`, with or without a zone.
fn with_seconds(text: &str) -> Cow<'_, str> {
    const MINUTES: Range<usize> = 11..16;
    let is_minutes = |minutes: &str| {
        minutes.char_indices().all(|(at, char)| if at == 2 { char == ':' } else { char.is_ascii_digit() })
    };
    match (text.get(MINUTES), text.get(MINUTES.end..)) {
        (Some(minutes), Some(zone)) if is_minutes(minutes) && !zone.starts_with([':', '.']) => {
            format!("{}:00{zone}", &text[..MINUTES.end]).into()
        }
        _ => text.into(),
    }
}

fn instant(data_type: &DataType, text: &str) -> Fitted {
    let utc: Tz = "+00:00".parse().map_err(|_| Misfit::Malformed)?;
    if !is_plain_time(text) {
        return Err(Misfit::Malformed);
    }
    let at = string_to_datetime(&utc, &with_seconds(text)).map_err(|_| Misfit::Malformed)?;
    let nanos = i128::from(at.timestamp()) * NANOS + i128::from(at.timestamp_subsec_nanos());
    let unit = match data_type {
        DataType::Date32 => 86_400 * NANOS,
        DataType::Timestamp(unit, _) => unit_nanos(*unit),
        _ => unit_nanos(TimeUnit::Millisecond),
    };
    let exact = nanos.rem_euclid(unit) == 0;
    let units = i64::try_from(nanos.div_euclid(unit)).map_err(|_| Misfit::OutOfRange)?;
    let value = match data_type {
        DataType::Date32 => {
            let days = i32::try_from(units).map_err(|_| Misfit::OutOfRange)?;
            relabelled(&Int32Array::from(vec![days]), data_type)?
        }
        _ => relabelled(&Int64Array::from(vec![units]), data_type)?,
    };
    Ok(Fit { value, exact })
}

fn time_of_day(data_type: &DataType, text: &str) -> Fitted {
    if !is_plain_time(text) || !text.contains(':') {
        return Err(Misfit::Malformed);
    }
    let nanos = i128::from(Time64NanosecondType::parse(text).ok_or(Misfit::Malformed)?);
    let (DataType::Time32(unit) | DataType::Time64(unit)) = data_type else { return Err(Misfit::Malformed) };
    let unit = unit_nanos(*unit);
    let units = i64::try_from(nanos.div_euclid(unit)).map_err(|_| Misfit::OutOfRange)?;
    let value = match data_type {
        DataType::Time32(_) => {
            let units = i32::try_from(units).map_err(|_| Misfit::OutOfRange)?;
            relabelled(&Int32Array::from(vec![units]), data_type)?
        }
        _ => relabelled(&Int64Array::from(vec![units]), data_type)?,
    };
    Ok(Fit { value, exact: nanos.rem_euclid(unit) == 0 })
}

fn truth(text: &str) -> Fitted {
    let value = match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => true,
        "false" | "f" | "no" | "n" | "off" | "0" => false,
        _ => return Err(Misfit::Malformed),
    };
    Ok(Fit { value: Arc::new(BooleanArray::from(vec![value])), exact: true })
}

fn bytes(data_type: &DataType, text: &str) -> Fitted {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    };
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().ok_or(Misfit::Malformed)?;
    if let DataType::FixedSizeBinary(width) = data_type
        && usize::try_from(*width) != Ok(bytes.len())
    {
        return Err(Misfit::OutOfRange);
    }
    exactly(as_type(&BinaryArray::from(vec![bytes.as_slice()]), data_type))
}

/// How a value of the type is written, for a hint.
pub(super) fn example(data_type: &DataType) -> &'static str {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 => "a whole number, as in 42 or -1",
        UInt8 | UInt16 | UInt32 | UInt64 => "a whole number from 0 on, as in 42",
        Float16 | Float32 | Float64 => "a number, as in 1.5, 2e9, nan or -inf",
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => "a decimal number, as in 12.50",
        Date32 | Date64 => "a date, as in 2024-01-31",
        Timestamp(..) => "a time, as in 2024-01-31T09:30:00Z (a plus sign in a URL is %2B)",
        Time32(_) | Time64(_) => "a time of day, as in 09:30:00",
        Boolean => "true or false",
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => "hexadecimal digits, two for each byte, as in 00ff",
        _ => "a text",
    }
}
