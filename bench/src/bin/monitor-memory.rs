//! Counts the most bytes that the monitor holds while a hundred thousand distinct keys are read a minute: a process of its
//! own, because its allocator counts. It prints them for all of it, the operations alone and the curve alone.
#![forbid(unsafe_code)]

use std::time::Duration;

use allocation_counter::measure;
use cache_core::{Key, Namespace};
use monitor::mrc::{CurveSettings, MissRatioCurve};
use monitor::{ManualClock, MonitorLimits, Operation, Outcome, PerformanceMonitor, Report};

/// Long enough for all that is kept of the last hour.
const MINUTES: usize = 70;
const KEYS_A_MINUTE: usize = 100_000;
const OPERATIONS: usize = 200;
/// Calls of each operation in ten seconds, beside the hits.
const CALLS: usize = 100;
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn main() {
    // The keys themselves are the cache's, and not counted.
    let hashes = hashes();
    let [together, operations, curve] =
        [(true, true), (true, false), (false, true)].map(|(operations, curve)| most_bytes(&hashes, operations, curve));
    println!("{together} {operations} {curve}");
}

/// Those of all keys, in the order in which they are read first.
fn hashes() -> Vec<u64> {
    let namespace = Namespace::new("bench");
    let hash = |number: usize| Key::new(&namespace, format!("json|id=gte.{number}")).sample_hash();
    (0..KEYS_A_MINUTE * (MINUTES + 1) / 2).map(hash).collect()
}

fn most_bytes(hashes: &[u64], has_operations: bool, has_curve: bool) -> u64 {
    // As the server by default.
    let settings = CurveSettings { max_entries: 1_000_000, ..CurveSettings::new(128 << 20) };
    let measured = measure(|| {
        let clock = ManualClock::new();
        let monitor = has_operations.then(|| Operations::new(&clock));
        let curve = has_curve.then(|| MissRatioCurve::new(settings, clock.clone()));
        // Half of a minute's keys are read in the next one too.
        for keys in hashes.windows(KEYS_A_MINUTE).step_by(KEYS_A_MINUTE / 2) {
            for keys in keys.chunks(KEYS_A_MINUTE.div_ceil(6)) {
                for key_hash in keys {
                    if let Some(monitor) = &monitor {
                        monitor.hit(*key_hash);
                    }
                    if let Some(curve) = &curve {
                        curve.touch(*key_hash, 300 + (key_hash >> 32) as u32 % 3_700);
                    }
                }
                if let Some(monitor) = &monitor {
                    monitor.others(keys);
                }
                clock.advance(TEN_SECONDS);
            }
            // Somebody looks at it, too.
            drop((monitor.as_ref().map(Operations::report), curve.as_ref().map(MissRatioCurve::curve)));
        }
    });
    measured.bytes_max
}

/// Timings of a server with so many routes and datasets.
struct Operations {
    monitor: PerformanceMonitor,
    named: Vec<Operation>,
}

impl Operations {
    fn new(clock: &ManualClock) -> Self {
        let limits = MonitorLimits { max_operations: 2_048, ..MonitorLimits::default() };
        let monitor = PerformanceMonitor::with(limits, clock.clone());
        let named = (0..OPERATIONS).map(|number| monitor.operation(&format!("evaluate dataset{number}"))).collect();
        Self { monitor, named }
    }

    fn report(&self) -> Report {
        self.monitor.report()
    }

    /// Times a hit.
    fn hit(&self, random: u64) {
        self.named[0].record(time(random, 0), Outcome::Ok);
    }

    /// Times ten seconds of all other calls.
    fn others(&self, random: &[u64]) {
        for (number, operation) in self.named.iter().enumerate().skip(1) {
            for random in random.iter().skip(number * 7).take(CALLS) {
                operation.record(time(*random, number), Outcome::Ok);
            }
        }
    }
}

/// What a call takes: from 10 us to some seconds, by the operation; of one operation over four octaves, as servers have it.
fn time(random: u64, operation: usize) -> Duration {
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    Duration::from_micros(10 << (operation % 14)).mul_f64(16_f64.powf(share.powi(3)))
}
