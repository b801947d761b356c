//! One NaN: whatever sign and payload a source's have, in tables and results there is one, so that it equals itself, and is
//! above all numbers for every operator and order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};
use arrow::error::ArrowError;

/// The batch with one NaN in its columns of floats; those that need no change are not copied.
///
/// # Errors
/// None for a batch that is one.
pub fn with_one_nan(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.schema_ref().fields().iter().any(|field| field.data_type().is_floating()) {
        return Ok(batch);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().iter().map(one_nan).collect();
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn one_nan(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float16 => {
            let nan = <Float16Type as ArrowPrimitiveType>::Native::NAN;
            replaced::<Float16Type>(column, nan, |value| value.is_nan() && value.to_bits() != nan.to_bits())
        }
        DataType::Float32 => {
            replaced::<Float32Type>(column, f32::NAN, |value| value.is_nan() && value.to_bits() != f32::NAN.to_bits())
        }
        DataType::Float64 => {
            replaced::<Float64Type>(column, f64::NAN, |value| value.is_nan() && value.to_bits() != f64::NAN.to_bits())
        }
        _ => Arc::clone(column),
    }
}

fn replaced<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    nan: T::Native,
    is_other: impl Fn(T::Native) -> bool,
) -> ArrayRef {
    let values = column.as_primitive::<T>();
    if !values.values().iter().any(|value| is_other(*value)) {
        return Arc::clone(column);
    }
    let replaced: PrimitiveArray<T> = values.unary(|value| if is_other(value) { nan } else { value });
    Arc::new(replaced.with_data_type(column.data_type().clone()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    #[test]
    fn every_nan_becomes_one_and_all_else_stays() {
        let payload = f64::from_bits(f64::NAN.to_bits() | 0x7A2);
        let floats = Float64Array::from(vec![Some(-f64::NAN), Some(payload), None, Some(-0.0), Some(f64::NAN)]);
        let columns: [(&str, ArrayRef); 2] =
            [("x", Arc::new(floats)), ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5])))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let made = with_one_nan(batch.clone()).unwrap();
        let bits: Vec<_> = made.column(0).as_primitive::<Float64Type>().iter().map(|x| x.map(f64::to_bits)).collect();
        let nan = Some(f64::NAN.to_bits());
        assert_eq!(bits, [nan, nan, None, Some((-0.0_f64).to_bits()), nan]);
        assert!(Arc::ptr_eq(made.column(1), batch.column(1)));
        let again = with_one_nan(made.clone()).unwrap();
        assert!(Arc::ptr_eq(again.column(0), made.column(0)));
    }
}
