//! Invalidations, and what an opening makes of a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{ByteTier, Change, Meta};
use cache_redb::{Error, RedbTier, TierOptions};

use crate::gate;
use crate::support::{self, Dir, key, put, put_meta};

#[test]
fn a_record_that_came_before_an_invalidation_is_gone_and_a_later_one_is_not() {
    let all = |stamp| Change::All { stamp };
    let namespace = |stamp| Change::Namespace { namespace: "sales".into(), stamp };
    let tag = |stamp| Change::Tag { tag: "eu".into(), stamp };
    let one = |stamp| Change::Key { cache: "bodies".into(), namespace: "sales".into(), bytes: (*b"x1").into(), stamp };
    let prefix =
        |stamp| Change::Prefix { cache: "bodies".into(), namespace: "sales".into(), prefix: (*b"x").into(), stamp };
    let fingerprint = |stamp| Change::Fingerprint { namespace: "sales".into(), fingerprint: (*b"f").into(), stamp };
    let changes: [&dyn Fn(u64) -> Change; 6] = [&all, &namespace, &tag, &one, &prefix, &fingerprint];
    for change in changes {
        let dir = Dir::new();
        let tier = dir.open();
        let first = tier.restored().first_counter();
        for name in ["x1", "x2", "y"] {
            put_meta(&*tier, name, 10, |meta| {
                meta.counter = first;
                meta.tags = vec!["eu".into()];
            });
        }
        tier.flush().unwrap();
        let change = change(first + 1);
        tier.record(&change).unwrap();
        assert_eq!(tier.get(&key("x1")), None, "{change:?}");
        tier.settle();
        let left = tier.list("bodies", None, 10).len();
        assert_eq!(left as u64, tier.stats().entries, "{change:?}");
        let expected = match change {
            Change::Key { .. } => 2,
            Change::Prefix { .. } => 1,
            _ => 0,
        };
        assert_eq!(left, expected, "{change:?}");
        put_meta(&*tier, "x1", 20, |meta| meta.counter = first + 1);
        tier.flush().unwrap();
        drop(tier);
        let tier = dir.open();
        support::check_hit(&*tier, "x1", 20);
        assert_eq!(tier.list("bodies", None, 10).len(), expected + 1, "{change:?}");
        assert_eq!(tier.restored().first_counter(), 2 << 40);
    }
}

/// What was put for a load that began after a delete, made of what began before it; and what becomes of it.
#[track_caller]
fn check_made_after(change: Change, other: &str) {
    let dir = Dir::new();
    let tier = dir.open();
    let first = tier.restored().first_counter();
    let put = |name, size, began| {
        // The table is as old as it was.
        support::put_begun(&*tier, name, size, began, Meta { counter: first, ..support::meta() });
    };
    put("x1", 10, first);
    put(other, 10, first);
    tier.flush().unwrap();
    tier.record(&change).unwrap();
    put("late", 10, first);
    // The walk that the delete began may be over, or not.
    put("x1", 20, first + 1);
    put("new", 30, first + 1);
    tier.flush().unwrap();
    tier.settle();
    let check = |tier: &dyn ByteTier| {
        support::check_hit(tier, "x1", 20);
        support::check_hit(tier, "new", 30);
        support::check_hit(tier, other, 10);
        assert_eq!(tier.get(&key("late")), None, "{change:?}");
    };
    check(&*tier);
    drop(tier);
    let tier = dir.open();
    check(&*tier);
    tier.settle();
    check(&*tier);
    assert!(tier.verify().unwrap().is_sound());
}

#[test]
fn what_is_made_after_a_delete_of_what_is_older_is_kept_and_what_began_before_it_is_not() {
    let (cache, namespace): (Arc<str>, Arc<str>) = ("bodies".into(), "sales".into());
    let stamp = (1 << 40) + 1;
    let bytes = (*b"x1").into();
    let one = Change::Key { cache: Arc::clone(&cache), namespace: Arc::clone(&namespace), bytes, stamp };
    check_made_after(one, "x2");
    check_made_after(Change::Prefix { cache, namespace, prefix: (*b"x").into(), stamp }, "y");
}

#[test]
fn after_everything_is_given_up_nothing_comes_back_and_the_tier_goes_on() {
    let dir = Dir::new();
    let tier = dir.open();
    for n in 0..10 {
        put(&*tier, &format!("k{n}"), 5_000);
    }
    tier.flush().unwrap();
    put(&*tier, "waiting", 10);
    tier.abandon();
    let gone = |tier: &dyn ByteTier| {
        (0..10).all(|n| tier.get(&key(&format!("k{n}"))).is_none()) && tier.get(&key("waiting")).is_none()
    };
    assert!(gone(&*tier));
    support::wait_for_service(&*tier);
    assert!(gone(&*tier));
    put(&*tier, "new", 10);
    tier.flush().unwrap();
    support::check_hit(&*tier, "new", 10);
    drop(tier);
    let tier = dir.open();
    assert!(gone(&*tier));
    support::check_hit(&*tier, "new", 10);
}

