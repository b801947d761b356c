//! The live curve against what it stands for: a full replay through a full cache.

use monitor::ManualClock;
use monitor::mrc::{CurveSettings, FACTORS, MissRatioCurve};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter, sync};

/// How far the curve may be from the replay.
const TOLERANCE: f64 = 0.02;
const LEAST_WEIGHT: u32 = 256;
/// Which of the keys are sampled. Another number is another draw: of sixteen of them, the curves deviate by 0.1 to 0.7 points,
/// and with varied weights by up to 1.3.
const SAMPLE: u64 = 0x1234_5678;
/// Only where the build is fast enough for it: `cargo test --release -p monitor`.
const THOROUGH: bool = !cfg!(debug_assertions);
const READS: u64 = if THOROUGH { 2_000_000 } else { 300_000 };

/// A source of numbers that look random (SplitMix64).
struct Numbers(u64);

fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Keys of which the kth most popular is read in proportion to 1 / k^s.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: u64, s: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|k| {
            sum += (k as f64).powf(-s);
            sum
        });
        Self(sums.collect())
    }

    fn key(&self, numbers: &mut Numbers) -> u64 {
        let wanted = numbers.share() * self.0.last().unwrap();
        self.0.partition_point(|sum| *sum < wanted) as u64
    }
}

#[derive(Clone)]
struct AsGiven;

impl Weighter<u64, u32> for AsGiven {
    fn weight(&self, _: &u64, weight: &u32) -> u64 {
        u64::from(*weight)
    }
}

/// The share of hits in a cache of this size, with the options of the real one.
fn replayed(requests: &[(u64, u32)], bytes: u64) -> f64 {
    let options = OptionsBuilder::new()
        .shards(4)
        .hot_allocation(0.97)
        .estimated_items_capacity((bytes / u64::from(LEAST_WEIGHT)) as usize)
        .weight_capacity(bytes)
        .build()
        .unwrap();
    let lifecycle = sync::DefaultLifecycle::default();
    let cache = sync::Cache::with_options(options, AsGiven, DefaultHashBuilder::default(), lifecycle);
    let mut hits = 0;
    for &(key, weight) in requests {
        if cache.get(&key) == Some(weight) {
            hits += 1;
        } else {
            cache.insert(key, weight);
        }
    }
    f64::from(hits) / requests.len() as f64
}

#[track_caller]
fn check(what: &str, requests: &[(u64, u32)], bytes: u64) {
    let settings = CurveSettings { least_weight: LEAST_WEIGHT, ..CurveSettings::new(bytes) };
    let curve = MissRatioCurve::new(settings, ManualClock::new());
    requests.iter().for_each(|&(key, weight)| curve.touch(mixed(mixed(key) ^ SAMPLE), weight));
    let mut wrong = false;
    for (point, factor) in curve.curve().into_iter().zip(FACTORS) {
        let capacity = (bytes as f64 * factor) as u64;
        assert_eq!((point.factor, point.capacity_bytes, point.reads), (factor, capacity, requests.len() as u64));
        let replayed = replayed(requests, capacity);
        let off = (point.hit_ratio - replayed) * 100.0;
        println!(
            "{what}, {factor} x {bytes}: {:.2} % against {:.2} %: {off:+.2} points, rate 1/{}, fill {:.2}",
            point.hit_ratio * 100.0,
            replayed * 100.0,
            1.0 / point.rate,
            point.fill,
        );
        wrong |= off.abs() > TOLERANCE * 100.0;
    }
    println!("{what}: {} KiB", curve.memory_bytes() >> 10);
    assert!(!wrong, "{what}");
}

/// Reads of so many keys. Each key weighs what `weight` says of its number.
fn zipf(keys: u64, s: f64, seed: u64, weight: impl Fn(u64) -> u32) -> Vec<(u64, u32)> {
    let (zipf, mut numbers) = (Zipf::new(keys, s), Numbers(seed));
    (0..READS)
        .map(|_| {
            let key = zipf.key(&mut numbers);
            (key, weight(key))
        })
        .collect()
}

#[test]
fn the_curve_agrees_with_a_replay_of_zipf_traffic() {
    for (s, seed) in [(0.7, 1), (0.8, 2), (0.9, 3), (1.0, 4), (1.1, 5)] {
        let requests = zipf(120_000, s, seed, |_| 1 << 10);
        check(&format!("zipf {s}"), &requests, 10_000 << 10);
        if THOROUGH {
            check(&format!("zipf {s}"), &requests, 2_000 << 10);
            check(&format!("zipf {s}, a million keys"), &zipf(1_000_000, s, seed, |_| 1 << 10), 40_000 << 10);
        }
    }
}

#[test]
fn the_curve_agrees_with_a_replay_of_traffic_mixed_with_scans() {
    let mut requests = zipf(120_000, 0.9, 6, |_| 1 << 10);
    // Every 50,000 reads somebody reads 10,000 other keys once, in order.
    for (at, number) in (0..requests.len()).step_by(50_000).zip(0..) {
        let scanned = (0..10_000).map(|key| (1_000_000 + number * 10_000 + key, 1 << 10));
        requests.splice(at..at, scanned);
    }
    check("zipf with scans", &requests, 4_000 << 10);
    if THOROUGH {
        check("zipf with scans", &requests, 16_000 << 10);
    }
}

#[test]
fn the_curve_agrees_with_a_replay_of_varied_weights() {
    // From 300 bytes to 19 KiB: each further doubling is half as frequent.
    let doubling = |key: u64| 300 << (mixed(key).trailing_zeros()).min(6);
    check("doubling zipf 0.75", &zipf(120_000, 0.75, 8, doubling), 8_000 << 10);
    // Any weight between 300 bytes and 20 KiB.
    let even = |key: u64| 300 + (mixed(key) % 20_000) as u32;
    check("even zipf 0.9", &zipf(120_000, 0.9, 10, even), 60_000 << 10);
    if THOROUGH {
        check("doubling zipf 0.75", &zipf(120_000, 0.75, 8, doubling), 40_000 << 10);
        check("doubling zipf 1.0", &zipf(120_000, 1.0, 9, doubling), 40_000 << 10);
    }
}

/// The block traces of the ARC paper (Nimrod Megiddo and Dharmendra S. Modha, "ARC: A Self-Tuning, Low Overhead Replacement
/// Cache", FAST '03), if there is a folder with some: each line is a first block, a number of blocks and two fields more.
#[test]
fn the_curve_agrees_with_a_replay_of_recorded_traces() {
    let Some(folder) = std::env::var_os("LARDER_TRACES") else { return };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "lis") {
            let requests = blocks(&std::fs::read_to_string(&path).unwrap());
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            for entries in [1_000, 4_000, 16_000, 64_000] {
                check(&format!("{name}, {} reads", requests.len()), &requests, entries << 10);
            }
        }
    }
}

fn blocks(trace: &str) -> Vec<(u64, u32)> {
    let runs = trace.lines().map(|line| {
        let mut fields = line.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap());
        (fields.next().unwrap(), fields.next().unwrap())
    });
    runs.flat_map(|(first, count)| (first..first + count).map(|block| (block, 1 << 10))).collect()
}
