//! The stream of a scan, read through the Arrow C stream interface.
//!
//! Not arrow's own reader: that one trusts a failed stream to have a message, and knows nothing of
//! the richer error that the plugin may give.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::array::{RecordBatch, RecordBatchOptions, StructArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ffi::from_ffi_and_data_type;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use plugin_sdk::abi::RawError;
use plugin_sdk::{Context, ErrorCode, Result, SourceError};

use super::{Instance, StreamError, read_schema, take_error};
use crate::context::ForeignContext;
use crate::ipc::{invalid, same_columns};

/// A stream that is not released yet, and the context that it may look at until then.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) stream: Box<FFI_ArrowArrayStream>,
    pub(super) _foreign: ForeignContext,
}

/// The batches of a scan. Released on a turn of its own, at the end, after an error or when dropped.
pub(super) struct Stream {
    pub(super) live: Option<Live>,
    pub(super) instance: Arc<Instance>,
    pub(super) ctx: Context,
    pub(super) schema: Option<SchemaRef>,
}

impl Stream {
    pub(super) fn read_schema(&mut self) -> Result<SchemaRef> {
        let Some(raw) = self.live.as_mut().map(|live| &mut *live.stream) else { return Err(silent()) };
        let get_schema = raw.get_schema().ok_or_else(silent)?;
        let mut schema = FFI_ArrowSchema::empty();
        let _turn = self.instance.turn(&self.ctx)?;
        // SAFETY: the stream is live and the place is ours.
        if unsafe { get_schema(raw, &raw mut schema) } != 0 {
            return Err(last_error(raw, self.instance.table.stream_error));
        }
        let schema = read_schema(&schema)?;
        self.schema = Some(schema.clone());
        Ok(schema)
    }

    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (Some(live), Some(schema)) = (&mut self.live, &self.schema) else { return Ok(None) };
        let raw = &mut *live.stream;
        let get_next = raw.get_next().ok_or_else(silent)?;
        let mut array = FFI_ArrowArray::empty();
        {
            let _turn = self.instance.turn(&self.ctx)?;
            // SAFETY: the stream is live and the place is ours.
            if unsafe { get_next(raw, &raw mut array) } != 0 {
                return Err(last_error(raw, self.instance.table.stream_error));
            }
        }
        if array.is_released() {
            return Ok(None);
        }
        // The import asserts what it relies on; a plugin that breaks it has given bad data.
        catch_unwind(AssertUnwindSafe(|| import(array, schema)))
            .unwrap_or_else(|_| {
                Err(SourceError::invalid_data("the plugin gave a batch that is not a valid Arrow array"))
            })
            .map(Some)
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read_batch().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.close();
        }
        item
    }
}

impl Stream {
    fn close(&mut self) {
        if let Some(live) = self.live.take() {
            self.instance.release(live);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

fn silent() -> SourceError {
    SourceError::invalid_data("the plugin gave a stream without functions")
}

/// The error behind the errno of a stream, whole if the plugin has the richer twin.
fn last_error(raw: &mut FFI_ArrowArrayStream, twin: Option<StreamError>) -> SourceError {
    if let Some(twin) = twin {
        let mut error = RawError::empty();
        // SAFETY: the stream is live and of the plugin that has the function.
        if unsafe { twin(raw, &raw mut error) } == 1 {
            return take_error(&mut error);
        }
    }
    let text = raw.get_last_error().and_then(|get| {
        // SAFETY: the stream is live; the text, where there is one, lives until the next call.
        unsafe {
            let text = get(raw);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    });
    let message = text.filter(|text| !text.is_empty());
    let message = message.unwrap_or_else(|| "the plugin's stream failed without saying why".into());
    SourceError::new(ErrorCode::Internal, message)
}

/// An array of the stream as a batch of its schema.
fn import(array: FFI_ArrowArray, schema: &SchemaRef) -> Result<RecordBatch> {
    if array.num_children() != schema.fields().len() {
        let (want, have) = (schema.fields().len(), array.num_children());
        return Err(SourceError::invalid_data(format!("{want} columns were declared, a batch has {have}")));
    }
    let rows = array.len();
    // SAFETY: the plugin vouches for the array; its buffers are validated by the process that asked.
    let mut data =
        unsafe { from_ffi_and_data_type(array, DataType::Struct(schema.fields().clone())) }.map_err(|e| invalid(&e))?;
    data.align_buffers();
    if data.null_count() > 0 {
        return Err(SourceError::invalid_data("a batch has rows that are null as a whole"));
    }
    let columns = StructArray::from(data);
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns.columns().to_vec(), &options)
        .map_err(|e| invalid(&e))?;
    same_columns(schema, batch.schema_ref()).map_err(SourceError::invalid_data)?;
    Ok(batch)
}
