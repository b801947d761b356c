//! Figures that are true: what each thing that can happen counts, and whom it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{
    Builder, Cache, CacheConfig, Codec, Config, Item, Key, LoadOptions, Namespace, Observer, Scope, Stale, Stats,
    Stored, Warmed,
};

use crate::fixture::{BYTES, Fixture, Gate, TTL, key, number_item, ready, until};
use crate::lives::Life;

/// What happens in a small cache with both windows and a disk, and the counters that it moves: all others stay.
async fn check(what: &str, prepare: impl AsyncFnOnce(&Life), happens: impl AsyncFnOnce(&Life), moves: fn(&mut Stats)) {
    let settings: fn(Builder<u64>) -> Builder<u64> =
        |builder| builder.stale_while_revalidate(TTL).stale_if_error(2 * TTL).max_entries(2).max_entry_bytes(5_000);
    let life = Life::with(settings);
    prepare(&life).await;
    let mut expected = life.cache.stats();
    happens(&life).await;
    moves(&mut expected);
    let stats = life.cache.stats();
    // Sizes and times have tests of their own.
    expected.bytes = stats.bytes;
    expected.weight = stats.weight;
    expected.load_time = stats.load_time;
    expected.load_time_saved = stats.load_time_saved;
    expected.window = stats.window;
    expected.oldest = stats.oldest;
    assert_eq!(stats, expected, "{what}");
}

async fn fail(life: &Life) {
    let fail = |_| async { Err::<Item<u64>, _>("away") };
    life.cache.try_get_or_load(&key("a"), LoadOptions::default(), fail).await.map(drop).unwrap_or_default();
}

