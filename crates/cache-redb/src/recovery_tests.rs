//! Disks that refuse something at a certain moment.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use cache_core::{ByteTier, Change, Codec, Meta, Payload, RecordKey, TierWatcher, Write};

use crate::backend::{Backend, DataFile, Home};
use crate::error::Error;
use crate::fault::Fault;
use crate::log::media::{LogFile, Media};
use crate::opening;
use crate::options::TierOptions;
use crate::shared::Service;
use crate::tier::RedbTier;
use crate::writer::Writer;

/// What the disk refuses.
#[derive(Debug, Default)]
struct Switches {
    log: AtomicBool,
    open: AtomicBool,
    remove: AtomicBool,
    /// Opening panics, once.
    panic: AtomicBool,
}

fn outcome(refused: &AtomicBool, error: io::Error) -> io::Result<()> {
    if refused.load(Ordering::SeqCst) { Err(error) } else { Ok(()) }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn broken() -> io::Error {
    io::Error::other("it is broken")
}

struct FaultyHome(DataFile, Arc<Switches>);

impl Home for FaultyHome {
    fn exists(&self) -> bool {
        self.0.exists()
    }

    fn open(&self) -> io::Result<Backend> {
        assert!(!self.1.panic.swap(false, Ordering::SeqCst), "as the test wants it");
        outcome(&self.1.open, full())?;
        self.0.open()
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.0.allocated_bytes()
    }

    fn quarantine(&self) -> io::Result<()> {
        outcome(&self.1.remove, full())?;
        self.0.quarantine()
    }

    fn remove(&self) -> io::Result<()> {
        outcome(&self.1.remove, full())?;
        self.0.remove()
    }
}

struct FaultyLog(LogFile, Arc<Switches>);

impl Media for FaultyLog {
    fn append(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        outcome(&self.1.log, broken())?;
        self.0.append(at, bytes)
    }

    fn prepare(&self, bytes: &[u8]) -> io::Result<()> {
        outcome(&self.1.log, broken())?;
        self.0.prepare(bytes)
    }

    fn replace(&self) -> io::Result<()> {
        self.0.replace()
    }

    fn remove(&self) -> io::Result<()> {
        self.0.remove()
    }
}

fn open(dir: &Path, switches: &Arc<Switches>) -> Arc<RedbTier> {
    let (bytes, log) = opening::log_of(dir).unwrap();
    let media = Box::new(FaultyLog(log, Arc::clone(switches)));
    let home = Box::new(FaultyHome(DataFile::new(dir).unwrap(), Arc::clone(switches)));
    RedbTier::open_on(bytes, media, home, None, TierOptions::default()).unwrap()
}

fn key(name: &str) -> RecordKey {
    RecordKey { cache: "c".into(), namespace: "n".into(), bytes: name.as_bytes().into(), version: 0 }
}

fn put(tier: &RedbTier, name: &str) {
    let meta = Meta {
        layout: 0,
        loaded_at_ms: 0,
        expires_ms: u64::MAX,
        stale_while_revalidate_ms: 0,
        stale_if_error_ms: 0,
        counter: u64::MAX >> 1,
        cost_us: 0,
        value_bytes: 1,
        tags: Vec::new(),
    };
    let payload = Payload { codec: Codec::None, plain_bytes: 1, bytes: vec![1] };
    tier.put(Write { key: key(name), began: meta.counter, meta, encode: Box::new(|| Some(payload)) });
}

fn has(tier: &RedbTier, name: &str) -> bool {
    tier.get(&key(name)).is_some()
}

/// A directory with the record `old`.
fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tier = open(dir.path(), &Arc::default());
    put(&tier, "old");
    tier.flush().unwrap();
    dir
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

fn is_up(tier: &RedbTier) -> bool {
    tier.stats().degraded.is_none()
}

const CHANGE: fn(u64) -> Change = |stamp| Change::Tag { tag: "t".into(), stamp };

#[test]
fn with_a_log_that_cannot_be_written_a_tier_opens_and_reads_and_is_back_when_it_can() {
    let dir = prepared();
    let switches = Arc::new(Switches::default());
    switches.log.store(true, Ordering::SeqCst);
    let tier = open(dir.path(), &switches);
    assert!(!is_up(&tier));
    tier.record(&CHANGE(1)).unwrap_err();
    wait_until(|| has(&tier, "old"));
    assert!(!is_up(&tier));
    // However often the log fails, the file is not to blame.
    tier.shared.inner.lock().failures = 1_000;
    wait_until(|| tier.shared.inner.lock().failures > 1_000 && has(&tier, "old"));
    switches.log.store(false, Ordering::SeqCst);
    wait_until(|| is_up(&tier));
    assert!(has(&tier, "old"));
    tier.record(&CHANGE(2)).unwrap();
    drop(tier);
    let tier = open(dir.path(), &Arc::default());
    assert!(has(&tier, "old"));
    assert_eq!((tier.restored().epoch, tier.restored().tags), (3, vec![("t".into(), 2)]));
}

#[test]
fn a_file_that_cannot_be_opened_yet_is_opened_later() {
    let dir = prepared();
    let switches = Arc::new(Switches::default());
    switches.open.store(true, Ordering::SeqCst);
    let tier = open(dir.path(), &switches);
    assert!(!is_up(&tier) && !has(&tier, "old"));
    tier.record(&CHANGE(1)).expect("the log has nothing to do with it");
    switches.open.store(false, Ordering::SeqCst);
    wait_until(|| is_up(&tier));
    assert!(has(&tier, "old"));
    put(&tier, "new");
    tier.flush().unwrap();
    drop(tier);
    let tier = open(dir.path(), &Arc::default());
    assert!(has(&tier, "old") && has(&tier, "new"));
}

#[test]
fn what_was_given_up_does_not_come_back_though_its_file_cannot_be_removed() {
    for later in [false, true] {
        let dir = prepared();
        let switches = Arc::new(Switches::default());
        let tier = open(dir.path(), &switches);
        assert!(has(&tier, "old"));
        switches.remove.store(true, Ordering::SeqCst);
        tier.abandon();
        tier.record(&CHANGE(1)).unwrap();
        assert!(!has(&tier, "old"));
        if later {
            switches.remove.store(false, Ordering::SeqCst);
            wait_until(|| is_up(&tier));
            put(&tier, "new");
            tier.flush().unwrap();
            assert!(!has(&tier, "old"));
        }
        tier.close();
        tier.abandon();
        assert_eq!(tier.stats().degraded.as_deref(), Some("the tier is closed"));
        drop(tier);
        let tier = open(dir.path(), &Arc::default());
        assert!(!has(&tier, "old"));
        assert_eq!(has(&tier, "new"), later);
        assert_eq!(tier.restored().tags, [("t".into(), 1)], "the log goes on");
    }
}

#[test]
fn a_panic_of_the_writer_costs_the_records_and_nothing_else() {
    let dir = prepared();
    let switches = Arc::new(Switches::default());
    let tier = open(dir.path(), &switches);
    switches.panic.store(true, Ordering::SeqCst);
    let generation = tier.shared.inner.lock().generation;
    tier.shared.fail(generation, Fault::Full("no room".into()));
    wait_until(|| is_up(&tier));
    assert!(!switches.panic.load(Ordering::SeqCst), "it has panicked");
    put(&tier, "new");
    tier.flush().unwrap();
    assert!(has(&tier, "new"));
}

#[test]
fn a_fault_of_an_earlier_opening_is_not_held_against_the_present_file() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    let generation = tier.shared.inner.lock().generation;
    tier.shared.fail(generation, Fault::Full("no room".into()));
    wait_until(|| is_up(&tier));
    tier.shared.fail(generation, Fault::corrupt("late"));
    assert!(is_up(&tier) && has(&tier, "old"));
}