#[test]
fn a_directory_is_held_by_one_tier_at_a_time() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    assert!(matches!(RedbTier::open(dir.path(), support::options()), Err(Error::Held)));
    assert!(matches!(cache_redb::verify(dir.path()), Err(Error::Held)));
    assert!(matches!(cache_redb::compact(dir.path()), Err(Error::Held)));
    tier.flush().unwrap();
    support::check_hit(&*tier, "a", 10);
    drop(tier);
    support::check_hit(&*dir.open(), "a", 10);
}

#[test]
fn a_closed_tier_answers_and_keeps_nothing() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    tier.close();
    tier.close();
    put(&*tier, "b", 10);
    assert_eq!(tier.get(&key("a")), None);
    assert!(tier.flush().is_err());
    assert!(tier.record(&Change::All { stamp: 1 }).is_err());
    assert!(tier.compact().is_err());
    tier.settle();
    tier.abandon();
    drop(tier);
    let tier = dir.open();
    support::check_hit(&*tier, "a", 10);
    assert_eq!(tier.get(&key("b")), None);
}

#[test]
fn a_tier_that_its_own_writer_is_the_last_to_hold_is_closed_too() {
    let dir = Dir::new();
    let tier = dir.open();
    let (mine, theirs) = gate::gate();
    let held = Arc::clone(&tier);
    gate::put_encoded(&*tier, "a", move || {
        theirs.wait();
        theirs.wait();
        drop(held);
        None
    });
    put(&*tier, "b", 10);
    mine.wait();
    drop(tier);
    mine.wait();
    // It writes what waits, and only then lets go of the directory.
    let tier = loop {
        match RedbTier::open(dir.path(), support::options()) {
            Err(Error::Held) => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    support::check_hit(&*tier, "b", 10);
}

#[test]
fn a_limit_of_zero_is_refused() {
    let limits: [fn(&mut TierOptions); 7] = [
        |options| options.max_entries = 0,
        |options| options.max_bytes = 0,
        |options| options.max_file_bytes = Some(0),
        |options| options.queue_bytes = 0,
        |options| options.queue_entries = 0,
        |options| options.page_cache_bytes = 0,
        |options| options.sweep_interval = Duration::ZERO,
    ];
    for limit in limits {
        let mut options = support::options();
        limit(&mut options);
        assert!(matches!(RedbTier::open(Dir::new().path(), options), Err(Error::Limit { .. })));
    }
}

#[test]
fn many_invalidations_at_once_are_each_kept() {
    let dir = Dir::new();
    let tier = dir.open();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let tier = &tier;
            scope.spawn(move || {
                for n in 1..=20 {
                    let tag = format!("{thread}-{n}").into();
                    tier.record(&Change::Tag { tag, stamp: thread * 100 + n }).unwrap();
                }
            });
        }
    });
    drop(tier);
    let mut tags = dir.open().restored().tags;
    tags.sort();
    assert_eq!(tags.len(), 160);
    assert!(tags.iter().any(|(tag, stamp)| &**tag == "7-20" && *stamp == 720));
}

#[test]
fn who_begins_a_second_time_on_one_tier_begins_above_what_was_recorded() {
    let dir = Dir::new();
    let tier = dir.open();
    let first = tier.restored().first_counter();
    let delete = |stamp| Change::Key { cache: "c".into(), namespace: "n".into(), bytes: (*b"k").into(), stamp };
    tier.record(&Change::Tag { tag: "t".into(), stamp: first + 1 }).unwrap();
    tier.record(&delete(first + 2)).unwrap();
    tier.settle();
    assert_eq!(tier.restored().tags, [("t".into(), first + 1)]);
    assert_eq!(tier.restored().first_counter(), first + 2);
}

/// A record of a process that ended at one time of day, seen by one that starts at another.
#[track_caller]
fn check_clock(ended: u64, starts: u64, served: bool) {
    let dir = Dir::new();
    let clock = Arc::new(AtomicU64::new(support::NOW_MS));
    let told = Arc::clone(&clock);
    let options = TierOptions { clock: Arc::new(move || told.load(Ordering::SeqCst)), ..support::options() };
    let tier = dir.open_with(options.clone());
    put(&*tier, "a", 10);
    tier.flush().unwrap();
    clock.store(ended, Ordering::SeqCst);
    drop(tier);
    clock.store(starts, Ordering::SeqCst);
    let tier = dir.open_with(options);
    assert_eq!(tier.get(&key("a")).is_some(), served, "{ended}, {starts}");
    assert_eq!(tier.stats().entries, u64::from(served));
}

