//! Results as bytes: one entry in [`Format::ALL`] for each way to write a table.
//!
//! JSON is an array of objects with every column in every object, nulls written; in columns, one object with an array for
//! each column; NDJSON one object a line; CSV has a header line, and nested columns as JSON text; MessagePack is an array of
//! maps. Dates and times are ISO 8601, binary is hexadecimal (bytes in MessagePack), decimals keep all their digits. Arrow
//! and Parquet carry the types themselves.
//!
//! An [`Encoder`] takes batch after batch; [`Chunks`] gives the bytes piece by piece, for answers that are written as they
//! are sent.
//!
//! ```text
//! Chunks, Encoder
//!   -> rows, columns    what stands around the cells
//!        -> cell        a closure for each column, by its type
//!             -> json, csv, msgpack    how a value is written
//!                  -> number, calendar, scan, piece
//!   -> Arrow's writers of IPC and Parquet
//! ```
//!
//! The text of a value is what `arrow-json` and `arrow-csv` make of it, byte by byte; only of two texts of a float that are
//! equally short and equally near, JSON has the one that CSV has.

mod calendar;
mod cell;
mod chunks;
mod columns;
mod csv;
mod dictionaries;
mod encoder;
mod json;
mod msgpack;
mod number;
mod piece;
mod rows;
mod scan;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub use chunks::Chunks;
pub use encoder::Encoder;

/// A way to write a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object with an array for each column.
    JsonColumns,
    /// One object a line.
    Ndjson,
    /// Comma-separated values with a header. Texts that a spreadsheet would take for formulas have a `'` in front.
    Csv,
    /// Comma-separated values with a header, texts as they are.
    CsvRaw,
    /// MessagePack: an array of maps.
    MessagePack,
    /// An Arrow IPC stream.
    Arrow,
    /// An Arrow IPC file.
    ArrowFile,
    /// Apache Parquet.
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

    /// Writes batches of `schema`, into `max_bytes` at most.
    ///
    /// # Errors
    /// A column's type cannot be written in the format, or there is too much to write.
    pub fn encode(self, schema: &SchemaRef, batches: &[RecordBatch], max_bytes: usize) -> Result<Vec<u8>, EncodeError> {
        let mut chunks = Chunks::new(self, schema, batches.to_vec())?;
        let mut bytes = Vec::new();
        while chunks.fill(&mut bytes)? {
            if bytes.len() > max_bytes {
                return Err(EncodeError::TooLarge { max_bytes });
            }
        }
        Ok(bytes)
    }

    fn unsupported(self, source: ArrowError) -> EncodeError {
        EncodeError::Unsupported { format: self.name(), source: Arc::new(source) }
    }
}

#[cfg(test)]
mod tests;
