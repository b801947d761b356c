//! An observer hears what the statistics count.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Departure, Item, Key, LoadOptions, LoadOutcome, LoadReport, Observer, Scope, Stored, Tiers};
use std::sync::Mutex;

use crate::fixture::{Fixture, Gate, TTL, invalidate, key, number_item, remove, until};
use crate::lives::Life;

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, cache: &str, key: &Key, what: String) {
        let name = key.bytes().escape_ascii();
        self.0.lock().unwrap().push(format!("{cache}/{name}: {what}"));
    }
}

impl Observer for Diary {
    fn hit(&self, cache: &str, key: &Key, age: Duration) {
        self.write(cache, key, format!("hit, {} s old", age.as_secs()));
    }

    fn miss(&self, cache: &str, key: &Key) {
        self.write(cache, key, "miss".to_owned());
    }

    fn load(&self, cache: &str, key: &Key, report: &LoadReport) {
        self.write(cache, key, format!("load {:?}, {} bytes", report.outcome, report.bytes));
    }

    fn depart(&self, cache: &str, key: &Key, _: u64, why: Departure) {
        self.write(cache, key, format!("{why:?}"));
    }

    fn refuse(&self, cache: &str, key: &Key, bytes: u64) {
        assert!(bytes > 5_000, "key and bookkeeping are counted");
        self.write(cache, key, "refuse".to_owned());
    }
}

#[tokio::test]
async fn an_observer_hears_what_happens() {
    let diary = Arc::new(Diary::default());
    let observer = Arc::clone(&diary) as Arc<dyn Observer>;
    let fixture = Fixture::with(|builder| builder.observer(observer).max_entry_bytes(5_000).max_entries(1));
    fixture.load(&key("a"), 1).await;
    fixture.clock.advance(Duration::from_secs(3));
    fixture.get(&key("a"));
    fixture.load(&key("b"), 2).await;
    fixture.clock.advance(TTL);
    fixture.get(&key("b"));
    fixture.insert(&key("c"), 3);
    invalidate(&fixture.cache, Scope::All);
    fixture.get(&key("c"));
    fixture.insert(&key("d"), 4);
    remove(&fixture.cache, &key("d"));
    fixture.cache.insert(&key("e"), Item::new(5, 5_000));
    let failing = |_| async { Err::<Item<u64>, _>(()) };
    fixture.cache.try_get_or_load(&key("f"), LoadOptions::default(), failing).await.unwrap_err();
    let expected = [
        "numbers/a: miss",
        "numbers/a: load Loaded, 100 bytes",
        "numbers/a: hit, 3 s old",
        "numbers/b: miss",
        "numbers/a: Evicted",
        "numbers/b: load Loaded, 100 bytes",
        "numbers/b: Expired",
        "numbers/b: miss",
        "numbers/c: Invalidated",
        "numbers/c: miss",
        "numbers/d: Removed",
        "numbers/e: refuse",
        "numbers/f: miss",
        "numbers/f: load Failed, 0 bytes",
    ];
    assert_eq!(*diary.0.lock().unwrap(), expected);
}

/// An observer that panics whenever a load ends well, or something is missing.
struct Touchy;

impl Observer for Touchy {
    fn miss(&self, _: &str, key: &Key) {
        assert_ne!(key, &self::key("missing"), "on purpose");
    }

    fn load(&self, _: &str, _: &Key, report: &LoadReport) {
        assert_ne!(report.outcome, LoadOutcome::Loaded, "on purpose");
    }
}

#[tokio::test]
async fn an_observer_that_panics_hangs_nobody() {
    let fixture = Fixture::with(|builder| builder.observer(Arc::new(Touchy)));
    let load = |_| async { Ok::<_, ()>(Item::new(1, 1)) };
    let loaded = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap();
    assert_eq!(*loaded.value(), 1, "the value was stored before");
    assert_eq!(fixture.cache.stats().loading, 0);

    let cache = fixture.cache.clone();
    let load = |_| async { Ok::<_, ()>(Item::new(1, 1)) };
    let caller =
        tokio::spawn(async move { cache.try_get_or_load(&key("missing"), LoadOptions::default(), load).await.is_ok() });
    assert!(caller.await.unwrap_err().is_panic(), "it panics in its caller");
    assert_eq!(fixture.cache.stats().loading, 0, "and leaves nothing behind");
}

/// Hears the rest.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Ear {
    fn hear(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Observer for Ear {
    fn store(&self, cache: &str, key: &Key, bytes: u64, tier: Tiers) {
        assert!(bytes > 100, "key and bookkeeping are counted");
        self.hear(format!("{cache}/{}: store in {tier:?}", key.bytes().escape_ascii()));
    }

    fn outdated(&self, cache: &str, key: &Key, why: Stored) {
        self.hear(format!("{cache}/{}: {why:?}", key.bytes().escape_ascii()));
    }

    fn join(&self, cache: &str, key: &Key) {
        self.hear(format!("{cache}/{}: join", key.bytes().escape_ascii()));
    }

    fn refresh_skipped(&self, cache: &str, key: &Key) {
        self.hear(format!("{cache}/{}: no refresh", key.bytes().escape_ascii()));
    }

    fn degrade(&self, cache: &str, reason: Option<&str>) {
        self.hear(format!("{cache}: {reason:?}"));
    }
}

#[tokio::test]
async fn an_observer_hears_of_stores_joins_skipped_refreshes_and_of_a_disk_out_of_service() {
    static EAR: std::sync::LazyLock<Arc<Ear>> = std::sync::LazyLock::new(Arc::default);
    let life = Life::with(|builder| {
        builder.stale_while_revalidate(TTL).refresh_workers(1).observer(Arc::clone(&EAR) as Arc<dyn Observer>)
    });
    let (cache, options) = (life.cache.clone(), LoadOptions::default());
    let table = cache.begin();
    life.insert(&key("a"), 1);
    cache.insert(&key("b"), number_item(1).in_memory_only());
    invalidate(&cache, Scope::All);
    cache.insert(&key("c"), number_item(1).with_origin(table));
    life.clock.advance(TTL);
    let late = cache.begin();
    life.clock.advance(2 * TTL);
    cache.insert(&key("c"), number_item(1).with_origin(late));

    let gate = Gate::new();
    let calls = [0, 1].map(|_| {
        let (cache, loader) = (cache.clone(), gate.loader(2));
        tokio::spawn(async move { cache.try_get_or_load(&key("d"), options, loader).await.map(drop).unwrap() })
    });
    until(|| cache.stats().joined == 1).await;
    gate.open();
    for call in calls {
        call.await.unwrap();
    }
    life.insert(&key("e"), 1);
    life.clock.advance(TTL);
    let gate = Gate::new();
    cache.try_get_or_load(&key("d"), options, gate.loader(3)).await.unwrap();
    cache.try_get_or_load(&key("e"), options, gate.loader(3)).await.unwrap();
    gate.open();
    until(|| cache.peek(&key("d")).is_some_and(|found| *found.value() == 3)).await;
    life.disk.tell(Some("no space is left"));
    life.disk.tell(None);
    let expected = [
        "numbers/a: store in Both",
        "numbers/b: store in Memory",
        "numbers/c: Invalidated",
        "numbers/c: Expired",
        "numbers/d: join",
        "numbers/d: store in Both",
        "numbers/e: store in Both",
        "numbers/e: no refresh",
        "numbers/d: store in Both",
        "numbers: Some(\"no space is left\")",
        "numbers: None",
    ];
    assert_eq!(*EAR.0.lock().unwrap(), expected);
}
