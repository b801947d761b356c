//! Sums and counts. Sums of whole numbers are added up in 128 bits and must fit the answer's type at the end; sums of floats
//! are added in the order of the rows, range by range.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, Decimal128Array, Int64Array, PrimitiveArray,
    UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, UInt64Type};

use crate::eval::EvalError;
use crate::query::BoundAggregate;

/// The error of a sum that does not fit; whose it is is told further up.
pub(super) fn overflow() -> EvalError {
    EvalError::SumOverflow { column: String::new() }
}

/// Goes over the values that are not null, each with what is kept of its group.
pub(super) fn add<T: ArrowPrimitiveType, K>(
    kept: &mut [K],
    numbers: &[u32],
    values: &PrimitiveArray<T>,
    mut add: impl FnMut(&mut K, T::Native) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    match values.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            for (number, value) in numbers.iter().zip(values.values()) {
                add(&mut kept[*number as usize], *value)?;
            }
        }
        Some(nulls) => {
            for at in nulls.valid_indices() {
                add(&mut kept[numbers[at] as usize], values.value(at))?;
            }
        }
    }
    Ok(())
}

/// Adds whole numbers to the sums of their groups.
pub(super) fn add_whole(sums: &mut [i128], numbers: &[u32], values: &ArrayRef) -> Result<(), EvalError> {
    let data_type = match values.data_type() {
        DataType::Dictionary(_, values) => &**values,
        other => other,
    };
    match data_type {
        t if t.is_unsigned_integer() => {
            let values = cast(values, &DataType::UInt64)?;
            add(sums, numbers, values.as_primitive::<UInt64Type>(), |sum, value| {
                *sum += i128::from(value);
                Ok(())
            })
        }
        t if t.is_signed_integer() => {
            let values = cast(values, &DataType::Int64)?;
            add(sums, numbers, values.as_primitive::<Int64Type>(), |sum, value| {
                *sum += i128::from(value);
                Ok(())
            })
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => {
            // A value of more digits has no place in a sum of 38.
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let values =
                cast_with_options(values, &DataType::Decimal128(38, *scale), &strict).map_err(|_| overflow())?;
            add(sums, numbers, values.as_primitive::<Decimal128Type>(), |sum, value| {
                *sum = sum.checked_add(value).ok_or_else(overflow)?;
                Ok(())
            })
        }
        _ => Err(EvalError::SchemaMismatch),
    }
}

/// Counts the values that are not null.
pub(super) fn count_known(counts: &mut [u64], numbers: &[u32], values: &dyn Array, groups: usize) {
    match values.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        None if groups == 1 => counts[0] += numbers.len() as u64,
        None => numbers.iter().for_each(|number| counts[*number as usize] += 1),
        Some(nulls) => nulls.valid_indices().for_each(|at| counts[numbers[at] as usize] += 1),
    }
}

/// Counts as a column.
pub(super) fn count_column(counts: &[u64]) -> Int64Array {
    Int64Array::from_iter_values(counts.iter().map(|count| i64::try_from(*count).unwrap_or(i64::MAX)))
}

/// The groups that have a value at all.
pub(super) fn known(counts: &[u64]) -> Option<NullBuffer> {
    let mut bits = BooleanBufferBuilder::new(counts.len());
    counts.iter().for_each(|count| bits.append(*count > 0));
    Some(NullBuffer::new(bits.finish())).filter(|nulls| nulls.null_count() > 0)
}

/// Sums of whole numbers as a column of the answer's type.
pub(super) fn whole_column(
    sums: &[i128],
    nulls: Option<NullBuffer>,
    aggregate: &BoundAggregate,
) -> Result<ArrayRef, EvalError> {
    let overflow = || EvalError::SumOverflow { column: aggregate.name.to_string() };
    Ok(match &aggregate.data_type {
        DataType::Decimal128(precision, scale) => {
            let end = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
            if sums.iter().any(|sum| *sum >= end || *sum <= -end) {
                return Err(overflow());
            }
            let column = Decimal128Array::new(sums.to_vec().into(), nulls);
            Arc::new(column.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::UInt64 => {
            let sums = sums.iter().map(|sum| u64::try_from(*sum).map_err(|_| overflow()));
            Arc::new(UInt64Array::new(sums.collect::<Result<Vec<_>, _>>()?.into(), nulls))
        }
        _ => {
            let sums = sums.iter().map(|sum| i64::try_from(*sum).map_err(|_| overflow()));
            Arc::new(Int64Array::new(sums.collect::<Result<Vec<_>, _>>()?.into(), nulls))
        }
    })
}
