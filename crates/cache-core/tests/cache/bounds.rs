//! The budget: bytes, entries, and the largest entry.

use std::sync::Arc;

use cache_core::{Cache, Item, Key, LoadOptions, Namespace, Scope, Stored};

use crate::fixture::{Fixture, invalidate, key, number_item, remove};

/// A sequence without a pattern that repeats: Knuth's multiplicative hashing of the step.
fn scatter(step: u64) -> u64 {
    step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[track_caller]
fn check(max_bytes: u64, max_entries: u64, keys: u64, largest: u64) {
    let fixture = Fixture::with(|builder| builder.max_bytes(max_bytes).max_entries(max_entries));
    let names: Vec<_> = (0..keys).map(|number| key(&format!("k{number}"))).collect();
    for step in 0..5_000 {
        let name = &names[(scatter(step) % keys) as usize];
        let bytes = scatter(step + 1_000_000) % largest;
        assert_eq!(fixture.cache.insert(name, Item::new(step, bytes)), Stored::Yes);
        let stats = fixture.cache.stats();
        assert!(stats.weight <= max_bytes, "step {step}: {stats:?}");
        assert!(stats.bytes <= stats.weight, "step {step}: {stats:?}");
        assert!(stats.entries <= max_entries, "step {step}: {stats:?}");
    }
    let held: Vec<_> = names.iter().filter_map(|name| fixture.cache.peek(name)).collect();
    let stats = fixture.cache.stats();
    assert_eq!(stats.entries, held.len() as u64);
    assert_eq!(stats.bytes, held.iter().map(|hit| hit.bytes()).sum::<u64>(), "the bytes are those of the entries");
    assert!(stats.entries > 0);
}

#[test]
fn bytes_and_entries_stay_within_their_bounds_under_writes_of_the_same_keys() {
    check(1 << 20, 100_000, 50, 100_000);
    check(1 << 20, 100_000, 2_000, 10_000);
    check(1 << 20, 10, 100, 1_000);
    check(1 << 20, 10, 5, 200_000);
    check(1 << 20, 1, 3, 1_000);
    check(64_000, 7, 100, 10_000);
}

#[test]
fn what_leaves_to_make_room_is_counted() {
    let fixture = Fixture::with(|builder| builder.max_entries(10));
    for number in 0..100 {
        fixture.insert(&key(&format!("k{number}")), number);
    }
    let stats = fixture.cache.stats();
    assert_eq!(stats.entries + stats.evictions, 100);
    assert!(stats.entries <= 10);
}

#[test]
fn an_overwrite_is_no_eviction() {
    let fixture = Fixture::new();
    for number in 0..100 {
        fixture.insert(&key("a"), number);
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.entries, stats.evictions), (1, 0));
    assert_eq!(fixture.get(&key("a")), Some(99));
}

#[tokio::test]
async fn what_is_too_large_is_refused_visibly_and_handed_over() {
    let fixture = Fixture::with(|builder| builder.max_entry_bytes(10_000));
    let loaded = fixture
        .cache
        .try_get_or_load(&key("a"), LoadOptions::default(), |_| async { Ok::<_, ()>(Item::new(1, 10_000)) })
        .await
        .unwrap();
    assert_eq!((*loaded.value(), loaded.stored()), (1, Stored::TooLarge));
    assert_eq!(fixture.get(&key("a")), None);
    assert_eq!(fixture.cache.stats().refusals, 1);
}

#[test]
fn the_largest_entry_allowed_is_admitted_wherever_it_falls() {
    let fixture = Fixture::with(|builder| builder.max_bytes(1 << 20).max_entry_bytes(250_000));
    fixture.insert(&key("probe"), 0);
    let overhead = fixture.cache.peek(&key("probe")).unwrap().bytes() - crate::fixture::BYTES;
    for number in 0..200 {
        // Names of the probe's length: the key counts too.
        let name = key(&format!("{number:05}"));
        let item = Item::new(number, 250_000 - overhead);
        assert_eq!(fixture.cache.insert(&name, item), Stored::Yes);
        assert_eq!(fixture.get(&name), Some(number), "what is said to be stored is there");
        assert_eq!(fixture.cache.insert(&name, Item::new(number, 250_001 - overhead)), Stored::TooLarge);
    }
}

