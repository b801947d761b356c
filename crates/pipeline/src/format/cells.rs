//! Columns as values to be spelled: the type of each column is looked at once for each batch.

use std::marker::PhantomData;

use arrow::array::{Array, AsArray, BinaryArrayType, ByteView, MAX_INLINE_VIEW_LEN, OffsetSizeTrait, PrimitiveArray};
use arrow::array::{StringViewArray, downcast_integer, downcast_run_array, types};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::dialect::Dialect;
use super::temporal::{self, Zone};
use super::window::{Short, WINDOW};
use super::{dictionary, nested, number};

/// The values of one column of one batch.
pub(super) trait Cells {
    /// Appends the value of a row.
    fn write(&mut self, row: usize, out: &mut Vec<u8>);
}

/// The cells of an array, spelled in `D`.
///
/// # Errors
/// The type has no spelling.
pub(super) fn cells<'a, D: Dialect>(array: &'a dyn Array) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    if nulls.as_ref().is_some_and(|nulls| nulls.null_count() == array.len()) {
        return Ok(Box::new(Nothing::<D>(PhantomData)));
    }
    macro_rules! numbers {
        ($t:ty) => {
            boxed::<D, _>(Numbers::<D, $t> { values: array.as_primitive::<$t>().values(), dialect: PhantomData }, nulls)
        };
    }
    Ok(downcast_integer! {
        array.data_type() => (numbers),
        DataType::Float16 => {
            boxed::<D, _>(Halves::<D>(array.as_primitive::<types::Float16Type>().values(), PhantomData), nulls)
        }
        DataType::Float32 => numbers!(types::Float32Type),
        DataType::Float64 => numbers!(types::Float64Type),
        DataType::Null => Box::new(Nothing::<D>(PhantomData)),
        DataType::Boolean => boxed::<D, _>(Booleans::<D>(array.as_boolean().values(), PhantomData), nulls),
        DataType::Utf8 => texts::<D, i32>(array, nulls),
        DataType::LargeUtf8 => texts::<D, i64>(array, nulls),
        DataType::Utf8View => boxed::<D, _>(Views::<D>(array.as_string_view(), PhantomData), nulls),
        DataType::Binary => boxed::<D, _>(Binaries::<D, _>(array.as_binary::<i32>(), PhantomData), nulls),
        DataType::LargeBinary => boxed::<D, _>(Binaries::<D, _>(array.as_binary::<i64>(), PhantomData), nulls),
        DataType::BinaryView => boxed::<D, _>(Binaries::<D, _>(array.as_binary_view(), PhantomData), nulls),
        DataType::FixedSizeBinary(_) => {
            boxed::<D, _>(Binaries::<D, _>(array.as_fixed_size_binary(), PhantomData), nulls)
        }
        DataType::Dictionary(_, values) if !(D::NESTED_AS_TEXT && values.is_nested()) => {
            dictionary::encoded::<D>(array, nulls)?
        }
        DataType::RunEndEncoded(_, values) if !(D::NESTED_AS_TEXT && values.data_type().is_nested()) => {
            downcast_run_array! {
                array => dictionary::runs::<D, _>(array, nulls)?,
                other => return Err(no_spelling(other)),
            }
        }
        other if other.is_nested() => nested::cells::<D>(array, nulls)?,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale)
            if (number::LOWEST_SCALE..=number::HIGHEST_SCALE).contains(scale) =>
        {
            decimals::<D>(array, *scale, nulls)
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            boxed::<D, _>(Formatted::<D>::new(array, Spelling::Decimal)?, nulls)
        }
        _ => temporal::<D>(array, nulls)?,
    })
}

pub(super) fn no_spelling(data_type: &DataType) -> ArrowError {
    ArrowError::NotYetImplemented(format!("a column of type {data_type}"))
}

/// Values that are asked for only where there are some. Whole columns without nulls are not asked at all.
struct Nullable<D, C> {
    nulls: NullBuffer,
    cells: C,
    dialect: PhantomData<D>,
}

impl<D: Dialect, C: Cells> Cells for Nullable<D, C> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        if self.nulls.is_valid(row) { self.cells.write(row, out) } else { D::null(out) }
    }
}

pub(super) fn boxed<'a, D: Dialect, C: Cells + 'a>(cells: C, nulls: Option<NullBuffer>) -> Box<dyn Cells + 'a> {
    match nulls {
        Some(nulls) => Box::new(Nullable { nulls, cells, dialect: PhantomData::<D> }),
        None => Box::new(cells),
    }
}

