//! The invalidations, durable on their own: an append-only file beside the database.
//!
//! *Group commit*: whoever finds nobody writing writes and syncs all that is waiting, its own change with it; the others
//! wait for that. So a change waits for two syncs at most and never for a payload.
//!
//! *Failure*: after a failed write or sync nothing is known of the file any more (the kernel forgets pages that it could
//! not write). Its changes are reported as not durable, and the next one writes everything anew into another file and
//! puts that in its place. The same happens when the file has grown to 1 MiB and twice its last snapshot; if that is not
//! possible, there may still be room for what is small: then the change is appended, and the rest waits.

pub(crate) mod format;
pub(crate) mod media;

use std::hash::{BuildHasher, RandomState};
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
/// A snapshot that failed is tried again when the log has grown by this.
const SNAPSHOT_STEP_BYTES: u64 = 256 << 10;

/// The log, open.
pub(crate) struct Log {
    media: Box<dyn Media>,
    ledger: RwLock<Ledger>,
    tail: Mutex<Tail>,
    written: Condvar,
    epoch: u64,
}

/// What is to be written, and how far it is.
struct Tail {
    store_id: u128,
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
    /// The file is not to be appended to: it is an earlier opening's or another store's, or nothing is known of it.
    anew: bool,
    writing: bool,
    file_bytes: u64,
    /// Where the next snapshot is due.
    snapshot_at: u64,
}

impl Log {
    /// A log that goes on from what the ledger says; [`Log::mend`] writes it.
    pub(crate) fn new(media: Box<dyn Media>, ledger: Ledger, store_id: u128, epoch: u64, base_seq: u64) -> Self {
        let tail = Tail {
            store_id,
            waiting: Vec::new(),
            last_seq: base_seq,
            settled_seq: base_seq,
            durable_seq: base_seq,
            failed: None,
            anew: true,
            writing: false,
            file_bytes: 0,
            snapshot_at: SNAPSHOT_AT_BYTES,
        };
        Self { media, ledger: RwLock::new(ledger), tail: Mutex::new(tail), written: Condvar::new(), epoch }
    }

    /// Writes the log anew, durably, if that has to be before anything is acknowledged.
    pub(crate) fn mend(&self) -> io::Result<()> {
        let mut tail = self.tail_at_rest();
        if tail.anew {
            self.write(&mut tail);
        }
        match &tail.failed {
            Some((_, error)) if tail.anew => Err(io::Error::new(error.kind(), Arc::clone(error))),
            _ => Ok(()),
        }
    }

    /// Takes the file away, and another identity: no database of before is believed by the next process, whether it finds
    /// the file or the one that is written next.
    pub(crate) fn disown(&self) -> io::Result<()> {
        let mut tail = self.tail_at_rest();
        tail.store_id = random_id();
        tail.anew = true;
        tail.writing = true;
        let removed = MutexGuard::unlocked(&mut tail, || self.media.remove());
        tail.writing = false;
        self.written.notify_all();
        removed
    }

    fn tail_at_rest(&self) -> MutexGuard<'_, Tail> {
        let mut tail = self.tail.lock();
        while tail.writing {
            self.written.wait(&mut tail);
        }
        tail
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

    /// What the database is to know of the log, and of the time of day.
    pub(crate) fn state(&self, seen_ms: u64) -> State {
        let tail = self.tail.lock();
        // Changes that failed are in no file yet: a log without them is no old copy.
        State { store_id: tail.store_id, epoch: self.epoch, log_seq: tail.durable_seq, seen_ms }
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
        let (anew, store_id, last_seq, at) = (tail.anew, tail.store_id, tail.last_seq, tail.file_bytes);
        let due = anew || at + frames.len() as u64 > tail.snapshot_at;
        let result = MutexGuard::unlocked(tail, || {
            if due {
                let bytes = snapshot(&self.ledger.read(), store_id, self.epoch, last_seq);
                match self.media.prepare(&bytes) {
                    Ok(()) => return self.media.replace().map(|()| Written::Snapshot(bytes.len() as u64)),
                    Err(error) if anew => return Err(error),
                    Err(error) => tracing::warn!(%error, "the invalidation log cannot be made shorter"),
                }
            }
            self.media.append(at, &frames).map(|()| Written::Frames(at + frames.len() as u64))
        });
        tail.writing = false;
        tail.settled_seq = last_seq;
        match result {
            Ok(written) => {
                let (Written::Snapshot(file_bytes) | Written::Frames(file_bytes)) = written;
                if due {
                    tail.snapshot_at = match written {
                        Written::Snapshot(_) => SNAPSHOT_AT_BYTES.max(2 * file_bytes),
                        Written::Frames(_) => file_bytes + SNAPSHOT_STEP_BYTES,
                    };
                }
                tail.file_bytes = file_bytes;
                tail.durable_seq = last_seq;
                tail.failed = None;
                tail.anew = false;
            }
            Err(error) => {
                tail.failed = Some((last_seq, Arc::new(error)));
                tail.anew = true;
            }
        }
        self.written.notify_all();
    }
}

/// What became durable, and the length of the file now.
enum Written {
    Snapshot(u64),
    Frames(u64),
}

/// An identity that no other store has.
pub(crate) fn random_id() -> u128 {
    // The standard library seeds its hashers from the operating system's random numbers.
    let half = || u128::from(RandomState::new().hash_one("store"));
    half() << 64 | half()
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