#[tokio::test]
async fn every_counter_moves_when_it_should_and_never_else() {
    let nothing = async |_: &Life| {};
    let one = async |life: &Life| life.insert(&key("a"), 1);
    check("a miss", nothing, async |life| drop(life.cache.get(&key("a"))), |stats| stats.misses += 1).await;
    check("an insert", nothing, one, |stats| stats.entries += 1).await;
    check("a hit", one, async |life| drop(life.cache.get(&key("a"))), |stats| stats.hits += 1).await;
    let borrowed = async |life: &Life| drop(life.cache.get_bytes(&Namespace::new("space"), b"a"));
    check("a hit by bytes", one, borrowed, |stats| stats.hits += 1).await;
    check("a miss by bytes", nothing, borrowed, |stats| stats.misses += 1).await;
    check("a peek", one, async |life| drop(life.cache.peek(&key("a"))), |_| {}).await;
    let load = async |life: &Life| drop(life.load(&key("a"), 2).await);
    check("a load", nothing, load, |stats| {
        (stats.misses, stats.loads, stats.entries) = (stats.misses + 1, stats.loads + 1, stats.entries + 1);
        stats.disk_misses += 1;
    })
    .await;
    check("a load of what is there", one, load, |stats| stats.hits += 1).await;
    check("a load that fails", nothing, fail, |stats| {
        (stats.misses, stats.loads, stats.load_failures) = (stats.misses + 1, stats.loads + 1, stats.load_failures + 1);
        stats.disk_misses += 1;
    })
    .await;
    let on_disk = async |life: &Life| {
        life.insert(&key("a"), 1);
        life.forget(&key("a"));
    };
    let restored: fn(&mut Stats) = |stats| {
        (stats.misses, stats.disk_hits, stats.entries) = (stats.misses + 1, stats.disk_hits + 1, stats.entries + 1);
    };
    check("a load from disk", on_disk, load, restored).await;
    check("a find on disk", on_disk, async |life| drop(life.cache.find(&key("a")).await), restored).await;
    let absent = async |life: &Life| drop(life.cache.find(&key("a")).await);
    check("a find of nothing", nothing, absent, |stats| {
        (stats.misses, stats.disk_misses) = (stats.misses + 1, stats.disk_misses + 1);
    })
    .await;
    let stale = async |life: &Life| {
        life.insert(&key("a"), 1);
        life.clock.advance(TTL);
    };
    let refreshed = async |life: &Life| {
        life.load(&key("a"), 2).await;
        until(|| life.cache.stats().loads == 1 && life.cache.stats().loading == 0).await;
    };
    check("a stale value", stale, refreshed, |stats| {
        (stats.hits, stats.stale_serves, stats.loads) = (stats.hits + 1, stats.stale_serves + 1, stats.loads + 1);
    })
    .await;
    let accept = async |life: &Life| {
        let options = LoadOptions { stale: Stale::Accept, ..LoadOptions::default() };
        life.cache.try_get_or_load(&key("a"), options, ready(2)).await.unwrap();
    };
    check("a stale value that is accepted", stale, accept, |stats| stats.hits += 1).await;
    let expired = async |life: &Life| {
        life.insert(&key("a"), 1);
        life.clock.advance(2 * TTL);
    };
    check("an old value for an error", expired, fail, |stats| {
        (stats.misses, stats.loads, stats.load_failures) = (stats.misses + 1, stats.loads + 1, stats.load_failures + 1);
        (stats.stale_on_error, stats.disk_misses) = (stats.stale_on_error + 1, stats.disk_misses + 1);
    })
    .await;
    let dead = async |life: &Life| {
        life.insert(&key("a"), 1);
        life.clock.advance(3 * TTL);
    };
    check(
        "the end of an entry",
        dead,
        async |life| drop(life.cache.get(&key("a"))),
        |stats| {
            (stats.misses, stats.expirations, stats.entries) =
                (stats.misses + 1, stats.expirations + 1, stats.entries - 1);
        },
    )
    .await;
    let invalidate = async |life: &Life| life.invalidate(Scope::All);
    check("an invalidation", one, invalidate, |stats| stats.invalidations += 1).await;
    let clear = async |life: &Life| assert!(life.cache.clear().await.is_ok());
    check("a clearance", one, clear, |stats| {
        (stats.invalidations, stats.invalidated) = (stats.invalidations + 1, stats.invalidated + 1);
        stats.entries -= 1;
    })
    .await;
    for scope in [Scope::Key(key("a")), Scope::Prefix { namespace: Namespace::new("space"), prefix: Arc::from(*b"a") }]
    {
        let delete = async |life: &Life| life.invalidate(scope);
        check("a delete", one, delete, |stats| {
            // Its barrier is raised twice.
            (stats.removals, stats.entries, stats.invalidations) =
                (stats.removals + 1, stats.entries - 1, stats.invalidations + 2);
        })
        .await;
    }
    check(
        "a release",
        one,
        async |life| life.forget(&key("a")),
        |stats| (stats.removals, stats.entries) = (stats.removals + 1, stats.entries - 1),
    )
    .await;
    let large = async |life: &Life| assert_eq!(life.cache.insert(&key("a"), Item::new(2, 5_000)), Stored::TooLarge);
    check("a refusal", nothing, large, |stats| stats.refusals += 1).await;
    let late = async |life: &Life| {
        let origin = life.cache.begin();
        life.invalidate(Scope::All);
        life.cache.insert(&key("a"), number_item(1).with_origin(origin));
    };
    check("a value out of date", nothing, late, |stats| {
        (stats.outdated, stats.invalidations) = (stats.outdated + 1, stats.invalidations + 1);
    })
    .await;
    let two_more = async |life: &Life| ["b", "c"].into_iter().for_each(|name| life.insert(&key(name), 1));
    check("an eviction", one, two_more, |stats| {
        (stats.evictions, stats.entries) = (stats.evictions + 1, stats.entries + 1);
    })
    .await;
}

#[test]
fn hits_save_what_their_values_had_cost() {
    let life = Life::new();
    let cost = Duration::from_millis(40);
    life.cache.insert(&key("a"), Item::new(1, BYTES).with_cost(cost));
    (0..3).for_each(|_| drop(life.cache.get(&key("a"))));
    life.forget(&key("a"));
    life.find(&key("a"));
    let stats = life.cache.stats();
    assert_eq!((stats.load_time_saved, stats.hit_rate()), (4 * cost, Some(1.0)));
}

