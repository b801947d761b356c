//! What is loaded again behind its readers: once, and never into the way of an invalidation.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cache_core::{How, LoadContext, LoadOptions, Scope, Stored};
use shuttle::future::block_on;

use crate::world::{Scan, TTL, World, check, join, key, number, pause, pause_task, space};

fn stale_world() -> Arc<World> {
    let world = World::in_memory_with(|builder| builder.stale_while_revalidate(TTL).refresh_workers(1));
    assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
    world.clock.advance(TTL);
    world.truth.store(2, Ordering::SeqCst);
    world
}

fn until(world: &World, so: impl Fn(&World) -> bool) {
    for _ in 0..1_000 {
        if so(world) {
            return;
        }
        shuttle::thread::yield_now();
    }
    panic!("it never became so");
}

#[test]
fn many_readers_of_a_stale_value_are_one_load() {
    check(|| {
        let world = stale_world();
        join((0..3).map(|_| {
            world.spawn(|world| {
                let loaded = world.load();
                assert!(matches!((*loaded.value(), loaded.how()), (1, How::Stale) | (2, How::Hit)));
            })
        }));
        until(&world, |world| world.cache.get(&key()).is_some_and(|hit| *hit.value() == 2));
        until(&world, |world| world.cache.stats().loading == 0);
        (0..20).for_each(|_| shuttle::thread::yield_now());
        let stats = world.cache.stats();
        assert_eq!((stats.loads, world.loads.load(Ordering::SeqCst), stats.refreshes_skipped), (1, 1, 0));
    });
}

#[test]
fn a_refresh_brings_nothing_back_that_was_invalidated_under_it() {
    check(|| {
        let world = stale_world();
        let readers = [0, 1].map(|_| {
            world.spawn(|world| {
                let least = world.acknowledged.load(Ordering::SeqCst);
                assert!(*world.load().value() >= least);
            })
        });
        world.truth.store(3, Ordering::SeqCst);
        world.cache.invalidate_blocking(&Scope::Namespace(space())).unwrap();
        world.acknowledged.store(3, Ordering::SeqCst);
        assert_eq!(*world.load().value(), 3);
        join(readers);
        until(&world, |world| world.cache.stats().loading == 0);
        (0..20).for_each(|_| shuttle::thread::yield_now());
        assert!(world.cache.get(&key()).is_none_or(|hit| *hit.value() == 3));
    });
}

#[test]
fn an_explicit_reload_beside_a_refresh_is_seen_by_who_comes_after_it() {
    check(|| {
        let world = stale_world();
        let reader = world.spawn(|world| assert!(*world.load().value() >= 1));
        let name = key();
        let reload = world.cache.reload(&name, LoadOptions::default(), world.scan());
        assert_eq!(*block_on(reload).unwrap().value(), 2);
        assert_eq!(*world.load().value(), 2);
        join([reader]);
        until(&world, |world| world.cache.stats().loading == 0);
        assert_eq!(world.cache.get(&key()).map(|hit| *hit.value()), Some(2));
    });
}

#[test]
fn a_load_that_began_before_a_reload_does_not_undo_it() {
    check(|| {
        let world = World::in_memory();
        let early = world.spawn(|world| {
            let this = Arc::clone(world);
            // Takes its time between its look at the source and its landing.
            let slow = move |_: LoadContext| -> Scan {
                Box::pin(async move {
                    let seen = this.truth.load(Ordering::SeqCst);
                    pause_task().await;
                    Ok(number(seen))
                })
            };
            let loaded = block_on(world.cache.try_get_or_load(&key(), LoadOptions::default(), slow));
            assert!(*loaded.unwrap().value() >= 1);
        });
        pause();
        world.truth.store(2, Ordering::SeqCst);
        world.clock.advance(std::time::Duration::from_nanos(1));
        let name = key();
        let reload = world.cache.reload(&name, LoadOptions::default(), world.scan());
        assert_eq!(*block_on(reload).unwrap().value(), 2);
        assert_eq!(world.cache.get(&key()).map(|hit| *hit.value()), Some(2));
        join([early]);
        assert_eq!(world.cache.get(&key()).map(|hit| *hit.value()), Some(2));
    });
}
