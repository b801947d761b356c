//! Group commit, and what a failure leaves behind.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// A file in memory that fails when it is told to.
#[derive(Clone, Default)]
struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
    failing: Arc<AtomicBool>,
    /// There is no room for another file.
    cramped: Arc<AtomicBool>,
    prepared: Arc<Mutex<Vec<u8>>>,
    syncs: Arc<AtomicUsize>,
    /// Held by a test to keep a write under way.
    gate: Arc<Mutex<()>>,
}

impl Memory {
    fn outcome(&self) -> io::Result<()> {
        drop(self.gate.lock());
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn changes(&self) -> Vec<Change> {
        format::parse(&self.bytes.lock()).unwrap().changes
    }
}

impl Media for Memory {
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.outcome();
        let mut file = self.bytes.lock();
        file.truncate(at as usize);
        // A write that fails may have written a part.
        let written = if result.is_ok() { bytes.len() } else { bytes.len() / 2 };
        file.extend_from_slice(&bytes[..written]);
        result
    }

    fn prepare(&self, bytes: &[u8]) -> io::Result<()> {
        if self.cramped.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.outcome()?;
        *self.prepared.lock() = bytes.to_vec();
        Ok(())
    }

    fn replace(&self) -> io::Result<()> {
        *self.bytes.lock() = self.prepared.lock().clone();
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        self.bytes.lock().clear();
        Ok(())
    }
}

fn tag(name: &str, stamp: u64) -> Change {
    Change::Tag { tag: name.into(), stamp }
}

fn begin(media: &Memory) -> Log {
    let log = Log::new(Box::new(media.clone()), Ledger::default(), 1, 1, 0);
    log.mend().unwrap();
    log
}

#[test]
fn a_change_is_in_the_file_when_its_recording_returns() {
    let media = Memory::default();
    let log = begin(&media);
    for stamp in 1..=3 {
        log.record(&tag("t", stamp)).1.unwrap();
        assert_eq!(media.changes().last(), Some(&tag("t", stamp)));
        assert_eq!(log.state(0).log_seq, stamp);
    }
}

#[test]
fn changes_that_come_during_a_sync_share_the_next_one() {
    let media = Memory::default();
    let log = begin(&media);
    let syncs = media.syncs.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        let gate = media.gate.lock();
        for stamp in 1..=20 {
            let log = &log;
            scope.spawn(move || log.record(&tag(&stamp.to_string(), stamp)).1.unwrap());
        }
        // One of them is at the gate with what had come by then; the others wait until the last has come.
        while log.tail.lock().last_seq < 20 {
            std::thread::yield_now();
        }
        drop(gate);
    });
    assert!(media.syncs.load(Ordering::SeqCst) - syncs <= 2);
    assert_eq!(media.changes().len(), 20);
}

#[test]
fn after_a_failure_the_file_is_replaced_before_anything_is_acknowledged() {
    let media = Memory::default();
    let log = begin(&media);
    log.record(&tag("a", 1)).1.unwrap();
    media.failing.store(true, Ordering::SeqCst);
    log.record(&tag("b", 2)).1.unwrap_err();
    log.record(&tag("c", 3)).1.unwrap_err();
    assert_eq!(log.state(0).log_seq, 1, "the database learns of nothing that no file has");
    media.failing.store(false, Ordering::SeqCst);
    log.record(&tag("d", 4)).1.unwrap();
    let mut stamps: Vec<Change> = media.changes();
    stamps.sort_by_key(|change| format!("{change:?}"));
    assert_eq!(stamps, [tag("a", 1), tag("b", 2), tag("c", 3), tag("d", 4)]);
    log.record(&tag("e", 5)).1.unwrap();
    assert_eq!(format::parse(&media.bytes.lock()).unwrap().last_seq, 5);
}

#[test]
fn a_log_that_has_grown_is_replaced_by_what_it_comes_to() {
    let media = Memory::default();
    let log = begin(&media);
    let name = "t".repeat(10_000);
    for stamp in 1..=300 {
        log.record(&tag(&name, stamp)).1.unwrap();
        assert!(media.bytes.lock().len() as u64 <= SNAPSHOT_AT_BYTES + 20_000);
    }
    assert_eq!(media.changes().last(), Some(&tag(&name, 300)));
    assert_eq!(format::parse(&media.bytes.lock()).unwrap().last_seq, 300);
}

#[test]
fn without_room_for_a_snapshot_changes_are_appended() {
    let media = Memory::default();
    let log = begin(&media);
    media.cramped.store(true, Ordering::SeqCst);
    let name = "t".repeat(10_000);
    for stamp in 1..=150 {
        log.record(&tag(&name, stamp)).1.unwrap();
    }
    assert_eq!(media.changes().len(), 150);
    media.cramped.store(false, Ordering::SeqCst);
    for stamp in 151..=200 {
        log.record(&tag(&name, stamp)).1.unwrap();
    }
    assert!(media.changes().len() < 100, "it is made shorter when it has grown some more");
    assert_eq!(format::parse(&media.bytes.lock()).unwrap().last_seq, 200);
}

#[test]
fn a_log_that_could_not_be_begun_acknowledges_nothing_until_it_is() {
    let media = Memory::default();
    let log = Log::new(Box::new(media.clone()), Ledger::default(), 1, 1, 0);
    media.failing.store(true, Ordering::SeqCst);
    log.mend().unwrap_err();
    log.record(&tag("a", 1)).1.unwrap_err();
    assert!(media.bytes.lock().is_empty());
    media.failing.store(false, Ordering::SeqCst);
    log.mend().unwrap();
    assert_eq!(media.changes(), [tag("a", 1)], "what failed before is durable now");
}

#[test]
fn a_log_that_is_disowned_goes_on_under_another_identity() {
    let media = Memory::default();
    let log = begin(&media);
    log.record(&tag("a", 1)).1.unwrap();
    log.disown().unwrap();
    assert!(media.bytes.lock().is_empty());
    log.record(&tag("b", 2)).1.unwrap();
    let content = format::parse(&media.bytes.lock()).unwrap();
    assert_eq!(content.header.store_id, log.state(0).store_id);
    assert_ne!(content.header.store_id, 1);
    assert_eq!(content.changes.len(), 2);
}
