//! What the cache allocates: nothing on the way of a hit, and nothing that stays behind a load.
//!
//! A binary of its own, because it counts with an allocator of its own. It counts what its thread does; everything here
//! runs on one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use cache_core::{Cache, Item, Key, LoadOptions, ManualClock, Namespace, Stale};

/// Ten million where the build is fast enough for it: `cargo test --release -p cache-core`.
const KEYS: u64 = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };

#[track_caller]
fn check(what: &str, hit: impl Fn()) {
    // Whatever is set up once for a thread.
    hit();
    let counted = measure(|| (0..100).for_each(|_| hit()));
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{what}");
}

#[test]
fn a_hit_allocates_nothing() {
    let cache = Cache::<Arc<str>>::builder("texts").clock(ManualClock::new().clock()).build().unwrap();
    let (space, runtime) = (Namespace::new("space"), tokio::runtime::Builder::new_current_thread().build().unwrap());
    let key = Key::new(&space, b"abc");
    let tagged = Key::new(&space, b"tagged");
    let text = || Item::new(Arc::<str>::from("value"), 5);
    cache.insert(&key, text());
    cache.insert(&tagged, text().with_tags([Arc::from("red"), Arc::from("blue")]));
    check("get", || assert!(cache.get(&key).is_some()));
    check("get with tags", || assert!(cache.get(&tagged).is_some()));
    check("get, taken out", || assert_eq!(&*cache.get(&key).unwrap().into_value(), "value"));
    check("get_bytes", || assert!(cache.get_bytes(&space, b"abc").is_some()));
    check("peek", || assert!(cache.peek(&key).is_some()));
    check("find_blocking", || assert!(cache.find_blocking(&key).is_some()));
    check("another version's key", || assert!(cache.get(&key.at_version(1).at_version(0)).is_some()));
    let _entered = runtime.enter();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let loads = std::cell::RefCell::new(&mut context);
    for stale in [Stale::Refresh, Stale::Accept, Stale::Refuse] {
        check("try_get_or_load", || {
            let options = LoadOptions { stale, ttl: Some(Duration::from_secs(1)), ..LoadOptions::default() };
            let load = |_| async { Ok::<_, Infallible>(Item::new(Arc::from("other"), 5)) };
            let loaded = std::pin::pin!(cache.try_get_or_load(&key, options, load));
            assert!(loaded.poll(&mut loads.borrow_mut()).is_ready());
        });
    }
}

/// Loads these keys, of which a few stay in the cache.
fn load(cache: &Cache<u64>, runtime: &tokio::runtime::Runtime, numbers: std::ops::Range<u64>) {
    let space = Namespace::new("space");
    runtime.block_on(async {
        for number in numbers {
            let key = Key::new(&space, number.to_le_bytes());
            let load = move |_| async move { if number % 8 == 0 { Err("away") } else { Ok(Item::new(number, 8)) } };
            let loaded = cache.try_get_or_load(&key, LoadOptions::default(), load).await;
            assert_eq!(loaded.is_err(), number % 8 == 0);
        }
    });
}

#[test]
fn millions_of_keys_leave_no_lock_and_no_flight_behind() {
    let cache = Cache::<u64>::builder("numbers").max_entries(1_000).max_bytes(1 << 20).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    load(&cache, &runtime, 0..KEYS / 2);
    let counted = measure(|| load(&cache, &runtime, KEYS / 2..KEYS));
    // What grows with keys would be at least a byte for each.
    assert!(counted.bytes_current.unsigned_abs() < 64 << 10, "{counted:?}");
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.loading), (KEYS, 0));
    assert!(stats.entries <= 1_000);
}

#[test]
fn namespaces_and_tags_that_come_and_go_leave_a_bounded_number_of_cells() {
    let cache = Cache::<u64>::builder("numbers").max_entries(100).max_bytes(1 << 20).build().unwrap();
    let come_and_go = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let space = Namespace::new(format!("space {number:012}"));
            let tag = Arc::<str>::from(format!("tag {number:012}"));
            cache.insert(&Key::new(&space, b"a"), Item::new(number, 8).with_tags([tag]));
        }
    };
    // Each takes two cells: a hundred thousand of them is what the stamps keep.
    come_and_go(0..150_000);
    let counted = measure(|| come_and_go(150_000..300_000));
    assert!(counted.bytes_current < 12 << 20, "{counted:?}");
}
