//! Those who wait for a load come and go; the load stays while one of them does.

use std::time::Duration;

use cache_core::{CancelSignal, How, Item, LoadError, LoadOptions, Scope};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fixture::{Fixture, Gate, invalidate, key, until};

/// A load that tells of its signal, never ends, and whose second channel closes when it is dropped.
struct Endless {
    signal: oneshot::Receiver<CancelSignal>,
    dropped: oneshot::Receiver<()>,
}

impl Endless {
    fn start(fixture: &Fixture) -> (Self, tokio::task::JoinHandle<()>) {
        let (tell, signal) = oneshot::channel();
        let (held, dropped) = oneshot::channel::<()>();
        let cache = fixture.cache.clone();
        let waiter = tokio::spawn(async move {
            let load = |context: cache_core::LoadContext| async move {
                let _held = held;
                tell.send(context.cancel_signal().clone()).unwrap();
                std::future::pending::<Result<Item<u64>, std::convert::Infallible>>().await
            };
            cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap_err();
        });
        (Self { signal, dropped }, waiter)
    }
}

#[tokio::test(start_paused = true)]
async fn the_load_is_cancelled_when_its_last_waiter_leaves() {
    let fixture = Fixture::new();
    let (endless, waiter) = Endless::start(&fixture);
    let signal = endless.signal.await.unwrap();
    assert!(!signal.is_cancelled());
    waiter.abort();
    signal.cancelled().await;
    let dropped = tokio::time::timeout(Duration::from_secs(1), endless.dropped).await;
    dropped.expect("the load is dropped at once").expect_err("nothing is sent");
    until(|| fixture.cache.stats().load_cancellations == 1).await;
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.loading), (1, 0, 0));
    let loaded = fixture.load(&key("a"), 2).await;
    assert_eq!((*loaded.value(), loaded.how()), (2, How::Led), "nobody joins what was cancelled");
}

#[tokio::test]
async fn the_load_outlives_the_one_who_started_it() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let start = |number| {
        let (cache, loader) = (fixture.cache.clone(), gate.loader(number));
        tokio::spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() })
    };
    let leader = start(1);
    until(|| fixture.cache.stats().loading == 1).await;
    let joined = start(2);
    until(|| fixture.cache.stats().joined == 1).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    gate.open();
    let loaded = joined.await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (1, How::Joined));
    assert_eq!(fixture.cache.stats().loads, 1);
}

#[tokio::test(start_paused = true)]
async fn each_waiter_has_its_own_deadline() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let start = |wait: Option<u64>| {
        let (cache, loader) = (fixture.cache.clone(), gate.loader(1));
        let deadline = wait.map(|seconds| (Instant::now() + Duration::from_secs(seconds)).into_std());
        let options = LoadOptions { deadline, ..LoadOptions::default() };
        tokio::spawn(async move { cache.try_get_or_load(&key("a"), options, loader).await })
    };
    let (patient, short, long) = (start(None), start(Some(1)), start(Some(3)));
    let began = Instant::now();
    assert!(matches!(short.await.unwrap(), Err(LoadError::Deadline)));
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(matches!(long.await.unwrap(), Err(LoadError::Deadline)));
    assert_eq!(began.elapsed().as_secs(), 3);
    gate.open();
    assert_eq!(*patient.await.unwrap().unwrap().value(), 1);
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.load_cancellations), (1, 0), "the load did not notice");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_last_waiter_cancels_the_load() {
    let fixture = Fixture::new();
    let deadline = Some((Instant::now() + Duration::from_secs(1)).into_std());
    let load = |_| std::future::pending::<Result<Item<u64>, ()>>();
    let options = LoadOptions { deadline, ..LoadOptions::default() };
    let error = fixture.cache.try_get_or_load(&key("a"), options, load).await.unwrap_err();
    assert!(matches!(error, LoadError::Deadline));
    until(|| fixture.cache.stats().load_cancellations == 1).await;
    assert_eq!(fixture.cache.stats().loading, 0);
}

#[tokio::test]
async fn leaving_an_old_load_leaves_its_successor_alone() {
    let fixture = Fixture::new();
    let (endless, old) = Endless::start(&fixture);
    let signal = endless.signal.await.unwrap();
    invalidate(&fixture.cache, Scope::All);
    let gate = Gate::new();
    let new = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(2));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().misses == 2).await;
    old.abort();
    signal.cancelled().await;
    let late = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(3));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() }
    });
    until(|| fixture.cache.stats().misses == 3).await;
    gate.open();
    assert_eq!(*new.await.unwrap().value(), 2);
    let late = late.await.unwrap();
    assert_eq!((*late.value(), late.how()), (2, How::Joined), "the successor can still be joined");
    assert_eq!(fixture.get(&key("a")), Some(2));
}
