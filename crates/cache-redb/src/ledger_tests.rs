//! What the ledger covers, forgets and folds.

use super::*;

fn key(namespace: &str, bytes: &str) -> RecordKey {
    RecordKey { cache: "c".into(), namespace: namespace.into(), bytes: bytes.as_bytes().into(), version: 3 }
}

fn meta(counter: u64) -> Meta {
    Meta {
        layout: 0,
        loaded_at_ms: 0,
        expires_ms: 0,
        stale_while_revalidate_ms: 0,
        stale_if_error_ms: 0,
        counter,
        cost_us: 0,
        value_bytes: 0,
        tags: vec!["t".into()],
    }
}

fn covers(ledger: &Ledger, namespace: &str, bytes: &str, counter: u64) -> bool {
    let key = key(namespace, bytes);
    ledger.covers(&key, &name::of(&key), &meta(counter), counter)
}

fn delete(namespace: &str, bytes: &str, stamp: u64) -> Change {
    Change::Key { cache: "c".into(), namespace: namespace.into(), bytes: bytes.as_bytes().into(), stamp }
}

fn delete_prefix(namespace: &str, prefix: &str, stamp: u64) -> Change {
    Change::Prefix { cache: "c".into(), namespace: namespace.into(), prefix: prefix.as_bytes().into(), stamp }
}

#[track_caller]
fn check(change: Change, covered: &[(&str, &str)], spared: &[(&str, &str)]) {
    let ledger = Ledger::replay(1, &[change]);
    for (namespace, bytes) in covered {
        assert!(covers(&ledger, namespace, bytes, 9), "{namespace} {bytes}");
        assert!(!covers(&ledger, namespace, bytes, 10), "{namespace} {bytes} began later");
    }
    for (namespace, bytes) in spared {
        assert!(!covers(&ledger, namespace, bytes, 9), "{namespace} {bytes}");
    }
    assert_eq!(Ledger::replay(1, &ledger.snapshot()).snapshot(), ledger.snapshot());
}

#[test]
fn a_change_covers_what_began_before_it_and_nothing_else() {
    let stamp = 10;
    check(Change::All { stamp }, &[("a", "x"), ("b", "")], &[]);
    check(Change::Namespace { namespace: "a".into(), stamp }, &[("a", "x")], &[("b", "x"), ("aa", "x"), ("", "ax")]);
    check(Change::Tag { tag: "t".into(), stamp }, &[("a", "x")], &[]);
    check(Change::Tag { tag: "u".into(), stamp }, &[], &[("a", "x")]);
    check(delete("a", "x", stamp), &[("a", "x")], &[("a", "xx"), ("a", ""), ("b", "x")]);
    check(delete_prefix("a", "x", stamp), &[("a", "x"), ("a", "xx")], &[("a", "y"), ("a", ""), ("b", "x")]);
    check(delete_prefix("a", "", stamp), &[("a", "x"), ("a", "")], &[("b", "x")]);
    let fingerprint = (*b"f").into();
    check(Change::Fingerprint { namespace: "a".into(), fingerprint, stamp }, &[("a", "x")], &[("b", "x")]);
}

#[test]
fn stamps_only_grow() {
    let ledger = Ledger::replay(
        1,
        &[delete("a", "x", 10), delete("a", "x", 4), Change::All { stamp: 3 }, Change::All { stamp: 2 }],
    );
    assert!(covers(&ledger, "a", "x", 9));
    assert!(covers(&ledger, "b", "x", 2));
}

#[test]
fn a_first_fingerprint_covers_nothing_and_the_last_one_is_restored() {
    let fingerprint =
        |bytes: &[u8], stamp| Change::Fingerprint { namespace: "a".into(), fingerprint: bytes.into(), stamp };
    let ledger = Ledger::replay(1, &[fingerprint(b"1", 0)]);
    assert!(!covers(&ledger, "a", "x", 0));
    let restored = Ledger::replay(1, &[fingerprint(b"1", 0), fingerprint(b"2", 7)]).restored(4);
    assert_eq!(restored.fingerprints, [("a".into(), (*b"2").into())]);
    assert_eq!(restored.namespaces, [("a".into(), 7)]);
    assert_eq!(restored.epoch, 4);
}

