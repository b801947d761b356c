//! Answers that are too large to be kept: written piece by piece, each when the client has taken the one before.
//!
//! A task of its own encodes and compresses a chunk on the threads for computing, hands it over, and goes on when there is
//! room for one more. It ends when the client is gone, or has left a chunk unread for too long; the rows are let go with it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::web::Bytes;
use futures_util::{StreamExt, stream};
use pipeline::format::{Chunks, Format};
use pipeline::{Answer, Error, compute};
use tokio::sync::mpsc;

use super::body::{GZIP_LEVEL, ZSTD_LEVEL};
use super::negotiate::Coding;

/// Chunks that may wait for the client.
const READY_CHUNKS: usize = 2;
/// Chunks of fewer bytes are sent with the next one: headers of compressed streams come in pieces.
const LEAST_BYTES: usize = 16 * 1024;

/// Rows that are written as they are read.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The rows.
    pub answer: Arc<Answer>,
    /// What stands before and behind them.
    pub around: (Arc<str>, Arc<str>),
}

impl Rows {
    /// The body of a response. A client that leaves `stall` long unread what it was sent loses the rest.
    pub fn body(&self, format: Format, coding: Coding, stall: Duration) -> BoxBody {
        let rows = self.clone();
        // The writer begins when the first chunk is asked for: a client that wants only the headers never does.
        let chunks = stream::once(async move {
            let (send, receive) = mpsc::channel(READY_CHUNKS);
            tokio::spawn(async move {
                if let Err(error) = write(rows, format, coding, stall, &send).await {
                    tracing::warn!("a streamed answer ended early: {error}");
                }
            });
            stream::unfold(Some(receive), next)
        });
        BodyStream::new(Box::pin(chunks.flatten())).boxed()
    }
}

/// What the client is sent. Only after an end is the body complete: if the writer leaves without one, the connection is
/// closed without an end of the body, so that no client takes the part for the whole.
enum Piece {
    Chunk(Bytes),
    End,
}

async fn next(receive: Option<mpsc::Receiver<Piece>>) -> Option<(Result<Bytes, Error>, Option<mpsc::Receiver<Piece>>)> {
    let mut receive = receive?;
    match receive.recv().await {
        Some(Piece::Chunk(bytes)) => Some((Ok(bytes), Some(receive))),
        Some(Piece::End) => None,
        None => Some((Err(Error::Internal("the answer was not written to its end".into())), None)),
    }
}

/// Writes all chunks and the end.
async fn write(
    rows: Rows,
    format: Format,
    coding: Coding,
    stall: Duration,
    send: &mpsc::Sender<Piece>,
) -> Result<(), Error> {
    let mut writer = Writer::new(rows, format, coding)?;
    loop {
        // A chunk is a matter of milliseconds, which is too long for a thread that waits on the network.
        let (chunk, rest) = compute(u64::MAX, move || (writer.chunk(), writer)).await?;
        writer = rest;
        let chunk = chunk?;
        let is_last = chunk.is_none();
        match tokio::time::timeout(stall, send.send(chunk.map_or(Piece::End, Piece::Chunk))).await {
            Ok(Ok(())) if is_last => return Ok(()),
            Ok(Ok(())) => {}
            // The client is gone.
            Ok(Err(_)) => return Ok(()),
            Err(_) => {
                tracing::info!("a client left a streamed answer unread for {stall:?}: the rest is not sent");
                return Ok(());
            }
        }
    }
}

/// Rows on their way to bytes.
struct Writer {
    chunks: Chunks,
    coder: Coder,
    before: Option<Arc<str>>,
    after: Option<Arc<str>>,
    /// Lets go of the rows' memory when all is written.
    _rows: Arc<Answer>,
}

impl Writer {
    fn new(rows: Rows, format: Format, coding: Coding) -> Result<Self, Error> {
        let Rows { answer, around: (before, after) } = rows;
        Ok(Self {
            chunks: Chunks::new(format, &answer.schema, answer.batches.clone())?,
            coder: Coder::new(coding)?,
            before: Some(before),
            after: Some(after),
            _rows: answer,
        })
    }

    /// The next bytes to send; `None` at the end.
    fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(before) = self.before.take() {
                self.coder.write(before.as_bytes())?;
            }
            match self.chunks.next() {
                Some(chunk) => self.coder.write(&chunk?)?,
                None => {
                    let Some(after) = self.after.take() else { return Ok(None) };
                    self.coder.write(after.as_bytes())?;
                    return Ok(Some(self.coder.finish()?.into()).filter(|bytes: &Bytes| !bytes.is_empty()));
                }
            }
            if let Some(ready) = self.coder.ready() {
                return Ok(Some(ready.into()));
            }
        }
    }
}

/// Compresses what is written to it.
enum Coder {
    Identity(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Finished,
}

impl Coder {
    fn new(coding: Coding) -> Result<Self, Error> {
        Ok(match coding {
            Coding::Identity => Self::Identity(Vec::new()),
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(failed)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Identity(out) => out.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Finished => Ok(()),
        }
        .map_err(failed)
    }

    /// What is ready, if it is enough to be sent.
    fn ready(&mut self) -> Option<Vec<u8>> {
        let out = match self {
            Self::Identity(out) => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Finished => return None,
        };
        (out.len() >= LEAST_BYTES).then(|| std::mem::take(out))
    }

    /// The last bytes.
    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        match std::mem::replace(self, Self::Finished) {
            Self::Identity(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish().map_err(failed),
            Self::Zstd(encoder) => encoder.finish().map_err(failed),
            Self::Finished => Ok(Vec::new()),
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Internal(format!("compress a chunk: {error}").into())
}
