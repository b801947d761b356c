//! The least and the greatest value of one column in every batch, by the order that filters compare by (for floats IEEE
//! 754's total order).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray, RecordBatch,
    downcast_primitive_array, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, filter, max_boolean, min_boolean};
use arrow::datatypes::DataType;
use rayon::prelude::*;

use super::TEXT_BYTES;
use crate::eval::{EvalError, Run};

/// What is known of one column.
#[derive(Debug)]
pub(super) struct Edges {
    /// The column in each batch.
    of: Vec<ArrayRef>,
    /// The least value in each batch, of the column's type or, for a dictionary, of its values' type.
    pub(super) min: ArrayRef,
    /// The greatest value in each batch.
    pub(super) max: ArrayRef,
    /// How many nulls each batch has.
    pub(super) nulls: Vec<usize>,
    /// The batches whose least and greatest value are known.
    pub(super) known: BooleanBuffer,
}

impl Edges {
    pub(super) fn of(column: usize, batches: &[RecordBatch], run: &Run) -> Result<Self, EvalError> {
        let of: Vec<ArrayRef> = batches.iter().map(|batch| batch.column(column).clone()).collect();
        let value_type = match of.first().map(|array| array.data_type()) {
            Some(DataType::Dictionary(_, values)) => values.as_ref().clone(),
            Some(plain) => plain.clone(),
            None => DataType::Null,
        };
        let found = of.par_iter().map(|array| {
            run.check()?;
            extremes(array)
        });
        let found: Vec<Option<(ArrayRef, ArrayRef)>> = found.collect::<Result<_, EvalError>>()?;
        let unknown = new_null_array(&value_type, 1);
        let joined = |edge: fn(&(ArrayRef, ArrayRef)) -> &ArrayRef| {
            let edges: Vec<&dyn Array> =
                found.iter().map(|both| both.as_ref().map_or(unknown.as_ref(), |both| edge(both).as_ref())).collect();
            concat(&edges)
        };
        Ok(Self {
            min: joined(|both| &both.0)?,
            max: joined(|both| &both.1)?,
            nulls: of.iter().map(|array| array.logical_null_count()).collect(),
            known: BooleanBuffer::collect_bool(found.len(), |at| found[at].is_some()),
            of,
        })
    }

    /// Whether it is these batches that the edges are of.
    pub(super) fn are_of(&self, column: usize, batches: &[RecordBatch]) -> bool {
        self.of.len() == batches.len()
            && self.of.iter().zip(batches).all(|(array, batch)| Arc::ptr_eq(array, batch.column(column)))
    }
}

/// The least and the greatest value, one in each array; `None` without a value, for long texts and for other types.
fn extremes(array: &ArrayRef) -> Result<Option<(ArrayRef, ArrayRef)>, EvalError> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = dictionary.values();
        if values.is_empty() {
            return Ok(None);
        }
        let keys = dictionary.normalized_keys();
        let mut used = vec![false; values.len()];
        for (at, key) in keys.into_iter().enumerate() {
            if dictionary.keys().is_valid(at) {
                used[key] = true;
            }
        }
        return extremes(&filter(values, &BooleanArray::from(used))?);
    }
    if array.logical_null_count() == array.len() {
        return Ok(None);
    }
    let plain = array.as_ref();
    Ok(downcast_primitive_array! {
        plain => extreme_numbers(plain),
        DataType::Boolean => {
            let truths = plain.as_boolean();
            let one = |truth: Option<bool>| Arc::new(BooleanArray::from(vec![truth])) as ArrayRef;
            Some((one(min_boolean(truths)), one(max_boolean(truths))))
        },
        DataType::Utf8 => extreme_bytes(array, |at| plain.as_string::<i32>().value(at).as_bytes()),
        DataType::LargeUtf8 => extreme_bytes(array, |at| plain.as_string::<i64>().value(at).as_bytes()),
        DataType::Utf8View => extreme_bytes(array, |at| plain.as_string_view().value(at).as_bytes()),
        DataType::Binary => extreme_bytes(array, |at| plain.as_binary::<i32>().value(at)),
        DataType::LargeBinary => extreme_bytes(array, |at| plain.as_binary::<i64>().value(at)),
        DataType::BinaryView => extreme_bytes(array, |at| plain.as_binary_view().value(at)),
        _ => None
    })
}

fn extreme_numbers<T>(array: &PrimitiveArray<T>) -> Option<(ArrayRef, ArrayRef)>
where
    T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>,
{
    let wider = |(min, max): (T::Native, T::Native), value: T::Native| {
        (if value.is_lt(min) { value } else { min }, if value.is_gt(max) { value } else { max })
    };
    let (min, max) = if array.null_count() == 0 {
        let (first, rest) = array.values().split_first()?;
        rest.iter().fold((*first, *first), |both, value| wider(both, *value))
    } else {
        let mut values = array.iter().flatten();
        let first = values.next()?;
        values.fold((first, first), wider)
    };
    let one = |value: T::Native| -> ArrayRef {
        let array = PrimitiveArray::<T>::new(vec![value].into(), None);
        Arc::new(array.with_data_type(T::DATA_TYPE))
    };
    let typed = |value| retyped(one(value), array.data_type());
    Some((typed(min)?, typed(max)?))
}

/// The same numbers with the time zone, or precision and scale, of a type.
fn retyped(array: ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
    let data = array.to_data().into_builder().data_type(data_type.clone()).build().ok()?;
    Some(arrow::array::make_array(data))
}

fn extreme_bytes<'a>(array: &ArrayRef, value: impl Fn(usize) -> &'a [u8]) -> Option<(ArrayRef, ArrayRef)> {
    let mut both: Option<(usize, usize)> = None;
    let (mut min, mut max): (&[u8], &[u8]) = (&[], &[]);
    for at in (0..array.len()).filter(|at| array.is_valid(*at)) {
        let now = value(at);
        let (mut low, mut high) = both.unwrap_or((at, at));
        if both.is_none() || now < min {
            (low, min) = (at, now);
        }
        if both.is_none() || now > max {
            (high, max) = (at, now);
        }
        both = Some((low, high));
    }
    let (low, high) = both.filter(|_| min.len().max(max.len()) <= TEXT_BYTES)?;
    Some((array.slice(low, 1), array.slice(high, 1)))
}
