//! What is put, got, listed and taken out.

use cache_core::{ByteTier, Payload, RecordKey};
use cache_redb::TierOptions;

use crate::gate;
use crate::support::{self, Dir, key, put};

#[test]
fn what_was_put_is_got_after_a_flush_and_after_a_restart() {
    let dir = Dir::new();
    let sizes = [0, 1, 255, 4_080, 4_096, 8_192, 100_000, 3 << 20];
    {
        let tier = dir.open();
        for size in sizes {
            put(&*tier, &format!("k{size}"), size);
        }
        tier.flush().unwrap();
        for size in sizes {
            support::check_hit(&*tier, &format!("k{size}"), size);
        }
    }
    let tier = dir.open();
    for size in sizes {
        support::check_hit(&*tier, &format!("k{size}"), size);
    }
    assert_eq!(tier.stats().entries, sizes.len() as u64);
    assert_eq!(tier.restored().epoch, 2);
    assert!(tier.verify().unwrap().is_sound());
    drop(tier);
    let report = cache_redb::verify(dir.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.records, sizes.len() as u64);
}

#[test]
fn a_removed_record_is_a_miss_at_once_and_for_good() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    put(&*tier, "b", 10);
    tier.flush().unwrap();
    tier.remove(&key("a"));
    assert_eq!(tier.get(&key("a")), None);
    tier.flush().unwrap();
    drop(tier);
    let tier = dir.open();
    assert_eq!(tier.get(&key("a")), None);
    support::check_hit(&*tier, "b", 10);
}

#[test]
fn the_last_put_of_a_key_wins_and_a_queued_key_is_a_miss() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    tier.flush().unwrap();
    let (begun, go) = gate::gate();
    gate::put_encoded(&*tier, "a", move || {
        go.wait();
        None
    });
    assert_eq!(tier.get(&key("a")), None, "what is stored under it is old");
    assert_eq!(tier.meta(&key("a")), None);
    assert!(tier.list("bodies", None, 10).is_empty());
    // Otherwise the next put would take its place in the queue, and nobody would come to the gate.
    gate::wait_until_taken(&*tier);
    put(&*tier, "a", 30);
    begun.wait();
    tier.flush().unwrap();
    support::check_hit(&*tier, "a", 30);
    assert_eq!(tier.stats().entries, 1);
}

#[test]
fn a_full_queue_drops_the_record_and_what_was_stored_under_its_key() {
    let limits: [fn(&mut TierOptions); 2] = [|options| options.queue_entries = 2, |options| options.queue_bytes = 25];
    for limit in limits {
        let dir = Dir::new();
        let mut options = support::options();
        limit(&mut options);
        let tier = dir.open_with(options);
        put(&*tier, "d", 10);
        tier.flush().unwrap();
        let (begun, go) = gate::gate();
        gate::put_encoded(&*tier, "gate", move || {
            go.wait();
            None
        });
        gate::wait_until_taken(&*tier);
        for name in ["b", "c", "d"] {
            put(&*tier, name, 10);
        }
        assert_eq!(tier.stats().dropped, 1);
        begun.wait();
        tier.flush().unwrap();
        support::check_hit(&*tier, "b", 10);
        support::check_hit(&*tier, "c", 10);
        assert_eq!(tier.get(&key("d")), None);
        assert_eq!(tier.stats().entries, 2);
    }
}

#[test]
fn a_value_that_cannot_be_encoded_takes_what_was_stored_with_it() {
    let encodings: [fn() -> Option<Payload>; 2] = [|| None, || panic!("cannot encode")];
    for encode in encodings {
        let dir = Dir::new();
        let tier = dir.open();
        put(&*tier, "a", 10);
        tier.flush().unwrap();
        gate::put_encoded(&*tier, "a", encode);
        tier.flush().unwrap();
        assert_eq!(tier.get(&key("a")), None);
        assert_eq!(tier.stats().entries, 0);
        put(&*tier, "b", 10);
        tier.flush().unwrap();
        support::check_hit(&*tier, "b", 10);
    }
}

#[test]
fn a_record_that_is_reported_corrupt_is_removed_and_counted() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    tier.flush().unwrap();
    tier.report_corrupt(&key("a"));
    assert_eq!(tier.get(&key("a")), None);
    tier.flush().unwrap();
    assert_eq!((tier.stats().corrupt, tier.stats().entries), (1, 0));
}

#[test]
fn records_are_listed_in_order_page_by_page_and_counted_by_namespace() {
    let dir = Dir::new();
    let tier = dir.open();
    let mut names: Vec<String> = (0..25).map(|n| format!("k{n}")).collect();
    for name in &names {
        put(&*tier, name, 10);
    }
    tier.flush().unwrap();
    names.sort();
    let mut listed: Vec<RecordKey> = Vec::new();
    loop {
        let page = tier.list("bodies", listed.last(), 10);
        if page.is_empty() {
            break;
        }
        assert!(page.iter().all(|listed| listed.stored_bytes == 10));
        listed.extend(page.into_iter().map(|listed| listed.key));
    }
    assert_eq!(listed, names.iter().map(|name| key(name)).collect::<Vec<_>>());
    assert!(tier.list("tables", None, 10).is_empty());
    assert!(tier.list("bodies", None, 0).is_empty());
    let usage = tier.usage();
    assert_eq!(usage.len(), 1);
    assert_eq!((&*usage[0].namespace, usage[0].entries, usage[0].bytes), ("sales", 25, tier.stats().bytes));
}

#[test]
fn what_may_be_there_is_told_from_memory_and_what_is_there_without_its_payload() {
    let dir = Dir::new();
    let tier = dir.open();
    let (a, b) = (key("a"), key("b"));
    put(&*tier, "a", 5_000);
    tier.flush().unwrap();
    assert!(tier.may_have(&a) && !tier.may_have(&b));
    let listed = tier.listed(&a).unwrap();
    assert_eq!(tier.list("bodies", None, 1), [listed]);
    assert_eq!(tier.listed(&b), None);
    let (begun, go) = gate::gate();
    gate::put_encoded(&*tier, "a", move || {
        go.wait();
        Some(Payload { codec: cache_core::Codec::None, plain_bytes: 1, bytes: vec![1] })
    });
    assert!(!tier.may_have(&a), "what is on its way in is a miss");
    assert_eq!(tier.listed(&a), None);
    begun.wait();
    tier.flush().unwrap();
    assert!(tier.may_have(&a));
    tier.close();
    assert!(!tier.may_have(&a));
}
