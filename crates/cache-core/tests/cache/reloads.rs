//! Refresh: load again, then swap.

use std::time::Duration;

use cache_core::{How, Item, LoadError, LoadOptions, Loaded, Scope, Stored};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, Gate, invalidate, key, ready, until};

fn begin_reload(fixture: &Fixture, number: u64, gate: &Gate) -> JoinHandle<Loaded<u64>> {
    let (cache, loader) = (fixture.cache.clone(), gate.loader(number));
    tokio::spawn(async move { cache.reload(&key("a"), LoadOptions::default(), loader).await.unwrap() })
}

#[tokio::test]
async fn the_present_value_is_served_until_the_new_one_is_there() {
    let fixture = Fixture::new();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(Duration::from_secs(5));
    let gate = Gate::new();
    let reload = begin_reload(&fixture, 2, &gate);
    until(|| fixture.cache.stats().loading == 1).await;
    assert_eq!(fixture.get(&key("a")), Some(1));
    assert_eq!(fixture.load(&key("a"), 9).await.how(), How::Hit);
    gate.open();
    let loaded = reload.await.unwrap();
    assert_eq!((*loaded.value(), loaded.how(), loaded.stored()), (2, How::Led, Stored::Yes));
    assert_eq!(fixture.get(&key("a")), Some(2));
    assert_eq!(fixture.cache.stats().misses, 0, "a reload is no miss");
}

#[tokio::test]
async fn reloads_at_once_are_one_load() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let reloads: Vec<_> = (0..10).map(|number| begin_reload(&fixture, number, &gate)).collect();
    until(|| fixture.cache.stats().joined == 9).await;
    gate.open();
    for reload in reloads {
        assert_eq!(*reload.await.unwrap().value(), 0);
    }
    assert_eq!(fixture.cache.stats().loads, 1);
}

#[tokio::test]
async fn a_failed_reload_leaves_the_present_value() {
    let fixture = Fixture::new();
    fixture.insert(&key("a"), 1);
    let failing = |_| async { Err::<Item<u64>, _>("away") };
    let error = fixture.cache.reload(&key("a"), LoadOptions::default(), failing).await.unwrap_err();
    assert!(matches!(error, LoadError::Failed(text) if *text == "away"));
    assert_eq!(fixture.get(&key("a")), Some(1));
}

#[tokio::test]
async fn a_miss_joins_a_reload_and_a_reload_joins_no_load() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let reload = begin_reload(&fixture, 1, &gate);
    until(|| fixture.cache.stats().loading == 1).await;
    let miss = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(2));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().joined == 1).await;
    gate.open();
    assert_eq!((*reload.await.unwrap().value(), *miss.await.unwrap().value()), (1, 1));

    invalidate(&fixture.cache, Scope::All);
    let slow = Gate::new();
    let load = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), slow.loader(3));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().loading == 1).await;
    fixture.clock.advance(Duration::from_secs(1));
    let loaded = fixture.cache.reload(&key("a"), LoadOptions::default(), ready(4)).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (4, How::Led), "a load that began before is not fresh enough");
    slow.open();
    assert_eq!(load.await.unwrap().stored(), Stored::Superseded);
    assert_eq!(fixture.get(&key("a")), Some(4), "and does not undo the reload when it ends after it");
}

#[tokio::test]
async fn a_reload_that_was_overtaken_by_an_invalidation_is_not_stored() {
    let fixture = Fixture::new();
    fixture.insert(&key("a"), 1);
    let gate = Gate::new();
    let reload = begin_reload(&fixture, 2, &gate);
    until(|| fixture.cache.stats().loading == 1).await;
    invalidate(&fixture.cache, Scope::All);
    gate.open();
    assert_eq!(reload.await.unwrap().stored(), Stored::Invalidated);
    assert_eq!(fixture.get(&key("a")), None);
}