#[test]
fn the_window_is_of_the_last_minute_and_the_rate_of_all_time() {
    let fixture = Fixture::new();
    for _ in 0..90 {
        fixture.get(&key("a"));
        fixture.clock.advance(Duration::from_secs(1));
    }
    fixture.insert(&key("a"), 1);
    (0..10).for_each(|_| assert_eq!(fixture.get(&key("a")), Some(1)));
    let stats = fixture.cache.stats();
    assert_eq!(stats.hit_rate(), Some(0.1));
    // One read each second; the window begins behind the first of them.
    assert_eq!((stats.window.hits, stats.window.reads - stats.window.hits + 1), (10, stats.window.span.as_secs()));
    assert!((60..=65).contains(&stats.window.span.as_secs()), "{:?}", stats.window);
}

#[tokio::test]
async fn warming_says_what_became_of_the_keys() {
    let fixture = Fixture::with(|builder| builder.refresh_workers(2));
    fixture.insert(&key("there"), 1);
    let gate = Gate::new();
    let warming = tokio::spawn({
        let (cache, gate) = (fixture.cache.clone(), gate.clone());
        let load = move |name: Key, _| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                if name == key("bad") { Err("away") } else { Ok(number_item(2)) }
            }
        };
        async move { cache.warm(["there", "a", "b", "bad", "c"].map(key), LoadOptions::default(), load).await }
    });
    until(|| fixture.cache.stats().loading == 2).await;
    (0..100).for_each(|_| assert!(fixture.cache.stats().loading <= 2, "no more at a time than there are workers"));
    gate.open();
    assert_eq!(warming.await.unwrap(), Warmed { present: 1, loaded: 3, failed: 1 });
    assert_eq!(fixture.get(&key("c")), Some(2));
}

#[test]
fn the_oldest_entry_is_the_one_whose_scan_began_first_of_those_that_may_be_used() {
    let fixture = Fixture::new();
    let oldest = || {
        let stats = fixture.cache.stats();
        assert_eq!(stats.oldest, fixture.cache.oldest());
        stats.oldest.map(|age| age.as_secs())
    };
    assert_eq!(oldest(), None);
    let table = fixture.cache.begin();
    fixture.clock.advance(Duration::from_secs(5));
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(oldest(), Some(5));
    fixture.cache.insert(&key("b"), number_item(2).with_origin(table));
    assert_eq!(oldest(), Some(10), "it is as old as what it is made of");
    fixture.clock.advance(TTL - Duration::from_secs(10));
    assert_eq!(oldest(), Some(TTL.as_secs() - 5), "what is dead does not count");
    fixture.clock.advance(TTL);
    assert_eq!(oldest(), None);
}

/// Waits for a future on a thread that no runtime has ever seen.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => return outcome,
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}

#[test]
fn warming_needs_no_runtime_but_that_of_its_loads() {
    let names = || ["there", "a", "b"].map(key);
    let load = |_, _| async { Ok::<_, ()>(number_item(2)) };
    let fixture = Fixture::new();
    fixture.insert(&key("there"), 1);
    let warmed = wait_for(fixture.cache.warm(names(), LoadOptions::default(), load));
    assert_eq!(warmed, Warmed { present: 1, loaded: 0, failed: 2 }, "a load without a runtime fails");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let fixture = Fixture::with(|builder| builder.refresh_workers(2).runtime(runtime.handle().clone()));
    fixture.insert(&key("there"), 1);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let elsewhere = std::thread::spawn(move || runtime.block_on(stopped));
    let warmed = wait_for(fixture.cache.warm(names(), LoadOptions::default(), load));
    stop.send(()).unwrap();
    elsewhere.join().unwrap().unwrap();
    assert_eq!(warmed, Warmed { present: 1, loaded: 2, failed: 0 });
}

