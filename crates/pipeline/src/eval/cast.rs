//! Casts: a value that cannot be cast is an error that shows it, never null.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::EvalError;

/// The longest value that an error shows, in characters.
const SHOWN_CHARS: usize = 100;

/// The column as another type. Fractions are rounded to whole numbers, half to even, as PostgreSQL does with floats; times
/// lose what is finer than the type holds. Days and times of the day are those of UTC, whatever zone a column has.
///
/// # Errors
/// [`EvalError::BadCast`] with the first value that has no place in the type; a kernel that fails.
pub(super) fn cast_column(column: &ArrayRef, to: &DataType, name: &str) -> Result<ArrayRef, EvalError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let lenient = CastOptions { safe: true, format_options: FormatOptions::default() };
    let prepared = floored(&as_text(&of_utc(&rounded(column, to)?, to)?, to)?, to)?;
    let made = cast_with_options(&prepared, to, &lenient)?;
    match misfit(column, &made).or_else(|| became_infinite(column, &made)) {
        Some(at) => Err(bad_cast(column, at, to, name)?),
        None => Ok(made),
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

/// Floats as texts, where they are cast to decimals: 0.1 becomes one tenth, and not the binary fraction next to it.
fn as_text(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match column.data_type().is_floating() && to.is_decimal() {
        true => cast(column, &DataType::Utf8),
        false => Ok(column.clone()),
    }
}

/// Points in time of any zone as those of UTC, where they are cast to days and times of the day.
fn of_utc(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::*;
    match (column.data_type(), to) {
        (Timestamp(unit, Some(_)), Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(_, None)) => {
            let units = cast(column, &Int64)?;
            cast(&units, &Timestamp(*unit, None))
        }
        _ => Ok(column.clone()),
    }
}

/// Points in time in the units of the type that they are cast to. Arrow cuts towards 1970.
fn floored(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if let (DataType::Date64, DataType::Date32) = (column.data_type(), to) {
        let milliseconds = cast(column, &DataType::Int64)?;
        let days = |at: i64| at.div_euclid(86_400_000) * 86_400_000;
        let floored: Int64Array = milliseconds.as_primitive::<Int64Type>().unary(days);
        return cast(&floored, &DataType::Date64);
    }
    let (DataType::Timestamp(from, zone), DataType::Timestamp(unit, _)) = (column.data_type(), to) else {
        return Ok(column.clone());
    };
    let a_second = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000_i64,
    };
    let factor = a_second(from) / a_second(unit);
    if factor <= 1 {
        return Ok(column.clone());
    }
    let units = cast(column, &DataType::Int64)?;
    let floored: Int64Array = units.as_primitive::<Int64Type>().unary(|at| at.div_euclid(factor));
    cast(&floored, &DataType::Timestamp(*unit, zone.clone()))
}

/// The first row whose value became infinite in a cast, and was not.
fn became_infinite(column: &ArrayRef, made: &ArrayRef) -> Option<usize> {
    let infinite = |at: usize| match made.data_type() {
        DataType::Float32 => made.as_primitive::<Float32Type>().value(at).is_infinite(),
        DataType::Float64 => made.as_primitive::<Float64Type>().value(at).is_infinite(),
        _ => false,
    };
    if !made.data_type().is_floating() {
        return None;
    }
    let format = FormatOptions::default();
    // The word for it has an i, and no number has.
    let was_finite = |at: usize| match ArrayFormatter::try_new(column, &format) {
        Ok(text) => !text.value(at).to_string().contains(['i', 'I']),
        Err(_) => true,
    };
    (0..made.len()).filter(|at| made.is_valid(*at) && infinite(*at)).find(|at| was_finite(*at))
}

/// The first row whose value became null in a cast that leaves errors out.
fn misfit(column: &ArrayRef, cast: &ArrayRef) -> Option<usize> {
    let (before, after) = (column.logical_nulls(), cast.logical_nulls()?);
    if before.as_ref().map_or(0, |nulls| nulls.null_count()) == after.null_count() {
        return None;
    }
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
    use arrow::array::{
        Date64Array, Decimal128Array, DictionaryArray, Float64Array, Int8Array, Int64Array, StringArray,
        TimestampMicrosecondArray, TimestampNanosecondArray,
    };
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
        let before_1970 = TimestampNanosecondArray::from(vec![-1]);
        check(before_1970, DataType::Timestamp(TimeUnit::Second, None), &[Some("1969-12-31T23:59:59")]);
        check(Date64Array::from(vec![-1, 0]), DataType::Date32, &[Some("1969-12-31"), Some("1970-01-01")]);
        check(Float64Array::from(vec![679.32]), DataType::Decimal128(38, 20), &[Some("679.32000000000000000000")]);
        check(Float64Array::from(vec![2.345, -1e3]), DataType::Decimal128(10, 2), &[Some("2.35"), Some("-1000.00")]);
        check_bad(
            Float64Array::from(vec![1e300]),
            DataType::Decimal128(38, 2),
            "'1e300' of column 'c' cannot be cast to numeric(38,2)",
        );
        check_bad(
            Float64Array::from(vec![f64::NAN]),
            DataType::Decimal128(38, 2),
            "'NaN' of column 'c' cannot be cast to numeric(38,2)",
        );
    }

    #[test]
    fn one_clock_is_read_for_days_and_times() {
        let at = TimestampMicrosecondArray::from(vec![1_704_151_800_000_000]).with_timezone("Europe/Berlin");
        check(at.clone(), DataType::Date32, &[Some("2024-01-01")]);
        check(at.clone(), DataType::Time64(TimeUnit::Microsecond), &[Some("23:30:00")]);
        check(at, DataType::Timestamp(TimeUnit::Second, None), &[Some("2024-01-01T23:30:00")]);
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
        check_bad(Float64Array::from(vec![1e300]), DataType::Float32, "'1e300' of column 'c' cannot be cast to float4");
        check_bad(
            StringArray::from(vec!["inf", "1e400"]),
            DataType::Float64,
            "'1e400' of column 'c' cannot be cast to float8",
        );
        check_bad(
            Float64Array::from(vec![3e10]),
            DataType::Int32,
            "'30000000000.0' of column 'c' cannot be cast to int4",
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
