//! What the next process finds: what was stored, at its right age, and nothing that was invalidated.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{
    Codec, Freshness, How, Item, Key, LoadContext, LoadOptions, MessagePack, Namespace, Noted, Scope, Stored, Tiers,
};

use crate::fixture::{BYTES, TTL, key, key_in, ready};
use crate::lives::Life;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_entry_comes_back_with_its_age_its_ttl_its_tags_and_its_cost() {
    let life = Life::with(|builder| builder.stale_if_error(TTL));
    let item = Item::new(7, BYTES).with_tags([Arc::from("sales")]).with_cost(Duration::from_millis(250));
    assert_eq!(life.cache.insert(&key("a"), item), Stored::Yes);
    life.clock.advance(SECOND * 10);
    let life = life.crash();
    life.clock.advance(SECOND * 20);
    assert!(life.cache.peek(&key("a")).is_none(), "it is on disk alone");
    let hit = life.cache.find_blocking(&key("a")).unwrap();
    assert_eq!((*hit.value(), hit.age(), hit.remaining()), (7, SECOND * 30, TTL - SECOND * 30));
    assert_eq!(hit.tags().map(|tag| &**tag).collect::<Vec<_>>(), ["sales"]);
    assert_eq!(hit.cost(), Duration::from_millis(250));
    let info = life.cache.entry(&key("a")).unwrap();
    assert_eq!((info.tier, info.freshness, info.age), (Tiers::Both, Freshness::Fresh, SECOND * 30));
    life.clock.advance(TTL - SECOND * 30);
    assert_eq!(life.find(&key("a")), None, "its ttl went on through the restart");
    assert_eq!(life.cache.peek(&key("a")).map(|hit| *hit.value()), Some(7), "its window has been kept too");
    life.clock.advance(TTL);
    assert!(life.cache.peek(&key("a")).is_none());
}

#[test]
fn a_clock_that_was_set_back_between_two_processes_makes_it_a_miss() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.clock.set_back(SECOND * 3600);
    assert_eq!(life.find(&key("a")), Some(1), "this process knows how old it is");
    let life = life.crash();
    assert_eq!(life.find(&key("a")), None);
    assert_eq!(life.cache.insert(&key("a"), Item::new(2, BYTES)), Stored::Yes);
    life.forget(&key("a"));
    assert_eq!(life.find(&key("a")), Some(2), "what is stored from now on is as good as ever");
}

#[test]
fn a_clock_that_is_set_back_while_it_is_served_prolongs_nothing() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.clock.advance(TTL - SECOND);
    life.clock.set_back(TTL / 2);
    life.forget(&key("a"));
    let hit = life.cache.find_blocking(&key("a")).expect("a second is left");
    assert_eq!((hit.age(), hit.remaining()), (TTL - SECOND, SECOND));
    life.clock.advance(SECOND);
    life.forget(&key("a"));
    assert_eq!(life.find(&key("a")), None);
}

#[test]
fn a_clock_that_was_set_forward_makes_it_older() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    life.clock.advance(TTL);
    let life = life.crash();
    assert_eq!(life.find(&key("a")), None);
}

#[test]
fn another_layout_or_another_name_is_a_miss() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    let life = life.crash_into(|builder| builder.persist(MessagePack::version(1)));
    assert_eq!(life.find(&key("a")), None);
    assert_eq!(life.disk.corrupt(), 0, "it is no damage");
    assert!(life.cache.entry(&key("a")).is_none());
    let life = life.crash_into(|builder| builder);
    assert_eq!(life.find(&key("a")), Some(1), "and it is still there for who reads that layout");
}

#[test]
fn another_codec_reads_what_was_written_before() {
    let life = Life::with(|builder| builder.compression(Codec::Gzip));
    life.insert(&key("a"), 1);
    let life = life.crash_into(|builder| builder.compression(Codec::Zstd));
    assert_eq!(life.find(&key("a")), Some(1));
}

#[tokio::test]
async fn a_ttl_that_has_been_shortened_holds_for_what_is_on_disk() {
    let options = |ttl, stale_if_error| LoadOptions { ttl, stale_if_error, ..LoadOptions::default() };
    let failing = || |_: LoadContext| async { Err::<Item<u64>, _>("the source is down") };
    let life = Life::with(|builder| builder.stale_if_error(TTL));
    life.insert(&key("a"), 1);
    life.clock.advance(SECOND * 10);
    let life = life.crash();
    let restored = life.cache.try_get_or_load(&key("a"), options(Some(SECOND * 12), None), ready(2)).await.unwrap();
    assert_eq!((*restored.value(), restored.how(), restored.hit().remaining()), (1, How::Restored, SECOND * 2));
    let life = life.crash();
    let longer = life.cache.try_get_or_load(&key("a"), options(Some(TTL * 2), None), ready(3)).await.unwrap();
    assert_eq!((*longer.value(), longer.hit().remaining()), (1, TTL - SECOND * 10), "no call makes it longer");
    let life = life.crash();
    let loaded = life.cache.try_get_or_load(&key("a"), options(Some(SECOND * 5), None), ready(4)).await.unwrap();
    assert_eq!((*loaded.value(), loaded.how()), (4, How::Led));
    // The window for failures is shortened as well.
    life.clock.advance(SECOND * 10);
    let life = life.crash();
    let short = options(Some(SECOND * 5), Some(SECOND));
    let failed = life.cache.try_get_or_load(&key("a"), short, failing()).await;
    assert!(failed.is_err(), "{failed:?}");
    let life = life.crash();
    let long = options(Some(SECOND * 5), Some(SECOND * 60));
    let old = life.cache.try_get_or_load(&key("a"), long, failing()).await.unwrap();
    assert_eq!((*old.value(), old.how()), (4, How::StaleOnError));
}

