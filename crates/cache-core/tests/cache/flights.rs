//! One load for many misses, and how loads end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CancelSignal, How, Item, Key, LoadError, LoadOptions, Stored};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, key, number_item, ready, until};

async fn a_thousand_misses(fixture: Fixture) {
    let gate = Gate::new();
    let mut waiters = JoinSet::new();
    for number in 0..1_000 {
        let (cache, loader) = (fixture.cache.clone(), gate.loader(number));
        waiters.spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await.unwrap() });
    }
    until(|| fixture.cache.stats().joined == 999).await;
    gate.open();
    let loaded = waiters.join_all().await;
    let led = loaded.iter().filter(|loaded| loaded.how() == How::Led).count();
    assert_eq!(led, 1);
    assert!(loaded.iter().all(|each| each.value() == loaded[0].value()), "all have the value of the one load");
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.misses, stats.joined, stats.loading), (1, 0, 1_000, 999, 0));
}

#[tokio::test]
async fn a_thousand_misses_on_one_thread_are_one_load() {
    a_thousand_misses(Fixture::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_misses_on_many_threads_are_one_load() {
    a_thousand_misses(Fixture::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn misses_that_race_with_the_landing_never_load_twice() {
    for _ in 0..200 {
        let fixture = Fixture::new();
        let mut waiters = JoinSet::new();
        for number in 0..16 {
            let cache = fixture.cache.clone();
            waiters.spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), ready(number)).await });
        }
        assert!(waiters.join_all().await.iter().all(Result::is_ok));
        let stats = fixture.cache.stats();
        assert_eq!((stats.loads, stats.hits + stats.misses), (1, 16), "{stats:?}");
    }
}

#[tokio::test]
async fn a_hit_loads_nothing() {
    let fixture = Fixture::new();
    assert_eq!(fixture.load(&key("a"), 1).await.how(), How::Led);
    let again = fixture.load(&key("a"), 2).await;
    assert_eq!((*again.value(), again.how(), again.stored()), (1, How::Hit, Stored::Yes));
    let stats = fixture.cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (1, 1, 1));
}

#[tokio::test]
async fn an_error_reaches_every_waiter_and_is_not_kept() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let mut waiters = JoinSet::new();
    for _ in 0..10 {
        let (cache, gate) = (fixture.cache.clone(), gate.clone());
        waiters.spawn(async move {
            let load = |_| async move {
                gate.pass().await;
                Err::<Item<u64>, _>(std::io::Error::other("the source is away"))
            };
            cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap_err()
        });
    }
    until(|| fixture.cache.stats().joined == 9).await;
    gate.open();
    let errors: Vec<_> = waiters
        .join_all()
        .await
        .into_iter()
        .map(|error| match error {
            LoadError::Failed(error) => error,
            other => panic!("{other}"),
        })
        .collect();
    assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])), "they share one error");
    assert_eq!(errors[0].to_string(), "the source is away");
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.entries), (1, 1, 0));
    assert_eq!(*fixture.load(&key("a"), 2).await.value(), 2);
}

#[tokio::test]
async fn callers_with_other_errors_do_not_share_a_load() {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let first = tokio::spawn({
        let (cache, loader) = (fixture.cache.clone(), gate.loader(1));
        async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await }
    });
    until(|| fixture.cache.stats().loading == 1).await;
    let failing = |_| async { Err::<Item<u64>, _>("text") };
    let error = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), failing).await.unwrap_err();
    assert!(matches!(error, LoadError::Failed(text) if *text == "text"));
    gate.open();
    assert_eq!(*first.await.unwrap().unwrap().value(), 1);
}

/// A load panics, as early or as late as it can: each waiter hears of it, and the next load is a new one.
async fn check_panic(
    load: impl FnOnce(Gate) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Copy + 'static,
) {
    let fixture = Fixture::new();
    let gate = Gate::new();
    let mut waiters = JoinSet::new();
    for _ in 0..10 {
        let (cache, gate) = (fixture.cache.clone(), gate.clone());
        waiters.spawn(async move {
            let load = move |_| {
                let panicking = load(gate);
                async move {
                    panicking.await;
                    Ok::<_, Infallible>(number_item(1))
                }
            };
            cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap_err()
        });
    }
    until(|| fixture.cache.stats().misses == 10).await;
    gate.open();
    for error in waiters.join_all().await {
        assert!(matches!(&error, LoadError::Panicked { message } if &**message == "no 42"), "{error}");
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.load_failures, stats.loading), (stats.loads, 0));
    assert_eq!(*fixture.load(&key("a"), 2).await.value(), 2);
}

