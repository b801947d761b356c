//! Record batches as Arrow IPC, on both ends of a lane.
//!
//! The schema goes ahead of the scan, inside [`Answer::Scan`](crate::protocol::Answer::Scan). Then
//! each batch is one frame: its new dictionaries, then the batch itself, as encapsulated messages
//! aligned to 64 bytes. The [`Encoder`] hands out the arrays' own buffers, so that a worker copies
//! nothing before the kernel does; the [`Decoder`] makes arrays that share the frame's buffer, and
//! always validates: what comes out of a worker is not trusted, and a defect in decoding it ends
//! one scan, not the server.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, RecordBatch, RecordBatchOptions, StringViewArray, cast::AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::MessageHeader;
use arrow::ipc::convert::{MessageBuffer, try_fb_to_schema};
use arrow::ipc::reader::{RecordBatchDecoder, StreamReader, read_dictionary};
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder, StreamWriter, write_message,
};
use plugin_sdk::{ErrorCode, Result, SourceError};

/// Bytes that a frame aims at: large enough for the system calls not to count, small enough for
/// both ends to work at the same time.
const PIECE_BYTES: usize = 2 << 20;

/// More rows than this in one batch are not believed: batches without columns cost nothing to lie about.
const MAX_BATCH_ROWS: usize = 1 << 31;

/// What precedes the metadata of an encapsulated message: continuation marker and length.
const PREFIX: usize = 8;

/// A schema as an encapsulated message.
pub(crate) fn schema_to_bytes(schema: &Schema) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default();
    let mut tracker = DictionaryTracker::new(false);
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options);
    let mut bytes = Vec::new();
    write_message(&mut bytes, encoded, &options)?;
    Ok(bytes)
}

/// The schema of an encapsulated message.
pub(crate) fn schema_from_bytes(bytes: &[u8]) -> Result<SchemaRef> {
    contained(|| {
        let buffer = Buffer::from(bytes);
        let (message, _) = split(&buffer)?;
        let schema = message.as_ref().header_as_schema().ok_or_else(|| bad("the message is not a schema"))?;
        Ok(Arc::new(try_fb_to_schema(schema)?))
    })
}

/// Filter values as an IPC stream of one column.
pub(crate) fn values_to_bytes(values: &ArrayRef) -> Result<Vec<u8>> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", values.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema.clone(), vec![values.clone()])?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// The values of [`values_to_bytes`].
pub(crate) fn values_from_bytes(bytes: &[u8]) -> Result<ArrayRef> {
    contained(|| {
        let batch = StreamReader::try_new(bytes, None)?.next().ok_or_else(|| bad("there are no values"))??;
        batch.columns().first().cloned().ok_or_else(|| bad("there are no values"))
    })
}

/// Turns batches into the parts of frames.
pub(crate) struct Encoder {
    stream: StreamEncoder,
    schema: SchemaRef,
}

impl Encoder {
    pub(crate) fn new(schema: SchemaRef) -> Result<Self> {
        Ok(Self { stream: StreamEncoder::try_new(&schema)?, schema })
    }

    /// Encodes one batch, in pieces of about [`PIECE_BYTES`], each for one frame.
    pub(crate) fn encode(
        &mut self,
        batch: &RecordBatch,
        mut send: impl FnMut(Vec<Buffer>) -> Result<()>,
    ) -> Result<()> {
        if batch.schema_ref().fields().len() != self.schema.fields().len() {
            return Err(SourceError::invalid_data("a batch has other columns than its scan"));
        }
        let rows = batch.num_rows();
        let step = rows_of_a_piece(batch);
        let mut from = 0;
        loop {
            let len = step.min(rows - from);
            let piece = if len == rows { batch.clone() } else { batch.slice(from, len) };
            send(self.stream.encode(&compact_views(piece)?)?)?;
            from += len;
            if from >= rows {
                return Ok(());
            }
        }
    }
}

/// Rows of a piece, a multiple of 64 so that bitmaps need not be shifted.
fn rows_of_a_piece(batch: &RecordBatch) -> usize {
    let has_nested_views =
        batch.schema_ref().fields().iter().any(|f| f.data_type().is_nested() && has_views(f.data_type()));
    if has_nested_views {
        // A slice of them would carry all their bytes each time.
        return batch.num_rows().max(1);
    }
    let bytes: usize = batch.columns().iter().map(slice_bytes).sum();
    let pieces = bytes.div_ceil(PIECE_BYTES).max(1);
    if pieces == 1 { batch.num_rows().max(1) } else { batch.num_rows().div_ceil(pieces).next_multiple_of(64) }
}

fn slice_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used() + column.len() * 16,
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used() + column.len() * 16,
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView | DataType::ListView(_) | DataType::LargeListView(_) => true,
        DataType::Struct(fields) => fields.iter().any(|f| has_views(f.data_type())),
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            has_views(f.data_type())
        }
        DataType::Dictionary(_, values) => has_views(values),
        DataType::RunEndEncoded(_, values) => has_views(values.data_type()),
        DataType::Union(fields, _) => fields.iter().any(|(_, f)| has_views(f.data_type())),
        _ => false,
    }
}

