//! A thousand misses of one key at once, a hundred times over: one load, however it ends and whoever leaves.

use std::convert::Infallible;
use std::time::Duration;

use cache_core::{How, Item, LoadError, LoadOptions, Loaded};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Gate, key, ready, until};

const MISSES: u64 = 1_000;
const TIMES: usize = 100;

type Outcome = Result<Loaded<u64>, LoadError<Infallible>>;

/// All of them miss, and wait for one load.
async fn misses(
    fixture: &Fixture,
    start: impl Fn(&Fixture, &mut JoinSet<Outcome>) -> tokio::task::AbortHandle,
) -> (JoinSet<Outcome>, tokio::task::AbortHandle) {
    let before = fixture.cache.stats().joined;
    let mut waiters = JoinSet::new();
    let first = start(fixture, &mut waiters);
    until(|| fixture.cache.stats().loading == 1).await;
    for _ in 1..MISSES {
        start(fixture, &mut waiters);
    }
    until(|| fixture.cache.stats().joined == before + MISSES - 1).await;
    (waiters, first)
}

async fn check_cancelled() {
    for _ in 0..TIMES {
        let (fixture, gate) = (Fixture::new(), Gate::new());
        let (mut waiters, leader) = misses(&fixture, |fixture, waiters| {
            let (cache, loader) = (fixture.cache.clone(), gate.loader(7));
            waiters.spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), loader).await })
        })
        .await;
        leader.abort();
        gate.open();
        let mut served = 0;
        while let Some(outcome) = waiters.join_next().await {
            match outcome {
                Ok(loaded) => {
                    assert_eq!(*loaded.unwrap().value(), 7);
                    served += 1;
                }
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
        assert!(served >= MISSES - 1, "all but the leader are served: {served}");
        let stats = fixture.cache.stats();
        assert_eq!((stats.loads, stats.load_failures, stats.load_cancellations, stats.loading), (1, 0, 0, 0));
    }
}

#[tokio::test]
async fn a_cancelled_leader_costs_no_second_load() {
    check_cancelled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancelled_leader_costs_no_second_load_on_many_threads() {
    check_cancelled().await;
}

/// The one load fails so for all; the next one is a new one.
async fn check_failing(
    fixture: &Fixture,
    how: fn() -> Option<Item<u64>>,
    is_expected: fn(&LoadError<Infallible>) -> bool,
) {
    for time in 1..=TIMES as u64 {
        let gate = Gate::new();
        let (waiters, _) = misses(fixture, |fixture, waiters| {
            let (cache, gate) = (fixture.cache.clone(), gate.clone());
            let load = move |_| async move {
                gate.pass().await;
                match how() {
                    Some(item) => Ok(item),
                    None => std::future::pending().await,
                }
            };
            waiters.spawn(async move { cache.try_get_or_load(&key("a"), LoadOptions::default(), load).await })
        })
        .await;
        gate.open();
        for outcome in waiters.join_all().await {
            let error = outcome.unwrap_err();
            assert!(is_expected(&error), "{error}");
        }
        let stats = fixture.cache.stats();
        assert_eq!((stats.loads, stats.load_failures, stats.loading), (time, time, 0));
    }
    let loaded = fixture.cache.try_get_or_load(&key("a"), LoadOptions::default(), ready(8)).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (8, How::Led));
}

#[tokio::test]
async fn a_panic_is_one_load_and_reaches_all() {
    let panics = || std::panic::resume_unwind(Box::new("on purpose"));
    check_failing(&Fixture::new(), panics, |error| matches!(error, LoadError::Panicked { .. })).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_one_load_and_reaches_all() {
    let fixture = Fixture::with(|builder| builder.load_timeout(Duration::from_secs(5)));
    check_failing(&fixture, || None, |error| matches!(error, LoadError::TimedOut { .. })).await;
}
