//! The invalidations, durable on their own: an append-only file beside the database.
//!
//! *Group commit*: whoever finds nobody writing writes and syncs all that is waiting, its own change with it; the others
//! wait for that. So a change waits for two syncs at most and never for a payload.
//!
//! *Failure*: after a failed write or sync nothing is known of the file any more (the kernel forgets pages that it could
//! not write). Its changes are reported as not durable, and the next one writes everything anew into another file and
//! puts that in its place. The same happens when the file has grown to 1 MiB and twice its last snapshot.

pub(crate) mod format;
pub(crate) mod media;

use std::io;
use std::sync::Arc;

use cache_core::Change;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::ledger::{Covered, Ledger};
use crate::state::State;
use format::Header;
use media::Media;

/// Below this a log is not worth a new snapshot.
const SNAPSHOT_AT_BYTES: u64 = 1 << 20;

/// The log, open.
pub(crate) struct Log {
    media: Box<dyn Media>,
    ledger: RwLock<Ledger>,
    tail: Mutex<Tail>,
    written: Condvar,
    store_id: u128,
    epoch: u64,
}

/// What is to be written, and how far it is.
struct Tail {
    /// Frames that nobody has begun to write.
    waiting: Vec<u8>,
    /// The sequence number of the last of them.
    last_seq: u64,
    /// What is known of the changes up to here.
    settled_seq: u64,
    /// What is in the file for certain.
    durable_seq: u64,
    /// The last change whose writing failed, and why; until everything up to it has been written after all.
    failed: Option<(u64, Arc<io::Error>)>,
    writing: bool,
    file_bytes: u64,
    snapshot_bytes: u64,
}

impl Log {
    /// Writes the log anew, durably, and opens it.
    pub(crate) fn begin(
        media: Box<dyn Media>,
        ledger: Ledger,
        store_id: u128,
        epoch: u64,
        base_seq: u64,
    ) -> io::Result<Self> {
        let bytes = snapshot(&ledger, store_id, epoch, base_seq);
        media.replace(&bytes)?;
        let tail = Tail {
            waiting: Vec::new(),
            last_seq: base_seq,
            settled_seq: base_seq,
            durable_seq: base_seq,
            failed: None,
            writing: false,
            file_bytes: bytes.len() as u64,
            snapshot_bytes: bytes.len() as u64,
        };
        let (ledger, tail) = (RwLock::new(ledger), Mutex::new(tail));
        Ok(Self { media, ledger, tail, written: Condvar::new(), store_id, epoch })
    }

    pub(crate) fn store_id(&self) -> u128 {
        self.store_id
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The state that the changes so far make, those included that are not durable yet.
    pub(crate) fn ledger(&self) -> parking_lot::RwLockReadGuard<'_, Ledger> {
        self.ledger.read()
    }

    /// Changes what the log says next; not durable by itself.
    pub(crate) fn ledger_mut(&self) -> parking_lot::RwLockWriteGuard<'_, Ledger> {
        self.ledger.write()
    }

    /// What the database is to know of the log.
    pub(crate) fn state(&self) -> State {
        let tail = self.tail.lock();
        // Changes that failed are in no file yet: a log without them is no old copy.
        State { store_id: self.store_id, epoch: self.epoch, log_seq: tail.durable_seq }
    }

    /// Makes a change durable. It counts for this process even if that fails.
    pub(crate) fn record(&self, change: &Change) -> (Covered, Result<(), Arc<io::Error>>) {
        let covered = self.ledger.write().apply(change);
        let mut tail = self.tail.lock();
        tail.last_seq += 1;
        let seq = tail.last_seq;
        format::put_frame(&mut tail.waiting, seq, change);
        while tail.settled_seq < seq {
            if tail.writing {
                self.written.wait(&mut tail);
            } else {
                self.write(&mut tail);
            }
        }
        let result = match &tail.failed {
            Some((last, error)) if seq <= *last => Err(Arc::clone(error)),
            _ => Ok(()),
        };
        (covered, result)
    }

    /// Writes all that is waiting, and lets go of the lock meanwhile.
    fn write(&self, tail: &mut MutexGuard<'_, Tail>) {
        tail.writing = true;
        let frames = std::mem::take(&mut tail.waiting);
        let last_seq = tail.last_seq;
        let at = tail.file_bytes;
        let anew = tail.failed.is_some() || at + frames.len() as u64 > SNAPSHOT_AT_BYTES.max(2 * tail.snapshot_bytes);
        let result = MutexGuard::unlocked(tail, || {
            if anew {
                let bytes = snapshot(&self.ledger.read(), self.store_id, self.epoch, last_seq);
                self.media.replace(&bytes).map(|()| bytes.len() as u64)
            } else {
                self.media.append(at, &frames).map(|()| at + frames.len() as u64)
            }
        });
        tail.writing = false;
        tail.settled_seq = last_seq;
        match result {
            Ok(file_bytes) => {
                tail.file_bytes = file_bytes;
                tail.failed = None;
                tail.durable_seq = last_seq;
                if anew {
                    tail.snapshot_bytes = file_bytes;
                }
            }
            Err(error) => tail.failed = Some((last_seq, Arc::new(error))),
        }
        self.written.notify_all();
    }

    /// Takes the file away, so that whatever is in the database is not believed by the next process.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.media.remove()
    }
}

fn snapshot(ledger: &Ledger, store_id: u128, epoch: u64, base_seq: u64) -> Vec<u8> {
    let changes = ledger.snapshot();
    let mut bytes = Header { store_id, epoch, base_seq, snapshot_frames: changes.len() as u64 }.encode();
    for change in &changes {
        format::put_frame(&mut bytes, 0, change);
    }
    bytes
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
