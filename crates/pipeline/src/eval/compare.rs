//! Columns compared with one value.
//!
//! Numbers, dates and times have a loop of their own, which gathers 64 outcomes in a word: compiled for AVX2 and chosen when
//! the program runs, it takes a third of the time of Arrow's kernels, which are compiled for any processor. All other
//! types are compared by Arrow's. The order is Arrow's in both: of floats, IEEE 754's total order.

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray, Scalar, downcast_integer,
    downcast_temporal,
};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use pulp::Arch;

use super::EvalError;
use super::mask::true_bits;
use crate::query::PredicateOp;

/// The rows in which `column <op> value` is true; a null is in no relation to anything. `value` is one value.
///
/// # Errors
/// The types differ, or `op` is no comparison.
pub(super) fn compare(op: PredicateOp, column: &ArrayRef, value: &ArrayRef) -> Result<BooleanBuffer, EvalError> {
    use PredicateOp::*;
    if let Some(bits) = numbers(op, column, value) {
        return Ok(bits);
    }
    let value = Scalar::new(value);
    Ok(true_bits(match op {
        Eq => cmp::eq(column, &value),
        NotEq => cmp::neq(column, &value),
        Gt => cmp::gt(column, &value),
        GtEq => cmp::gt_eq(column, &value),
        Lt => cmp::lt(column, &value),
        LtEq => cmp::lt_eq(column, &value),
        _ => return Err(EvalError::SchemaMismatch),
    }?))
}

/// The outcome if both are of the same type, one with a loop here, and the value is not null.
fn numbers(op: PredicateOp, column: &ArrayRef, value: &ArrayRef) -> Option<BooleanBuffer> {
    if column.data_type() != value.data_type() || value.len() != 1 || value.is_null(0) {
        return None;
    }
    macro_rules! of_type {
        ($t:ty) => {
            of(op, column.as_primitive::<$t>(), value.as_primitive::<$t>().value(0))
        };
    }
    use DataType::*;
    downcast_integer! {
        column.data_type() => (of_type),
        Float32 => of_type!(Float32Type),
        Float64 => of_type!(Float64Type),
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) => downcast_temporal! {
            column.data_type() => (of_type),
            _ => None
        },
        _ => None
    }
}

fn of<T: ArrowPrimitiveType>(op: PredicateOp, column: &PrimitiveArray<T>, value: T::Native) -> Option<BooleanBuffer> {
    use PredicateOp::*;
    let values = column.values();
    // In a total order each comparison is one of these three or its contrary.
    let found = match op {
        Eq => bits(values, 0, |each| each.is_eq(value)),
        NotEq => bits(values, u64::MAX, |each| each.is_eq(value)),
        Lt => bits(values, 0, |each| each.is_lt(value)),
        GtEq => bits(values, u64::MAX, |each| each.is_lt(value)),
        Gt => bits(values, 0, |each| each.is_gt(value)),
        LtEq => bits(values, u64::MAX, |each| each.is_gt(value)),
        _ => return None,
    };
    Some(match column.nulls() {
        Some(nulls) if nulls.null_count() > 0 => &found & nulls.inner(),
        _ => found,
    })
}

/// Bits in a word of a mask.
pub(super) const WORD: usize = 64;

