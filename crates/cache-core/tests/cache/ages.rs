//! Ages, ttl and origins.

use std::time::Duration;

use cache_core::{Item, LoadOptions, Stored};

use crate::fixture::{BYTES, Fixture, Gate, TTL, key, number_item, ready, until};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_entry_is_served_until_its_ttl_is_over() {
    let fixture = Fixture::new();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL - SECOND);
    let hit = fixture.cache.get(&key("a")).expect("one second is left");
    assert_eq!((hit.age(), hit.remaining()), (TTL - SECOND, SECOND));
    fixture.clock.advance(SECOND);
    assert!(fixture.cache.peek(&key("a")).is_none());
    assert_eq!(fixture.cache.stats().entries, 1, "a peek removes nothing");
    assert_eq!(fixture.get(&key("a")), None);
    let stats = fixture.cache.stats();
    assert_eq!((stats.entries, stats.bytes, stats.expirations), (0, 0, 1), "an expired entry that is met is removed");
}

#[test]
fn the_ttl_of_the_item_beats_that_of_the_call_which_beats_that_of_the_cache() {
    #[track_caller]
    fn check(call: Option<u64>, item: Option<u64>, expected: Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let fixture = Fixture::new();
        let options = LoadOptions { ttl: call.map(Duration::from_secs), ..LoadOptions::default() };
        let ready = move |_| async move {
            let loaded = number_item(1);
            Ok::<_, ()>(match item {
                Some(seconds) => loaded.with_ttl(Duration::from_secs(seconds)),
                None => loaded,
            })
        };
        let loaded = runtime.block_on(fixture.cache.try_get_or_load(&key("a"), options, ready)).unwrap();
        assert_eq!(loaded.hit().remaining(), expected);
    }
    check(None, None, TTL);
    check(Some(5), None, Duration::from_secs(5));
    check(None, Some(7), Duration::from_secs(7));
    check(Some(5), Some(7), Duration::from_secs(7));
}

#[tokio::test]
async fn age_counts_from_the_beginning_of_the_scan() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let loading = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(1));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().loading == 1).await;
    fixture.clock.advance(SECOND * 10);
    gate.open();
    let loaded = loading.await.unwrap();
    assert_eq!(loaded.hit().age(), SECOND * 10);
    assert_eq!(fixture.cache.get(&key("a")).unwrap().remaining(), TTL - SECOND * 10);
}

#[tokio::test]
async fn a_value_is_as_old_as_what_it_is_made_of() {
    let fixture = Fixture::new();
    let table = fixture.load(&key("table"), 1).await;
    fixture.clock.advance(SECOND * 20);
    let origin = table.origin();
    let body = fixture
        .cache
        .try_get_or_load(&key("body"), LoadOptions::default(), move |context| async move {
            assert!(context.origin().loaded_at() > origin.loaded_at());
            Ok::<_, ()>(number_item(2).with_origin(origin))
        })
        .await
        .unwrap();
    assert_eq!(body.origin(), origin);
    fixture.clock.advance(TTL - SECOND * 20);
    assert_eq!(fixture.get(&key("body")), None, "its ttl began with the table's");
}

#[tokio::test]
async fn what_is_too_old_already_is_handed_over_and_not_stored() {
    let fixture = Fixture::new();
    let origin = fixture.cache.begin();
    fixture.clock.advance(TTL);
    assert_eq!(fixture.cache.insert(&key("a"), number_item(1).with_origin(origin)), Stored::Expired);
    let loaded = fixture
        .cache
        .try_get_or_load(&key("a"), LoadOptions::default(), move |_| async move {
            Ok::<_, ()>(Item::new(2, BYTES).with_origin(origin))
        })
        .await
        .unwrap();
    assert_eq!((*loaded.value(), loaded.stored()), (2, Stored::Expired));
    assert_eq!(fixture.get(&key("a")), None);
    assert_eq!(fixture.cache.stats().outdated, 2);
}

#[tokio::test]
async fn a_ttl_of_zero_stores_nothing() {
    let fixture = Fixture::new();
    let options = LoadOptions { ttl: Some(Duration::ZERO), ..LoadOptions::default() };
    let loaded = fixture.cache.try_get_or_load(&key("a"), options, ready(1)).await.unwrap();
    assert_eq!((*loaded.value(), loaded.stored()), (1, Stored::Expired));
    assert_eq!(fixture.cache.stats().entries, 0);
}

#[test]
fn versions_of_a_key_are_apart() {
    let fixture = Fixture::new();
    fixture.insert(&key("a").at_version(1), 1);
    fixture.insert(&key("a").at_version(2), 2);
    assert_eq!(fixture.get(&key("a").at_version(1)), Some(1));
    assert_eq!(fixture.get(&key("a").at_version(2)), Some(2));
    assert_eq!(fixture.get(&key("a")), None);
}
