//! The tier as its callers see it.
#![forbid(unsafe_code)]

mod support;

use cache_core::{ByteTier, Change};
use support::{Dir, key, meta, put, put_meta};

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
        let _ = meta();
    }
}