#[test]
fn a_tombstone_is_forgotten_only_by_its_own_number() {
    let mut ledger = Ledger::default();
    let Covered::Names { begin, order } = ledger.apply(&delete("a", "x", 5)) else { panic!("no tombstone") };
    ledger.apply(&delete("a", "x", 6));
    ledger.forget(&begin, order);
    assert!(covers(&ledger, "a", "x", 5), "a newer delete came meanwhile");
    ledger.forget_until(order);
    assert!(covers(&ledger, "a", "x", 5));
    ledger.forget_until(ledger.last_order());
    assert!(!covers(&ledger, "a", "x", 5));
    assert_eq!(ledger.tombstones(), 0);
}

#[test]
fn what_began_before_a_delete_in_its_namespace_is_not_stored_any_more() {
    let mut ledger = Ledger::default();
    ledger.apply(&delete("a", "x", 5));
    ledger.forget_until(ledger.last_order());
    let admits = |namespace, bytes, began| {
        let key = key(namespace, bytes);
        // What it is made of is older, and valid.
        ledger.admits(&key, &name::of(&key), &meta(1), began)
    };
    assert!(!admits("a", "x", 4), "the delete is still held against loads that began before it");
    assert!(!admits("a", "y", 4));
    assert!(admits("a", "x", 5));
    assert!(admits("a", "y", 5));
    assert!(admits("b", "x", 4));
}

#[test]
fn what_is_made_after_a_delete_of_what_is_older_is_covered_by_stamps_alone() {
    let covers = |change: Change| {
        let ledger = Ledger::replay(1, &[change]);
        let key = key("a", "x");
        ledger.covers(&key, &name::of(&key), &meta(4), 10)
    };
    assert!(!covers(delete("a", "x", 10)));
    assert!(covers(delete("a", "x", 11)));
    assert!(!covers(delete_prefix("a", "x", 10)));
    assert!(covers(delete_prefix("a", "", 11)));
    assert!(covers(Change::Namespace { namespace: "a".into(), stamp: 5 }));
    assert!(covers(Change::Tag { tag: "t".into(), stamp: 5 }));
    assert!(covers(Change::All { stamp: 5 }));
}

#[test]
fn each_kind_is_bounded_and_still_covers_all_that_it_covered() {
    let count = MAX_ENTRIES as u64 + 10;
    let kinds: [fn(u64) -> Change; 4] = [
        |n| Change::Namespace { namespace: format!("n{n}").into(), stamp: n },
        |n| Change::Tag { tag: format!("n{n}").into(), stamp: n },
        |n| delete("n", &format!("n{n}"), n),
        |n| delete_prefix("n", &format!("n{n}/"), n),
    ];
    for (kind, change) in kinds.into_iter().enumerate() {
        let mut ledger = Ledger::default();
        let count = if kind == 3 { MAX_PREFIXES as u64 + 10 } else { count };
        let mut folded = false;
        for n in 1..=count {
            folded |= ledger.apply(&change(n)) == Covered::Anything;
        }
        assert!(folded, "kind {kind}: what was folded is looked for everywhere");
        assert!(ledger.snapshot().len() <= MAX_ENTRIES, "kind {kind}");
        for n in [1, 2, count / 2, count] {
            let tagged = Meta { tags: vec![format!("n{n}").into()], ..meta(n - 1) };
            let (namespace, bytes) =
                if kind == 0 { (format!("n{n}"), "x".to_owned()) } else { ("n".to_owned(), format!("n{n}")) };
            let bytes = if kind == 3 { bytes + "/x" } else { bytes };
            let key = key(&namespace, &bytes);
            assert!(ledger.covers(&key, &name::of(&key), &tagged, n - 1), "kind {kind}, {n}");
        }
        assert!(!covers(&ledger, "n", "x", count), "kind {kind}: what began after all of them is valid");
    }
}

#[test]
fn forgotten_fingerprints_take_everything_of_this_process_with_them() {
    let mut ledger = Ledger::replay(3, &[]);
    for n in 0..=MAX_ENTRIES {
        let namespace = format!("n{n}").into();
        ledger.apply(&Change::Fingerprint { namespace, fingerprint: (*b"f").into(), stamp: 0 });
    }
    assert!(ledger.restored(3).fingerprints.is_empty());
    assert!(covers(&ledger, "n1", "x", (3 << 40) + 1_000));
    assert!(!covers(&ledger, "n1", "x", 4 << 40), "the next process begins above");
}
