//! A view array keeps alive every buffer that it was made from: ten texts that were picked from a table would hold the whole
//! table. What is kept of many rows is therefore copied, where it is much less than its buffers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray};
use arrow::datatypes::{ByteViewType, DataType};

/// The same values; texts and bytes in views get buffers of their own, if less than half of the buffers is in use.
pub(crate) fn compacted(column: ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => rewritten(column.as_string_view()).unwrap_or(column),
        DataType::BinaryView => rewritten(column.as_binary_view()).unwrap_or(column),
        _ => column,
    }
}

fn rewritten<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Option<ArrayRef> {
    let held: usize = array.data_buffers().iter().map(|buffer| buffer.capacity()).sum();
    (held > 2 * array.total_buffer_bytes_used()).then(|| Arc::new(array.gc()) as ArrayRef)
}
