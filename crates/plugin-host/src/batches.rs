//! The batches of a scan, as they come out of a worker.
//!
//! A short scan is read and decoded on the thread of whoever asks: no hand-over costs it anything.
//! Once a scan has proved to be long, a second thread reads ahead, a few messages at most, while
//! the first one decodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::RecordBatch;
use plugin_sdk::{Context, ErrorCode, Result, SourceError};

use crate::call::{Call, Piece};
use crate::ipc::Decoder;

/// Bytes after which a scan counts as long.
const LONG: usize = 6 << 20;

/// Messages that are read ahead.
const AHEAD: usize = 4;

/// An iterator over the batches of one scan.
pub(crate) struct Batches {
    from: From,
    decoder: Decoder,
    ctx: Context,
    bytes: usize,
}

enum From {
    /// This thread reads.
    Here(Call),
    /// Another one does.
    Beside { pieces: Receiver<Result<Piece>>, unwanted: Arc<AtomicBool> },
    /// All is read, or an error was.
    Nowhere,
}

impl Batches {
    pub(crate) fn new(call: Call, decoder: Decoder, ctx: Context) -> Self {
        Self { from: From::Here(call), decoder, ctx, bytes: 0 }
    }

    fn piece(&mut self) -> Result<Piece> {
        if !matches!(self.from, From::Nowhere) {
            self.ctx.check()?;
        }
        match &mut self.from {
            From::Here(call) => call.piece().map_err(|failed| failed.error),
            From::Beside { pieces, .. } => pieces.recv().unwrap_or_else(|_| {
                Err(SourceError::new(ErrorCode::Internal, "the thread that reads from the worker is gone"))
            }),
            From::Nowhere => Ok(Piece::End),
        }
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.piece()? {
            Piece::End => Ok(None),
            Piece::Batch(buffer) => {
                self.bytes = self.bytes.saturating_add(buffer.len());
                self.maybe_read_beside();
                self.decoder.decode(buffer).map(Some)
            }
        }
    }

    fn maybe_read_beside(&mut self) {
        if self.bytes < LONG || !matches!(self.from, From::Here(_)) {
            return;
        }
        let From::Here(call) = std::mem::replace(&mut self.from, From::Nowhere) else { return };
        let unwanted = call.unwanted();
        let (sender, pieces) = sync_channel(AHEAD);
        let call = Arc::new(parking_lot::Mutex::new(Some(call)));
        let reader = std::thread::Builder::new().name("scan-reader".into()).spawn({
            let call = Arc::clone(&call);
            move || {
                if let Some(call) = call.lock().take() {
                    read_ahead(call, &sender);
                }
            }
        });
        self.from = match reader {
            Ok(_) => From::Beside { pieces, unwanted },
            // Without a thread to spare this one goes on.
            Err(_) => call.lock().take().map_or(From::Nowhere, From::Here),
        };
    }
}

fn read_ahead(mut call: Call, sender: &SyncSender<Result<Piece>>) {
    loop {
        let piece = call.piece().map_err(|failed| failed.error);
        let is_last = !matches!(piece, Ok(Piece::Batch(_)));
        if sender.send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.batch().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.stop();
        }
        item
    }
}

impl Batches {
    fn stop(&mut self) {
        if let From::Beside { unwanted, .. } = std::mem::replace(&mut self.from, From::Nowhere) {
            unwanted.store(true, Ordering::Release);
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.stop();
    }
}