#[test]
fn one_compaction_is_asked_for_at_a_time() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    std::thread::scope(|scope| {
        let reading = tier.shared.store.read();
        let first = scope.spawn(|| tier.compact());
        wait_until(|| tier.shared.inner.lock().compacting);
        assert!(matches!(tier.compact(), Err(Error::Compacting)));
        drop(reading);
        first.join().unwrap().unwrap();
    });
    tier.compact().unwrap();
}

#[test]
fn closing_waits_for_what_was_put_and_for_nothing_else() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    {
        let mut inner = tier.shared.inner.lock();
        inner.closing = true;
        inner.sweep_everything(&tier.shared.log);
        inner.take_out(&crate::name::of(&key("old")));
    }
    tier.close();
    let inner = tier.shared.inner.lock();
    assert!(!inner.sweeps.is_empty() && inner.queue.is_empty());
    assert_eq!(inner.index.len(), 0);
}

#[test]
fn what_was_lost_is_not_said_to_be_written_though_the_tier_is_back() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    let (mark, generation) = (tier.shared.mark(), tier.shared.inner.lock().generation);
    tier.shared.fail(generation, Fault::Full("no room".into()));
    wait_until(|| is_up(&tier));
    assert!(tier.shared.wait_for(mark).is_err(), "who began to wait before it failed");
    tier.flush().unwrap();
}

