//! What a batch weighs: the bytes of its rows, not of the buffers that they lie in.
//!
//! The columns of a batch that was read from a stream usually share one buffer, the whole message; counting that once for
//! each column would make a table look many times its size.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;

/// The bytes of the rows of a batch. Texts in view arrays count with the bytes that they refer to; the values of a dictionary
/// count in every batch that has it.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| data_bytes(&column.to_data())).sum()
}

/// The bytes of rows that were picked from a batch of `of_rows` rows. Their texts lie in the batch's buffers: of those they count
/// with their share, without a look at each. A dictionary stays the batch's.
pub(super) fn picked_bytes(rows: &RecordBatch, of_rows: usize) -> usize {
    let share = |buffers: &[Buffer]| {
        let bytes = buffers.iter().map(Buffer::len).sum::<usize>() as u128;
        usize::try_from(bytes * rows.num_rows() as u128 / of_rows.max(1) as u128).unwrap_or(usize::MAX)
    };
    let views = |buffers: &[Buffer]| rows.num_rows() * size_of::<u128>() + share(buffers);
    let held = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => views(column.as_string_view().data_buffers()),
        DataType::BinaryView => views(column.as_binary_view().data_buffers()),
        DataType::Dictionary(..) => array_bytes(column.as_any_dictionary().keys()),
        _ => array_bytes(column),
    };
    rows.columns().iter().map(held).sum()
}

/// The bytes of the rows of a column.
pub(crate) fn array_bytes(array: &dyn Array) -> usize {
    data_bytes(&array.to_data())
}

fn data_bytes(data: &ArrayData) -> usize {
    let whole = data.get_slice_memory_size().unwrap_or_else(|_| data.get_array_memory_size());
    let (buffers, referred) = view_bytes(data);
    // Arrow counts the data buffers of views as a whole.
    whole.saturating_sub(buffers) + referred
}

/// The capacity of all data buffers of views in the array and its children, and the bytes that the views refer to there.
fn view_bytes(data: &ArrayData) -> (usize, usize) {
    let mut sum = (0, 0);
    if matches!(data.data_type(), DataType::Utf8View | DataType::BinaryView) {
        sum.0 = data.buffers().iter().skip(1).map(|buffer| buffer.capacity()).sum();
        let views = data.buffer::<u128>(0).iter().take(data.len());
        // The low 32 bits of a view are its length; up to 12 bytes are inside of it.
        let referred = |view: &u128| {
            let length = *view as u32;
            if length > 12 { length as usize } else { 0 }
        };
        sum.1 = views.map(referred).sum();
    }
    for child in data.child_data() {
        let (buffers, referred) = view_bytes(child);
        sum = (sum.0 + buffers, sum.1 + referred);
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array, StringViewArray};
    use arrow::compute::filter_record_batch;

    use super::*;

    #[test]
    fn picked_rows_count_with_their_share_of_the_texts() {
        let texts: ArrayRef =
            Arc::new(StringViewArray::from_iter_values((0..100).map(|n| format!("a text with number {n:04}"))));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let batch = RecordBatch::try_from_iter([("text", texts), ("number", numbers)]).unwrap();
        let kept: BooleanArray = (0..100).map(|n| Some(n % 4 == 0)).collect();
        let picked = filter_record_batch(&batch, &kept).unwrap();
        assert_eq!(picked_bytes(&picked, 100), 25 * (16 + 23 + 8));
        assert_eq!(picked_bytes(&picked, 100), batch_bytes(&picked));
        // Of a batch that was cut in four.
        let quarter = filter_record_batch(&batch.slice(0, 25), &kept.slice(0, 25)).unwrap();
        assert_eq!(picked_bytes(&quarter, 100), 7 * (16 + 23 + 8));
        assert_eq!(picked_bytes(&picked.slice(0, 0), 0), 0);
    }
}
