//! Numbers for the values of one column, whatever its type: null has one as well, the two zeros share one, and so do all
//! NaNs.
//!
//! Whole numbers, floats, truth values and times go as 64 bits ([`Numbers`]), texts as bytes ([`Texts`]), a dictionary as its
//! codes, each of which is looked up once; everything else as the bytes that [`arrow::row`] makes of it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringViewArray, UInt64Array,
    new_null_array,
};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::codes::Codes;
use super::number::Numbers;
use super::text::Texts;
use crate::eval::EvalError;

/// The number of no value.
pub(super) const NONE: u32 = u32::MAX;

/// The distinct values of a column.
#[derive(Debug)]
pub(super) struct Values {
    data_type: DataType,
    kind: Kind,
    /// How many values come before null, once there is a null.
    null: Option<u32>,
}

#[derive(Debug)]
enum Kind {
    /// Whole numbers that fit 64 signed bits, and times.
    Signed(Numbers),
    Unsigned(Numbers),
    /// By the bits of the float as a double.
    Floats(Numbers),
    Bools(Numbers),
    Texts(Texts),
    Dictionary(Box<Codes>),
    Rows(RowConverter, Texts),
}

impl Values {
    /// No values yet, of a type.
    pub(super) fn new(data_type: &DataType) -> Result<Self, EvalError> {
        use DataType::*;
        let kind = match data_type {
            Int8 | Int16 | Int32 | Int64 | Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) => {
                Kind::Signed(Numbers::default())
            }
            UInt8 | UInt16 | UInt32 | UInt64 => Kind::Unsigned(Numbers::default()),
            Float16 | Float32 | Float64 => Kind::Floats(Numbers::default()),
            Boolean => Kind::Bools(Numbers::default()),
            Utf8 | LargeUtf8 | Utf8View => Kind::Texts(Texts::default()),
            Dictionary(_, values) => Kind::Dictionary(Box::new(Codes::new(Values::new(values)?))),
            other => Kind::Rows(RowConverter::new(vec![SortField::new(other.clone())])?, Texts::default()),
        };
        Ok(Self { data_type: data_type.clone(), kind, null: None })
    }

    /// How many there are, null among them.
    pub(super) fn len(&self) -> usize {
        self.known() + usize::from(self.null().is_some())
    }

    /// How many there are but for null.
    pub(super) fn known(&self) -> usize {
        match &self.kind {
            Kind::Signed(n) | Kind::Unsigned(n) | Kind::Floats(n) | Kind::Bools(n) => n.len(),
            Kind::Texts(texts) | Kind::Rows(_, texts) => texts.len(),
            Kind::Dictionary(codes) => codes.values().known(),
        }
    }

    /// The number of null, if it has come.
    pub(super) fn null(&self) -> Option<u32> {
        match &self.kind {
            Kind::Dictionary(codes) => codes.values().null(),
            _ => self.null,
        }
    }

    /// Appends the number of each row's value.
    pub(super) fn number(&mut self, column: &ArrayRef, out: &mut Vec<u32>) -> Result<(), EvalError> {
        if let Kind::Dictionary(codes) = &mut self.kind {
            return codes.number(column, out);
        }
        let start = out.len();
        out.reserve(column.len());
        match &mut self.kind {
            Kind::Signed(numbers) => {
                let column = whole(column)?;
                let column = column.as_primitive::<Int64Type>();
                let value = |at: usize| column.value(at).cast_unsigned();
                each(column, &mut self.null, numbers, Numbers::len, out, |numbers, at| numbers.number(value(at)));
            }
            Kind::Unsigned(numbers) => {
                let column = cast(column, &DataType::UInt64)?;
                let column = column.as_primitive::<UInt64Type>();
                each(column, &mut self.null, numbers, Numbers::len, out, |numbers, at| {
                    numbers.number(column.value(at))
                });
            }
            Kind::Floats(numbers) => {
                let column = cast(column, &DataType::Float64)?;
                let column = column.as_primitive::<Float64Type>();
                each(column, &mut self.null, numbers, Numbers::len, out, |numbers, at| {
                    numbers.number(one_float(column.value(at)).to_bits())
                });
            }
            Kind::Bools(numbers) => {
                let column = column.as_boolean();
                each(column, &mut self.null, numbers, Numbers::len, out, |numbers, at| {
                    numbers.number(column.value(at).into())
                });
            }
            Kind::Texts(texts) => number_texts(column, &mut self.null, texts, out),
            Kind::Rows(converter, texts) => {
                let rows = converter.convert_columns(std::slice::from_ref(column))?;
                each(column, &mut self.null, texts, Texts::len, out, |texts, at| texts.number(rows.row(at).as_ref()));
            }
            Kind::Dictionary(_) => {}
        }
        if let Some(null) = self.null {
            shift(&mut out[start..], null);
        }
        Ok(())
    }

    /// Takes over the values of `later`; the new number of each of its numbers.
    pub(super) fn join(&mut self, later: Self) -> Result<Vec<u32>, EvalError> {
        let mut numbers = Vec::with_capacity(later.len());
        match (&mut self.kind, later.kind) {
            (Kind::Dictionary(mine), Kind::Dictionary(theirs)) => return mine.join(*theirs),
            (Kind::Signed(mine), Kind::Signed(theirs))
            | (Kind::Unsigned(mine), Kind::Unsigned(theirs))
            | (Kind::Floats(mine), Kind::Floats(theirs))
            | (Kind::Bools(mine), Kind::Bools(theirs)) => {
                let values = theirs.values().iter().map(|value| Some(*value));
                let number = |mine: &mut Numbers, value: u64| mine.number(value);
                joined(values, later.null, mine, Numbers::len, &mut self.null, &mut numbers, number);
            }
            (Kind::Texts(mine) | Kind::Rows(_, mine), Kind::Texts(theirs) | Kind::Rows(_, theirs)) => {
                let number = |mine: &mut Texts, value: &[u8]| mine.number(value);
                joined(theirs.iter().map(Some), later.null, mine, Texts::len, &mut self.null, &mut numbers, number);
            }
            _ => return Err(EvalError::SchemaMismatch),
        }
        if let Some(null) = self.null {
            shift(&mut numbers, null);
        }
        Ok(numbers)
    }

    /// The values as a column, each at its number.
    pub(super) fn finish(self) -> Result<ArrayRef, EvalError> {
        let known: ArrayRef = match self.kind {
            Kind::Signed(numbers) => {
                Arc::new(Int64Array::from_iter_values(numbers.values().iter().map(|value| value.cast_signed())))
            }
            Kind::Unsigned(numbers) => Arc::new(UInt64Array::from_iter_values(numbers.values().iter().copied())),
            Kind::Floats(numbers) => {
                Arc::new(Float64Array::from_iter_values(numbers.values().iter().map(|bits| f64::from_bits(*bits))))
            }
            Kind::Bools(numbers) => {
                Arc::new(numbers.values().iter().map(|value| Some(*value == 1)).collect::<BooleanArray>())
            }
            Kind::Texts(texts) => text_column(texts.iter().map(Some), &self.data_type)?,
            Kind::Rows(converter, texts) => {
                let parser = converter.parser();
                let rows = texts.iter().map(|bytes| parser.parse(bytes));
                converter.convert_rows(rows)?.remove(0)
            }
            Kind::Dictionary(codes) => codes.into_values().finish()?,
        };
        let known = of_whole(known, &self.data_type)?;
        let Some(null) = self.null else { return Ok(known) };
        let null = null as usize;
        let (before, after) = (known.slice(0, null), known.slice(null, known.len() - null));
        Ok(concat(&[&before, &new_null_array(&self.data_type, 1), &after])?)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Signed(n) | Kind::Unsigned(n) | Kind::Floats(n) | Kind::Bools(n) => n.bytes(),
            Kind::Texts(texts) | Kind::Rows(_, texts) => texts.bytes(),
            Kind::Dictionary(codes) => codes.bytes(),
        }
    }
}

