//! Results as bytes: one entry in [`Format::ALL`] for each way to write a table.
//!
//! JSON is an array of objects with every column in every object, nulls written; by columns it is one object of
//! arrays; NDJSON is one object a line. CSV has a header line, and nested columns as JSON text; MessagePack is an array
//! of maps. Dates and times are ISO 8601, binary is hexadecimal, decimals keep all their digits. Arrow, as a stream or
//! a file, and Parquet carry the columns' own types.
//!
//! [`Format::encode`] makes a whole answer, [`Chunks`] the same bytes piece by piece, [`Encoder`] takes batches as they
//! come. Within: a format is a `Writer` (rows.rs, columns.rs, containers.rs); formats of text ask `Cells` (cells.rs)
//! for values, and those ask a `Dialect` (json.rs, csv.rs, msgpack.rs) how values are spelled. Each type of column is
//! read in one place, each format's spelling is in one place.

mod cells;
mod chunks;
mod columns;
mod containers;
mod csv;
mod dialect;
mod dictionary;
mod encoder;
mod json;
mod msgpack;
mod nested;
mod number;
mod rows;
mod temporal;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub use self::chunks::{CHUNK_BYTES, Chunks};
pub use self::encoder::Encoder;

/// A way to write a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object of arrays.
    JsonColumns,
    /// One object a line.
    Ndjson,
    /// Comma-separated values with a header; texts that a spreadsheet would run as formulas begin with an apostrophe.
    Csv,
    /// Comma-separated values with a header and every text as it is.
    CsvRaw,
    /// An array of maps.
    MessagePack,
    /// An Arrow IPC stream.
    Arrow,
    /// An Arrow IPC file, also known as Feather.
    ArrowFile,
    /// A Parquet file.
    Parquet,
}

/// A result that cannot be written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The format cannot carry it.
    #[error("write the result as {format}: {source}")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// Why.
        source: Arc<ArrowError>,
    },
    /// There is too much of it.
    #[error("the answer is longer than {max_bytes} bytes")]
    TooLarge {
        /// The bound.
        max_bytes: usize,
    },
}

impl Format {
    /// All formats, the default one first.
    pub const ALL: [Self; 9] = [
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::CsvRaw,
        Self::JsonColumns,
        Self::MessagePack,
        Self::Arrow,
        Self::ArrowFile,
        Self::Parquet,
    ];

    /// The name for `format=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonColumns => "json-columns",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::CsvRaw => "csv-raw",
            Self::MessagePack => "msgpack",
            Self::Arrow => "arrow",
            Self::ArrowFile => "arrow-file",
            Self::Parquet => "parquet",
        }
    }

    /// The media type of the bytes.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonColumns => "application/vnd.larder.columns+json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv | Self::CsvRaw => "text/csv; charset=utf-8",
            Self::MessagePack => "application/vnd.msgpack",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::ArrowFile => "application/vnd.apache.arrow.file",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The format of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether the bytes are Arrow's.
    fn is_ipc(self) -> bool {
        matches!(self, Self::Arrow | Self::ArrowFile)
    }

    /// Writes batches of `schema`, into `max_bytes` at most. Stops within a chunk of that bound.
    ///
    /// # Errors
    /// A column's type cannot be written in the format, or there is too much to write.
    pub fn encode(self, schema: &SchemaRef, batches: &[RecordBatch], max_bytes: usize) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = Encoder::of(self, schema, batches.to_vec())?;
        let mut bytes = Vec::new();
        let mut is_finished = false;
        while !is_finished {
            let until = bytes.len() + CHUNK_BYTES;
            is_finished = encoder.advance(&mut bytes, until)?;
            if bytes.len() > max_bytes {
                return Err(EncodeError::TooLarge { max_bytes });
            }
        }
        Ok(bytes)
    }
}
