//! An observer hears what the statistics count.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Departure, Item, Key, LoadOptions, LoadOutcome, LoadReport, Observer, Scope};
use std::sync::Mutex;

use crate::fixture::{Fixture, TTL, invalidate, key, remove};

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
