//! Values to texts: one text for each value, as the canonical form needs it.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::float::as_double;
use super::value::relabelled;

/// A value as the one text that stands for it in a canonical query; [`fit`](super::value::fit) reads it back. The two zeros have one text,
/// and so have all NaNs.
pub(super) fn text(values: &dyn Array, at: usize) -> String {
    match values.data_type() {
        DataType::Float16 | DataType::Float64 => as_double(values, at).map_or_else(String::new, float_text),
        DataType::Float32 => float_text(values.as_primitive::<Float32Type>().value(at)),
        DataType::Timestamp(unit, Some(_)) => {
            // Printed in UTC, so that the names of zones need not be known.
            match relabelled(&values.slice(at, 1), &DataType::Timestamp(*unit, None)) {
                Ok(value) => displayed(&value, 0),
                Err(_) => displayed(values, at),
            }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            format!("\\x{}", displayed(values, at))
        }
        _ => displayed(values, at),
    }
}

fn float_text<F: std::fmt::Display + std::fmt::LowerExp + Into<f64> + Copy>(value: F) -> String {
    let double: f64 = value.into();
    match double.abs() {
        0.0 => "0".to_owned(),
        size if size.is_nan() => "nan".to_owned(),
        1e-5..1e15 => value.to_string(),
        size if size.is_infinite() => value.to_string(),
        _ => format!("{value:e}"),
    }
}

fn displayed(values: &dyn Array, at: usize) -> String {
    let options = FormatOptions::new();
    ArrayFormatter::try_new(values, &options).map_or_else(|_| String::new(), |format| format.value(at).to_string())
}