/// Makes room for the number of null among those of the values.
fn shift(numbers: &mut [u32], null: u32) {
    for number in numbers {
        *number = match *number {
            NONE => null,
            number => number + u32::from(number >= null),
        };
    }
}

/// Appends for each row what `number` gives, or [`NONE`] for null, and notes when the first null has come.
fn each<T>(
    column: &dyn Array,
    null: &mut Option<u32>,
    known: &mut T,
    len: impl Fn(&T) -> usize,
    out: &mut Vec<u32>,
    mut number: impl FnMut(&mut T, usize) -> u32,
) {
    match column.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        None => out.extend((0..column.len()).map(|at| number(known, at))),
        Some(nulls) => out.extend((0..column.len()).map(|at| {
            if nulls.is_valid(at) {
                return number(known, at);
            }
            null.get_or_insert_with(|| u32::try_from(len(known)).unwrap_or(NONE));
            NONE
        })),
    }
}

/// As [`each`], for the values of other ranges; their null stands where it had come there.
fn joined<T, V>(
    values: impl Iterator<Item = Option<V>>,
    null_at: Option<u32>,
    known: &mut T,
    len: impl Fn(&T) -> usize,
    null: &mut Option<u32>,
    out: &mut Vec<u32>,
    mut number: impl FnMut(&mut T, V) -> u32,
) {
    let mut add_null = |known: &T, out: &mut Vec<u32>| {
        null.get_or_insert_with(|| u32::try_from(len(known)).unwrap_or(NONE));
        out.push(NONE);
    };
    for value in values.flatten() {
        if null_at.is_some_and(|at| at as usize == out.len()) {
            add_null(known, out);
        }
        out.push(number(known, value));
    }
    if null_at.is_some_and(|at| at as usize == out.len()) {
        add_null(known, out);
    }
}

