//! Invalidations and deletes, above all against loads that are under way.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Cache, How, LoadOptions, Loaded, Scope, Stamps, Stored};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, Gate, invalidate, key, key_in, number_item, remove, until};

/// Starts a load of `key` that waits at the gate, and waits until it has begun.
async fn begin_load(fixture: &Fixture, number: u64, gate: &Gate) -> JoinHandle<Loaded<u64>> {
    let before = fixture.cache.stats().loading;
    let loading = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(number));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().loading > before).await;
    loading
}

/// A load begins, then this happens, then the load ends: it may not be served.
async fn check(happens: impl FnOnce(&Cache<u64>)) {
    let fixture = Fixture::new();
    fixture.insert(&key("neighbour"), 7);
    let gate = Gate::new();
    let loading = begin_load(&fixture, 1, &gate).await;
    happens(&fixture.cache);
    gate.open();
    let loaded = loading.await.unwrap();
    assert_eq!((*loaded.value(), loaded.stored()), (1, Stored::Invalidated));
    assert_eq!(fixture.get(&key("a")), None);
    let again = fixture.load(&key("a"), 2).await;
    assert_eq!((*again.value(), again.how(), again.stored()), (2, How::Led, Stored::Yes));
    assert_eq!(fixture.get(&key("a")), Some(2));
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_is_never_served_after_it() {
    check(|cache| {
        invalidate(cache, Scope::All);
    })
    .await;
    check(|cache| {
        invalidate(cache, Scope::Namespace(key("a").namespace().clone()));
    })
    .await;
    check(|cache| {
        remove(cache, &key("a"));
    })
    .await;
}

#[tokio::test]
async fn who_comes_after_an_invalidation_starts_a_new_load() {
    let fixture = Fixture::new();
    let (old_gate, new_gate) = (Gate::new(), Gate::new());
    let old = begin_load(&fixture, 1, &old_gate).await;
    invalidate(&fixture.cache, Scope::Namespace(key("a").namespace().clone()));
    let new = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), new_gate.loader(2));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().misses == 2).await;
    // The new load ends first, the old one after it: it may neither be stored nor take the new one's place.
    new_gate.open();
    let new = new.await.unwrap();
    assert_eq!((*new.value(), new.how()), (2, How::Led));
    old_gate.open();
    assert_eq!(*old.await.unwrap().value(), 1, "who came before gets what it waited for");
    assert_eq!(fixture.get(&key("a")), Some(2));
    assert_eq!(fixture.cache.stats().loads, 2);
}

#[test]
fn a_delete_spares_the_rest_of_its_namespace() {
    let fixture = Fixture::new();
    fixture.insert(&key("a"), 1);
    fixture.insert(&key("b"), 2);
    assert!(remove(&fixture.cache, &key("a")));
    assert!(!remove(&fixture.cache, &key("a")));
    assert_eq!(fixture.get(&key("a")), None);
    assert_eq!(fixture.get(&key("b")), Some(2));
    fixture.insert(&key("a"), 3);
    assert_eq!(fixture.get(&key("a")), Some(3));
}

#[test]
fn a_delete_keeps_what_began_before_it_from_being_stored() {
    let fixture = Fixture::new();
    let origin = fixture.cache.begin();
    remove(&fixture.cache, &key("a"));
    for name in ["a", "b"] {
        assert_eq!(fixture.cache.insert(&key(name), number_item(1).with_origin(origin)), Stored::Invalidated);
    }
    let elsewhere = key_in("elsewhere", "a");
    assert_eq!(fixture.cache.insert(&elsewhere, number_item(1).with_origin(origin)), Stored::Yes);
}

#[test]
fn an_invalidation_covers_its_namespace_and_no_other() {
    let fixture = Fixture::new();
    let (here, there) = (key_in("here", "a"), key_in("there", "a"));
    fixture.insert(&here, 1);
    fixture.insert(&there, 2);
    invalidate(&fixture.cache, Scope::Namespace(here.namespace().clone()));
    assert_eq!((fixture.get(&here), fixture.get(&there)), (None, Some(2)));
    invalidate(&fixture.cache, Scope::All);
    assert_eq!((fixture.get(&here), fixture.get(&there)), (None, None));
    let stats = fixture.cache.stats();
    assert_eq!((stats.entries, stats.invalidated, stats.invalidations), (0, 2, 2), "dead entries that are met go");
}

#[tokio::test]
async fn caches_that_share_stamps_are_invalidated_by_one() {
    let stamps = Arc::new(Stamps::new());
    let tables = Fixture::with(|builder| builder.stamps(Arc::clone(&stamps)));
    let bodies = Fixture::with(|builder| builder.stamps(Arc::clone(&stamps)).clock(tables.clock.clock()));
    let table = tables.load(&key("table"), 1).await;
    bodies.insert(&key("body"), 2);
    invalidate(&tables.cache, Scope::Namespace(table_namespace().clone()));
    assert_eq!((tables.get(&key("table")), bodies.get(&key("body"))), (None, None));
    // A body that is made now of the table that was fetched before is out of date from the start.
    let made = number_item(3).with_origin(table.origin());
    assert_eq!(bodies.cache.insert(&key("body"), made), Stored::Invalidated);
    stamps.invalidate_all().unwrap();
    assert_eq!(tables.cache.stats().invalidations, 2);
}

fn table_namespace() -> &'static cache_core::Namespace {
    static NAMESPACE: std::sync::LazyLock<cache_core::Namespace> =
        std::sync::LazyLock::new(|| key("table").namespace().clone());
    &NAMESPACE
}

#[test]
fn an_older_scan_does_not_take_the_place_of_a_newer_one() {
    let fixture = Fixture::new();
    let old = fixture.cache.begin();
    fixture.clock.advance(Duration::from_nanos(1));
    fixture.insert(&key("a"), 2);
    assert_eq!(fixture.cache.insert(&key("a"), number_item(1).with_origin(old)), Stored::Superseded);
    assert_eq!(fixture.get(&key("a")), Some(2));
}

#[test]
fn an_older_scan_may_take_the_place_of_a_dead_one() {
    let fixture = Fixture::new();
    let old = fixture.cache.begin();
    fixture.clock.advance(Duration::from_secs(1));
    let short = number_item(2).with_ttl(Duration::from_secs(1));
    assert_eq!(fixture.cache.insert(&key("a"), short), Stored::Yes);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.cache.insert(&key("a"), number_item(1).with_origin(old)), Stored::Yes);
    assert_eq!(fixture.get(&key("a")), Some(1));
}
