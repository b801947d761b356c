//! Listings, page by page over both tiers, against a plain list.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{EntryFilter, EntryInfo, Freshness, Item, Key, Namespace, Scope, Stored, Tiers};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{BYTES, TTL, key, key_in};
use crate::lives::Life;

/// Keys that are hard to put in order: empty ones, versions, names that begin like others.
fn keys() -> Vec<Key> {
    let spaces = ["", "a", "ab", "b"];
    let names = ["", "a", "aa", "\u{ff}"];
    let all = spaces.iter().flat_map(|space| names.iter().map(move |name| key_in(space, name)));
    all.flat_map(|key| [0, 1, u64::MAX].map(|version| key.at_version(version))).collect()
}

fn all_pages(life: &Life, namespace: Option<Namespace>, after: Option<Key>, limit: usize) -> Vec<EntryInfo> {
    let mut filter = EntryFilter { namespace, after, limit };
    let mut all = Vec::new();
    loop {
        let page = life.cache.entries(&filter);
        assert!(page.len() <= limit);
        let Some(last) = page.last() else { return all };
        filter.after = Some(last.key.clone());
        all.extend(page);
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Nowhere,
    Memory,
    Disk,
    Both,
    Invalid,
}

fn place() -> impl Strategy<Value = Place> {
    use Place::{Both, Disk, Invalid, Memory, Nowhere};
    prop_oneof![2 => Just(Nowhere), 2 => Just(Memory), 2 => Just(Disk), 2 => Just(Both), 1 => Just(Invalid)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_over_both_tiers_are_the_plain_list(
        places in vec(place(), 48),
        limit in 1..9_usize,
        space in 0..6_usize,
        after in 0..60_usize,
    ) {
        let (life, keys) = (Life::new(), keys());
        let put = |at: usize, item: Item<u64>| assert_eq!(life.cache.insert(&keys[at], item), Stored::Yes);
        let each = |wanted: fn(Place) -> bool| (0..48).filter(|at| wanted(places[*at])).collect::<Vec<_>>();
        let (invalid, on_disk) = (each(|it| matches!(it, Place::Invalid)), each(|it| matches!(it, Place::Disk)));
        let (both, in_memory) = (each(|it| matches!(it, Place::Both)), each(|it| matches!(it, Place::Memory)));
        invalid.iter().for_each(|at| put(*at, Item::new(0, BYTES)));
        life.invalidate(Scope::All);
        on_disk.iter().for_each(|at| put(*at, Item::new(0, BYTES)));
        ["", "a", "ab", "b"].into_iter().for_each(|name| life.cache.release(&Namespace::new(name)));
        both.iter().for_each(|at| put(*at, Item::new(0, BYTES)));
        in_memory.iter().for_each(|at| put(*at, Item::new(0, BYTES).in_memory_only()));

        // Four of them are there, two are not.
        let namespace = ["", "a", "ab", "b", "aa", "c"].get(space).map(|name| Namespace::new(*name));
        let namespace = namespace.filter(|_| after % 3 > 0);
        let after = keys.get(after).cloned();
        let expected: BTreeSet<(Key, u8)> = [(&on_disk, 1), (&both, 2), (&in_memory, 0)]
            .into_iter()
            .flat_map(|(those, tier)| those.iter().map(move |at| (*at, tier)))
            .map(|(at, tier)| (keys[at].clone(), tier))
            .filter(|(key, _)| namespace.as_ref().is_none_or(|namespace| key.namespace() == namespace))
            .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
            .collect();
        let listed: Vec<(Key, u8)> = all_pages(&life, namespace, after, limit)
            .into_iter()
            .map(|info| (info.key, match info.tier { Tiers::Memory => 0, Tiers::Disk => 1, Tiers::Both => 2 }))
            .collect();
        prop_assert_eq!(listed, expected.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_page_of_nothing_is_empty() {
    let life = Life::new();
    life.insert(&key("a"), 1);
    assert!(life.cache.entries(&EntryFilter::default()).is_empty());
}

#[test]
fn an_entry_is_described_alike_wherever_it_is() {
    let life = Life::with(|builder| builder.stale_while_revalidate(TTL));
    let item = Item::new(7, 8).with_tags([Arc::from("red"), Arc::from("blue")]).with_cost(Duration::from_millis(3));
    let weighed = 8 + 1;
    life.cache.insert(&key("a"), item);
    life.clock.advance(TTL + Duration::from_secs(1));
    let both = life.cache.entry(&key("a")).unwrap();
    life.forget(&key("a"));
    let disk = life.cache.entry(&key("a")).unwrap();
    assert_eq!((both.tier, disk.tier), (Tiers::Both, Tiers::Disk));
    for info in [&both, &disk] {
        assert_eq!(
            (info.freshness, info.freshness_ms, info.age),
            (Freshness::Stale, -1_000, TTL + Duration::from_secs(1))
        );
        assert_eq!((info.tags.len(), info.cost), (2, Duration::from_millis(3)));
        assert_eq!(info.stored_bytes, Some(1), "a small number is one byte of MessagePack");
    }
    assert_eq!(both.bytes, disk.bytes, "windows and tags are counted before the entry is in memory, too");
    assert_eq!(life.find(&key("a")), None, "it is stale");
    let restored = life.cache.peek(&key("a")).unwrap();
    assert_eq!(restored.bytes(), disk.bytes - 8 + weighed, "what its way of encoding says");
}

#[test]
fn usage_says_what_each_namespace_takes() {
    let life = Life::new();
    for number in 0..5 {
        life.insert(&key_in("one", &number.to_string()), number);
    }
    life.insert(&key_in("two", "a"), 1);
    (0..3).for_each(|_| drop(life.cache.get(&key_in("two", "a"))));
    let mut usage = life.cache.usage();
    usage.sort_by(|left, right| left.namespace.as_str().cmp(right.namespace.as_str()));
    let counts: Vec<_> = usage.iter().map(|used| (used.namespace.as_str(), used.entries, used.hits)).collect();
    assert_eq!(counts, [("one", 5, 0), ("two", 1, 3)]);
    assert_eq!(usage.iter().map(|used| used.bytes).sum::<u64>(), life.cache.stats().bytes);
    life.clock.advance(Duration::from_secs(7));
    assert_eq!(life.cache.oldest(), Some(Duration::from_secs(7)));
    life.cache.release(&Namespace::new("one"));
    life.insert(&key_in("two", "a"), 2);
    assert_eq!(life.cache.oldest(), Some(Duration::ZERO));
}