#[test]
fn a_round_that_failed_is_never_seen_done_by_a_tier_in_service() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    for _ in 0..50 {
        put(&tier, "old");
        tier.flush().unwrap();
        let (position, generation) = {
            let mut inner = tier.shared.inner.lock();
            inner.take_out(&crate::name::of(&key("old")));
            // The writer takes it, and has not done with it.
            inner.queue.take(1, 1);
            (inner.queue.position(), inner.generation)
        };
        let is_done_and_up = || {
            let inner = tier.shared.inner.lock();
            let up = matches!(inner.service, Service::Up) && inner.generation == generation;
            (inner.queue.is_done(position), up)
        };
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| {
                loop {
                    match is_done_and_up() {
                        (true, up) => return up,
                        (false, _) => std::hint::spin_loop(),
                    }
                }
            });
            let writer = Writer { shared: Arc::clone(&tier.shared), next_id: 1 };
            writer.give_back(generation, Fault::corrupt("on purpose"));
            assert!(!seen.join().unwrap());
        });
        tier.shared.work.notify_all();
        wait_until(|| is_up(&tier));
    }
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary(parking_lot::Mutex<Vec<Option<String>>>);

impl TierWatcher for Diary {
    fn service(&self, degraded: Option<&str>) {
        self.0.lock().push(degraded.map(str::to_owned));
    }
}

#[test]
fn who_watches_hears_that_the_tier_is_out_of_service_and_that_it_is_back() {
    let dir = prepared();
    let tier = open(dir.path(), &Arc::default());
    let (early, gone) = (Arc::new(Diary::default()), Arc::new(Diary::default()));
    tier.watch(Arc::downgrade(&early) as Weak<dyn TierWatcher>);
    tier.watch(Arc::downgrade(&gone) as Weak<dyn TierWatcher>);
    drop(gone);
    for what in ["no room", "again"] {
        let generation = tier.shared.inner.lock().generation;
        tier.shared.fail(generation, Fault::Full(what.into()));
        let told = early.0.lock().len();
        wait_until(|| is_up(&tier) && early.0.lock().len() > told && early.0.lock().last() == Some(&None));
    }
    let no_space = Some("no space is left for the cache file".to_owned());
    assert_eq!(*early.0.lock(), [no_space.clone(), None, no_space, None]);

    let switches = Arc::new(Switches::default());
    switches.open.store(true, Ordering::SeqCst);
    drop(tier);
    let tier = open(dir.path(), &switches);
    wait_until(|| tier.shared.inner.lock().failures > 1);
    let late = Arc::new(Diary::default());
    tier.watch(Arc::downgrade(&late) as Weak<dyn TierWatcher>);
    assert!(late.0.lock()[0].is_some(), "it is told at once");
    switches.open.store(false, Ordering::SeqCst);
    wait_until(|| late.0.lock().last() == Some(&None));
}
