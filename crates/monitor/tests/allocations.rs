//! What the monitor takes: memory that stays within its bound, and none on the way of a call.
//!
//! A binary of its own, because it counts with an allocator of its own. It counts what its thread does; everything here
//! runs on one.

use std::time::Duration;

use allocation_counter::measure;
use monitor::mrc::{CurveSettings, MissRatioCurve};
use monitor::{ManualClock, MonitorLimits, Operation, OperationName, Outcome, PerformanceMonitor};

const KIB: u64 = 1 << 10;

/// A source of numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A duration as servers have them: most of them near the middle, a few ten times as long. The logarithm is about
    /// normally distributed, with a deviation of 0.5.
    fn duration(&mut self, middle: Duration) -> Duration {
        let normal: f64 = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        middle.mul_f64((normal * 0.5).exp())
    }
}

/// Two hours of so many operations, each called so often in every ten seconds; returns the most bytes held.
fn most_bytes(operations: u32, calls: u32) -> u64 {
    let measured = measure(|| {
        let clock = ManualClock::new();
        let monitor = PerformanceMonitor::with(MonitorLimits::default(), clock.clone());
        let named: Vec<Operation> = (0..operations).map(|n| monitor.operation(&format!("operation {n}"))).collect();
        let mut numbers = Numbers(7);
        for _ in 0..720 {
            for (n, operation) in named.iter().enumerate() {
                let middle = Duration::from_micros(20 << (n % 12));
                for _ in 0..calls {
                    operation.record(numbers.duration(middle), Outcome::Ok);
                }
            }
            clock.advance(Duration::from_secs(10));
        }
        assert_eq!(monitor.report().calls, u64::from(operations * calls) * 720);
    });
    measured.bytes_max
}

#[test]
fn a_hundred_busy_operations_stay_well_below_two_megabytes() {
    let calls = if cfg!(debug_assertions) { 100 } else { 1_000 };
    let bytes = most_bytes(100, calls);
    println!("100 operations with {calls} calls each in ten seconds: {} KiB", bytes / KIB);
    assert!(bytes < 1_400 * KIB, "{bytes}");
}

#[test]
fn open_timers_stay_below_a_megabyte() {
    let limit = MonitorLimits::default().max_open_timers;
    let measured = measure(|| {
        let monitor = PerformanceMonitor::new();
        let name = OperationName::new("render").unwrap();
        (0..limit).for_each(|_| assert!(monitor.begin(&name).is_ok()));
        assert!(monitor.begin(&name).is_err());
    });
    assert!(measured.bytes_max < KIB * KIB, "{}", measured.bytes_max);
}

/// The most bytes of a curve while so many keys are read, each twice, of which so many fit the budget.
#[track_caller]
fn check_curve(keys: u64, fit: u64) {
    let measured = measure(|| {
        let curve = MissRatioCurve::new(CurveSettings::new(fit << 10), ManualClock::new());
        let mut numbers = Numbers(9);
        for _ in 0..2 * keys {
            let key = Numbers(numbers.next() % keys).next();
            curve.touch(key, 1 << 10);
        }
        curve.set_capacity(fit << 11);
        assert!(curve.memory_bytes() < 1_200 * KIB as usize, "{}", curve.memory_bytes());
    });
    println!("{keys} keys of which {fit} fit: {} KiB at most", measured.bytes_max / KIB);
    assert!(measured.bytes_max < 1_700 * KIB, "{keys} keys of which {fit} fit: {}", measured.bytes_max);
}

#[test]
fn a_curve_stays_below_two_megabytes_whatever_the_number_of_keys() {
    check_curve(100_000, 10_000);
    check_curve(100_000, 1_000_000);
    if !cfg!(debug_assertions) {
        check_curve(1_000_000, 100_000);
        check_curve(10_000_000, 100_000_000);
    }
}

#[test]
fn a_read_allocates_nothing_where_the_keys_are_known() {
    let curve = MissRatioCurve::new(CurveSettings::new(1 << 20), ManualClock::new());
    let read = || (0..1_000).for_each(|key| curve.touch(Numbers(key).next(), 100));
    read();
    let measured = measure(|| (0..10).for_each(|_| read()));
    assert_eq!((measured.count_total, measured.bytes_total), (0, 0));
}

#[test]
fn recording_allocates_nothing() {
    let monitor = PerformanceMonitor::with(MonitorLimits::default(), ManualClock::new());
    let operation = monitor.operation("hit");
    let call = || {
        operation.record(Duration::from_micros(40), Outcome::Ok);
        operation.start_timer().end();
        monitor.start_timer("hit").end();
    };
    // Sets aside the octaves that these durations need.
    call();
    let measured = measure(|| (0..100).for_each(|_| call()));
    assert_eq!((measured.count_total, measured.bytes_total), (0, 0));
}
