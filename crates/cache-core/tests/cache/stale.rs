//! Values whose ttl is over: who is served one, who has it loaded again, and what happens when that fails.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{How, Item, LoadError, LoadOptions, Loaded, Stale, Stored};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, TTL, key, number_item, ready, until};
use crate::lives::Life;

const SECOND: Duration = Duration::from_secs(1);

fn stale_fixture() -> Fixture {
    Fixture::with(|builder| builder.stale_while_revalidate(TTL).stale_if_error(2 * TTL))
}

fn with(stale: Stale) -> LoadOptions {
    LoadOptions { stale, ..LoadOptions::default() }
}

async fn load_with(fixture: &Fixture, stale: Stale, number: u64) -> Loaded<u64> {
    fixture.cache.try_get_or_load(&key("a"), with(stale), ready(number)).await.unwrap()
}

async fn fail_with(fixture: &Fixture, stale: Stale) -> Result<Loaded<u64>, LoadError<&'static str>> {
    fixture.cache.try_get_or_load(&key("a"), with(stale), |_| async { Err::<Item<u64>, _>("away") }).await
}

#[tokio::test]
async fn a_stale_value_is_served_and_loaded_once_behind_its_readers() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL);
    let gate = Gate::new();
    for _ in 0..10 {
        let loaded = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), gate.loader(2)).await.unwrap();
        assert_eq!((*loaded.value(), loaded.how()), (1, How::Stale));
        tokio::task::yield_now().await;
    }
    gate.open();
    until(|| fixture.get(&key("a")) == Some(2)).await;
    until(|| fixture.cache.stats().loading == 0).await;
    let stats = fixture.cache.stats();
    assert_eq!((stats.stale_serves, stats.loads, stats.refreshes_skipped, stats.joined), (10, 1, 0, 0));
    assert_eq!(fixture.load(&key("a"), 3).await.how(), How::Hit);
}

#[tokio::test]
async fn readers_of_one_stale_value_leave_the_other_workers_to_other_keys() {
    let fixture = Fixture::with(|builder| builder.stale_while_revalidate(TTL).refresh_workers(2));
    for name in ["a", "b", "c"] {
        fixture.insert(&key(name), 1);
    }
    fixture.clock.advance(TTL);
    let gate = Gate::new();
    // None of the refreshes has begun when the next reader comes: nothing is awaited that has to wait.
    for name in ["a", "a", "a", "b", "b", "c", "c"] {
        let loaded = fixture.cache.try_get_or_load(&key(name), LoadOptions::default(), gate.loader(2)).await.unwrap();
        assert_eq!(loaded.how(), How::Stale);
    }
    assert_eq!(fixture.cache.stats().refreshes_skipped, 2, "the third key finds both workers taken");
    until(|| fixture.cache.stats().loading == 2).await;
    gate.open();
    until(|| fixture.cache.stats().loads == 2).await;
    assert_eq!((fixture.get(&key("a")), fixture.get(&key("b")), fixture.get(&key("c"))), (Some(2), Some(2), None));
    until(|| fixture.cache.stats().loading == 0).await;
    tokio::task::yield_now().await;
    assert_eq!(fixture.load(&key("c"), 2).await.how(), How::Stale);
    until(|| fixture.get(&key("c")) == Some(2)).await;
}

#[tokio::test]
async fn a_refresh_that_finds_a_fresh_value_loads_nothing() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL);
    assert_eq!(fixture.load(&key("a"), 9).await.how(), How::Stale);
    // Before the task behind it has run.
    fixture.insert(&key("a"), 2);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.hits, stats.misses), (0, 1, 0), "nor does it count as a read");
    assert_eq!(fixture.get(&key("a")), Some(2));
}

#[tokio::test]
async fn a_refresh_that_fails_is_not_tried_again_at_once() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL);
    assert_eq!(fail_with(&fixture, Stale::Refresh).await.unwrap().how(), How::Stale);
    until(|| fixture.cache.stats().load_failures == 1).await;
    tokio::task::yield_now().await;
    for _ in 0..5 {
        assert_eq!(fail_with(&fixture, Stale::Refresh).await.unwrap().how(), How::Stale);
        tokio::task::yield_now().await;
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.refreshes_skipped), (1, 0), "a pause is no skip");
    fixture.clock.advance(SECOND);
    assert_eq!(load_with(&fixture, Stale::Refresh, 2).await.how(), How::Stale);
    until(|| fixture.get(&key("a")) == Some(2)).await;
}