/// A column of whole numbers, or of times as such.
pub(super) fn whole(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        // Arrow makes numbers of 32 bits of these, and of no others.
        DataType::Time32(_) => cast(&cast(column, &DataType::Int32)?, &DataType::Int64),
        _ => cast(column, &DataType::Int64),
    }
}

/// What is kept of a column as the type that it had.
pub(super) fn of_whole(kept: ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match data_type {
        same if same == kept.data_type() => Ok(kept),
        DataType::Time32(_) => cast(&cast(&kept, &DataType::Int32)?, data_type),
        other => cast(&kept, other),
    }
}

/// The two zeros are one number, and so are all NaNs.
pub(super) fn one_float(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn number_texts(column: &ArrayRef, null: &mut Option<u32>, texts: &mut Texts, out: &mut Vec<u32>) {
    if let Some(column) = column.as_string_view_opt() {
        let views = column.views();
        return each(column, null, texts, Texts::len, out, |texts, at| {
            texts.number_of_view(views[at], || column.value(at).as_bytes())
        });
    }
    if let Some(column) = column.as_string_opt::<i32>() {
        return each(column, null, texts, Texts::len, out, |texts, at| texts.number(column.value(at).as_bytes()));
    }
    let column = column.as_string::<i64>();
    each(column, null, texts, Texts::len, out, |texts, at| texts.number(column.value(at).as_bytes()));
}

/// Texts as a column of a type of texts.
pub(super) fn text_column<'a>(
    texts: impl Iterator<Item = Option<&'a [u8]>>,
    data_type: &DataType,
) -> Result<ArrayRef, EvalError> {
    let utf8 = texts.map(|bytes| bytes.map(|bytes| std::str::from_utf8(bytes).unwrap_or_default()));
    Ok(match data_type {
        DataType::Utf8View => Arc::new(utf8.collect::<StringViewArray>()),
        // The offsets of smaller ones end at 2 GiB, which the cast tells.
        _ => cast(&(Arc::new(utf8.collect::<LargeStringArray>()) as ArrayRef), data_type)?,
    })
}