/// Views may point into buffers that are mostly someone else's: what is not pointed at stays here.
fn compact_views(batch: RecordBatch) -> Result<RecordBatch> {
    let wasteful = |total: &[Buffer], used: usize| total.iter().map(Buffer::len).sum::<usize>() > 2 * used + 1024;
    let mut columns = Vec::new();
    for (index, column) in batch.columns().iter().enumerate() {
        let compact: ArrayRef = match column.data_type() {
            DataType::Utf8View => {
                let views: &StringViewArray = column.as_string_view();
                if !wasteful(views.data_buffers(), views.total_buffer_bytes_used()) {
                    continue;
                }
                Arc::new(views.gc())
            }
            DataType::BinaryView => {
                let views: &BinaryViewArray = column.as_binary_view();
                if !wasteful(views.data_buffers(), views.total_buffer_bytes_used()) {
                    continue;
                }
                Arc::new(views.gc())
            }
            _ => continue,
        };
        columns.push((index, compact));
    }
    if columns.is_empty() {
        return Ok(batch);
    }
    let mut all = batch.columns().to_vec();
    for (index, compact) in columns {
        all[index] = compact;
    }
    Ok(RecordBatch::try_new(batch.schema(), all)?)
}

/// Turns frames back into batches.
pub(crate) struct Decoder {
    /// As it came, with the ids of its dictionaries.
    wire_schema: SchemaRef,
    /// What the batches are given as.
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl Decoder {
    /// A decoder of a scan whose stream has `wire_schema`, giving batches of `schema`, which differs
    /// from it in metadata and nullability at most.
    pub(crate) fn new(wire_schema: SchemaRef, schema: SchemaRef) -> Self {
        Self { wire_schema, schema, dictionaries: HashMap::new() }
    }

    /// The batch of one frame.
    pub(crate) fn decode(&mut self, frame: Buffer) -> Result<RecordBatch> {
        contained(|| self.decode_trusting(frame))
    }

    fn decode_trusting(&mut self, mut frame: Buffer) -> Result<RecordBatch> {
        let mut found = None;
        while !frame.is_empty() {
            let (message, rest) = split(&frame)?;
            let message = message.as_ref();
            let body_len = usize::try_from(message.bodyLength()).unwrap_or(usize::MAX);
            if body_len > rest.len() {
                return Err(bad("a message is cut short"));
            }
            let body = rest.slice_with_length(0, body_len);
            match message.header_type() {
                // It went ahead of the scan.
                MessageHeader::Schema => {}
                MessageHeader::DictionaryBatch => {
                    let batch = message.header_as_dictionary_batch().ok_or_else(|| bad("a dictionary is missing"))?;
                    refuse_compressed(batch.data())?;
                    read_dictionary(&body, batch, &self.wire_schema, &mut self.dictionaries, &message.version())?;
                }
                MessageHeader::RecordBatch if found.is_none() => {
                    let batch = message.header_as_record_batch().ok_or_else(|| bad("a batch is missing"))?;
                    refuse_compressed(Some(batch))?;
                    if usize::try_from(batch.length()).is_ok_and(|rows| rows > MAX_BATCH_ROWS) || batch.length() < 0 {
                        return Err(bad(&format!("a batch claims {} rows", batch.length())));
                    }
                    let version = message.version();
                    let schema = self.wire_schema.clone();
                    let reader = RecordBatchDecoder::try_new(&body, batch, schema, &self.dictionaries, &version)?;
                    found = Some(reader.read_record_batch()?);
                }
                _ => return Err(bad("a message is of a kind that does not belong there")),
            }
            frame = rest.slice(body_len);
        }
        let batch = found.ok_or_else(|| bad("a frame holds no batch"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &options)?)
    }
}

/// The metadata of the first message in `buffer`, and what comes after it.
fn split(buffer: &Buffer) -> Result<(MessageBuffer, Buffer)> {
    let prefix = buffer.get(..PREFIX).ok_or_else(|| bad("a message is cut short"))?;
    let len = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]) as usize;
    if prefix[..4] != [0xff; 4] || len > buffer.len() - PREFIX {
        return Err(bad("a message has no valid length"));
    }
    let message = MessageBuffer::try_new(buffer.slice_with_length(PREFIX, len))?;
    Ok((message, buffer.slice(PREFIX + len)))
}

/// Our encoder never compresses. A compressed buffer claims its own size, which the decoder allocates
/// before it looks further: a lie there would end this process.
fn refuse_compressed(batch: Option<arrow::ipc::RecordBatch<'_>>) -> Result<()> {
    match batch {
        Some(batch) if batch.compression().is_none() => Ok(()),
        Some(_) => Err(bad("a batch is compressed")),
        None => Err(bad("a dictionary is empty")),
    }
}

fn bad(what: &str) -> SourceError {
    SourceError::invalid_data(format!("the worker sent data that cannot be read: {what}"))
}

/// Runs a decoder; its panic is bad data.
fn contained<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(bad("the decoder gave up")));
    outcome.map_err(|error| match error.code {
        ErrorCode::InvalidData | ErrorCode::ResourceExhausted => error,
        _ => SourceError::invalid_data(error.message),
    })
}

/// Whether batches of `found` can be given as batches of `declared`.
///
/// # Errors
/// The first difference, in words.
pub(crate) fn same_columns(declared: &Schema, found: &Schema) -> std::result::Result<(), String> {
    if declared.fields().len() != found.fields().len() {
        return Err(format!("{} columns were declared, {} came", declared.fields().len(), found.fields().len()));
    }
    for (index, (want, have)) in declared.fields().iter().zip(found.fields()).enumerate() {
        if want.name() != have.name() {
            return Err(format!("column {index} was declared as '{}', '{}' came", want.name(), have.name()));
        }
        if want.data_type() != have.data_type() {
            let (name, want, have) = (want.name(), want.data_type(), have.data_type());
            return Err(format!("column '{name}' was declared as {want}, {have} came"));
        }
    }
    Ok(())
}

/// The error of arrow for a batch that does not fit, as seen by callers.
pub(crate) fn invalid(error: &ArrowError) -> SourceError {
    SourceError::invalid_data(error.to_string())
}

#[cfg(test)]
mod tests;
