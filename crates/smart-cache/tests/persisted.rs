//! Results that outlive the process: here, a tier that outlives the functions' memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use cache_core::{ByteTier, Change, Listed, Meta, Payload, RecordKey, Restored, TierError, TierStats, Usage, Write};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, Serializer};
use smart_cache::__private::{Function, Settings};
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

/// Functions of one text, which mean different things by it.
mod namesakes {
    use std::marker::PhantomData;

    use smart_cache::smart_cache;

    pub(crate) fn one() -> fn(u32) -> u32 {
        const RATE: u32 = 10;
        #[smart_cache(persist = true, max_entries = 1)]
        fn rate(value: u32) -> u32 {
            value * RATE
        }
        rate
    }

    pub(crate) fn blocks() -> [fn(u32) -> u32; 2] {
        let first = {
            const RATE: u32 = 20;
            #[smart_cache(persist = true, max_entries = 1)]
            fn rate(value: u32) -> u32 {
                value * RATE
            }
            rate
        };
        const RATE: u32 = 30;
        #[smart_cache(persist = true, max_entries = 1)]
        fn rate(value: u32) -> u32 {
            value * RATE
        }
        [first, rate]
    }

    trait HasRate: 'static {
        const RATE: u32;
    }

    struct Priced<T>(PhantomData<T>);

    impl<T: HasRate> Priced<T> {
        #[smart_cache(persist = true, max_entries = 1, associated)]
        fn rate(value: u32) -> u32 {
            value * T::RATE
        }
    }

    pub(crate) fn methods() -> [fn(u32) -> u32; 2] {
        let first = {
            struct Local;
            impl HasRate for Local {
                const RATE: u32 = 40;
            }
            Priced::<Local>::rate
        };
        struct Local;
        impl HasRate for Local {
            const RATE: u32 = 50;
        }
        [first, Priced::<Local>::rate]
    }
}

/// A result that cannot always be encoded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Reading(u32);

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, 13, "as it was meant to");
        serializer.serialize_newtype_struct("Reading", &self.0)
    }
}

#[smart_cache(persist = true, max_entries = 1)]
fn reading(value: u32) -> Reading {
    Reading(value)
}

/// What is found, if it is known whether there is something.
#[smart_cache(persist = true, max_entries = 1, store = all)]
fn found(value: u32) -> Option<Option<u32>> {
    (value > 0).then_some((value > 1).then_some(value))
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
    functions_of_one_text_keep_their_results_apart(&shelf);
    a_name_that_is_taken_is_not_shared();
    what_cannot_be_encoded_stays_in_memory(&shelf);
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

fn functions_of_one_text_keep_their_results_apart(shelf: &Shelf) {
    let [second, third] = namesakes::blocks();
    let [fourth, fifth] = namesakes::methods();
    let functions = [namesakes::one(), second, third, fourth, fifth];
    for (factor, function) in (10..).step_by(10).zip(functions) {
        // Twice round, so that each result is read from the tier once.
        let results = [1, 2, 1, 2].map(function);
        assert_eq!(results, [1, 2, 1, 2].map(|value| value * factor));
    }
    let records = shelf.records.lock();
    let caches: HashSet<_> = records.keys().map(|key| &*key.cache).filter(|cache| cache.contains("::rate@")).collect();
    assert_eq!(caches.len(), functions.len(), "{caches:?}");
    let stats = global().stats().functions;
    let rates: Vec<_> = stats.iter().filter(|function| function.name.ends_with("::rate")).collect();
    assert_eq!(rates.len(), functions.len());
    assert!(rates.iter().all(|rate| (rate.persistence, rate.disk_hits, rate.runs) == (Persistence::Tier, 2, 2)));
}

fn a_name_that_is_taken_is_not_shared() {
    let open = || {
        Function::<u32>::open_persisted(Settings {
            name: "twins".into(),
            ttl: Duration::from_secs(60),
            max_entries: 1,
            stale: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            version: 0,
            source: 1,
        })
    };
    let call = |function: &'static Function<u32>, result| match function.hit(|_| ()) {
        Ok(found) => found,
        Err(missed) => missed.run(|| result),
    };
    let (one, other) = (open(), open());
    assert_eq!((call(one, 1), call(other, 2), call(one, 3), call(other, 4)), (1, 2, 1, 2));
    assert_eq!((one.stats().persistence, one.stats().problem), (Persistence::Tier, None));
    assert_eq!(other.stats().persistence, Persistence::NameTaken);
    assert!(other.stats().problem.unwrap().contains("same path and the same source"));
}

fn what_cannot_be_encoded_stays_in_memory(shelf: &Shelf) {
    let records = |of: &str| shelf.records.lock().keys().filter(|key| key.namespace.ends_with(of)).count();
    assert_eq!([12, 13, 13, 12].map(reading), [12, 13, 13, 12].map(Reading));
    assert_eq!((reading::stats().runs, reading::stats().hits, reading::stats().disk_hits), (2, 1, 1));
    assert_eq!(records("::reading"), 1);
    for _ in 0..2 {
        assert_eq!([0, 1, 2].map(found), [None, Some(None), Some(Some(2))]);
    }
    assert_eq!((found::stats().runs, found::stats().disk_hits), (4, 2));
    assert_eq!(records("::found"), 2);
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
