//! Invalidations against loads, in memory and on disk: nobody reads what was there before an acknowledged one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cache_core::{Cache, Key, LoadContext, LoadOptions, ManualClock, Namespace, Scope, Stamps, Stored};
use shuttle::future::{block_on, yield_now};

use crate::world::{Scan, World, any, any_scope, check, join, key, number, pause, space, tag};

/// Reads in every way that there is, and never what is older than what was acknowledged before it began.
fn read(world: &Arc<World>) {
    let least = || world.acknowledged.load(Ordering::SeqCst);
    let expected = least();
    let loaded = *world.load().value();
    assert!(loaded >= expected, "loaded {loaded} after {expected} was acknowledged");
    let expected = least();
    let found = world.cache.get(&key()).map(|hit| *hit.value());
    assert!(found.is_none_or(|found| found >= expected), "got {found:?} after {expected} was acknowledged");
    let expected = least();
    let found = world.find();
    assert!(found.is_none_or(|found| found >= expected), "found {found:?} after {expected} was acknowledged");
}

/// Changes the source, tells the cache in this way, and acknowledges.
fn change(world: &Arc<World>, truth: u64, tell: impl FnOnce(&Cache<u64>)) {
    world.truth.store(truth, Ordering::SeqCst);
    tell(&world.cache);
    world.acknowledged.store(truth, Ordering::SeqCst);
}

#[test]
fn nothing_older_than_an_acknowledged_invalidation_is_read() {
    check(|| {
        let (scope, on_disk) = (any_scope(), any(&[false, true]));
        let world = if on_disk { World::on_disk() } else { World::in_memory() };
        if any(&[false, true]) {
            world.load();
        }
        let readers = [0, 1].map(|_| world.spawn(read));
        pause();
        change(&world, 2, |cache| {
            cache.invalidate_blocking(&scope).unwrap();
        });
        read(&world);
        join(readers);
        if on_disk {
            assert!(world.crash().find().is_none_or(|found| found == 2));
        }
        world.assert_quiet();
    });
}

#[test]
fn two_changes_at_once_are_both_seen() {
    check(|| {
        let world = World::on_disk();
        world.load();
        let reader = world.spawn(read);
        let other = world.spawn(|world| {
            world.cache.invalidate_blocking(&Scope::Namespace(space())).unwrap();
        });
        change(&world, 2, |cache| {
            cache.invalidate_blocking(&Scope::Tag(tag())).unwrap();
        });
        change(&world, 3, |cache| {
            cache.invalidate_blocking(&Scope::All).unwrap();
        });
        read(&world);
        join([reader, other]);
        assert!(world.crash().find().is_none_or(|found| found == 3));
    });
}

/// Looks at the source as a watchful loader does: what it finds changed it notes, and only then reads.
fn watchful(world: &Arc<World>) -> impl FnOnce(LoadContext) -> Scan + Send + 'static {
    let this = Arc::clone(world);
    move |context| {
        Box::pin(async move {
            let fingerprint = this.truth.load(Ordering::SeqCst).to_le_bytes();
            this.cache.note_fingerprint(&space(), &fingerprint).unwrap();
            context.begin_again();
            yield_now().await;
            let seen = this.truth.load(Ordering::SeqCst);
            yield_now().await;
            Ok(number(seen))
        })
    }
}

#[test]
fn fingerprints_noted_from_many_sides_hide_no_change() {
    check(|| {
        let world = if any(&[false, true]) { World::on_disk() } else { World::in_memory() };
        let load = |world: &Arc<World>| {
            let expected = world.acknowledged.load(Ordering::SeqCst);
            let loaded = block_on(world.cache.try_get_or_load(&key(), LoadOptions::default(), watchful(world)));
            assert!(*loaded.unwrap().value() >= expected);
        };
        let readers = [0, 1].map(|_| world.spawn(load));
        let other = world.spawn(|world| {
            let seen = world.truth.load(Ordering::SeqCst).to_le_bytes();
            world.cache.note_fingerprint(&space(), &seen).unwrap();
        });
        change(&world, 2, |cache| {
            cache.note_fingerprint(&space(), &2_u64.to_le_bytes()).unwrap();
        });
        load(&world);
        join(readers.into_iter().chain([other]));
        // The other may have come late with what it saw early: the one who looks last is right.
        world.cache.note_fingerprint(&space(), &2_u64.to_le_bytes()).unwrap();
        assert!(world.find().is_none_or(|found| found == 2));
        world.assert_quiet();
    });
}

#[test]
fn who_finds_a_fingerprint_known_may_rely_on_what_it_did() {
    check(|| {
        let world = World::on_disk();
        world.cache.note_fingerprint(&space(), b"one").unwrap();
        assert_eq!(world.cache.insert(&key(), number(1)), Stored::Yes);
        let noters = [0, 1].map(|_| {
            world.spawn(|world| {
                world.cache.note_fingerprint(&space(), b"two").unwrap();
                assert_eq!(world.find(), None);
                assert_eq!(world.crash().find(), None, "it is durable for whoever hears of it");
            })
        });
        join(noters);
    });
}

#[test]
fn folding_loses_no_invalidation() {
    check(|| {
        let stamps = Arc::new(Stamps::with_few_cells(2));
        let clock = ManualClock::new();
        let cache = Cache::<u64>::builder("numbers").stamps(Arc::clone(&stamps)).clock(clock.clock()).build().unwrap();
        let origin = cache.begin();
        let name = |number: u64| Key::new(&Namespace::new(format!("n{number}")), b"a");
        let crowd = shuttle::thread::spawn({
            let cache = cache.clone();
            move || {
                for number in 10..14 {
                    cache.stamps().invalidate_namespace(name(number).namespace()).unwrap();
                    cache.stamps().invalidate_tag(&Arc::from(format!("t{number}"))).unwrap();
                }
            }
        });
        let invalid = [1, 2].map(|number| {
            let cache = cache.clone();
            shuttle::thread::spawn(move || {
                cache.invalidate_blocking(&Scope::Namespace(name(number).namespace().clone())).unwrap();
                cache.invalidate_blocking(&Scope::Tag(tag())).unwrap();
                let item = cache_core::Item::new(number, 100).with_origin(origin);
                assert_eq!(cache.insert(&name(number), item.clone()), Stored::Invalidated);
                assert_eq!(cache.insert(&name(number + 2), item.with_tags([tag()])), Stored::Invalidated);
            })
        });
        let delete = shuttle::thread::spawn({
            let cache = cache.clone();
            move || {
                cache.invalidate_blocking(&Scope::Key(name(5))).unwrap();
                let item = cache_core::Item::new(5, 100).with_origin(origin);
                assert_eq!(cache.insert(&name(5), item), Stored::Invalidated);
            }
        });
        join(invalid.into_iter().chain([crowd, delete]));
    });
}