/// The outcomes of `test`, turned where `contrary` has a bit.
fn bits<T: ArrowNativeTypeOp>(values: &[T], contrary: u64, test: impl Fn(T) -> bool) -> BooleanBuffer {
    let mut words = Vec::with_capacity(values.len().div_ceil(WORD));
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let word = |values: &[T]| {
                let bits = values.iter().enumerate().fold(0, |word, (at, each)| word | u64::from(test(*each)) << at);
                (bits ^ contrary).to_le()
            };
            // A length that is known beforehand is what makes vectors of the loop.
            let (whole, rest) = values.as_chunks::<WORD>();
            words.extend(whole.iter().map(|values| word(values)));
            if !rest.is_empty() {
                words.push(word(rest));
            }
        },
    );
    BooleanBuffer::new(Buffer::from_vec(words), 0, values.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int64Array, StringArray,
        TimestampMillisecondArray, UInt64Array,
    };

    use super::*;

    const COMPARISONS: [PredicateOp; 6] =
        [PredicateOp::Eq, PredicateOp::NotEq, PredicateOp::Lt, PredicateOp::LtEq, PredicateOp::Gt, PredicateOp::GtEq];

    /// Compares the whole column and slices of it with each of its values, and every outcome with that of Arrow's kernels.
    #[track_caller]
    fn check_like_arrow(column: ArrayRef) {
        for (start, length) in [(0, column.len()), (3, 64), (1, 127), (60, 1), (5, 0)] {
            let part = column.slice(start, length);
            for at in (0..column.len()).filter(|at| column.is_valid(*at)).take(40) {
                let value = column.slice(at, 1);
                for op in COMPARISONS {
                    let (arrow, scalar) = (part.clone(), Scalar::new(value.clone()));
                    let expected = match op {
                        PredicateOp::Eq => cmp::eq(&arrow, &scalar),
                        PredicateOp::NotEq => cmp::neq(&arrow, &scalar),
                        PredicateOp::Lt => cmp::lt(&arrow, &scalar),
                        PredicateOp::LtEq => cmp::lt_eq(&arrow, &scalar),
                        PredicateOp::Gt => cmp::gt(&arrow, &scalar),
                        _ => cmp::gt_eq(&arrow, &scalar),
                    };
                    let found = compare(op, &part, &value).unwrap();
                    assert_eq!(found, true_bits(expected.unwrap()), "{op:?} value {at}, rows {start} + {length}");
                }
            }
        }
    }

    fn values<T>(null_each: usize, value: impl Fn(usize) -> T) -> impl Iterator<Item = Option<T>> {
        (0..200).map(move |at| (null_each == 0 || at % null_each != 1).then(|| value(at * 7 % 31)))
    }

    #[test]
    fn numbers_compare_as_with_arrow() {
        check_like_arrow(Arc::new(Int8Array::from_iter(values(0, |n| n as i8 - 15))));
        check_like_arrow(Arc::new(Int64Array::from_iter(values(5, |n| i64::MIN + n as i64))));
        check_like_arrow(Arc::new(UInt64Array::from_iter(values(3, |n| u64::MAX - n as u64))));
        check_like_arrow(Arc::new(Date32Array::from_iter(values(0, |n| n as i32))));
        let times = TimestampMillisecondArray::from_iter(values(4, |n| n as i64)).with_timezone("Europe/Zurich");
        check_like_arrow(Arc::new(times));
    }

    #[test]
    fn floats_compare_as_with_arrow_also_where_they_are_no_numbers() {
        let odd = [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1.5];
        check_like_arrow(Arc::new(Float64Array::from_iter(values(6, |n| odd[n % odd.len()]))));
        check_like_arrow(Arc::new(Float32Array::from_iter(values(0, |n| odd[n % odd.len()] as f32))));
    }

    #[test]
    fn other_types_are_left_to_arrow() {
        check_like_arrow(Arc::new(StringArray::from_iter(values(4, |n| format!("text {n}")))));
        check_like_arrow(Arc::new(Decimal128Array::from_iter(values(0, |n| n as i128))));
    }

    #[test]
    fn types_that_differ_are_an_error_and_a_null_is_in_no_relation() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let other: ArrayRef = Arc::new(Date32Array::from(vec![1]));
        compare(PredicateOp::Eq, &column, &other).unwrap_err();
        assert_eq!(compare(PredicateOp::NotEq, &column, &column.slice(1, 1)).unwrap().count_set_bits(), 0);
        assert_eq!(compare(PredicateOp::NotEq, &column, &column.slice(0, 1)).unwrap().count_set_bits(), 0);
    }
}
