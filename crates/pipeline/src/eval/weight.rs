//! What a batch weighs: the bytes of its rows, not of the buffers that they lie in.
//!
//! The columns of a batch that was read from a stream usually share one buffer, the whole message; counting that once for
//! each column would make a table look many times its size.

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::datatypes::DataType;

/// The bytes of the rows of a batch. Texts in view arrays count with the bytes that they refer to; the values of a dictionary
/// count in every batch that has it.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| data_bytes(&column.to_data())).sum()
}

/// The bytes of the rows of a column.
pub(super) fn array_bytes(array: &dyn Array) -> usize {
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
