//! Which values of a column are in a list. A short list is compared value by value; a long one, which is
//! sorted when it is bound, is searched by bisection.

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray, downcast_primitive_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;

use super::EvalError;
use super::compare::compare;
use crate::query::PredicateOp;

/// Up to so many values are compared one by one: that takes about a nanosecond for four to eight rows.
const FEW: usize = 8;

/// The rows whose value is one of `values`, which are sorted and of the column's type; a null is none of them.
pub(super) fn within(column: &ArrayRef, values: &ArrayRef) -> Result<BooleanBuffer, EvalError> {
    if column.data_type() != values.data_type() {
        return Err(EvalError::SchemaMismatch);
    }
    if values.len() <= FEW || matches!(column.data_type(), DataType::Boolean) {
        return one_by_one(column, values);
    }
    let (array, list) = (column.as_ref(), values.as_ref());
    let found = downcast_primitive_array! {
        (array, list) => numbers(array, list),
        (DataType::Utf8, _) => {
            let (array, list) = (array.as_string::<i32>(), list.as_string::<i32>());
            bytes(array.len(), list.len(), |at| array.value(at).as_bytes(), |at| list.value(at).as_bytes())
        },
        (DataType::LargeUtf8, _) => {
            let (array, list) = (array.as_string::<i64>(), list.as_string::<i64>());
            bytes(array.len(), list.len(), |at| array.value(at).as_bytes(), |at| list.value(at).as_bytes())
        },
        (DataType::Utf8View, _) => {
            let (array, list) = (array.as_string_view(), list.as_string_view());
            bytes(array.len(), list.len(), |at| array.value(at).as_bytes(), |at| list.value(at).as_bytes())
        },
        (DataType::Binary, _) => {
            let (array, list) = (array.as_binary::<i32>(), list.as_binary::<i32>());
            bytes(array.len(), list.len(), |at| array.value(at), |at| list.value(at))
        },
        (DataType::LargeBinary, _) => {
            let (array, list) = (array.as_binary::<i64>(), list.as_binary::<i64>());
            bytes(array.len(), list.len(), |at| array.value(at), |at| list.value(at))
        },
        (DataType::BinaryView, _) => {
            let (array, list) = (array.as_binary_view(), list.as_binary_view());
            bytes(array.len(), list.len(), |at| array.value(at), |at| list.value(at))
        },
        (DataType::FixedSizeBinary(_), _) => {
            let (array, list) = (array.as_fixed_size_binary(), list.as_fixed_size_binary());
            bytes(array.len(), list.len(), |at| array.value(at), |at| list.value(at))
        },
        _ => return one_by_one(column, values)
    };
    Ok(match column.nulls() {
        Some(nulls) if nulls.null_count() > 0 => &found & nulls.inner(),
        _ => found,
    })
}

fn one_by_one(column: &ArrayRef, values: &ArrayRef) -> Result<BooleanBuffer, EvalError> {
    let mut found = BooleanBuffer::new_unset(column.len());
    for at in 0..values.len() {
        let equal = compare(PredicateOp::Eq, column, &values.slice(at, 1))?;
        found = if at == 0 { equal } else { &found | &equal };
    }
    Ok(found)
}

fn numbers<T>(array: &PrimitiveArray<T>, list: &PrimitiveArray<T>) -> BooleanBuffer
where
    T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>,
{
    let (values, list) = (array.values(), list.values());
    BooleanBuffer::collect_bool(values.len(), |at| list.binary_search_by(|probe| probe.compare(values[at])).is_ok())
}

fn bytes<'a>(
    rows: usize,
    listed: usize,
    value: impl Fn(usize) -> &'a [u8],
    item: impl Fn(usize) -> &'a [u8],
) -> BooleanBuffer {
    let list: Vec<&[u8]> = (0..listed).map(item).collect();
    // Most values differ from all items in their length, which is cheaper to see than a bisection.
    let mut lengths = [false; 64];
    list.iter().for_each(|item| lengths[item.len().min(63)] = true);
    BooleanBuffer::collect_bool(rows, |at| {
        let wanted = value(at);
        lengths[wanted.len().min(63)] && list.binary_search(&wanted).is_ok()
    })
}
