//! One load for many misses, whoever leaves and however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cache_core::{LoadContext, LoadError, LoadOptions, Scope};
use shuttle::future::{block_on, spawn};

use crate::world::{Scan, World, any_scope, check, join, key, pause, tag};

/// With shuttle: comes at any step.
const ANY_MOMENT: Duration = Duration::from_nanos(1);

#[test]
fn misses_at_once_are_one_load() {
    check(|| {
        let world = World::in_memory();
        join((0..3).map(|_| world.spawn(|world| assert_eq!(*world.load().value(), 1))));
        let stats = world.cache.stats();
        assert_eq!((world.loads.load(Ordering::SeqCst), stats.loads, stats.hits + stats.misses), (1, 1, 3));
        world.assert_quiet();
    });
}

#[test]
fn a_leader_that_is_cancelled_fails_nobody() {
    check(|| {
        let world = World::in_memory();
        let leader = spawn({
            let world = Arc::clone(&world);
            async move {
                let loaded = world.cache.try_get_or_load(&key(), LoadOptions::default(), world.scan()).await;
                assert_eq!(*loaded.unwrap().value(), 1);
            }
        });
        let others: Vec<_> = (0..2).map(|_| world.spawn(|world| assert_eq!(*world.load().value(), 1))).collect();
        leader.abort();
        join(others);
        // Who was cancelled may have led, and have been the last, and have cancelled its load with it.
        let _ = block_on(leader);
        assert!(world.loads.load(Ordering::SeqCst) <= 2);
        assert!(world.cache.get(&key()).is_some());
        until_quiet(&world);
    });
}

#[test]
fn the_last_one_to_leave_cancels_the_load() {
    check(|| {
        let world = World::in_memory();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                spawn(async move {
                    let forever = |_: LoadContext| -> Scan { Box::pin(std::future::pending()) };
                    world.cache.try_get_or_load(&key(), LoadOptions::default(), forever).await.map(drop).unwrap();
                })
            })
            .collect();
        callers.iter().for_each(shuttle::future::JoinHandle::abort);
        for caller in callers {
            assert!(block_on(caller).is_err());
        }
        until_quiet(&world);
        let stats = world.cache.stats();
        assert_eq!(stats.loads, stats.load_cancellations);
        assert_eq!(*world.load().value(), 1, "nobody joins what was cancelled");
    });
}

#[test]
fn a_panic_fails_those_who_wait_and_the_next_load_is_a_new_one() {
    check(|| {
        let world = World::in_memory();
        join((0..3).map(|_| {
            world.spawn(|world| {
                // Not through the panic hook, which would print every one of them.
                let panicking = |_: LoadContext| -> Scan {
                    Box::pin(async {
                        shuttle::future::yield_now().await;
                        std::panic::resume_unwind(Box::new("on purpose"))
                    })
                };
                let outcome = block_on(world.cache.try_get_or_load(&key(), LoadOptions::default(), panicking));
                assert!(matches!(outcome, Err(LoadError::Panicked { .. })));
            })
        }));
        world.assert_quiet();
        assert_eq!(*world.load().value(), 1);
    });
}

#[test]
fn a_load_that_takes_too_long_hangs_nobody() {
    check(|| {
        let world = World::in_memory();
        join((0..3).map(|_| {
            world.spawn(|world| {
                let options = LoadOptions { timeout: Some(ANY_MOMENT), ..LoadOptions::default() };
                match block_on(world.cache.try_get_or_load(&key(), options, world.scan())) {
                    Ok(loaded) => assert_eq!(*loaded.value(), 1),
                    Err(error) => assert!(matches!(error, LoadError::TimedOut { .. }), "{error}"),
                }
            })
        }));
        world.assert_quiet();
        let stats = world.cache.stats();
        assert!(stats.loads - stats.load_failures <= 1, "one success is not followed by a second load");
    });
}

#[test]
fn deadlines_are_each_waiters_own() {
    check(|| {
        let world = World::in_memory();
        let hurried: Vec<_> = (0..2)
            .map(|_| {
                world.spawn(|world| {
                    let options = LoadOptions { deadline: Some(Instant::now()), ..LoadOptions::default() };
                    match block_on(world.cache.try_get_or_load(&key(), options, world.scan())) {
                        Ok(loaded) => assert_eq!(*loaded.value(), 1),
                        Err(error) => assert!(matches!(error, LoadError::Deadline), "{error}"),
                    }
                })
            })
            .collect();
        let patient = world.spawn(|world| assert_eq!(*world.load().value(), 1));
        join(hurried.into_iter().chain([patient]));
        until_quiet(&world);
    });
}

fn check_joins(scope: impl Fn() -> Scope + Send + Sync + 'static) {
    check(move || {
        let world = World::in_memory();
        let early = [0, 1].map(|_| world.spawn(|world| assert!(*world.load().value() >= 1)));
        pause();
        world.truth.store(2, Ordering::SeqCst);
        world.cache.invalidate_blocking(&scope()).unwrap();
        assert_eq!(*world.load().value(), 2, "it began after the invalidation");
        join(early);
        assert!(world.cache.get(&key()).is_none_or(|hit| *hit.value() == 2));
        world.assert_quiet();
    });
}

#[test]
fn a_flight_is_not_joined_after_an_invalidation() {
    check_joins(any_scope);
}

#[test]
fn a_flight_is_not_joined_after_the_invalidation_of_a_tag_that_its_value_will_have() {
    check_joins(|| Scope::Tag(tag()));
}

/// The tasks of flights that were aborted end a little later.
fn until_quiet(world: &World) {
    for _ in 0..100 {
        if world.cache.stats().loading == 0 {
            return;
        }
        shuttle::thread::yield_now();
    }
    world.assert_quiet();
}
