//! The batches of a scan, as they come out of a worker.
//!
//! A short scan is read and decoded on the thread of whoever asks: no hand-over costs it anything.
//! Once a scan has proved to be long, a second thread reads ahead, a few messages and bytes at most,
//! while the first one decodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::RecordBatch;
use parking_lot::{Condvar, Mutex};
use plugin_sdk::{Context, ErrorCode, Result, SourceError};

use crate::call::{Call, Piece};
use crate::ipc::Decoder;

/// Bytes after which a scan counts as long.
const LONG: usize = 6 << 20;

/// Messages that are read ahead.
const AHEAD: usize = 4;

/// Bytes that are read ahead, beyond which no further message is begun.
const AHEAD_BYTES: usize = 64 << 20;

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
    Beside { pieces: Receiver<Result<Piece>>, ahead: Arc<Ahead> },
    /// All is read, or an error was.
    Nowhere,
}

/// What was read and not yet decoded.
#[derive(Debug)]
struct Ahead {
    bytes: Mutex<usize>,
    fewer: Condvar,
    /// Raised when nobody wants more.
    unwanted: Arc<AtomicBool>,
}

impl Ahead {
    fn add(&self, bytes: usize) {
        *self.bytes.lock() += bytes;
    }

    fn remove(&self, bytes: usize) {
        *self.bytes.lock() -= bytes;
        self.fewer.notify_one();
    }

    /// Waits until there is room for more; whether more is wanted.
    fn wait_for_room(&self) -> bool {
        let mut bytes = self.bytes.lock();
        while *bytes > AHEAD_BYTES && !self.unwanted.load(Ordering::Acquire) {
            self.fewer.wait(&mut bytes);
        }
        !self.unwanted.load(Ordering::Acquire)
    }

    fn stop(&self) {
        let _bytes = self.bytes.lock();
        self.unwanted.store(true, Ordering::Release);
        self.fewer.notify_one();
    }
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
            From::Beside { pieces, ahead } => {
                let piece = pieces.recv().unwrap_or_else(|_| {
                    Err(SourceError::new(ErrorCode::Internal, "the thread that reads from the worker is gone"))
                });
                if let Ok(Piece::Batch(buffer)) = &piece {
                    ahead.remove(buffer.len());
                }
                piece
            }
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
        let ahead = Arc::new(Ahead { bytes: Mutex::default(), fewer: Condvar::new(), unwanted: call.unwanted() });
        let (sender, pieces) = sync_channel(AHEAD);
        let call = Arc::new(Mutex::new(Some(call)));
        let reader = std::thread::Builder::new().name("scan-reader".into()).spawn({
            let (call, ahead) = (Arc::clone(&call), Arc::clone(&ahead));
            move || {
                if let Some(call) = call.lock().take() {
                    read_ahead(call, &sender, &ahead);
                }
            }
        });
        self.from = match reader {
            Ok(_) => From::Beside { pieces, ahead },
            // Without a thread to spare this one goes on.
            Err(_) => call.lock().take().map_or(From::Nowhere, From::Here),
        };
    }
}

fn read_ahead(mut call: Call, sender: &SyncSender<Result<Piece>>, ahead: &Ahead) {
    while ahead.wait_for_room() {
        let piece = call.piece().map_err(|failed| failed.error);
        if let Ok(Piece::Batch(buffer)) = &piece {
            ahead.add(buffer.len());
        }
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
        if let From::Beside { ahead, .. } = std::mem::replace(&mut self.from, From::Nowhere) {
            ahead.stop();
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ahead_waits_for_room_in_bytes_and_ends_when_nobody_wants_more() {
        let ahead = Ahead { bytes: Mutex::default(), fewer: Condvar::new(), unwanted: Arc::default() };
        ahead.add(AHEAD_BYTES);
        assert!(ahead.wait_for_room());
        ahead.add(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| ahead.wait_for_room());
            ahead.remove(1);
            assert!(waiting.join().unwrap());
            ahead.add(1);
            let waiting = scope.spawn(|| ahead.wait_for_room());
            ahead.stop();
            assert!(!waiting.join().unwrap());
        });
    }
}
