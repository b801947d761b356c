//! Stores, deletes and reads from disk of one key: what is deleted or replaced never comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cache_core::{Item, Scope, Stored};

use crate::world::{World, any_delete, any_scope, check, join, key, number, pause, space};

/// Nothing of the key is anywhere, now or later.
#[track_caller]
fn assert_gone(world: &World, scope: &Scope) {
    assert_eq!(world.cache.get(&key()).map(|hit| *hit.value()), None, "in memory, {scope:?}");
    while world.disk.as_ref().is_some_and(|disk| disk.write()) {}
    assert_eq!(world.find(), None, "on disk, {scope:?}");
    assert_eq!(world.crash().find(), None, "in the next process, {scope:?}");
}

#[test]
fn a_store_that_began_before_a_delete_leaves_nothing() {
    check(|| {
        let scope = any_scope();
        let world = World::on_disk();
        let disk = world.disk.clone().unwrap();
        disk.hold();
        let origin = world.cache.begin();
        let store = world.spawn(move |world| {
            world.cache.insert(&key(), number(1).with_origin(origin));
        });
        let writer = world.spawn(|world| {
            world.disk.as_ref().unwrap().write();
        });
        pause();
        world.cache.invalidate_blocking(&scope).unwrap();
        join([store, writer]);
        assert_gone(&world, &scope);
    });
}

#[test]
fn a_read_from_disk_that_meets_a_delete_leaves_nothing() {
    check(|| {
        let scope = any_scope();
        let world = World::on_disk();
        assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
        world.cache.release(&space());
        let reader = world.spawn(|world| assert!(world.find().is_none_or(|found| found == 1)));
        let loader = world.spawn(|world| assert_eq!(*world.load().value(), 1));
        world.cache.invalidate_blocking(&scope).unwrap();
        // What is loaded by who comes after it is another matter.
        let found = world.find();
        join([reader, loader]);
        assert!(found.is_none_or(|_| world.loads.load(Ordering::SeqCst) == 1));
    });
}

#[test]
fn a_read_from_disk_alone_that_meets_a_delete_leaves_nothing() {
    check(|| {
        let scope = any_scope();
        let world = World::on_disk();
        assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
        world.cache.release(&space());
        let readers = [0, 1].map(|_| world.spawn(|world| assert!(world.find().is_none_or(|found| found == 1))));
        world.cache.invalidate_blocking(&scope).unwrap();
        assert_eq!(world.find(), None, "{scope:?}");
        join(readers);
        assert_gone(&world, &scope);
    });
}

#[test]
fn two_deletes_and_a_store_leave_nothing() {
    check(|| {
        let world = World::on_disk();
        let origin = world.cache.begin();
        let store = world.spawn(move |world| {
            world.cache.insert(&key(), number(1).with_origin(origin));
        });
        let prefix = Scope::Prefix { namespace: space(), prefix: Arc::from(*b"") };
        let other = world.spawn({
            let prefix = prefix.clone();
            move |world| {
                world.cache.invalidate_blocking(&prefix).unwrap();
            }
        });
        world.cache.invalidate_blocking(&Scope::Key(key())).unwrap();
        join([store, other]);
        assert_gone(&world, &prefix);
    });
}

#[test]
fn a_delete_that_cannot_be_kept_leaves_nothing_behind_either() {
    check(|| {
        let scope = any_scope();
        let world = World::on_disk();
        let origin = world.cache.begin();
        let store = world.spawn(move |world| {
            world.cache.insert(&key(), number(1).with_origin(origin));
        });
        world.disk.as_ref().unwrap().fail(true);
        world.cache.invalidate_blocking(&scope).unwrap_err();
        world.disk.as_ref().unwrap().fail(false);
        join([store]);
        assert_gone(&world, &scope);
    });
}

#[test]
fn what_was_replaced_does_not_come_back_from_disk() {
    check(|| {
        let world = World::on_disk();
        assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
        world.cache.release(&space());
        world.clock.advance(std::time::Duration::from_secs(1));
        let readers = [0, 1].map(|_| {
            world.spawn(|world| {
                world.find();
            })
        });
        assert_eq!(world.cache.insert(&key(), Item::new(2, 5_000)), Stored::TooLarge);
        assert_eq!(world.find(), None, "who has seen a newer value does not meet the older one again");
        join(readers);
        assert_eq!(world.find(), None);
    });
}

#[test]
fn what_is_written_while_it_is_replaced_is_the_newer_one() {
    check(|| {
        let world = World::on_disk();
        let disk = world.disk.clone().unwrap();
        disk.hold();
        assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
        world.clock.advance(std::time::Duration::from_secs(1));
        let writer = world.spawn(|world| {
            world.disk.as_ref().unwrap().write();
            world.disk.as_ref().unwrap().write();
        });
        let other = world.spawn(|world| {
            world.cache.release(&space());
            assert!(world.find().is_none_or(|found| found == 1 || found == 2));
        });
        assert_eq!(world.cache.insert(&key(), number(2)), Stored::Yes);
        join([writer, other]);
        while disk.write() {}
        assert_eq!(world.crash().find(), Some(2));
    });
}

#[test]
fn what_is_made_of_something_older_is_as_new_as_its_own_load() {
    check(|| {
        let scope = any_delete();
        let world = World::on_disk();
        let table = world.cache.begin();
        let covered = scope.clone();
        let read = move |world: &Arc<World>| {
            let expected = world.acknowledged.load(Ordering::SeqCst);
            let loaded = world.load_of(table);
            assert!(loaded >= expected, "loaded {loaded} after {expected} was acknowledged, {covered:?}");
            let expected = world.acknowledged.load(Ordering::SeqCst);
            let found = world.find();
            assert!(found.is_none_or(|found| found >= expected), "found {found:?} after {expected}, {covered:?}");
        };
        read(&world);
        let readers = [0, 1].map(|_| world.spawn(read.clone()));
        pause();
        world.truth.store(2, Ordering::SeqCst);
        world.cache.invalidate_blocking(&scope).unwrap();
        world.acknowledged.store(2, Ordering::SeqCst);
        read(&world);
        join(readers);
        read(&world);
        world.cache.release(&space());
        let (found, later) = (world.find(), world.crash().find());
        assert!(found.is_none_or(|found| found == 2), "{found:?}");
        assert_eq!(later, found, "what is on disk was admitted, and is so in the next process");
    });
}
