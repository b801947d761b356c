//! Results that outlive the process: here, a tier that outlives the functions' memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use cache_core::{ByteTier, Change, Listed, Meta, Payload, RecordKey, Restored, TierError, TierStats, Usage, Write};
use parking_lot::Mutex;
use smart_cache::{Error, Persistence, global, persist_to, smart_cache};

/// A tier in memory that can be told to fail, and that remembers what it was told.
#[derive(Default)]
struct Shelf {
    records: Mutex<BTreeMap<RecordKey, (Meta, Payload)>>,
    changes: Mutex<Vec<Change>>,
    broken: AtomicBool,
}

impl Shelf {
    fn works(&self) -> bool {
        !self.broken.load(Ordering::SeqCst)
    }
}

impl ByteTier for Shelf {
    fn restored(&self) -> Restored {
        Restored { epoch: 1, ..Restored::default() }
    }

    fn record(&self, change: &Change) -> Result<(), TierError> {
        if !self.works() {
            return Err(TierError { what: "the shelf is broken".into(), source: None });
        }
        self.changes.lock().push(change.clone());
        Ok(())
    }

    fn abandon(&self) {
        self.records.lock().clear();
    }

    fn put(&self, write: Write) {
        let payload = (write.encode)().filter(|_| self.works());
        match payload {
            Some(payload) => drop(self.records.lock().insert(write.key, (write.meta, payload))),
            None => drop(self.records.lock().remove(&write.key)),
        }
    }

    fn remove(&self, key: &RecordKey) {
        self.records.lock().remove(key);
    }

    fn get(&self, key: &RecordKey) -> Option<(Meta, Payload)> {
        self.records.lock().get(key).filter(|_| self.works()).cloned()
    }

    fn meta(&self, key: &RecordKey) -> Option<Meta> {
        self.get(key).map(|(meta, _)| meta)
    }

    fn report_corrupt(&self, key: &RecordKey) {
        self.remove(key);
    }

    fn list(&self, _: &str, _: Option<&RecordKey>, _: usize) -> Vec<Listed> {
        Vec::new()
    }

    fn flush(&self) -> Result<(), TierError> {
        Ok(())
    }

    fn stats(&self) -> TierStats {
        TierStats::default()
    }

    fn usage(&self) -> Vec<Usage> {
        Vec::new()
    }
}

static RUNS: AtomicU32 = AtomicU32::new(0);

fn runs() -> u32 {
    RUNS.load(Ordering::SeqCst)
}

/// Keeps one result in memory, so that the others have to come from the tier.
#[smart_cache(persist = true, max_entries = 1, version = 3, tags("sums"))]
fn sum(numbers: &[u32]) -> Result<HashMap<String, u32>, String> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    if numbers.is_empty() {
        return Err("no numbers".into());
    }
    Ok(HashMap::from([("sum".to_owned(), numbers.iter().sum())]))
}

#[smart_cache(persist = true, max_entries = 1)]
async fn product(left: u64, right: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::SeqCst);
    left * right
}

#[smart_cache(persist = true)]
fn never_called(value: u32) -> u32 {
    value
}

/// The steps share a process and its one tier, so they are one test.
#[test]
fn results_are_found_in_the_tier_and_nothing_that_it_does_changes_them() {
    let shelf = Arc::new(Shelf::default());
    persist_to(Arc::clone(&shelf) as Arc<dyn ByteTier>).unwrap();
    assert!(matches!(persist_to(Arc::new(Shelf::default())), Err(Error::TierGiven)));

    synchronous_results_come_back(&shelf);
    asynchronous_results_come_back();
    invalidations_are_durable_and_reach_the_tier(&shelf);
    a_tier_that_fails_is_a_miss(&shelf);
    let _ = never_called;
}

fn synchronous_results_come_back(shelf: &Shelf) {
    let of = |result: Result<HashMap<String, u32>, String>| result.unwrap()["sum"];
    assert_eq!((of(sum(&[1, 2])), of(sum(&[3, 4]))), (3, 7));
    assert_eq!(runs(), 2);
    assert_eq!((of(sum(&[1, 2])), of(sum(&[3, 4]))), (3, 7));
    assert_eq!(runs(), 2, "what has left memory is read from the tier");
    assert!(sum(&[]).is_err() && sum(&[]).is_err());
    assert_eq!(runs(), 4, "an error is stored nowhere");
    let stats = sum::stats();
    assert_eq!((stats.persistence, stats.disk_hits, stats.misses), (Persistence::Tier, 2, 6));
    let records = shelf.records.lock();
    let caches: Vec<_> = records.keys().map(|key| &*key.cache).collect();
    assert_eq!(caches.len(), 2);
    let (path, source) = caches[0].split_once('@').unwrap();
    assert_eq!((path, source.len()), ("persisted::sum", 16), "the source is part of the name");
    assert!(records.keys().all(|key| &*key.namespace == "persisted::sum"), "an invalidation reaches all sources");
}

fn asynchronous_results_come_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let before = runs();
        assert_eq!((product(2, 3).await, product(4, 5).await, product(2, 3).await), (6, 20, 6));
        assert_eq!(runs() - before, 2);
        product::invalidate(2, 3).await.unwrap();
        assert_eq!(product(2, 3).await, 6);
        assert_eq!(runs() - before, 3);
    });
    // Without a runtime too.
    let before = runs();
    let mut call = std::pin::pin!(product(4, 5));
    let polled = call.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert_eq!((polled, runs()), (std::task::Poll::Ready(20), before));
}

fn invalidations_are_durable_and_reach_the_tier(shelf: &Shelf) {
    let before = runs();
    sum::invalidate(&[1, 2]).unwrap();
    assert!(matches!(shelf.changes.lock().last(), Some(Change::Key { .. })));
    sum(&[1, 2]).unwrap();
    assert_eq!(runs() - before, 1);
    global().invalidate_tag("sums").unwrap();
    assert!(matches!(shelf.changes.lock().last(), Some(Change::Tag { .. })));
    sum(&[1, 2]).and(sum(&[3, 4])).unwrap();
    assert_eq!(runs() - before, 3);
    sum::clear().unwrap();
    assert!(matches!(shelf.changes.lock().last(), Some(Change::Namespace { .. })));
    sum(&[3, 4]).unwrap();
    assert_eq!(runs() - before, 4);
    global().clear().unwrap();
    assert!(matches!(shelf.changes.lock().last(), Some(Change::All { .. })), "functions that nobody has called too");
    sum(&[3, 4]).unwrap();
    assert_eq!(runs() - before, 5);
}

fn a_tier_that_fails_is_a_miss(shelf: &Shelf) {
    let before = runs();
    shelf.broken.store(true, Ordering::SeqCst);
    assert_eq!(sum(&[8, 9]).unwrap()["sum"], 17);
    assert_eq!(sum(&[3, 4]).unwrap()["sum"], 7);
    assert_eq!(runs() - before, 2);
    assert!(sum::invalidate(&[3, 4]).is_err(), "an invalidation that may not outlive the process says so");
    assert!(sum::peek(&[3, 4]).is_none(), "and holds in this one");
    assert!(matches!(global().clear(), Err(Error::NotDurable(_))));
    shelf.broken.store(false, Ordering::SeqCst);
    for (_, payload) in shelf.records.lock().values_mut() {
        payload.bytes.fill(0xc1);
    }
    assert_eq!(sum(&[8, 9]).unwrap()["sum"], 17);
}
