//! A result as pieces, for whom it is too long to be held whole.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::encoder::Encoder;
use super::{EncodeError, Format};

/// Bytes of a chunk: enough that its overhead does not show, little enough that a thousand clients fit.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Room behind [`CHUNK_BYTES`] for the row that goes over it.
const LAST_ROW_BYTES: usize = 16 * 1024;

/// The bytes of a result, piece by piece; joined they are what [`Format::encode`] returns. A piece has about
/// [`CHUNK_BYTES`], twice that at most; it is empty where rows were taken and nothing came out yet. Nothing comes after an
/// error.
#[derive(Debug)]
pub struct Chunks {
    /// `None` once everything has been written.
    encoder: Option<Encoder>,
    /// What became longer than a chunk, and how much of it has been given out.
    long: Vec<u8>,
    given: usize,
}

impl Chunks {
    /// The bytes of `batches`, which are of `schema`.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`]: the format cannot carry a column's type.
    pub fn new(format: Format, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Self, EncodeError> {
        Ok(Self { encoder: Some(Encoder::of(format, schema, batches)?), long: Vec::new(), given: 0 })
    }

    /// The next piece of what was too long.
    fn piece(&mut self) -> Option<Vec<u8>> {
        let rest = &self.long[self.given..];
        let piece = rest[..rest.len().min(CHUNK_BYTES)].to_vec();
        self.given += piece.len();
        if self.given == self.long.len() {
            (self.long, self.given) = (Vec::new(), 0);
        }
        (!piece.is_empty()).then_some(piece)
    }
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, EncodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(piece) = self.piece() {
            return Some(Ok(piece));
        }
        let mut encoder = self.encoder.take()?;
        let mut bytes = Vec::with_capacity(CHUNK_BYTES + LAST_ROW_BYTES);
        match encoder.advance(&mut bytes, CHUNK_BYTES) {
            Ok(true) => {}
            Ok(false) => self.encoder = Some(encoder),
            Err(error) => return Some(Err(error)),
        }
        if bytes.len() > 2 * CHUNK_BYTES {
            self.long = bytes;
            return self.piece().map(Ok);
        }
        (self.encoder.is_some() || !bytes.is_empty()).then_some(Ok(bytes))
    }
}