#[tokio::test]
async fn a_value_that_expired_is_loaded_and_stands_in_when_that_fails() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(2 * TTL);
    let loaded = fail_with(&fixture, Stale::Refresh).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (1, How::StaleOnError));
    let again = fail_with(&fixture, Stale::Refresh).await.unwrap();
    assert_eq!(again.how(), How::StaleOnError);
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.stale_on_error), (1, 2), "within the pause nobody waits for another failure");
    assert_eq!((stats.hits, stats.misses), (0, 2), "each call is one read");
    fixture.clock.advance(SECOND);
    assert_eq!(*load_with(&fixture, Stale::Refresh, 2).await.value(), 2);
    fixture.clock.advance(3 * TTL);
    let error = fail_with(&fixture, Stale::Refresh).await.unwrap_err();
    assert!(matches!(error, LoadError::Failed(text) if *text == "away"), "its last window is over");
}

#[tokio::test]
async fn a_load_that_succeeds_ends_the_pause() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(2 * TTL);
    fail_with(&fixture, Stale::Refresh).await.unwrap();
    let half = SECOND / 2;
    let short = move |_: cache_core::LoadContext| async move { Ok::<_, Infallible>(number_item(2).with_ttl(half / 2)) };
    fixture.cache.reload(&key("a"), LoadOptions::default(), short).await.unwrap();
    fixture.clock.advance(half);
    let refused = load_with(&fixture, Stale::Refuse, 3).await;
    assert_eq!((*refused.value(), refused.how()), (3, How::Led));
}

/// The value is expired, and loading it again ends so: it stands in.
async fn check_stands_in<Fut>(options: LoadOptions, load: impl FnOnce() -> Fut + Send + 'static)
where
    Fut: Future<Output = Result<Item<u64>, ()>> + Send + 'static,
{
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(2 * TTL);
    let loaded = fixture.cache.try_get_or_load(&key("a"), options, |_| load()).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (1, How::StaleOnError));
    assert_eq!(fixture.cache.stats().stale_on_error, 1);
}

#[tokio::test(start_paused = true)]
async fn an_old_value_stands_in_for_every_way_to_fail() {
    check_stands_in(LoadOptions::default(), || async { Err(()) }).await;
    check_stands_in(LoadOptions::default(), || async { panic!("on purpose") }).await;
    let timeout = LoadOptions { timeout: Some(SECOND), ..LoadOptions::default() };
    check_stands_in(timeout, std::future::pending).await;
    let deadline = Some((tokio::time::Instant::now() + SECOND).into_std());
    check_stands_in(LoadOptions { deadline, ..LoadOptions::default() }, std::future::pending).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_a_hurry_pauses_nobody_elses_load() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(2 * TTL);
    let deadline = Some((tokio::time::Instant::now() + SECOND).into_std());
    let hurried = LoadOptions { deadline, ..LoadOptions::default() };
    let load = |_| std::future::pending::<Result<Item<u64>, Infallible>>();
    let loaded = fixture.cache.try_get_or_load(&key("a"), hurried, load).await.unwrap();
    assert_eq!(loaded.how(), How::StaleOnError);
    let patient = load_with(&fixture, Stale::Refresh, 2).await;
    assert_eq!((*patient.value(), patient.how()), (2, How::Led), "the load has not failed");
}

#[tokio::test]
async fn who_accepts_takes_what_there_is_and_has_nothing_loaded() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    for _ in 0..2 {
        fixture.clock.advance(TTL);
        let loaded = load_with(&fixture, Stale::Accept, 2).await;
        assert_eq!((*loaded.value(), loaded.how()), (1, How::Hit));
    }
    assert_eq!(fixture.cache.stats().loads, 0);
    fixture.clock.advance(TTL);
    assert_eq!(load_with(&fixture, Stale::Accept, 2).await.how(), How::Led, "it is of no more use");
}

#[tokio::test]
async fn who_refuses_waits_for_a_new_one() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL);
    let loaded = load_with(&fixture, Stale::Refuse, 2).await;
    assert_eq!((*loaded.value(), loaded.how()), (2, How::Led));
    fixture.clock.advance(TTL);
    assert_eq!(fail_with(&fixture, Stale::Refuse).await.unwrap().how(), How::StaleOnError);
}