#[tokio::test]
async fn the_first_load_of_the_next_process_is_served_from_disk() {
    let life = Life::new();
    life.load(&key("a"), 1).await;
    let life = life.crash();
    let loaded = life.load(&key("a"), 2).await;
    assert_eq!((*loaded.value(), loaded.how(), loaded.stored()), (1, How::Restored, Stored::Yes));
    assert_eq!(life.load(&key("a"), 3).await.how(), How::Hit, "it is in memory now");
    let stats = life.cache.stats();
    assert_eq!((stats.loads, stats.misses, stats.disk_hits, stats.hits), (0, 1, 1, 1));
}

/// Two entries, of which this covers the first; it holds in this process and in all that follow, whether the entries
/// had been written before or not.
#[track_caller]
fn check(scope: Scope) {
    for queued in [false, true] {
        let life = Life::new();
        if queued {
            life.disk.hold();
        }
        let (covered, spared) = (key_in("one", "abc").at_version(3), key_in("two", "xyz"));
        life.insert_tagged(&covered, 1, "red");
        if scope != Scope::All {
            life.insert_tagged(&spared, 2, "blue");
        }
        life.invalidate(scope.clone());
        assert_eq!(life.find(&covered), None, "in memory, {scope:?}");
        life.disk.release();
        life.forget(&covered);
        assert_eq!(life.find(&covered), None, "on disk, {scope:?}");
        let life = life.crash();
        assert_eq!(life.find(&covered), None, "in the next process, {scope:?}");
        assert!(life.cache.entry(&covered).is_none());
        assert_eq!(life.find(&spared).is_some(), scope != Scope::All, "the rest is spared, {scope:?}");
        life.insert(&covered, 4);
        let life = life.crash().crash();
        assert_eq!(life.find(&covered), Some(4), "what began later is not covered, {scope:?}");
    }
}

#[test]
fn an_acknowledged_invalidation_outlives_the_process() {
    let covered = key_in("one", "abc").at_version(3);
    check(Scope::All);
    check(Scope::Namespace(covered.namespace().clone()));
    check(Scope::Tag(Arc::from("red")));
    check(Scope::Key(covered.clone()));
    check(Scope::Versions(covered.at_version(9)));
    check(Scope::Prefix { namespace: covered.namespace().clone(), prefix: Arc::from(*b"ab") });
}

#[test]
fn what_began_before_an_invalidation_and_is_stored_after_it_is_nowhere() {
    for scope in [
        Scope::All,
        Scope::Namespace(Namespace::new("space")),
        Scope::Tag(Arc::from("red")),
        Scope::Key(key("a")),
        Scope::Prefix { namespace: Namespace::new("space"), prefix: Arc::from(*b"") },
    ] {
        let life = Life::new();
        let origin = life.cache.begin();
        life.invalidate(scope.clone());
        let item = Item::new(1, BYTES).with_origin(origin).with_tags([Arc::from("red")]);
        assert_eq!(life.cache.insert(&key("a"), item), Stored::Invalidated, "{scope:?}");
        assert_eq!((life.find(&key("a")), life.disk.len()), (None, 0), "{scope:?}");
    }
}

#[test]
fn fingerprints_are_known_to_the_next_process() {
    let (life, space) = (Life::new(), Namespace::new("space"));
    assert_eq!(life.cache.note_fingerprint(&space, b"one").unwrap(), Noted::First);
    life.insert(&key("a"), 1);
    let life = life.crash();
    assert_eq!(life.cache.stamps().fingerprint(&space).as_deref(), Some(&b"one"[..]));
    assert_eq!(life.cache.note_fingerprint(&space, b"one").unwrap(), Noted::Same);
    assert_eq!(life.find(&key("a")), Some(1), "the data is what it was");
    assert_eq!(life.cache.note_fingerprint(&space, b"two").unwrap(), Noted::Changed);
    assert_eq!(life.find(&key("a")), None);
    let life = life.crash();
    assert_eq!(life.find(&key("a")), None);
    assert_eq!(life.cache.note_fingerprint(&space, b"two").unwrap(), Noted::Same);
}

#[test]
fn a_fingerprint_that_could_not_be_kept_is_noted_again() {
    let (life, space) = (Life::new(), Namespace::new("space"));
    life.cache.note_fingerprint(&space, b"one").unwrap();
    life.disk.fail(true);
    life.cache.note_fingerprint(&space, b"two").unwrap_err();
    life.disk.fail(false);
    // Made of the data behind "two", and stored.
    life.insert(&key("a"), 2);
    assert_eq!(life.cache.note_fingerprint(&space, b"two").unwrap(), Noted::First, "nothing is taken for known");
    life.insert(&key("b"), 2);
    let life = life.crash();
    assert_eq!(life.cache.note_fingerprint(&space, b"one").unwrap(), Noted::Changed, "the data has been put back");
    assert_eq!((life.find(&key("a")), life.find(&key("b"))), (None, None));
}

#[test]
fn many_lives_keep_their_stamps_apart() {
    let mut life = Life::new();
    let names: Vec<Key> = (0..6).map(|number| key_in(&format!("n{number}"), "a")).collect();
    for (number, name) in names.iter().enumerate() {
        life.insert(name, number as u64);
        life = life.crash();
        life.invalidate(Scope::Namespace(name.namespace().clone()));
        life = life.crash();
        life.insert(name, 100 + number as u64);
    }
    let life = life.crash();
    for (number, name) in names.iter().enumerate() {
        assert_eq!(life.find(name), Some(100 + number as u64));
    }
}