/// Nulls only.
struct Nothing<D>(PhantomData<D>);

impl<D: Dialect> Cells for Nothing<D> {
    fn write(&mut self, _: usize, out: &mut Vec<u8>) {
        D::null(out);
    }
}

/// A number of one of Arrow's types.
trait Number: Copy {
    fn spell<D: Dialect>(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($($native:ty => $method:ident as $wide:ty),*) => {
        $(impl Number for $native {
            #[inline]
            fn spell<D: Dialect>(self, out: &mut Vec<u8>) {
                D::$method(<$wide>::from(self), out);
            }
        })*
    };
}
number!(i8 => signed as i64, i16 => signed as i64, i32 => signed as i64, i64 => signed as i64);
number!(u8 => unsigned as u64, u16 => unsigned as u64, u32 => unsigned as u64, u64 => unsigned as u64);
number!(f32 => single as f32, f64 => double as f64);

struct Numbers<'a, D, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    dialect: PhantomData<D>,
}

impl<D: Dialect, T: ArrowPrimitiveType<Native: Number>> Cells for Numbers<'_, D, T> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        self.values[row].spell::<D>(out);
    }
}

struct Halves<'a, D>(&'a [<types::Float16Type as ArrowPrimitiveType>::Native], PhantomData<D>);

impl<D: Dialect> Cells for Halves<'_, D> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        D::half(self.0[row].to_f32(), out);
    }
}

struct Booleans<'a, D>(&'a BooleanBuffer, PhantomData<D>);

impl<D: Dialect> Cells for Booleans<'_, D> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        D::boolean(self.0.value(row), out);
    }
}

struct Texts<'a, D, O> {
    offsets: &'a [O],
    data: &'a [u8],
    dialect: PhantomData<D>,
}

fn texts<'a, D: Dialect, O: OffsetSizeTrait>(array: &'a dyn Array, nulls: Option<NullBuffer>) -> Box<dyn Cells + 'a> {
    let array = array.as_string::<O>();
    let texts = Texts { offsets: array.value_offsets(), data: array.value_data(), dialect: PhantomData::<D> };
    boxed::<D, _>(texts, nulls)
}

impl<D: Dialect, O: OffsetSizeTrait> Cells for Texts<'_, D, O> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let start = self.offsets[row].as_usize();
        D::text(self.data, start, self.offsets[row + 1].as_usize() - start, out);
    }
}

struct Views<'a, D>(&'a StringViewArray, PhantomData<D>);

impl<D: Dialect> Cells for Views<'_, D> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let view = self.0.views()[row];
        let len = view as u32;
        if len <= MAX_INLINE_VIEW_LEN {
            // The text is in the view itself, behind its length.
            let mut padded = [0; WINDOW];
            padded[..12].copy_from_slice(&view.to_le_bytes()[4..]);
            D::text(&padded, 0, len as usize, out);
        } else {
            let view = ByteView::from(view);
            let buffer = &self.0.data_buffers()[view.buffer_index as usize];
            D::text(buffer, view.offset as usize, view.length as usize, out);
        }
    }
}

struct Binaries<D, A>(A, PhantomData<D>);

impl<'a, D: Dialect, A: BinaryArrayType<'a>> Cells for Binaries<D, A> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        D::binary(self.0.value(row), out);
    }
}

struct Decimals<'a, D, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    scale: i8,
    text: Short,
    dialect: PhantomData<D>,
}

fn decimals<'a, D: Dialect>(array: &'a dyn Array, scale: i8, nulls: Option<NullBuffer>) -> Box<dyn Cells + 'a> {
    macro_rules! of {
        ($t:ty) => {
            boxed::<D, _>(
                Decimals::<D, $t> {
                    values: array.as_primitive::<$t>().values(),
                    scale,
                    text: Short::new(),
                    dialect: PhantomData,
                },
                nulls,
            )
        };
    }
    match array.data_type() {
        DataType::Decimal32(..) => of!(types::Decimal32Type),
        DataType::Decimal64(..) => of!(types::Decimal64Type),
        _ => of!(types::Decimal128Type),
    }
}

impl<D: Dialect, T: ArrowPrimitiveType<Native: Into<i128>>> Cells for Decimals<'_, D, T> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        number::decimal(self.values[row].into(), self.scale, &mut self.text);
        let (text, len) = self.text.padded();
        D::decimal(text, len, out);
    }
}

