//! The cells of a column: how the value of a row is written, decided once for each batch.
//!
//! A [`Dialect`] says what single values look like; a column's type says where they come from and becomes one closure for
//! both, so that the loop over the rows asks for no type again. Nulls cost nothing where there are none. The values of a
//! dictionary are written once each and copied from then on. What is rare (nested types, intervals) a dialect leaves to
//! Arrow's own writers.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, DictionaryArray, PrimitiveArray, RunArray};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::calendar::{Clock, DAY_SECONDS, Stamp};
use super::number::Decimal;

/// Whether a value could be written. The error is boxed: each cell gives one of these back.
pub(super) type Written = Result<(), Box<ArrowError>>;

/// Writes the value of a row.
pub(super) type Cell<'a> = Box<dyn FnMut(usize, &mut Vec<u8>) -> Written + 'a>;

/// How single values are written.
pub(super) trait Dialect: 'static {
    /// No value.
    fn null(out: &mut Vec<u8>);
    /// A truth value.
    fn boolean(value: bool, out: &mut Vec<u8>);
    /// A whole number.
    fn integer<I: Whole>(value: I, out: &mut Vec<u8>);
    /// A number of single precision.
    fn float32(value: f32, out: &mut Vec<u8>);
    /// A number of double precision.
    fn float64(value: f64, out: &mut Vec<u8>);
    /// A decimal number.
    fn decimal(digits: &[u8], out: &mut Vec<u8>);
    /// A text.
    fn text(value: &str, out: &mut Vec<u8>);
    /// A date or a time.
    fn time(value: &Stamp, out: &mut Vec<u8>);
    /// Bytes.
    fn bytes(value: &[u8], out: &mut Vec<u8>);
    /// A value in Arrow's own words.
    fn displayed(formatter: &ArrayFormatter<'_>, row: usize, out: &mut Vec<u8>) -> Written;
    /// The cells of a type that is seldom seen; nulls are taken care of.
    fn rare<'a>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError>;
}

/// A whole number of a column.
pub(super) trait Whole: itoa::Integer + Copy {
    /// Its sign and its value: as `u64` if it is not negative, else as `i64`.
    fn halves(self) -> Result<u64, i64>;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Whole for $type {
            #[inline]
            fn halves(self) -> Result<u64, i64> {
                u64::try_from(self).map_err(|_| self as i64)
            }
        }
    )*};
}
whole!(i8, i16, i32, i64, u8, u16, u32, u64);

pub(super) static DISPLAY: FormatOptions<'static> = FormatOptions::new();

/// The cells of a column.
pub(super) fn cells<'a, D: Dialect>(column: &'a dyn Array, field: &'a FieldRef) -> Result<Cell<'a>, ArrowError> {
    macro_rules! of {
        ($values:expr, $write:expr) => {{
            let (values, write) = ($values, $write);
            known::<D>(column, move |row, out| {
                write(values.value(row), out);
                Ok(())
            })
        }};
    }
    macro_rules! integers {
        ($type:ty) => {
            of!(column.as_primitive::<$type>(), D::integer)
        };
    }
    Ok(match column.data_type() {
        DataType::Null => Box::new(|_, out| {
            D::null(out);
            Ok(())
        }),
        DataType::Boolean => of!(column.as_boolean(), D::boolean),
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float32 => of!(column.as_primitive::<Float32Type>(), D::float32),
        DataType::Float64 => of!(column.as_primitive::<Float64Type>(), D::float64),
        DataType::Utf8 => of!(column.as_string::<i32>(), D::text),
        DataType::LargeUtf8 => of!(column.as_string::<i64>(), D::text),
        DataType::Utf8View => of!(column.as_string_view(), D::text),
        DataType::Binary => of!(column.as_binary::<i32>(), D::bytes),
        DataType::LargeBinary => of!(column.as_binary::<i64>(), D::bytes),
        DataType::BinaryView => of!(column.as_binary_view(), D::bytes),
        DataType::FixedSizeBinary(_) => of!(column.as_fixed_size_binary(), D::bytes),
        DataType::Decimal32(_, scale) => decimals::<D, Decimal32Type>(column, *scale),
        DataType::Decimal64(_, scale) => decimals::<D, Decimal64Type>(column, *scale),
        DataType::Decimal128(_, scale) => decimals::<D, Decimal128Type>(column, *scale),
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => {
            times::<D>(column)?
        }
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => dictionary::<D, Int8Type>(column, field)?,
            DataType::Int16 => dictionary::<D, Int16Type>(column, field)?,
            DataType::Int32 => dictionary::<D, Int32Type>(column, field)?,
            DataType::Int64 => dictionary::<D, Int64Type>(column, field)?,
            DataType::UInt8 => dictionary::<D, UInt8Type>(column, field)?,
            DataType::UInt16 => dictionary::<D, UInt16Type>(column, field)?,
            DataType::UInt32 => dictionary::<D, UInt32Type>(column, field)?,
            _ => dictionary::<D, UInt64Type>(column, field)?,
        },
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<D, Int16Type>(column, field)?,
            DataType::Int32 => runs::<D, Int32Type>(column, field)?,
            _ => runs::<D, Int64Type>(column, field)?,
        },
        _ => {
            let mut rare = D::rare(column, field)?;
            known::<D>(column, move |row, out| rare(row, out))
        }
    })
}