#[test]
fn a_value_that_is_too_large_takes_its_predecessor_along() {
    let fixture = Fixture::with(|builder| builder.max_entry_bytes(10_000));
    fixture.insert(&key("a"), 1);
    assert_eq!(fixture.cache.insert(&key("a"), Item::new(2, 10_000)), Stored::TooLarge);
    assert_eq!(fixture.get(&key("a")), None, "the older value is not served after the newer one");
    assert_eq!(fixture.cache.stats().bytes, 0);
}

#[test]
fn keys_count() {
    let fixture = Fixture::new();
    fixture.insert(&key(""), 1);
    let empty = fixture.cache.stats().bytes;
    fixture.insert(&key(&"x".repeat(1_000)), 1);
    assert_eq!(fixture.cache.stats().bytes, 2 * empty + 1_000);
}

#[test]
fn what_was_served_stays_usable_after_it_has_left() {
    let cache = Cache::<Arc<str>>::builder("texts").max_entries(1).build().unwrap();
    assert_eq!(cache.insert(&key("a"), Item::new(Arc::from("first"), 5)), Stored::Yes);
    let hit = cache.get(&key("a")).unwrap();
    remove(&cache, &key("a"));
    assert_eq!(&*hit.into_value(), "first");
}

#[test]
fn a_sweep_frees_what_is_dead_and_spares_the_rest() {
    let fixture = Fixture::new();
    for number in 0..50 {
        fixture.insert(&crate::fixture::key_in("dead", &number.to_string()), number);
        fixture.insert(&crate::fixture::key_in("alive", &number.to_string()), number);
    }
    invalidate(&fixture.cache, Scope::Namespace(cache_core::Namespace::new("dead")));
    assert_eq!(fixture.cache.sweep(), 50);
    let stats = fixture.cache.stats();
    assert_eq!((stats.entries, stats.invalidated), (50, 50));
    fixture.clock.advance(crate::fixture::TTL);
    assert_eq!(fixture.cache.sweep(), 50);
    let stats = fixture.cache.stats();
    assert_eq!((stats.entries, stats.bytes, stats.weight, stats.expirations), (0, 0, 0, 50));
    assert_eq!(fixture.cache.insert(&key("a"), number_item(1)), Stored::Yes);
}

#[test]
fn another_budget_is_kept_from_then_on() {
    let cache = Cache::<u64>::builder("resized").max_bytes(1 << 20).max_entry_bytes(4 << 10).build().unwrap();
    let namespace = Namespace::new("n");
    let fill = |from: u32| {
        for n in from..from + 4_000 {
            cache.insert(&Key::new(&namespace, n.to_le_bytes()), Item::new(7, 1_000));
        }
    };
    fill(0);
    let before = cache.stats();
    assert!(before.bytes <= 1 << 20 && before.bytes > 1 << 19, "{before:?}");
    cache.set_max_bytes(1 << 18).unwrap();
    let shrunk = cache.stats();
    assert!(shrunk.bytes <= 1 << 18 && shrunk.bytes > 1 << 17, "{shrunk:?}");
    assert_eq!(shrunk.evictions - before.evictions, before.entries - shrunk.entries);
    assert_eq!(cache.max_bytes(), 1 << 18);
    cache.set_max_bytes(4 << 20).unwrap();
    fill(10_000);
    let grown = cache.stats();
    assert!(grown.bytes > 2 << 20 && grown.bytes <= 4 << 20, "{grown:?}");
    // What is counted is what is there.
    cache.release(&namespace);
    assert_eq!((cache.stats().bytes, cache.stats().entries), (0, 0));
}

#[test]
fn a_smaller_budget_may_take_only_smaller_entries() {
    let cache = Cache::<u64>::builder("resized").max_bytes(1 << 20).max_entry_bytes(1 << 19).build().unwrap();
    let namespace = Namespace::new("n");
    let insert = |bytes| cache.insert(&Key::new(&namespace, b"k"), Item::new(7, bytes));
    assert_eq!(insert(300_000), Stored::Yes);
    cache.set_max_bytes(1 << 18).unwrap();
    assert!(cache.max_entry_bytes() < 1 << 18 && cache.stats().bytes <= 1 << 18);
    assert_eq!(insert(300_000), Stored::TooLarge);
    assert_eq!(insert(cache.max_entry_bytes() - 1_000), Stored::Yes);
    cache.set_max_bytes(1 << 21).unwrap();
    assert_eq!((cache.max_entry_bytes(), insert(300_000)), (1 << 19, Stored::Yes));
    let refused = cache.set_max_bytes(10).unwrap_err().to_string();
    assert!(refused.contains("use max_bytes = 10: at least"), "{refused}");
    assert_eq!(cache.max_bytes(), 1 << 21);
}
