//! The time of a cached hit that is the monitor's: two looks at the clock, one histogram, one touch of the curve.
//!
//! It is measured by itself, and as what it adds to looking up a body and copying it: that takes the processor's caches for
//! other things, as a server does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use monitor::mrc::MissRatioCurve;
use monitor::{MonitorLimits, Operation, Outcome, PerformanceMonitor, SystemClock};
use rustix::time::{ClockId, clock_gettime};

use super::BUDGET;
use super::bodies::{Bodies, curve_settings};
use crate::random::Random;
use crate::report::{Goal, line, median, ratio};

/// Hits of a round.
const HITS: usize = 1_000_000;
const ROUNDS: usize = 15;
/// Nanoseconds of a hit.
const GOAL: Goal = Goal::AtMost(300.0);

/// What the server keeps of hits, as it keeps it.
struct Watch {
    rows: Operation,
    curve: MissRatioCurve,
}

impl Watch {
    fn new() -> Self {
        let monitor = PerformanceMonitor::with(MonitorLimits::default(), SystemClock);
        Self {
            rows: monitor.operation("GET /api/v1/datasets/{name}/rows"),
            curve: MissRatioCurve::new(curve_settings(BUDGET), SystemClock),
        }
    }

    #[inline]
    fn hit(&self, key_hash: u64, weight: u32, took: Duration) {
        self.rows.record(took, Outcome::Ok);
        self.curve.touch(key_hash, weight);
    }
}

/// A hit to come.
struct Hit {
    number: usize,
    key_hash: u64,
    weight: u32,
    /// What answering it takes, beside what is done here: durations must differ as they do in a server.
    nanos: u32,
}

/// Prints what a hit costs.
pub(super) fn run(bodies: &Bodies) {
    // As skewed as benchmarks of key-value stores have it (YCSB); less; and not at all.
    for exponent in [0.99, 0.7, 0.0] {
        let hits = hits(bodies, exponent);
        let traffic = if exponent > 0.0 { format!("Zipf {exponent}") } else { "all keys alike".to_owned() };
        let (mut alone, mut added) = (alone(&hits), added(bodies, &hits));
        ratio(&format!("a cached hit, {traffic}, ns of CPU"), median(&mut alone), GOAL);
        ratio("  the same beside look-ups of the bodies", median(&mut added), GOAL);
    }
    line("  two looks at the clock, of that", format!("{:.1} ns", 2.0 * clock()), "-");
}

fn hits(bodies: &Bodies, exponent: f64) -> Vec<Hit> {
    let mut random = Random::new(7);
    let hit = |number: usize| {
        // 10 to 160 us, most often at the lower end.
        let nanos = (10_000.0 * 16_f64.powf(random.unit().powi(3))) as u32;
        Hit { number, key_hash: bodies.keys[number].sample_hash(), weight: bodies.weights[number], nanos }
    };
    bodies.reads(exponent, HITS, 6).into_iter().map(hit).collect()
}

/// Nanoseconds of each round, by itself.
fn alone(hits: &[Hit]) -> Vec<f64> {
    let watch = Watch::new();
    let round = || {
        for hit in hits {
            let started = Instant::now();
            let took = started.elapsed() + Duration::from_nanos(hit.nanos.into());
            watch.hit(hit.key_hash, hit.weight, took);
        }
    };
    // The curve's caches fill first.
    round();
    (0..ROUNDS).map(|_| per_hit(round)).collect()
}

/// Nanoseconds that it adds to each round of look-ups.
fn added(bodies: &Bodies, hits: &[Hit]) -> Vec<f64> {
    let watch = Watch::new();
    let mut answer = Vec::with_capacity(8 << 10);
    let mut round = |is_watched: bool| {
        for hit in hits {
            // Either way: looks at the clock keep the processor from beginning the next look-up early, which it would
            // gain a lot by here, and not where a request lies between two hits.
            let started = Instant::now();
            let bytes = look_up(bodies, hit, &mut answer);
            let took = started.elapsed() + Duration::from_nanos(hit.nanos.into());
            if is_watched {
                watch.hit(hit.key_hash, bytes, took);
            } else {
                black_box((bytes, took));
            }
        }
    };
    round(true);
    (0..ROUNDS).map(|_| per_hit(|| round(true)) - per_hit(|| round(false)) + 2.0 * clock()).collect()
}

/// Nanoseconds of a look at the clock.
fn clock() -> f64 {
    per_hit(|| (0..HITS).for_each(|_| _ = black_box(Instant::now())))
}

/// What a hit does at least: finds the body and copies it. Gives its weight.
fn look_up(bodies: &Bodies, hit: &Hit, answer: &mut Vec<u8>) -> u32 {
    let Some(found) = bodies.cache.get(&bodies.keys[hit.number]) else { return 0 };
    answer.clear();
    answer.extend_from_slice(found.value());
    black_box(&answer);
    found.bytes() as u32
}

/// Nanoseconds of this thread for each hit of a round: what else runs on the machine does not count.
fn per_hit(round: impl FnOnce()) -> f64 {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    round();
    let spent = clock_gettime(ClockId::ThreadCPUTime) - start;
    (spent.tv_sec as f64 * 1e9 + spent.tv_nsec as f64) / HITS as f64
}