#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Observer for Diary {
    fn restore(&self, _: &str, _: &Key, age: Duration) {
        self.0.lock().unwrap().push(format!("restore, {} s", age.as_secs()));
    }

    fn stale(&self, _: &str, _: &Key, age: Duration) {
        self.0.lock().unwrap().push(format!("stale, {} s", age.as_secs()));
    }

    fn stale_on_error(&self, _: &str, _: &Key, age: Duration) {
        self.0.lock().unwrap().push(format!("stale on error, {} s", age.as_secs()));
    }

    fn invalidate(&self, _: &str, scope: &Scope, durable: bool) {
        self.0.lock().unwrap().push(format!("invalidate {scope:?}, {durable}"));
    }
}

#[tokio::test]
async fn an_observer_hears_of_the_disk_of_stale_values_and_of_invalidations() {
    static DIARY: std::sync::LazyLock<Arc<Diary>> = std::sync::LazyLock::new(Arc::default);
    let settings: fn(Builder<u64>) -> Builder<u64> = |builder| {
        let observer = Arc::clone(&DIARY) as Arc<dyn Observer>;
        builder.stale_while_revalidate(TTL).stale_if_error(2 * TTL).observer(observer)
    };
    let life = Life::with(settings);
    life.insert(&key("a"), 1);
    life.forget(&key("a"));
    life.clock.advance(Duration::from_secs(5));
    life.find(&key("a"));
    life.clock.advance(TTL);
    fail(&life).await;
    until(|| life.cache.stats().load_failures == 1 && life.cache.stats().loading == 0).await;
    life.clock.advance(TTL);
    fail(&life).await;
    life.invalidate(Scope::Tag(Arc::from("red")));
    life.cache.note_fingerprint(&Namespace::new("space"), b"one").unwrap();
    life.cache.note_fingerprint(&Namespace::new("space"), b"two").unwrap();
    life.disk.fail(true);
    life.cache.invalidate(Scope::All).await.unwrap_err();
    let expected = [
        "restore, 5 s",
        "stale, 65 s",
        "stale on error, 125 s",
        "invalidate Tag(\"red\"), true",
        "invalidate Namespace(\"space\"), true",
        "invalidate All, false",
    ];
    assert_eq!(*DIARY.0.lock().unwrap(), expected);
}

#[test]
fn settings_have_the_names_and_defaults_that_people_know() {
    let written: CacheConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(written, CacheConfig::default());
    let defaults = serde_json::json!({
        "ttl_seconds": 3600,
        "max_entries": 1000,
        "persist_to_disk": false,
        "disk_cache_dir": "./cache",
        "compression": true,
        "invalidate_on_data_change": true,
        "max_bytes": 67_108_864,
        "max_entry_bytes": null,
        "stale_while_revalidate": 0,
        "stale_if_error": 0,
        "compression_codec": "zstd",
        "refresh_workers": 4,
        "disk_max_bytes": 1_073_741_824,
    });
    assert_eq!(serde_json::to_value(&written).unwrap(), defaults);
    let error = serde_json::from_str::<CacheConfig>("{\"ttl\": 1}").unwrap_err().to_string();
    assert!(error.contains("unknown field `ttl`"), "{error}");
    let settings = CacheConfig {
        ttl_seconds: 7,
        max_entries: 3,
        compression: false,
        invalidate_on_data_change: false,
        stale_if_error: 5,
        ..CacheConfig::default()
    };
    let cache = Cache::<u64>::builder("numbers").config(&settings).build().unwrap();
    let Config { ttl, max_entries, compression, stale_if_error, .. } = cache.config().clone();
    assert_eq!((ttl, max_entries), (Duration::from_secs(7), 3));
    assert_eq!((compression, stale_if_error), (Codec::None, Duration::from_secs(5)));
    cache.insert(&key("a"), number_item(1));
    cache.note_fingerprint(key("a").namespace(), b"one").unwrap();
    cache.note_fingerprint(key("a").namespace(), b"two").unwrap();
    assert!(cache.get(&key("a")).is_some(), "who wants no such invalidation has none");
}
