//! The cells of a column: how the value of a row is written, decided once for each batch.
//!
//! The common types are written here; all else by Arrow's own encoders, which give the same text, only slower. A dictionary's
//! values are written once and copied.

use std::fmt::Write as _;
use std::sync::LazyLock;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::text::{push_date, push_float, push_hex, push_integer, push_string, push_time};
use super::{csv, msgpack};

/// Writes the value of a row.
pub(super) type Cell<'a> = Box<dyn FnMut(usize, &mut Vec<u8>) + 'a>;

/// What the values are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// JSON values.
    Json,
    /// Fields of CSV; `escape` for texts that a spreadsheet would take for formulas.
    Csv { escape: bool },
    /// MessagePack values.
    MessagePack,
}

impl Target {
    fn null(self, out: &mut Vec<u8>) {
        match self {
            Self::Json => out.extend_from_slice(b"null"),
            Self::Csv { .. } => {}
            Self::MessagePack => msgpack::push_nil(out),
        }
    }

    fn text(self, out: &mut Vec<u8>, text: &str) {
        match self {
            Self::Json => push_string(out, text),
            Self::Csv { escape } => csv::push_text(out, text, escape),
            Self::MessagePack => msgpack::push_text(out, text),
        }
    }

    /// A text of digits and a few signs, which no format has to escape.
    fn plain(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Json => {
                out.push(b'"');
                write(out);
                out.push(b'"');
            }
            Self::Csv { .. } => write(out),
            Self::MessagePack => msgpack::push_written(out, write),
        }
    }

    fn float<F: lexical_core::ToLexical + Into<f64> + Copy>(self, out: &mut Vec<u8>, value: F) {
        let double: f64 = value.into();
        match self {
            Self::MessagePack => msgpack::push_float(out, double),
            _ if double.is_finite() => push_float(out, value),
            Self::Json => out.extend_from_slice(b"null"),
            Self::Csv { .. } => push_float(out, value),
        }
    }
}

/// The cells of a column.
pub(super) fn cells<'a>(column: &'a dyn Array, field: &'a FieldRef, target: Target) -> Result<Cell<'a>, ArrowError> {
    macro_rules! integers {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            known(column, target, move |row, out| match target {
                Target::MessagePack => msgpack::push_integer(out, values.value(row).into()),
                _ => push_integer(out, values.value(row)),
            })
        }};
    }
    macro_rules! texts {
        ($values:expr) => {{
            let values = $values;
            known(column, target, move |row, out| target.text(out, values.value(row)))
        }};
    }
    macro_rules! bytes {
        ($values:expr) => {{
            let values = $values;
            known(column, target, move |row, out| push_bytes(target, out, values.value(row)))
        }};
    }
    Ok(match column.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            known(column, target, move |row, out| target.float(out, values.value(row)))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            known(column, target, move |row, out| target.float(out, values.value(row)))
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            known(column, target, move |row, out| match (target, values.value(row)) {
                (Target::MessagePack, value) => msgpack::push_bool(out, value),
                (_, true) => out.extend_from_slice(b"true"),
                (_, false) => out.extend_from_slice(b"false"),
            })
        }
        DataType::Utf8 => texts!(column.as_string::<i32>()),
        DataType::LargeUtf8 => texts!(column.as_string::<i64>()),
        DataType::Utf8View => texts!(column.as_string_view()),
        DataType::Binary => bytes!(column.as_binary::<i32>()),
        DataType::LargeBinary => bytes!(column.as_binary::<i64>()),
        DataType::BinaryView => bytes!(column.as_binary_view()),
        DataType::FixedSizeBinary(_) => bytes!(column.as_fixed_size_binary()),
        DataType::Date32 => dates(column, target)?,
        DataType::Timestamp(unit, zone) if zone.as_deref().is_none_or(is_utc) => {
            let end = if zone.is_some() { "Z" } else { "" };
            match unit {
                TimeUnit::Second => timestamps::<TimestampSecondType>(column, target, 1, end)?,
                TimeUnit::Millisecond => timestamps::<TimestampMillisecondType>(column, target, 1_000, end)?,
                TimeUnit::Microsecond => timestamps::<TimestampMicrosecondType>(column, target, 1_000_000, end)?,
                TimeUnit::Nanosecond => timestamps::<TimestampNanosecondType>(column, target, 1_000_000_000, end)?,
            }
        }
        DataType::Dictionary(..) if column.as_any_dictionary().values().len() <= column.len() => {
            dictionary(column, field, target)?
        }
        _ => others(column, field, target)?,
    })
}