/// Whether a formatted value is a number or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A number.
    Decimal,
    /// A text without anything to escape.
    Plain,
}

/// Values of rare types, and rare values of others, as the Arrow project formats them.
pub(super) struct Formatted<'a, D> {
    array: &'a dyn Array,
    formatter: ArrayFormatter<'a>,
    spelling: Spelling,
    text: String,
    dialect: PhantomData<D>,
}

impl<'a, D: Dialect> Formatted<'a, D> {
    fn new(array: &'a dyn Array, spelling: Spelling) -> Result<Self, ArrowError> {
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new())?;
        Ok(Self { array, formatter, spelling, text: String::new(), dialect: PhantomData })
    }
}

impl<D: Dialect> Cells for Formatted<'_, D> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        match (self.formatter.value(row).write(&mut self.text), self.spelling) {
            (Ok(()), Spelling::Decimal) => D::decimal(self.text.as_bytes(), self.text.len(), out),
            (Ok(()), Spelling::Plain) => D::plain(self.text.as_bytes(), self.text.len(), out),
            // A time that no calendar has is the number that it is kept as. It must not take the whole answer with it.
            (Err(_), _) => match cast(&self.array.slice(row, 1), &DataType::Int64) {
                Ok(number) if number.is_valid(0) => D::signed(number.as_primitive::<types::Int64Type>().value(0), out),
                _ => D::null(out),
            },
        }
    }
}

/// What a number of a temporal column counts.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Days,
    Time(TimeUnit),
    Timestamp(TimeUnit, Zone),
}

struct Times<'a, D, T: ArrowPrimitiveType> {
    array: &'a PrimitiveArray<T>,
    clock: Clock,
    text: Short,
    rest: Formatted<'a, D>,
}

impl<D: Dialect, T: ArrowPrimitiveType<Native: Into<i64>>> Cells for Times<'_, D, T> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.array.values()[row].into();
        self.text.clear();
        let spelled = match self.clock {
            Clock::Days => temporal::date(value, &mut self.text),
            Clock::Time(unit) => temporal::time(value, unit, &mut self.text),
            Clock::Timestamp(unit, zone) => temporal::timestamp(value, unit, zone, &mut self.text),
        };
        if spelled.is_some() {
            let (text, len) = self.text.padded();
            D::plain(text, len, out);
        } else {
            self.rest.write(row, out);
        }
    }
}

fn temporal<'a, D: Dialect>(
    array: &'a dyn Array,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    let rest = Formatted::<D>::new(array, Spelling::Plain)?;
    macro_rules! times {
        ($t:ty, $clock:expr) => {
            boxed::<D, _>(Times { array: array.as_primitive::<$t>(), clock: $clock, text: Short::new(), rest }, nulls)
        };
    }
    macro_rules! timestamps {
        ($t:ty, $unit:expr, $zone:expr) => {
            times!($t, Clock::Timestamp(*$unit, Zone::parse($zone.as_deref())?))
        };
    }
    Ok(match array.data_type() {
        DataType::Date32 => times!(types::Date32Type, Clock::Days),
        DataType::Date64 => times!(types::Date64Type, Clock::Timestamp(TimeUnit::Millisecond, Zone::None)),
        DataType::Time32(unit @ TimeUnit::Second) => times!(types::Time32SecondType, Clock::Time(*unit)),
        DataType::Time32(unit) => times!(types::Time32MillisecondType, Clock::Time(*unit)),
        DataType::Time64(unit @ TimeUnit::Microsecond) => times!(types::Time64MicrosecondType, Clock::Time(*unit)),
        DataType::Time64(unit) => times!(types::Time64NanosecondType, Clock::Time(*unit)),
        DataType::Timestamp(unit, zone) => match unit {
            TimeUnit::Second => timestamps!(types::TimestampSecondType, unit, zone),
            TimeUnit::Millisecond => timestamps!(types::TimestampMillisecondType, unit, zone),
            TimeUnit::Microsecond => timestamps!(types::TimestampMicrosecondType, unit, zone),
            TimeUnit::Nanosecond => timestamps!(types::TimestampNanosecondType, unit, zone),
        },
        DataType::Duration(_) | DataType::Interval(_) => boxed::<D, _>(rest, nulls),
        other => return Err(no_spelling(other)),
    })
}
