//! A larger cache where that brings hits, a smaller one where it costs none.

use super::evidence::CacheEvidence;
use super::limits::Limits;
use super::recommendation::{Change, Recommendation, Statement};
use crate::amount::{bytes, percent};
use crate::mrc::Point;

/// Reads below which a curve says little.
const MIN_READS: u64 = 1_000;
/// From which share of its budget a cache counts as full.
const FULL: f64 = 0.9;
/// What a larger cache has to gain: three points.
const GAIN: f64 = 0.03;
/// What a smaller one may lose: half a point.
const LOSS: f64 = 0.005;

pub(super) fn recommend(cache: &CacheEvidence, limits: &Limits) -> Option<Recommendation> {
    let now = point(cache, 1.0)?;
    let is_full = cache.max_bytes > 0 && cache.bytes as f64 >= cache.max_bytes as f64 * FULL;
    if !is_full || now.reads < MIN_READS {
        return None;
    }
    let larger = [2.0, 4.0].into_iter().filter_map(|factor| point(cache, factor)).find(|larger| {
        let more = larger.capacity_bytes.saturating_sub(cache.max_bytes);
        larger.hit_ratio - now.hit_ratio >= GAIN && more <= limits.memory_available
    });
    let smaller = point(cache, 0.5).filter(|smaller| {
        // When the full size is full, half of it has had to let go as much as it holds.
        let have_shown = smaller.fill >= FULL && now.fill >= FULL;
        have_shown && now.hit_ratio - smaller.hit_ratio <= LOSS
    });
    larger.or(smaller).map(|size| of_size(cache, now, size))
}

fn point(cache: &CacheEvidence, factor: f64) -> Option<&Point> {
    cache.curve.iter().find(|point| point.factor == factor)
}

fn of_size(cache: &CacheEvidence, now: &Point, size: &Point) -> Recommendation {
    let (name, to) = (&cache.name, bytes(size.capacity_bytes));
    let grows = size.capacity_bytes > cache.max_bytes;
    let points = (size.hit_ratio - now.hit_ratio) * 100.0;
    let (title, brings) = if grows {
        (format!("Give the cache {name} more memory"), format!("{points:.1} points more"))
    } else {
        let freed = bytes(cache.max_bytes - size.capacity_bytes);
        (format!("Give the cache {name} less memory"), format!("{:.1} points less, and {freed} are free", points.abs()))
    };
    Recommendation {
        id: format!("cache_size:{name}"),
        title,
        observed: Statement::new(
            format!(
                "the cache {name} is full ({} of {}) and would have {} hits in {} reads by its size",
                bytes(cache.bytes),
                bytes(cache.max_bytes),
                percent(now.hit_ratio),
                now.reads
            ),
            [
                ("bytes", cache.bytes as f64),
                ("max_bytes", cache.max_bytes as f64),
                ("hit_ratio", now.hit_ratio),
                ("reads", now.reads as f64),
            ],
        ),
        advice: format!("set the budget of the cache {name} to {to}"),
        expected: Statement::new(
            format!("{} of the reads are hits: {brings}", percent(size.hit_ratio)),
            [
                ("max_bytes", size.capacity_bytes as f64),
                ("hit_ratio", size.hit_ratio),
                ("hit_ratio_change", size.hit_ratio - now.hit_ratio),
            ],
        ),
        change: Change::CacheBytes { cache: name.clone(), bytes: size.capacity_bytes },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mrc::FACTORS;

    /// A full cache of a MiB with these hit ratios.
    fn cache(hit_ratios: [f64; 4]) -> CacheEvidence {
        let point = |(factor, hit_ratio)| Point {
            factor,
            capacity_bytes: ((1 << 20) as f64 * factor) as u64,
            hit_ratio,
            reads: 1_000,
            fill: 1.0,
            rate: 0.5,
        };
        let curve = FACTORS.into_iter().zip(hit_ratios).map(point).collect();
        CacheEvidence { name: "bodies".to_owned(), max_bytes: 1 << 20, bytes: 1 << 20, curve }
    }

    #[track_caller]
    fn check(cache: &CacheEvidence, available: u64, kib: Option<u64>) {
        let found = recommend(cache, &Limits { memory_available: available, ..Limits::default() });
        let change = kib.map(|kib| Change::CacheBytes { cache: "bodies".to_owned(), bytes: kib << 10 });
        assert_eq!(found.as_ref().map(|found| found.change.clone()), change, "{found:?}");
        assert!(found.is_none_or(|found| found.id == "cache_size:bodies"));
    }

    #[test]
    fn the_smallest_size_that_gains_enough_is_recommended() {
        check(&cache([0.4, 0.5, 0.53, 0.6]), u64::MAX, Some(2_048));
        check(&cache([0.4, 0.5, 0.529, 0.6]), u64::MAX, Some(4_096));
        check(&cache([0.4, 0.5, 0.529, 0.529]), u64::MAX, None);
    }

    #[test]
    fn a_larger_size_has_to_fit_the_memory() {
        check(&cache([0.4, 0.5, 0.6, 0.7]), 1 << 20, Some(2_048));
        check(&cache([0.4, 0.5, 0.6, 0.7]), (1 << 20) - 1, None);
        check(&cache([0.4, 0.5, 0.52, 0.7]), 1 << 20, None);
    }

    #[test]
    fn half_the_size_is_recommended_where_it_loses_next_to_nothing() {
        check(&cache([0.6953, 0.7, 0.701, 0.702]), 0, Some(512));
        check(&cache([0.694, 0.7, 0.701, 0.702]), 0, None);
        check(&cache([0.7, 0.7, 0.74, 0.75]), u64::MAX, Some(2_048));
    }

    #[test]
    fn sizes_that_have_not_been_full_are_not_compared() {
        for filling in [0, 1] {
            let mut cache = cache([0.7; 4]);
            cache.curve[filling].fill = 0.89;
            check(&cache, u64::MAX, None);
        }
    }

    #[test]
    fn a_cache_with_room_or_without_reads_needs_no_other_size() {
        let with_room = CacheEvidence { bytes: 900 << 10, ..cache([0.4, 0.5, 0.6, 0.7]) };
        check(&with_room, u64::MAX, None);
        let mut without_reads = cache([0.4, 0.5, 0.6, 0.7]);
        without_reads.curve[1].reads = 999;
        check(&without_reads, u64::MAX, None);
        check(&CacheEvidence { curve: Vec::new(), ..cache([0.0; 4]) }, u64::MAX, None);
    }
}
