//! The tier against a map, over random operations, restarts among them.

use std::collections::HashMap;
use std::sync::Arc;

use cache_core::{ByteTier, Change, Codec, Meta, Payload, RecordKey, Write};
use cache_redb::RedbTier;
use proptest::prelude::*;

use crate::support::{self, Dir};

#[derive(Clone, Debug)]
enum Operation {
    Put {
        key: u8,
        size: usize,
        tag: u8,
    },
    PutLate {
        key: u8,
    },
    /// What is made of it from now on is as old as now.
    LoadTable,
    PutOfTable {
        key: u8,
        size: usize,
        tag: u8,
    },
    Remove {
        key: u8,
    },
    DeleteKey {
        key: u8,
    },
    DeletePrefix {
        prefix: u8,
    },
    Namespace {
        namespace: u8,
    },
    Tag {
        tag: u8,
    },
    All,
    Abandon,
    Flush,
    Settle,
    Reopen,
    Compact,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    use Operation::*;
    let key = 0u8..12;
    let one = prop_oneof![
        12 => (key.clone(), 0usize..12_000, 0u8..3).prop_map(|(key, size, tag)| Put { key, size, tag }),
        1 => key.clone().prop_map(|key| PutLate { key }),
        1 => Just(LoadTable),
        4 => (key.clone(), 0usize..12_000, 0u8..3).prop_map(|(key, size, tag)| PutOfTable { key, size, tag }),
        2 => key.clone().prop_map(|key| Remove { key }),
        2 => key.prop_map(|key| DeleteKey { key }),
        1 => (0u8..2).prop_map(|prefix| DeletePrefix { prefix }),
        1 => (0u8..3).prop_map(|namespace| Namespace { namespace }),
        1 => (0u8..3).prop_map(|tag| Tag { tag }),
        1 => Just(All),
        1 => Just(Abandon),
        3 => Just(Flush),
        2 => Just(Settle),
        3 => Just(Reopen),
        1 => Just(Compact),
    ];
    prop::collection::vec(one, 1..50)
}

/// The key of a number: three namespaces, two first bytes, two versions.
fn key(number: u8) -> RecordKey {
    RecordKey {
        cache: "c".into(),
        namespace: format!("n{}", number % 3).into(),
        bytes: [number % 2, 0, number / 4].into(),
        version: u64::from(number / 2 % 2),
    }
}

/// What the tier should have.
struct Model {
    records: HashMap<RecordKey, (Meta, Vec<u8>)>,
    /// The changes that are about more than keys.
    stamps: Vec<(Covers, u64)>,
    counter: u64,
    /// When the table began.
    table: u64,
    puts: u64,
}

type Covers = Box<dyn Fn(&RecordKey, &Meta) -> bool>;

impl Model {
    /// A put of what was loaded now, and made of what began then.
    fn put(&mut self, tier: &RedbTier, number: u8, size: usize, tag: u8, counter: u64) {
        self.puts += 1;
        let bytes = support::content(&self.puts.to_string(), size);
        let tags: Vec<Arc<str>> = vec![format!("t{tag}").into()];
        let meta = Meta { layout: self.puts, counter, tags, value_bytes: size as u64, ..support::meta() };
        if self.stamps.iter().any(|(covers, stamp)| *stamp > counter && covers(&key(number), &meta)) {
            self.records.remove(&key(number));
        } else {
            self.records.insert(key(number), (meta.clone(), bytes.clone()));
        }
        let encode = Box::new(move || Some(Payload { codec: Codec::Gzip, plain_bytes: 9, bytes }));
        tier.put(Write { key: key(number), meta, began: self.counter, encode });
    }

    /// A put of what was loaded before the last invalidation.
    fn put_late(&mut self, tier: &RedbTier, number: u8) {
        let meta = Meta { counter: 0, ..support::meta() };
        let encode = Box::new(|| Some(Payload { codec: Codec::None, plain_bytes: 0, bytes: Vec::new() }));
        tier.put(Write { key: key(number), meta, began: 0, encode });
        self.records.remove(&key(number));
    }

