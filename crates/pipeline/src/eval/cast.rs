//! Casts: a value that cannot be cast is an error that shows it, never null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::EvalError;

/// The longest value that an error shows, in characters.
const SHOWN_CHARS: usize = 100;

/// The column as another type. Fractions are rounded to whole numbers, half to even, as PostgreSQL does with floats.
///
/// # Errors
/// [`EvalError::BadCast`] with the first value that has no place in the type; a kernel that fails.
pub(super) fn cast_column(column: &ArrayRef, to: &DataType, name: &str) -> Result<ArrayRef, EvalError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let column = &rounded(column, to)?;
    let options = |safe| CastOptions { safe, format_options: FormatOptions::default() };
    match cast_with_options(column, to, &options(false)) {
        Ok(cast) => Ok(cast),
        Err(error) => {
            // A dictionary may hold values that no row has; only a value that a row loses is an error.
            let Ok(cast) = cast_with_options(column, to, &options(true)) else { return Err(error.into()) };
            match misfit(column, &cast) {
                Some(at) => Err(bad_cast(column, at, to, name)?),
                None => Ok(cast),
            }
        }
    }
}

/// Numbers with a fraction as whole ones, where they are cast to such.
fn rounded(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::*;
    if !to.is_integer() {
        return Ok(column.clone());
    }
    match column.data_type() {
        Float16 | Float32 | Float64 => {
            let column = cast(column, &Float64)?;
            let rounded: Float64Array = column.as_primitive::<Float64Type>().unary(f64::round_ties_even);
            Ok(Arc::new(rounded))
        }
        // Arrow rounds when it takes digits away from a decimal, but not when it makes a whole number of one.
        Decimal32(..) | Decimal64(..) | Decimal128(..) => cast(column, &Decimal128(38, 0)),
        Decimal256(..) => cast(column, &Decimal256(76, 0)),
        _ => Ok(column.clone()),
    }
}

/// The first row whose value became null in a cast that leaves errors out.
fn misfit(column: &ArrayRef, cast: &ArrayRef) -> Option<usize> {
    let (before, after) = (column.logical_nulls(), cast.logical_nulls()?);
    let was_value = |at: &usize| before.as_ref().is_none_or(|nulls| nulls.is_valid(*at));
    (0..column.len()).filter(was_value).find(|at| after.is_null(*at))
}

/// The error about the value in a row.
fn bad_cast(column: &ArrayRef, at: usize, to: &DataType, name: &str) -> Result<EvalError, ArrowError> {
    let format = FormatOptions::default();
    let value = ArrayFormatter::try_new(column, &format)?.value(at).to_string();
    let value = match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    };
    Ok(EvalError::BadCast { column: name.to_owned(), value, data_type: in_words(to) })
}

/// A type as the language names it.
fn in_words(data_type: &DataType) -> String {
    use DataType::*;
    match data_type {
        Utf8 | LargeUtf8 | Utf8View => "text".to_owned(),
        Int8 | Int16 => "int2".to_owned(),
        Int32 => "int4".to_owned(),
        Int64 => "int8".to_owned(),
        Float16 | Float32 => "float4".to_owned(),
        Float64 => "float8".to_owned(),
        Boolean => "bool".to_owned(),
        Date32 | Date64 => "date".to_owned(),
        Time32(_) | Time64(_) => "time".to_owned(),
        Timestamp(_, None) => "timestamp".to_owned(),
        Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        Decimal32(precision, scale)
        | Decimal64(precision, scale)
        | Decimal128(precision, scale)
        | Decimal256(precision, scale) => format!("numeric({precision},{scale})"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array, StringArray};
    use arrow::datatypes::Int8Type;

    use super::*;

    #[track_caller]
    fn check(column: impl Array + 'static, to: DataType, expected: &[Option<&str>]) {
        let column: ArrayRef = Arc::new(column);
        let made = cast_column(&column, &to, "c").unwrap();
        let text = cast(&made, &DataType::Utf8).unwrap();
        assert_eq!(text.as_string::<i32>().iter().collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn check_bad(column: impl Array + 'static, to: DataType, expected: &str) {
        let column: ArrayRef = Arc::new(column);
        assert_eq!(cast_column(&column, &to, "c").unwrap_err().to_string(), expected);
    }

    #[test]
    fn values_are_cast_and_nulls_stay() {
        check(Int64Array::from(vec![Some(7), None]), DataType::Utf8, &[Some("7"), None]);
        check(StringArray::from(vec!["7", "-8"]), DataType::Int64, &[Some("7"), Some("-8")]);
        check(Float64Array::from(vec![2.5, 3.5, -0.2]), DataType::Int32, &[Some("2"), Some("4"), Some("0")]);
        let price = Decimal128Array::from(vec![150, 249]).with_precision_and_scale(10, 2).unwrap();
        check(price, DataType::Int64, &[Some("2"), Some("2")]);
        check(StringArray::from(vec!["2024-01-31"]), DataType::Date32, &[Some("2024-01-31")]);
    }

    #[test]
    fn a_value_without_a_place_in_the_type_is_an_error_that_shows_it() {
        check_bad(
            StringArray::from(vec![Some("7"), None, Some("x")]),
            DataType::Int64,
            "'x' of column 'c' cannot be cast to int8",
        );
        check_bad(
            Float64Array::from(vec![1.0, f64::NAN]),
            DataType::Int64,
            "'NaN' of column 'c' cannot be cast to int8",
        );
        check_bad(Int64Array::from(vec![300]), DataType::Int8, "'300' of column 'c' cannot be cast to int2");
    }

    #[test]
    fn values_of_a_dictionary_that_no_row_has_are_not_cast() {
        let texts = Arc::new(StringArray::from(vec!["7", "x", "8"]));
        let of = |keys: Vec<Option<i8>>| DictionaryArray::<Int8Type>::new(Int8Array::from(keys), texts.clone());
        check(of(vec![Some(2), None, Some(0)]), DataType::Int64, &[Some("8"), None, Some("7")]);
        check_bad(of(vec![Some(2), Some(1)]), DataType::Int64, "'x' of column 'c' cannot be cast to int8");
    }
}