#[tokio::test]
async fn a_panicking_load_fails_its_waiters_and_hangs_nobody() {
    check_panic(|gate| {
        Box::pin(async move {
            gate.pass().await;
            panic!("no {}", 42)
        })
    })
    .await;
    check_panic(|_| panic!("no 42")).await;
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_fails_its_waiters() {
    let fixture = Fixture::with(|builder| builder.load_timeout(Duration::from_secs(5)));
    let mut waiters = JoinSet::new();
    let (tell, told) = oneshot::channel::<CancelSignal>();
    let mut tell = Some(tell);
    for _ in 0..10 {
        let (cache, tell) = (fixture.cache.clone(), tell.take());
        waiters.spawn(async move {
            let load = |context: cache_core::LoadContext| {
                if let Some(tell) = tell {
                    tell.send(context.cancel_signal().clone()).unwrap();
                }
                std::future::pending::<Result<Item<u64>, Infallible>>()
            };
            cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await.unwrap_err()
        });
    }
    for error in waiters.join_all().await {
        assert!(matches!(error, LoadError::TimedOut { after } if after == Duration::from_secs(5)), "{error}");
    }
    assert!(told.await.unwrap().is_cancelled(), "work beside the load hears that it is in vain");
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.loading), (1, 1, 0));
    assert_eq!(*fixture.load(&key("a"), 2).await.value(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_time_out_of_the_call_beats_that_of_the_cache() {
    let fixture = Fixture::new();
    let options = LoadOptions { timeout: Some(Duration::from_millis(7)), ..LoadOptions::default() };
    let load = |_| std::future::pending::<Result<Item<u64>, Infallible>>();
    let error = fixture.cache.try_get_or_load(&key("a"), options, load).await.unwrap_err();
    assert!(matches!(error, LoadError::TimedOut { after } if after == Duration::from_millis(7)));
}

#[tokio::test]
async fn many_keys_leave_nothing_behind() {
    let fixture = Fixture::with(|builder| builder.max_entries(100));
    for number in 0..10_000 {
        fixture.load(&key(&number.to_string()), number).await;
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.loads, stats.loading), (10_000, 0));
    assert!(stats.entries <= 100);
}

#[test]
fn a_runtime_that_goes_away_fails_the_load() {
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fixture = Fixture::with(|builder| builder.runtime(elsewhere.handle().clone()));
    let cache = fixture.cache.clone();
    let waiter = here.spawn(async move {
        let load = |_| std::future::pending::<Result<Item<u64>, Infallible>>();
        cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await
    });
    here.block_on(until(|| fixture.cache.stats().loading == 1));
    drop(elsewhere);
    let error = here.block_on(waiter).unwrap().unwrap_err();
    assert!(matches!(error, LoadError::Lost), "{error}");
    assert_eq!(fixture.cache.stats().loading, 0);
}

#[tokio::test]
async fn a_runtime_that_is_gone_fails_the_load() {
    let elsewhere = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let fixture = Fixture::with(|builder| builder.runtime(elsewhere.handle().clone()));
    elsewhere.shutdown_background();
    for _ in 0..2 {
        let error = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), ready(1)).await.unwrap_err();
        assert!(matches!(error, LoadError::Lost), "{error}");
    }
    let stats = fixture.cache.stats();
    assert_eq!((stats.load_cancellations, stats.loading), (2, 0));
}

#[test]
fn a_load_outside_a_runtime_is_an_error() {
    let fixture = Fixture::new();
    let name: Key = key("a");
    let load = std::pin::pin!(fixture.cache.try_get_or_load(&name, LoadOptions::default(), ready(1)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match load.poll(&mut context) {
        std::task::Poll::Ready(Err(LoadError::NoRuntime)) => {}
        other => panic!("{other:?}"),
    }
}
