//! What is said of an operation in one window, and how it is worked out of slices.

use std::time::Duration;

use crate::bucket::{self, BUCKETS};
use crate::tally::Tally;

/// The figures of one operation in one window. Durations from histograms (`p50`, `p90`, `p99`) are right to two
/// significant digits between 64 ns and an hour; `total`, `mean` and `max` are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// How long the window is.
    pub span: Duration,
    /// Calls that ended, well or not.
    pub count: u64,
    /// Of these: those that failed.
    pub errors: u64,
    /// Timers that were dropped or forgotten without an end. They are no calls, and in none of the other figures.
    pub abandoned: u64,
    /// Calls a second; zero for a window without length.
    pub rate: f64,
    /// The time of all calls together.
    pub total: Duration,
    /// The time of a call on average; this and all below are zero if there was none.
    pub mean: Duration,
    /// Half of the calls took no longer.
    pub p50: Duration,
    /// Nine of ten calls took no longer.
    pub p90: Duration,
    /// 99 of 100 calls took no longer.
    pub p99: Duration,
    /// The longest call.
    pub max: Duration,
}

impl Figures {
    /// The share of calls that failed, 0 to 1; zero if there was none.
    pub fn error_share(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.errors as f64 / self.count as f64 }
    }
}

/// Where slices are added up to be read: one for all operations of a report.
pub(crate) struct Scratch {
    tally: Tally,
    counts: Box<[u64]>,
    /// The buckets from the first to the one after the last that have something in them.
    used: std::ops::Range<usize>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { tally: Tally::EMPTY, counts: vec![0; BUCKETS].into_boxed_slice(), used: 0..0 }
    }

    pub(crate) fn clear(&mut self) {
        self.counts[self.used.clone()].fill(0);
        self.used = 0..0;
        self.tally = Tally::EMPTY;
    }

    pub(crate) fn add(&mut self, tally: &Tally, counts: impl Iterator<Item = (usize, u64)>) {
        self.tally.add(tally);
        for (bucket, count) in counts {
            self.counts[bucket] = self.counts[bucket].saturating_add(count);
            let used = if self.used.is_empty() { bucket..bucket + 1 } else { self.used.clone() };
            self.used = used.start.min(bucket)..used.end.max(bucket + 1);
        }
    }

    pub(crate) fn figures(&self, span: Duration) -> Figures {
        let tally = &self.tally;
        let [p50, p90, p99] = self.quantiles([0.5, 0.9, 0.99]);
        Figures {
            span,
            count: tally.count,
            errors: tally.errors,
            abandoned: tally.abandoned,
            rate: if span.is_zero() { 0.0 } else { tally.count as f64 / span.as_secs_f64() },
            total: Duration::from_nanos(tally.nanos),
            mean: Duration::from_nanos(tally.nanos.checked_div(tally.count).unwrap_or(0)),
            p50,
            p90,
            p99,
            max: Duration::from_nanos(tally.most),
        }
    }

    /// The durations that these shares of the calls, in ascending order, did not exceed.
    fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut found = [Duration::ZERO; N];
        let all: u64 = self.counts[self.used.clone()].iter().sum();
        if all == 0 {
            return found;
        }
        let mut buckets = self.used.clone();
        let (mut seen, mut last) = (0, 0);
        for (share, found) in shares.into_iter().zip(&mut found) {
            let wanted = ((share * all as f64).ceil() as u64).clamp(1, all);
            while seen < wanted {
                last = buckets.next().expect("the counts of all buckets are as many as wanted");
                seen += self.counts[last];
            }
            // A bucket's middle may lie beyond the ends, which are exact.
            let nanos = bucket::middle(last).clamp(self.tally.least, self.tally.most);
            *found = Duration::from_nanos(nanos);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::live::Live;

    /// Compares with the reference implementation, at three significant digits.
    #[track_caller]
    fn check(durations: impl Iterator<Item = u64>) {
        let (mut scratch, mut live, mut tally) = (Scratch::new(), Live::new(), Tally::EMPTY);
        let mut reference = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        for nanos in durations {
            live.record(nanos);
            tally.record(nanos, false);
            reference.saturating_record(nanos);
        }
        scratch.add(&tally, live.counts());
        let figures = scratch.figures(Duration::from_secs(60));
        let close = |name, ours: Duration, theirs: u64| {
            let error = (ours.as_nanos() as f64 - theirs as f64).abs() / theirs as f64;
            assert!(error < 0.01, "{name}: {ours:?} against {theirs} ns");
        };
        close("p50", figures.p50, reference.value_at_quantile(0.5));
        close("p90", figures.p90, reference.value_at_quantile(0.9));
        close("p99", figures.p99, reference.value_at_quantile(0.99));
        close("max", figures.max, reference.max());
        close("mean", figures.mean, reference.mean() as u64);
        assert_eq!(figures.count, reference.len());
    }

    #[test]
    fn figures_agree_with_those_of_an_hdr_histogram() {
        check((1..=10_000).map(|n| n * 1_000));
        check((0..5_000).map(|n| 64 + n * n));
        check((0..36).map(|n| 100 << n));
        check(std::iter::once(12_345_678));
    }

    #[test]
    fn equal_durations_have_exact_quantiles() {
        let (mut scratch, mut live, mut tally) = (Scratch::new(), Live::new(), Tally::EMPTY);
        for _ in 0..10 {
            live.record(1_000_003);
            tally.record(1_000_003, false);
        }
        scratch.add(&tally, live.counts());
        let figures = scratch.figures(Duration::from_secs(5));
        let exact = Duration::from_nanos(1_000_003);
        assert_eq!([figures.p50, figures.p90, figures.p99, figures.max, figures.mean], [exact; 5]);
        assert_eq!(figures.rate, 2.0);
    }

    #[test]
    fn what_is_out_of_the_histograms_range_still_has_an_exact_maximum() {
        let (mut scratch, mut live, mut tally) = (Scratch::new(), Live::new(), Tally::EMPTY);
        let day = Duration::from_secs(24 * 3600);
        live.record(day.as_nanos() as u64);
        tally.record(day.as_nanos() as u64, true);
        scratch.add(&tally, live.counts());
        let figures = scratch.figures(day);
        assert_eq!((figures.max, figures.errors, figures.error_share()), (day, 1, 1.0));
    }

    #[test]
    fn a_window_without_calls_is_all_zero() {
        let figures = Scratch::new().figures(Duration::ZERO);
        assert_eq!(figures, Figures::default());
        assert_eq!(figures.error_share(), 0.0);
    }
}
