//! Processes that are killed while they write.

use std::path::Path;

use cache_core::{ByteTier, Change, Codec, Meta, Payload, RecordKey, Write};
use cache_redb::RedbTier;

use crate::process;
use crate::support::{self, content};

const KEYS: u64 = 80;

/// Puts records and records changes until it is killed. Each change is told when it is acknowledged.
pub(crate) fn write(dir: &Path) {
    let tier = RedbTier::open(dir, support::options()).unwrap();
    let mut counter = tier.restored().first_counter();
    for n in 0.. {
        put(&tier, n, counter);
        if n % 5 == 4 {
            counter += 1;
            let number = n.wrapping_mul(0x9E37_79B9) >> 7;
            let change = change(number, counter);
            tier.record(&change).unwrap();
            process::say(&format!("{number} {counter}"));
        }
        if n % 64 == 63 {
            tier.flush().unwrap();
        }
    }
}

/// Kills such a process again and again, each time after another number of acknowledgements.
pub(crate) fn rounds(dir: &Path, rounds: u64) {
    let mut acknowledged: Vec<(Change, u64)> = Vec::new();
    let mut served = 0;
    for round in 0..rounds {
        let (mut child, lines) = process::start("write", dir);
        let mut lines = lines.map(|line| {
            let (number, stamp) = line.split_once(' ').unwrap();
            let stamp = stamp.parse().unwrap();
            (change(number.parse().unwrap(), stamp), stamp)
        });
        acknowledged.extend(lines.by_ref().take(1 + (round as usize * 37) % 90));
        child.kill().unwrap();
        // What it had said before it was killed was acknowledged too.
        acknowledged.extend(lines);
        child.wait().unwrap();
        served += check(dir, &acknowledged);
        // Everything of this round is older than the next one's counters.
        acknowledged.retain(|(_, stamp)| *stamp >= (round.saturating_sub(3)) << 40);
    }
    assert!(served > rounds as usize * 4, "records outlive their process: {served}");
}

/// What is stored is whole, and not older than what was acknowledged.
fn check(dir: &Path, acknowledged: &[(Change, u64)]) -> usize {
    let tier = RedbTier::open(dir, support::options()).unwrap();
    let mut served = 0;
    for n in 0..KEYS {
        let key = key(n);
        let Some((meta, payload)) = tier.get(&key) else { continue };
        assert!(payload.bytes == value(meta.layout), "{key:?} is wrong");
        assert_eq!(meta.layout % KEYS, n, "{key:?} is another's");
        for (change, stamp) in acknowledged.iter().filter(|(_, stamp)| *stamp > meta.counter) {
            assert!(!covers(change, &key, &meta), "{key:?} of {} came back after {change:?} at {stamp}", meta.counter);
        }
        served += 1;
    }
    served
}

fn put(tier: &RedbTier, n: u64, counter: u64) {
    let bytes = value(n);
    let meta = Meta {
        layout: n,
        counter,
        value_bytes: bytes.len() as u64,
        tags: vec![format!("t{}", n % 7).into()],
        ..support::meta()
    };
    let plain_bytes = bytes.len() as u64;
    let encode = Box::new(move || Some(Payload { codec: Codec::None, plain_bytes, bytes }));
    tier.put(Write { key: key(n), meta, began: counter, encode });
}

fn key(n: u64) -> RecordKey {
    RecordKey { namespace: format!("n{}", n % 3).into(), ..support::key(&format!("{:02}", n % KEYS)) }
}

fn value(n: u64) -> Vec<u8> {
    content(&n.to_string(), (n as usize * 911) % 9_000)
}

fn change(number: u64, stamp: u64) -> Change {
    let RecordKey { cache, namespace, bytes, .. } = key(number % KEYS);
    match number % 97 {
        0 => Change::Namespace { namespace, stamp },
        1 => Change::Tag { tag: format!("t{}", number % 7).into(), stamp },
        2 => Change::Prefix { cache, namespace, prefix: bytes[..1].into(), stamp },
        3 if number.is_multiple_of(5) => Change::All { stamp },
        4 => Change::Fingerprint { namespace, fingerprint: stamp.to_le_bytes().into(), stamp },
        _ => Change::Key { cache, namespace, bytes, stamp },
    }
}

fn covers(change: &Change, key: &RecordKey, meta: &Meta) -> bool {
    match change {
        Change::All { .. } => true,
        Change::Namespace { namespace, .. } | Change::Fingerprint { namespace, .. } => *namespace == key.namespace,
        Change::Tag { tag, .. } => meta.tags.contains(tag),
        Change::Key { namespace, bytes, .. } => *namespace == key.namespace && *bytes == key.bytes,
        Change::Prefix { namespace, prefix, .. } => *namespace == key.namespace && key.bytes.starts_with(prefix),
    }
}
