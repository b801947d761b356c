//! What a hit costs: `Cache` with its ttl, stamps and statistics, beside raw quick_cache and moka with a ttl.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Cache, Item, Key, Namespace};

use super::side::{PassOn, Side, measure, orders};
use crate::random::{Random, Zipf};
use crate::report::{Goal, Line, median_ratio, section};

const KEYS: usize = 10_000;
/// Room for twice the keys: every request is a hit, on every side.
const CAPACITY: u64 = 2 * KEYS as u64;
const KEY_BYTES: usize = 24;
const VALUE_BYTES: usize = 64;
const ROUNDS: usize = 15;
const TTL: Duration = Duration::from_secs(3600);
/// What the Python module that this product grew from took, on the machine that its figures come from.
const SEED_HIT_NANOS: f64 = 17_500.0;

type Bytes = [u8; KEY_BYTES];
type Value = Arc<[u8]>;

/// Prints what hits cost.
pub(super) fn run() {
    section(
        &format!("Hits: {KEYS} keys of {KEY_BYTES} bytes, all resident; ns a hit, median of {ROUNDS} rounds"),
        &[
            "prepared: the key is made before; all three take the same Key and pass its hash on. The key asked for is equal",
            "  to the one stored and not the same one, so it is compared in full",
            "bytes: the 24 bytes are hashed each time: ours through get_bytes, quick_cache and moka with [u8; 24] as their key",
            "  and their default hashers",
            "each side reads a byte of the value: ours through the Hit, the others through the Arc that they hand out",
        ],
    );
    let (mut prepared, mut bytes) = (prepared(), from_bytes());
    let mut usual = None;
    for threads in [1, 2] {
        for (law, orders) in [("zipf", zipf(threads)), ("uniform", uniform(threads))] {
            for (what, sides) in [("prepared", &mut prepared), ("bytes", &mut bytes)] {
                measure(sides, &orders, ROUNDS);
                usual.get_or_insert(sides[0].nanos());
                report(sides, &format!("{what}, {law}, {threads} thread{}", if threads == 1 { "" } else { "s" }));
            }
        }
    }
    let ours = usual.unwrap_or(f64::NAN);
    Line::new("a warm hit; the seed's figure is from its machine", nanos(ours))
        .peer("seed", nanos(SEED_HIT_NANOS))
        .ratio(format!("{:.0}x faster", SEED_HIT_NANOS / ours))
        .inform();
}

/// The first side is ours; quick_cache and moka follow.
fn report(sides: &[Side], what: &str) {
    let ours = &sides[0];
    for peer in &sides[1..] {
        let (slower, faster) = (median_ratio(&ours.rounds, &peer.rounds), median_ratio(&peer.rounds, &ours.rounds));
        let line = Line::new(what, nanos(ours.nanos())).peer(peer.name, nanos(peer.nanos()));
        match peer.name {
            "quick_cache" => line.ratio(format!("{slower:.2}x")).print(slower, Goal::AtMost(2.5, "x")),
            _ => line.ratio(format!("{faster:.2}x faster")).print(faster, Goal::AtLeast(3.0, "x")),
        }
    }
}

fn nanos(nanos: f64) -> String {
    format!("{nanos:.1} ns")
}

fn prepared() -> Vec<Side> {
    let namespace = Namespace::new("bench");
    // Two sets of equal keys: one is stored, the other asked for.
    let keys = |bytes: Vec<Bytes>| -> Vec<Key> {
        bytes.into_iter().map(|bytes| Key::new(&namespace, bytes.as_slice())).collect()
    };
    let (stored, asked) = (keys(names()), Arc::new(keys(names())));

    let cache = ours();
    let raw = quick_cache::sync::Cache::with(
        CAPACITY as usize,
        CAPACITY,
        quick_cache::UnitWeighter,
        PassOn::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    );
    let moka =
        moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build_with_hasher(PassOn::default());
    for (number, key) in stored.into_iter().enumerate() {
        cache.insert(&key, Item::new(value(number), VALUE_BYTES as u64));
        raw.insert(key.clone(), value(number));
        moka.insert(key, value(number));
    }
    moka.run_pending_tasks();
    let [a, b, c] = [(); 3].map(|()| Arc::clone(&asked));
    vec![
        Side::new("Cache", move |number| cache.get(&a[number]).expect("it is there").value()[0]),
        Side::new("quick_cache", move |number| raw.get(&b[number]).expect("it is there")[0]),
        Side::new("moka", move |number| moka.get(&c[number]).expect("it is there")[0]),
    ]
}

fn from_bytes() -> Vec<Side> {
    let namespace = Namespace::new("bench");
    let names = Arc::new(names());
    let cache = ours();
    let raw = quick_cache::sync::Cache::new(CAPACITY as usize);
    let moka = moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(TTL).build();
    for (number, name) in names.iter().enumerate() {
        cache.insert(&Key::new(&namespace, name.as_slice()), Item::new(value(number), VALUE_BYTES as u64));
        raw.insert(*name, value(number));
        moka.insert(*name, value(number));
    }
    moka.run_pending_tasks();
    let [a, b, c] = [(); 3].map(|()| Arc::clone(&names));
    vec![
        Side::new("Cache", move |number| cache.get_bytes(&namespace, &a[number]).expect("it is there").value()[0]),
        Side::new("quick_cache", move |number| raw.get(&b[number]).expect("it is there")[0]),
        Side::new("moka", move |number| moka.get(&c[number]).expect("it is there")[0]),
    ]
}

fn ours() -> Cache<Value> {
    Cache::builder("bench").max_entries(CAPACITY).ttl(TTL).build().expect("the settings make sense")
}

fn value(number: usize) -> Value {
    Arc::from(vec![number as u8; VALUE_BYTES])
}

fn names() -> Vec<Bytes> {
    let mut random = Random::new(24);
    (0..KEYS).map(|_| random.bytes(KEY_BYTES).try_into().expect("it has as many bytes")).collect()
}

/// Keys by Zipf's law, for each thread. A popular key's rank says nothing of where it lies in memory.
fn zipf(threads: usize) -> Vec<Vec<u32>> {
    let law = Zipf::new(KEYS, 0.99);
    orders(threads, |random| law.rank(random) * 7_919 % KEYS)
}

/// Keys of which each is as likely as any other, for each thread.
fn uniform(threads: usize) -> Vec<Vec<u32>> {
    orders(threads, |random| random.below(KEYS as u64) as usize)
}
