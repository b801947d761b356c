//! A scan as an Arrow C stream, with a richer twin of its errno.
//!
//! Arrow's own exporter neither stops panics nor keeps more of an error than a number and a text;
//! this one does both. [`stream_error`] gives the whole error to a host that asks for it.

use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::array::{Array, RecordBatch, StructArray};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::ffi_stream::FFI_ArrowArrayStream;

use crate::abi::RawError;
use crate::error::{Result, SourceError};
use crate::export::{export_error, panic_error};
use crate::source::{BatchIter, Scan};

/// errno of a failed call whose reason is in the error: EIO on every platform that Rust knows.
const EIO: c_int = 5;

struct Stream {
    schema: SchemaRef,
    batches: Option<BatchIter>,
    error: Option<SourceError>,
    text: CString,
}

/// Hands a scan out as a C stream.
pub fn export(scan: Scan) -> FFI_ArrowArrayStream {
    let stream =
        Box::new(Stream { schema: scan.schema, batches: Some(scan.batches), error: None, text: CString::default() });
    // SAFETY: the callbacks go with the private data, which `release` frees once.
    unsafe {
        FFI_ArrowArrayStream::new_unchecked(
            Some(get_schema),
            Some(get_next),
            Some(get_last_error),
            Some(release),
            Box::into_raw(stream).cast(),
        )
    }
}

impl Stream {
    /// # Safety
    /// `raw` was made by [`export`] and is not released.
    unsafe fn of<'a>(raw: *mut FFI_ArrowArrayStream) -> &'a mut Self {
        // SAFETY: see above; the contract serialises the calls of one stream.
        unsafe { &mut *(*raw).private_data().cast::<Self>() }
    }

    fn fail(&mut self, error: SourceError) -> c_int {
        self.text = CString::new(error.message.replace('\0', " ")).unwrap_or_default();
        self.error = Some(error);
        // Nothing is read after an error; the source may let go of its resources now.
        let batches = self.batches.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(batches)));
        EIO
    }

    fn next(&mut self) -> Result<Option<FFI_ArrowArray>> {
        let Some(batches) = self.batches.as_mut() else { return Ok(None) };
        let Some(batch) = batches.next() else {
            self.batches = None;
            return Ok(None);
        };
        let batch = batch?;
        check_types(&self.schema, batch.schema_ref())?;
        Ok(Some(FFI_ArrowArray::new(&as_struct(batch).to_data())))
    }
}

/// The other side reads a batch by the declared schema, without a look at its buffers: one of other
/// types would be read as what it is not.
fn check_types(declared: &SchemaRef, found: &SchemaRef) -> Result<()> {
    if Arc::ptr_eq(declared, found) {
        return Ok(());
    }
    let (want, have) = (declared.fields(), found.fields());
    if want.len() != have.len() {
        let message = format!("the scan declared {} columns, a batch has {}", want.len(), have.len());
        return Err(SourceError::invalid_data(message));
    }
    let differs = |(want, have): &(&FieldRef, &FieldRef)| {
        !Arc::ptr_eq(want, have) && !want.data_type().equals_datatype(have.data_type())
    };
    match want.iter().zip(have).find(differs) {
        None => Ok(()),
        Some((want, have)) => {
            let (name, want, have) = (want.name(), want.data_type(), have.data_type());
            Err(SourceError::invalid_data(format!("the scan declared column '{name}' as {want}, a batch has {have}")))
        }
    }
}

/// A batch as the struct array that the stream interface wants; keeps the row count of a batch
/// without columns.
fn as_struct(batch: RecordBatch) -> StructArray {
    if batch.num_columns() == 0 { StructArray::new_empty_fields(batch.num_rows(), None) } else { batch.into() }
}

unsafe extern "C" fn get_schema(raw: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
    // SAFETY: the caller passes a live stream of ours and a place of its own.
    unsafe {
        let stream = Stream::of(raw);
        match FFI_ArrowSchema::try_from(stream.schema.as_ref()) {
            Ok(schema) => {
                out.write(schema);
                0
            }
            Err(error) => stream.fail(error.into()),
        }
    }
}

unsafe extern "C" fn get_next(raw: *mut FFI_ArrowArrayStream, out: *mut FFI_ArrowArray) -> c_int {
    // SAFETY: as in `get_schema`.
    unsafe {
        let stream = Stream::of(raw);
        let outcome = catch_unwind(AssertUnwindSafe(|| stream.next()));
        match outcome.unwrap_or_else(|panic| Err(panic_error(&*panic))) {
            Ok(array) => {
                out.write(array.unwrap_or_else(FFI_ArrowArray::empty));
                0
            }
            Err(error) => stream.fail(error),
        }
    }
}

unsafe extern "C" fn get_last_error(raw: *mut FFI_ArrowArrayStream) -> *const c_char {
    // SAFETY: as in `get_schema`. The text lives until the next call, as the interface says.
    unsafe { Stream::of(raw).text.as_ptr() }
}

unsafe extern "C" fn release(raw: *mut FFI_ArrowArrayStream) {
    // SAFETY: `export` made the private data; `release` is set NULL so that it runs once.
    unsafe {
        let stream = Box::from_raw((*raw).private_data().cast::<Stream>());
        (*raw).set_release(None);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stream)));
    }
}

/// Fills `out` with the whole of the last error of a stream of this library and gives 1; 0 when
/// there was none.
///
/// # Safety
/// `raw` is a live stream made by [`export`] in this library, `out` a place that holds no error.
pub unsafe extern "C" fn stream_error(raw: *mut FFI_ArrowArrayStream, out: *mut RawError) -> i32 {
    // SAFETY: see above.
    unsafe {
        match Stream::of(raw).error.clone() {
            Some(error) => {
                out.write(export_error(error));
                1
            }
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::error::ErrorCode;

    #[track_caller]
    fn check(columns: Vec<ArrayRef>, expected: std::result::Result<(), &str>) {
        let declared = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let named = columns.into_iter().map(|column| ("n", column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let mut raw = export(Scan::whole(declared, [Ok(batch)]));
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: the stream is ours and live, the place too.
        let (code, error) = unsafe {
            let code = get_next(&raw mut raw, &raw mut array);
            (code, Stream::of(&raw mut raw).error.clone())
        };
        match expected {
            Ok(()) => assert_eq!((code, error), (0, None)),
            Err(reason) => {
                let error = error.unwrap();
                assert_eq!((code, error.code), (EIO, ErrorCode::InvalidData));
                assert!(error.message.contains(reason), "{error}");
            }
        }
    }

    #[test]
    fn a_batch_of_other_types_than_declared_does_not_leave() {
        let (numbers, texts): (ArrayRef, ArrayRef) =
            (Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["x"])));
        check(vec![numbers.clone()], Ok(()));
        check(vec![texts], Err("column 'n' as Int64, a batch has Utf8"));
        check(vec![numbers.clone(), numbers], Err("declared 1 columns, a batch has 2"));
    }
}