#[test]
fn a_clock_that_was_set_back_between_two_processes_makes_nothing_younger() {
    const NOW: u64 = support::NOW_MS;
    check_clock(NOW, NOW, true);
    check_clock(NOW, NOW - 900, true);
    check_clock(NOW, NOW - 1_100, false);
    check_clock(NOW + 50_000, NOW + 50_000, true);
    check_clock(NOW + 50_000, NOW + 10_000, false);
}

#[test]
fn a_process_that_only_reads_and_is_killed_leaves_behind_how_late_it_was() {
    const MINUTE: u64 = 60_000;
    let dir = Dir::new();
    let clock = Arc::new(AtomicU64::new(support::NOW_MS));
    let told = Arc::clone(&clock);
    let options = TierOptions { clock: Arc::new(move || told.load(Ordering::SeqCst)), ..support::options() };
    let tier = dir.open_with(options.clone());
    put_meta(&*tier, "a", 10, |meta| meta.expires_ms = support::NOW_MS + 10 * MINUTE);
    tier.flush().unwrap();
    let writes = tier.stats().writes;
    for minute in 1..=9 {
        clock.store(support::NOW_MS + minute * MINUTE, Ordering::SeqCst);
        // The writer looks at the clock by itself every half minute; here it is woken.
        tier.settle();
        support::check_hit(&*tier, "a", 10);
    }
    assert_eq!(tier.stats().writes, writes);
    let served = |now: u64| {
        let killed = Dir::new();
        for name in ["cache.redb", "invalidations.log"] {
            std::fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
        }
        clock.store(now, Ordering::SeqCst);
        killed.open_with(options.clone()).get(&key("a")).is_some()
    };
    assert!(served(support::NOW_MS + 9 * MINUTE));
    // It would look four minutes old, and be served until it is fifteen.
    assert!(!served(support::NOW_MS + 4 * MINUTE), "the clock was set back by less than the record's age");
}

#[test]
fn a_record_from_the_future_is_gone_after_a_restart_and_takes_no_room() {
    let dir = Dir::new();
    let tier = dir.open();
    put_meta(&*tier, "a", 10, |meta| meta.loaded_at_ms += 5_000);
    tier.flush().unwrap();
    drop(tier);
    let tier = dir.open();
    assert_eq!(tier.get(&key("a")), None);
    tier.settle();
    assert_eq!(tier.verify().unwrap().records, 0);
}

/// What a directory with one record, one invalidation and a restart becomes when its files are tampered with.
#[track_caller]
fn check_tampered(tamper: impl FnOnce(&std::path::Path, &std::path::Path), served: bool) {
    let (dir, old) = (Dir::new(), Dir::new());
    let tier = dir.open();
    put(&*tier, "a", 10);
    tier.flush().unwrap();
    drop(tier);
    for name in ["cache.redb", "invalidations.log"] {
        std::fs::copy(dir.path().join(name), old.path().join(name)).unwrap();
    }
    let tier = dir.open();
    tier.record(&Change::Tag { tag: "t".into(), stamp: tier.restored().first_counter() + 1 }).unwrap();
    drop(tier);
    tamper(dir.path(), old.path());
    let tier = dir.open();
    assert_eq!(tier.get(&key("a")).is_some(), served);
    put(&*tier, "b", 10);
    tier.flush().unwrap();
    support::check_hit(&*tier, "b", 10);
}

#[test]
fn a_database_is_believed_only_beside_the_log_that_it_knows() {
    let copy = |from: &std::path::Path, to: &std::path::Path, name: &str| {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    };
    check_tampered(|_, _| {}, true);
    check_tampered(|dir, _| std::fs::remove_file(dir.join("invalidations.log")).unwrap(), false);
    check_tampered(|dir, old| copy(old, dir, "invalidations.log"), false);
    check_tampered(|dir, old| copy(old, dir, "cache.redb"), true);
    check_tampered(
        |dir, _| {
            let other = Dir::new();
            drop(other.open());
            copy(other.path(), dir, "invalidations.log");
        },
        false,
    );
    check_tampered(|dir, _| std::fs::write(dir.join("cache.redb"), b"no database").unwrap(), false);
    check_tampered(|dir, _| std::fs::write(dir.join("cache.redb"), b"").unwrap(), false);
}

#[test]
fn a_path_that_is_no_directory_is_an_error() {
    let dir = Dir::new();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(RedbTier::open(&file, support::options()), Err(Error::Io { .. })));
    assert!(matches!(RedbTier::open(&file.join("below"), support::options()), Err(Error::Io { .. })));
}