/// Cells where nulls are written as the target has them.
fn known<'a>(column: &'a dyn Array, target: Target, mut write: impl FnMut(usize, &mut Vec<u8>) + 'a) -> Cell<'a> {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Box::new(write),
        Some(nulls) => Box::new(move |row, out| if nulls.is_null(row) { target.null(out) } else { write(row, out) }),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

fn push_bytes(target: Target, out: &mut Vec<u8>, bytes: &[u8]) {
    match target {
        Target::MessagePack => msgpack::push_bytes(out, bytes),
        _ => target.plain(out, |out| push_hex(out, bytes)),
    }
}

static DISPLAY: FormatOptions<'static> = FormatOptions::new();

/// Appends what Arrow prints of a value.
fn push_displayed(out: &mut Vec<u8>, formatter: &ArrayFormatter<'_>, row: usize) {
    let mut text = String::new();
    // Writing to a text never fails, but for a value that has none, such as a time beyond all calendars.
    let _ = write!(text, "{}", formatter.value(row));
    out.extend_from_slice(text.as_bytes());
}

fn dates<'a>(column: &'a dyn Array, target: Target) -> Result<Cell<'a>, ArrowError> {
    let (values, formatter) = (column.as_primitive::<Date32Type>(), ArrayFormatter::try_new(column, &DISPLAY)?);
    Ok(known(column, target, move |row, out| {
        target.plain(out, |out| {
            if push_date(out, values.value(row).into()).is_none() {
                push_displayed(out, &formatter, row);
            }
        });
    }))
}

fn timestamps<'a, T: ArrowPrimitiveType<Native = i64>>(
    column: &'a dyn Array,
    target: Target,
    units: i64,
    end: &'static str,
) -> Result<Cell<'a>, ArrowError> {
    let (values, formatter): (&PrimitiveArray<T>, _) =
        (column.as_primitive(), ArrayFormatter::try_new(column, &DISPLAY)?);
    let nanos = u32::try_from(1_000_000_000 / units).unwrap_or(1);
    Ok(known(column, target, move |row, out| {
        target.plain(out, |out| {
            let value = values.value(row);
            let (seconds, fraction) = (value.div_euclid(units), value.rem_euclid(units));
            if push_date(out, seconds.div_euclid(86_400)).is_none() {
                return push_displayed(out, &formatter, row);
            }
            out.push(b'T');
            push_time(out, seconds.rem_euclid(86_400), fraction as u32 * nanos);
            out.extend_from_slice(end.as_bytes());
        });
    }))
}

/// The values are written once each.
fn dictionary<'a>(column: &'a dyn Array, field: &'a FieldRef, target: Target) -> Result<Cell<'a>, ArrowError> {
    let dictionary = column.as_any_dictionary();
    let values = dictionary.values();
    let (mut texts, mut ends) = (Vec::new(), Vec::with_capacity(values.len() + 1));
    ends.push(0);
    {
        let mut write = cells(values.as_ref(), field, target)?;
        for value in 0..values.len() {
            write(value, &mut texts);
            ends.push(texts.len());
        }
    }
    if values.is_empty() {
        return Ok(Box::new(move |_, out| target.null(out)));
    }
    let codes = dictionary.normalized_keys();
    let nulls = dictionary.keys().nulls().filter(|nulls| nulls.null_count() > 0);
    Ok(Box::new(move |row, out| {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return target.null(out);
        }
        let code = codes[row];
        out.extend_from_slice(&texts[ends[code]..ends[code + 1]]);
    }))
}

/// Everything that is not written here.
fn others<'a>(column: &'a dyn Array, field: &'a FieldRef, target: Target) -> Result<Cell<'a>, ArrowError> {
    static OPTIONS: LazyLock<EncoderOptions> = LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true));
    let is_nested = column.data_type().is_nested();
    let nulls = column.logical_nulls();
    let is_null = move |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    if target == Target::Json || is_nested {
        let mut encoder = make_encoder(field, column, &OPTIONS)?;
        let mut json = Vec::new();
        return Ok(Box::new(move |row, out| {
            if is_null(row) {
                return target.null(out);
            }
            if target == Target::Json {
                return encoder.encode(row, out);
            }
            json.clear();
            encoder.encode(row, &mut json);
            match target {
                Target::MessagePack => msgpack::push_json(out, &json),
                _ => csv::push_text(out, &String::from_utf8_lossy(&json), false),
            }
        }));
    }
    let formatter = ArrayFormatter::try_new(column, &DISPLAY)?;
    let mut text = Vec::new();
    Ok(Box::new(move |row, out| {
        if is_null(row) {
            return target.null(out);
        }
        text.clear();
        push_displayed(&mut text, &formatter, row);
        let text = String::from_utf8_lossy(&text);
        match target {
            Target::Csv { .. } => csv::push_text(out, &text, false),
            _ => target.text(out, &text),
        }
    }))
}