    fn record(
        &mut self,
        tier: &RedbTier,
        change: impl FnOnce(u64) -> Change,
        covers: impl Fn(&RecordKey, &Meta) -> bool + 'static,
    ) {
        self.counter += 1;
        let change = change(self.counter);
        tier.record(&change).unwrap();
        self.records.retain(|key, (meta, _)| !covers(key, meta));
        if !matches!(change, Change::Key { .. } | Change::Prefix { .. }) {
            self.stamps.push((Box::new(covers), self.counter));
        }
    }

    /// Nothing is served that should not be; everything that should be, if it is durable by now.
    fn check(&self, tier: &RedbTier, all: bool) {
        for number in 0..12 {
            let key = key(number);
            let found = tier.get(&key).map(|(meta, payload)| (meta, payload.bytes));
            if all {
                assert_eq!(found.as_ref().map(|(meta, _)| meta), tier.meta(&key).as_ref());
            }
            match self.records.get(&key) {
                Some(expected) if all => {
                    assert!(found.as_ref() == Some(expected), "{key:?}: {found:?} {:?}", tier.stats())
                }
                expected => assert!(found.is_none() || found.as_ref() == expected, "{key:?}"),
            }
        }
        if all {
            let listed: Vec<RecordKey> = tier.list("c", None, 100).into_iter().map(|listed| listed.key).collect();
            let mut expected: Vec<RecordKey> = self.records.keys().cloned().collect();
            expected.sort();
            assert_eq!(listed, expected);
        }
    }
}

fn run(operations: Vec<Operation>) {
    let dir = Dir::new();
    let mut tier = dir.open();
    let first = tier.restored().first_counter();
    let (records, stamps) = (HashMap::new(), Vec::new());
    let mut model = Model { records, stamps, counter: first, table: first + 1, puts: 0 };
    // The first invalidation makes what is put late invalid.
    model.record(&tier, |stamp| Change::All { stamp }, |_, _| true);
    for operation in operations {
        let mut all = false;
        match operation {
            Operation::Put { key, size, tag } => model.put(&tier, key, size, tag, model.counter),
            Operation::LoadTable => model.table = model.counter,
            Operation::PutOfTable { key, size, tag } => model.put(&tier, key, size, tag, model.table),
            Operation::PutLate { key } => model.put_late(&tier, key),
            Operation::Remove { key: number } => {
                tier.remove(&key(number));
                model.records.remove(&key(number));
            }
            Operation::DeleteKey { key: number } => {
                let RecordKey { cache, namespace, bytes, .. } = key(number);
                let deleted = (namespace.clone(), bytes.clone());
                let change = |stamp| Change::Key { cache, namespace, bytes, stamp };
                model.record(&tier, change, move |key, _| (key.namespace.clone(), key.bytes.clone()) == deleted);
            }
            Operation::DeletePrefix { prefix } => {
                let change = |stamp| Change::Prefix {
                    cache: "c".into(),
                    namespace: "n1".into(),
                    prefix: [prefix].into(),
                    stamp,
                };
                model.record(&tier, change, move |key, _| &*key.namespace == "n1" && key.bytes[0] == prefix);
            }
            Operation::Namespace { namespace } => {
                let name: Arc<str> = format!("n{namespace}").into();
                let namespace = Arc::clone(&name);
                let change = |stamp| Change::Namespace { namespace, stamp };
                model.record(&tier, change, move |key, _| key.namespace == name);
            }
            Operation::Tag { tag } => {
                let tag: Arc<str> = format!("t{tag}").into();
                let covered = Arc::clone(&tag);
                model.record(&tier, |stamp| Change::Tag { tag, stamp }, move |_, meta| meta.tags.contains(&covered));
            }
            Operation::All => model.record(&tier, |stamp| Change::All { stamp }, |_, _| true),
            Operation::Abandon => {
                tier.abandon();
                model.records.clear();
                support::wait_for_service(&*tier);
            }
            Operation::Flush => {
                tier.flush().unwrap();
                all = true;
            }
            Operation::Settle => {
                tier.settle();
                all = true;
                assert_eq!(tier.stats().entries, model.records.len() as u64);
            }
            Operation::Reopen => {
                drop(tier);
                tier = dir.open();
                model.counter = tier.restored().first_counter();
                all = true;
            }
            Operation::Compact => {
                tier.compact().unwrap();
            }
        }
        model.check(&tier, all);
    }
    drop(tier);
    let report = cache_redb::verify(dir.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tier_has_what_the_model_has_or_a_miss(operations in operations()) {
        run(operations);
    }
}
