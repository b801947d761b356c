//! Which share of requests are hits: traces replayed through `Cache`, raw quick_cache and moka, all of one capacity.
//!
//! A request is a get, and an insert on a miss.

use std::path::Path;
use std::time::{Duration, Instant};

use cache_core::{Cache, Item, Key, Namespace};

use super::trace::{Trace, made, read};
use crate::report::{Goal, Line, median, section};

/// Each cache spreads its keys over shards with a seed of its own, so that two runs differ a little.
const RUNS: usize = 3;
/// More than an entry takes: so the number of entries is what bounds our cache.
const AMPLE_BYTES: u64 = 4096;

/// What one replay gave.
struct Outcome {
    hits_percent: f64,
    nanos: f64,
}

/// Prints the shares.
pub(super) fn run(folder: Option<&Path>) -> anyhow::Result<()> {
    section(
        &format!("Hit ratio on replayed traces, %; median of {RUNS} runs"),
        &[
            "the same number of entries for all, with bytes to spare; get, insert on a miss, one thread",
            "beside it the time of a request: ours makes a Key, reads two clocks and allocates on each miss",
        ],
    );
    let mut traces = match folder {
        Some(folder) => read(folder)?,
        None => {
            println!("  left out: recorded traces (--traces DIR, with .lis or .lis.zst files)");
            Vec::new()
        }
    };
    traces.extend(made());
    for trace in &traces {
        compare(trace);
    }
    Ok(())
}

fn compare(trace: &Trace) {
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(replay_ours(trace));
        raw.push(replay_raw(trace));
    }
    let moka = replay_moka(trace);
    let (ours, raw) = (middle(&ours), middle(&raw));
    let behind = raw.hits_percent - ours.hits_percent;
    let what = format!("{}, {} requests, {} entries", trace.name, trace.requests.len(), trace.capacity);
    Line::new(&what, show(&ours))
        .peer("quick_cache", show(&raw))
        .ratio(format!("{:+.2} points", -behind))
        .print(behind, Goal::AtMost(0.5, " points"));
    Line::new(what, show(&ours))
        .peer("moka", show(&moka))
        .ratio(format!("{:+.2} points", ours.hits_percent - moka.hits_percent))
        .inform();
}

fn middle(outcomes: &[Outcome]) -> Outcome {
    let of = |field: fn(&Outcome) -> f64| median(&outcomes.iter().map(field).collect::<Vec<_>>());
    Outcome { hits_percent: of(|outcome| outcome.hits_percent), nanos: of(|outcome| outcome.nanos) }
}

fn show(outcome: &Outcome) -> String {
    format!("{:.2} {:.0} ns", outcome.hits_percent, outcome.nanos)
}

/// Asks `request` for each block; it says whether that was a hit.
fn replay(trace: &Trace, mut request: impl FnMut(u64) -> bool) -> Outcome {
    let began = Instant::now();
    let hits = trace.requests.iter().filter(|block| request(**block)).count();
    let requests = trace.requests.len() as f64;
    Outcome { hits_percent: hits as f64 / requests * 100.0, nanos: began.elapsed().as_nanos() as f64 / requests }
}

fn replay_ours(trace: &Trace) -> Outcome {
    let cache = Cache::builder("bench")
        .max_entries(trace.capacity)
        .max_bytes(trace.capacity * AMPLE_BYTES)
        .build()
        .expect("the settings make sense");
    let namespace = Namespace::new("trace");
    replay(trace, |block| {
        let key = Key::new(&namespace, block.to_le_bytes().as_slice());
        match cache.get(&key) {
            Some(hit) => {
                assert_eq!(*hit.value(), block, "a hit is exact");
                true
            }
            None => {
                cache.insert(&key, Item::new(block, 0));
                false
            }
        }
    })
}

fn replay_raw(trace: &Trace) -> Outcome {
    let cache = quick_cache::sync::Cache::new(trace.capacity as usize);
    replay(trace, |block| {
        let hit = cache.get(&block).is_some();
        if !hit {
            cache.insert(block, block);
        }
        hit
    })
}

fn replay_moka(trace: &Trace) -> Outcome {
    let cache =
        moka::sync::Cache::builder().max_capacity(trace.capacity).time_to_live(Duration::from_secs(3600)).build();
    replay(trace, |block| {
        let hit = cache.get(&block).is_some();
        if !hit {
            cache.insert(block, block);
        }
        hit
    })
}
