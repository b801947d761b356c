//! How fast values become durable and how fast they come back, beside the peers.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;

use super::place::Place;
use super::rivals::{Diskcache, Figures, Syncs, cached};
use super::store::Store;
use super::values::Values;
use crate::random::Random;
use crate::report::{Goal, Line, median, median_ratio, section};

const VALUE_BYTES: usize = 4_096;
const ROUNDS: usize = 3;
const OURS: usize = 12_000;
/// Fewer: each of these waits for the disk.
const CACHED_EACH: usize = 600;
const CACHED_ONCE: usize = 6_000;
const DISKCACHE: usize = 6_000;
const ASKED: usize = 2_000;
const RESTARTED: usize = 100_000;
const RESTARTED_BYTES: usize = 1_024;

/// A side and what its rounds gave.
#[derive(Default)]
struct Rounds {
    inserts: Vec<f64>,
    hits: Vec<f64>,
}

impl Rounds {
    fn push(&mut self, figures: &Figures) {
        self.inserts.push(figures.inserts_per_second);
        self.hits.push(figures.hit_micros);
    }
}

/// Prints inserts and hits. `python` is one that has diskcache.
pub(super) fn run(python: Option<&Path>) -> anyhow::Result<()> {
    section(
        &format!("Disk, incompressible values of {VALUE_BYTES} bytes; median of {ROUNDS} rounds"),
        &[
            "inserts: until durable. Ours in lots with a flush after each; `cached` syncs at each insert, its default;",
            "  diskcache with its default settings, its files synced once at the end",
            "hits: opened anew, each key asked for once, so that none is in memory; the system's page cache is warm",
        ],
    );
    let values = Values::new(VALUE_BYTES);
    let diskcache = python.map(Diskcache::new);
    let [mut our, mut each, mut once, mut other] = [(); 4].map(|()| Rounds::default());
    let mut slowest = Vec::new();
    for _ in 0..ROUNDS {
        let (figures, p99) = ours(&values)?;
        our.push(&figures);
        slowest.push(p99);
        each.push(&cached(&values, CACHED_EACH, &asked(CACHED_EACH), Syncs::Each)?);
        once.push(&cached(&values, CACHED_ONCE, &asked(CACHED_ONCE), Syncs::Once)?);
        if let Some(diskcache) = &diskcache {
            other.push(&diskcache.measure(DISKCACHE, VALUE_BYTES)?);
        }
    }
    compare_inserts("inserts a second", &our, "cached, redb", &each, Goal::AtLeast(5.0, "x"));
    compare_inserts("  beside syncing once, at the end", &our, "cached, redb", &once, Goal::None);
    match diskcache {
        Some(_) => compare_inserts("inserts a second", &our, "diskcache", &other, Goal::AtLeast(5.0, "x")),
        None => println!("  left out: python-diskcache (needs python3 with venv and pip)"),
    }
    let hit = median(&our.hits);
    Line::new("a hit on disk, median", micros(hit))
        .peer("cached, redb", micros(median(&once.hits)))
        .ratio(format!("{:.2}x", median_ratio(&our.hits, &once.hits)))
        .print(hit, Goal::AtMost(100.0, " us"));
    if diskcache.is_some() {
        Line::new("a hit on disk, median", micros(hit))
            .peer("diskcache", micros(median(&other.hits)))
            .ratio(format!("{:.2}x", median_ratio(&our.hits, &other.hits)))
            .inform();
    }
    Line::new("  99th percentile", micros(median(&slowest))).inform();
    Ok(())
}

fn compare_inserts(what: &str, ours: &Rounds, name: &str, peer: &Rounds, goal: Goal) {
    let ratio = median_ratio(&ours.inserts, &peer.inserts);
    Line::new(what, format!("{:.0}/s", median(&ours.inserts)))
        .peer(name, format!("{:.0}/s", median(&peer.inserts)))
        .ratio(format!("{ratio:.1}x"))
        .print(ratio, goal);
}

fn micros(micros: f64) -> String {
    format!("{micros:.1} us")
}

/// Numbers below `count` in no order, none twice.
fn asked(count: usize) -> Vec<usize> {
    let (mut random, mut numbers) = (Random::new(5), (0..count).collect::<Vec<_>>());
    for last in (1..count).rev() {
        numbers.swap(last, random.below(last as u64 + 1) as usize);
    }
    numbers.truncate(ASKED);
    numbers
}

/// Our figures, and the 99th percentile of the hits in microseconds.
fn ours(values: &Values) -> anyhow::Result<(Figures, f64)> {
    let place = Place::new()?;
    let store = Store::open(&place)?;
    let began = Instant::now();
    store.fill((0..OURS).map(|number| (number, values.get(number))))?;
    let inserts_per_second = OURS as f64 / began.elapsed().as_secs_f64();
    drop(store);

    let store = Store::open(&place)?;
    let mut micros = Vec::with_capacity(ASKED);
    for number in asked(OURS) {
        let began = Instant::now();
        let hit = store.find(number)?;
        micros.push(began.elapsed().as_nanos() as f64 / 1e3);
        ensure!(*hit.value() == values.get(number), "find value {number}: it is another one");
    }
    micros.sort_by(f64::total_cmp);
    let p99 = micros[micros.len() * 99 / 100];
    Ok((Figures { inserts_per_second, hit_micros: median(&micros) }, p99))
}

/// Prints how soon a filled cache serves after a restart.
pub(super) fn restart() -> anyhow::Result<()> {
    section(
        &format!("Warm restart with {RESTARTED} entries of {RESTARTED_BYTES} bytes; median of 5"),
        &["from opening the folder to the first hit"],
    );
    let (values, place) = (Values::new(RESTARTED_BYTES), Place::new()?);
    Store::open(&place)?.fill((0..RESTARTED).map(|number| (number, values.get(number))))?;
    let mut seconds = Vec::new();
    for round in 0..5 {
        let began = Instant::now();
        let store = Store::open(&place)?;
        store.find(round)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let seconds = median(&seconds);
    Line::new("ready after", format!("{seconds:.3} s")).print(seconds, Goal::AtMost(1.0, " s"));
    Ok(())
}