#[tokio::test]
async fn who_refuses_gets_no_old_value_beyond_the_window_for_errors() {
    let fixture = Fixture::with(|builder| builder.stale_while_revalidate(TTL));
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(TTL);
    fail_with(&fixture, Stale::Refuse).await.expect_err("stale_if_error is zero");
    assert_eq!(fail_with(&fixture, Stale::Refresh).await.unwrap().how(), How::Stale, "others are served as before");
    until(|| fixture.cache.stats().load_failures == 2).await;
    tokio::task::yield_now().await;
    fail_with(&fixture, Stale::Refuse).await.expect_err("not within the pause either");
}

#[tokio::test]
async fn windows_go_on_over_a_restart() {
    let life = Life::with(|builder| builder.stale_while_revalidate(TTL).stale_if_error(2 * TTL));
    life.insert(&key("a"), 1);
    life.clock.advance(TTL);
    let life = life.crash();
    let loaded = life.load(&key("a"), 2).await;
    assert_eq!((*loaded.value(), loaded.how()), (1, How::Stale), "from disk, and loaded again behind it");
    until(|| life.cache.get(&key("a")).is_some_and(|hit| *hit.value() == 2)).await;
    until(|| life.cache.stats().loading == 0).await;
    let stats = life.cache.stats();
    assert_eq!((stats.disk_hits, stats.stale_serves, stats.loads), (1, 1, 1));

    life.clock.advance(2 * TTL);
    let life = life.crash();
    let fail = |_| async { Err::<Item<u64>, _>("away") };
    let loaded = life.cache.try_get_or_load(&key("a"), LoadOptions::default(), fail).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (2, How::StaleOnError));
    life.clock.advance(TTL);
    let life = life.crash();
    life.cache.try_get_or_load(&key("a"), LoadOptions::default(), fail).await.expect_err("its last window is over");
}

/// Two callers of one value that is on disk alone, of which the first is content with what it finds there.
async fn check_joins(first: Stale, second: Stale, age: Duration, expected: [(u64, How); 2]) {
    let life = Life::with(|builder| builder.stale_while_revalidate(TTL).stale_if_error(2 * TTL));
    life.insert(&key("a"), 1);
    life.clock.advance(age);
    let life = life.crash();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let (gate, reads) = (std::sync::Mutex::new(gate), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&reads);
    life.disk.before_get(Some(Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        gate.lock().unwrap().recv().unwrap_or_default();
    })));
    let start = |stale, number| {
        let cache = life.cache.clone();
        tokio::spawn(async move { cache.try_get_or_load(&key("a"), with(stale), ready(number)).await.unwrap() })
    };
    let first = start(first, 2);
    until(|| reads.load(Ordering::SeqCst) == 1).await;
    let second = start(second, 3);
    until(|| life.cache.stats().joined == 1).await;
    drop(go);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!([(*first.value(), first.how()), (*second.value(), second.how())], expected);
    let stats = life.cache.stats();
    assert_eq!((stats.misses, stats.joined), (2, 1), "a call that tries again is one read");
}

#[tokio::test]
async fn who_joins_is_not_given_less_than_it_asked_for() {
    let restored = (1, How::Restored);
    check_joins(Stale::Accept, Stale::Accept, TTL, [restored, restored]).await;
    check_joins(Stale::Accept, Stale::Refuse, TTL, [restored, (3, How::Led)]).await;
    check_joins(Stale::Accept, Stale::Refresh, 2 * TTL, [restored, (3, How::Led)]).await;
    check_joins(Stale::Refuse, Stale::Refuse, SECOND, [restored, restored]).await;
}

#[tokio::test]
async fn a_thousand_readers_at_the_end_of_the_ttl_are_one_load() {
    let fixture = stale_fixture();
    fixture.insert(&key("a"), 1);
    fixture.clock.advance(2 * TTL);
    let gate = Gate::new();
    let mut readers = JoinSet::new();
    for _ in 0..1_000 {
        let (cache, loader) = (fixture.cache.clone(), gate.loader(2));
        readers.spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() });
    }
    until(|| fixture.cache.stats().joined == 999).await;
    gate.open();
    assert!(readers.join_all().await.iter().all(|loaded| *loaded.value() == 2 && loaded.stored() == Stored::Yes));
    assert_eq!(fixture.cache.stats().loads, 1);
}
