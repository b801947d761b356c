//! Floats, whose zero has two spellings, and NaN many.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

/// Whether the values are floats.
pub(super) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

/// A float value as the widest type, `None` for other types.
pub(super) fn as_double(values: &dyn Array, at: usize) -> Option<f64> {
    Some(match values.data_type() {
        DataType::Float16 => values.as_primitive::<Float16Type>().value(at).to_f64(),
        DataType::Float32 => f64::from(values.as_primitive::<Float32Type>().value(at)),
        DataType::Float64 => values.as_primitive::<Float64Type>().value(at),
        _ => return None,
    })
}

/// Whether the first value is NaN.
pub(super) fn is_nan(value: &ArrayRef) -> bool {
    as_double(value, 0).is_some_and(f64::is_nan)
}

/// The lower and the greater of the two bit patterns of a zero or a NaN.
pub(super) fn both_spellings(value: &ArrayRef) -> Option<(ArrayRef, ArrayRef)> {
    let double = as_double(value, 0)?;
    if double != 0.0 && !double.is_nan() {
        return None;
    }
    let signed = |sign: f64| -> Option<ArrayRef> {
        let double = double.copysign(sign);
        match value.data_type() {
            DataType::Float64 => Some(Arc::new(Float64Array::from(vec![double]))),
            #[expect(clippy::cast_possible_truncation, reason = "zeros and NaNs keep their sign")]
            narrow => cast(&Float32Array::from(vec![double as f32]), narrow).ok(),
        }
    };
    Some((signed(-1.0)?, signed(1.0)?))
}
