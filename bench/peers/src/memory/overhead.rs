//! What an entry takes beside its key's bytes and its value: the bytes asked of the allocator, counted.

use std::time::Duration;

use cache_core::{Cache, Item, Key, Namespace};

use crate::report::{Goal, Line, section};

const ENTRIES: u64 = 100_000;
/// As many again come and go, so that the caches are full and remember keys that left.
const INSERTED: u64 = 2 * ENTRIES;
const KEY_BYTES: usize = 24;

type Bytes = [u8; KEY_BYTES];

/// Prints what entries take. `allocated` tells how many bytes are allocated now.
pub fn run(allocated: &dyn Fn() -> usize) {
    section(
        &format!("Memory of an entry beside its {KEY_BYTES} bytes of key and 8 of value; {ENTRIES} entries, full"),
        &["bytes asked of the allocator, caches and all; what the allocator rounds up is not in it"],
    );
    let before = allocated();
    let cache = ours();
    let ours = overhead(allocated() - before, cache.stats().entries);
    Line::new(format!("Cache, {} entries", cache.stats().entries), bytes(ours)).print(ours, Goal::AtMost(200.0, " B"));
    Line::new("  by its own count", bytes(overhead(cache.stats().bytes as usize, cache.stats().entries))).inform();
    drop(cache);

    let before = allocated();
    let cache = raw();
    Line::new(
        format!("quick_cache, {} entries", cache.len()),
        bytes(overhead(allocated() - before, cache.len() as u64)),
    )
    .inform();
    drop(cache);

    let before = allocated();
    let cache = moka();
    let entries = cache.entry_count();
    Line::new(format!("moka, {entries} entries"), bytes(overhead(allocated() - before, entries))).inform();
}

fn overhead(allocated: usize, entries: u64) -> f64 {
    allocated as f64 / entries as f64 - KEY_BYTES as f64 - size_of::<u64>() as f64
}

fn bytes(bytes: f64) -> String {
    format!("{bytes:.1} B")
}

fn name(number: u64) -> Bytes {
    let mut name = [0; KEY_BYTES];
    name[..8].copy_from_slice(&number.to_le_bytes());
    name
}

fn ours() -> Cache<u64> {
    // Weighed by their number: the bytes are ample.
    let cache = Cache::builder("bench").max_entries(ENTRIES).max_bytes(ENTRIES * 4096).build();
    let cache = cache.expect("the settings make sense");
    let namespace = Namespace::new("bench");
    for number in 0..INSERTED {
        cache.insert(&Key::new(&namespace, name(number).as_slice()), Item::new(number, 0));
    }
    cache
}

fn raw() -> quick_cache::sync::Cache<Bytes, u64> {
    let cache = quick_cache::sync::Cache::new(ENTRIES as usize);
    for number in 0..INSERTED {
        cache.insert(name(number), number);
    }
    cache
}

fn moka() -> moka::sync::Cache<Bytes, u64> {
    let cache = moka::sync::Cache::builder().max_capacity(ENTRIES).time_to_live(Duration::from_secs(3600)).build();
    for number in 0..INSERTED {
        cache.insert(name(number), number);
    }
    cache.run_pending_tasks();
    cache
}