/// Cells where a null is written as the dialect has it.
fn known<'a, D: Dialect>(
    column: &'a dyn Array,
    mut write: impl FnMut(usize, &mut Vec<u8>) -> Written + 'a,
) -> Cell<'a> {
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Box::new(write),
        Some(nulls) => Box::new(move |row, out| {
            if nulls.is_null(row) {
                D::null(out);
                return Ok(());
            }
            write(row, out)
        }),
    }
}

fn decimals<D: Dialect, T: ArrowPrimitiveType<Native: itoa::Integer>>(column: &dyn Array, scale: i8) -> Cell<'_> {
    let values = column.as_primitive::<T>();
    let mut decimal = Decimal::new(scale);
    known::<D>(column, move |row, out| {
        D::decimal(decimal.digits(values.value(row)), out);
        Ok(())
    })
}

/// Dates and times; those that no calendar of four-digit years has are left to Arrow.
fn times<D: Dialect>(column: &dyn Array) -> Result<Cell<'_>, ArrowError> {
    let formatter = ArrayFormatter::try_new(column, &DISPLAY)?;
    Ok(match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            known::<D>(column, move |row, out| match Stamp::of_date(days.value(row).into()) {
                Some(stamp) => {
                    D::time(&stamp, out);
                    Ok(())
                }
                None => D::displayed(&formatter, row, out),
            })
        }
        DataType::Date64 => stamps::<D, Date64Type>(column, formatter, Clock::new(1_000, None)),
        DataType::Time32(TimeUnit::Second) => clock_times::<D, Time32SecondType>(column, formatter, 1),
        DataType::Time32(_) => clock_times::<D, Time32MillisecondType>(column, formatter, 1_000),
        DataType::Time64(TimeUnit::Microsecond) => {
            clock_times::<D, Time64MicrosecondType>(column, formatter, 1_000_000)
        }
        DataType::Time64(_) => clock_times::<D, Time64NanosecondType>(column, formatter, 1_000_000_000),
        DataType::Timestamp(unit, zone) => {
            let units = match unit {
                TimeUnit::Second => 1,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond => 1_000_000,
                TimeUnit::Nanosecond => 1_000_000_000,
            };
            let clock = Clock::new(units, zone.as_deref());
            match unit {
                TimeUnit::Second => stamps::<D, TimestampSecondType>(column, formatter, clock),
                TimeUnit::Millisecond => stamps::<D, TimestampMillisecondType>(column, formatter, clock),
                TimeUnit::Microsecond => stamps::<D, TimestampMicrosecondType>(column, formatter, clock),
                TimeUnit::Nanosecond => stamps::<D, TimestampNanosecondType>(column, formatter, clock),
            }
        }
        _ => known::<D>(column, move |row, out| D::displayed(&formatter, row, out)),
    })
}

fn stamps<'a, D: Dialect, T: ArrowPrimitiveType<Native = i64>>(
    column: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
    clock: Option<Clock>,
) -> Cell<'a> {
    let values: &PrimitiveArray<T> = column.as_primitive();
    let Some(mut clock) = clock else {
        return known::<D>(column, move |row, out| D::displayed(&formatter, row, out));
    };
    known::<D>(column, move |row, out| match clock.stamp(values.value(row)) {
        Some(stamp) => {
            D::time(stamp, out);
            Ok(())
        }
        None => D::displayed(&formatter, row, out),
    })
}

fn clock_times<'a, D: Dialect, T: ArrowPrimitiveType<Native: Into<i64>>>(
    column: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
    units: i64,
) -> Cell<'a> {
    let values: &PrimitiveArray<T> = column.as_primitive();
    known::<D>(column, move |row, out| {
        let value: i64 = values.value(row).into();
        if !(0..DAY_SECONDS * units).contains(&value) {
            return D::displayed(&formatter, row, out);
        }
        D::time(&Stamp::of_time(value, units), out);
        Ok(())
    })
}

/// Where there are no more values than rows, each is written once, before the first row.
fn dictionary<'a, D: Dialect, K: ArrowDictionaryKeyType>(
    column: &'a dyn Array,
    field: &'a FieldRef,
) -> Result<Cell<'a>, ArrowError> {
    let array: &DictionaryArray<K> = column.as_dictionary();
    let (keys, values) = (array.keys(), array.values());
    let mut value = cells::<D>(values.as_ref(), field)?;
    if values.len() > column.len() {
        return Ok(known::<D>(column, move |row, out| value(keys.value(row).as_usize(), out)));
    }
    let (mut texts, mut ends) = (Vec::new(), vec![0]);
    for at in 0..values.len() {
        value(at, &mut texts).map_err(|error| *error)?;
        ends.push(texts.len());
    }
    Ok(known::<D>(column, move |row, out| {
        let at = keys.value(row).as_usize();
        out.extend_from_slice(&texts[ends[at]..ends[at + 1]]);
        Ok(())
    }))
}

fn runs<'a, D: Dialect, R: RunEndIndexType>(
    column: &'a dyn Array,
    field: &'a FieldRef,
) -> Result<Cell<'a>, ArrowError> {
    let array: &RunArray<R> = column.as_run();
    let mut value = cells::<D>(array.values().as_ref(), field)?;
    // Rows mostly come in order, so that a search is needed once for each run.
    let (mut run, mut rows) = (0, 0..0);
    Ok(Box::new(move |row, out| {
        if !rows.contains(&row) {
            run = array.get_physical_index(row);
            let end = array.run_ends().values()[run].as_usize().saturating_sub(array.offset());
            rows = row..end;
        }
        value(run, out)
    }))
}
