//! The live curve beside what it stands for: all reads replayed through caches of its four sizes.
//!
//! Which keys the curve looks at is chance: it goes by their hashes, which no two processes have alike. So each traffic is
//! told to several curves that know the keys by other hashes. The furthest of all counts; the root of the mean square says
//! what to expect.

use cache_core::Item;
use monitor::ManualClock;
use monitor::mrc::{FACTORS, MissRatioCurve};

use super::bodies::{Bodies, Body, cache, curve_settings};
use super::{BUDGET, KEYS};
use crate::random::Random;
use crate::report::{Goal, line, ratio};

const READS: usize = 1_000_000;
const DRAWS: u64 = 16;

/// Prints how far apart they are, in points.
pub(super) fn run(bodies: &Bodies) -> anyhow::Result<()> {
    println!("curve beside a full replay: {READS} reads, {DRAWS} draws; points apart at {FACTORS:?} of the budget");
    let mut furthest: f64 = 0.0;
    for exponent in [0.7, 0.9, 1.1] {
        let reads = bodies.reads(exponent, READS, 8);
        let mut replayed = [0.0; FACTORS.len()];
        for (ratio, factor) in replayed.iter_mut().zip(FACTORS) {
            *ratio = replay(bodies, &reads, (BUDGET as f64 * factor) as u64)?;
        }
        let draws: Vec<[f64; FACTORS.len()]> =
            (0..DRAWS).map(|draw| points_apart(bodies, &reads, draw, &replayed)).collect();
        let by_size = |figure: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| {
            let figures = (0..FACTORS.len()).map(|size| figure(&mut draws.iter().map(|draw| draw[size])));
            figures.map(|points| format!("{points:.2}")).collect::<Vec<_>>().join(" ")
        };
        let expected = by_size(&|points| (points.map(|points| points * points).sum::<f64>() / DRAWS as f64).sqrt());
        let most = by_size(&|points| points.fold(0.0, |most, points| points.abs().max(most)));
        line(&format!("  Zipf {exponent}, to be expected"), expected, "-");
        line(&format!("  Zipf {exponent}, furthest"), most, "-");
        furthest = draws.iter().flatten().fold(furthest, |most, points| points.abs().max(most));
    }
    ratio("curve, furthest from a full replay, points", furthest, Goal::AtMost(2.0));
    Ok(())
}

/// How much higher than the replay the curve is, at each size.
fn points_apart(bodies: &Bodies, reads: &[usize], draw: u64, replayed: &[f64; FACTORS.len()]) -> [f64; FACTORS.len()] {
    let hashes: Vec<u64> = (0..KEYS as u64).map(|number| Random::new(draw << 32 | number).number()).collect();
    // A clock that stands still: every read counts once.
    let curve = MissRatioCurve::new(curve_settings(BUDGET), ManualClock::new());
    reads.iter().for_each(|&read| curve.touch(hashes[read], bodies.weights[read]));
    let points = curve.curve();
    std::array::from_fn(|size| (points[size].hit_ratio - replayed[size]) * 100.0)
}

/// The share of hits in a cache of so many bytes.
fn replay(bodies: &Bodies, reads: &[usize], max_bytes: u64) -> anyhow::Result<f64> {
    let (cache, body) = (cache(max_bytes)?, Body::default());
    let mut hits = 0;
    for &read in reads {
        if cache.get(&bodies.keys[read]).is_some() {
            hits += 1;
        } else {
            cache.insert(&bodies.keys[read], Item::new(body.clone(), bodies.lengths[read]));
        }
    }
    Ok(f64::from(hits) / reads.len() as f64)
}
