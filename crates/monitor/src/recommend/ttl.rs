//! A longer ttl where loads bring nothing new, a shorter one where data is out of date while it counts as fresh.
//!
//! How often data changes is seen only when two states of it are compared, and what changed twice between has changed once
//! to the eye. The estimate allows for that (Junghoo Cho and Hector Garcia-Molina, "Estimating Frequency of Change", ACM
//! TOIT 3(3), 2003): with n comparisons, X of them different, the mean number of changes between two comparisons is
//! -ln((n - X + 0.5) / (n + 0.5)).

use std::time::Duration;

use super::evidence::DatasetEvidence;
use super::limits::Limits;
use super::recommendation::{Change, Recommendation, Statement};
use crate::amount::{percent, time};

/// Comparisons below which nothing is known.
const MIN_CHECKS: u64 = 4;
/// Changes that are enough to know how often there are some.
const MIN_CHANGES: u64 = 3;
/// Without them, so many ttls are enough to know that there are few.
const MIN_TTLS: u32 = 4;
/// A ttl below this part of the time between two changes is short.
const SHORT: u32 = 4;
/// Loads in vain that are worth a word.
const MIN_IN_VAIN: u64 = 3;
/// A ttl is at least so many times as long as a load takes.
const LOADS_IN_TTL: u32 = 10;

pub(super) fn recommend(dataset: &DatasetEvidence, limits: &Limits) -> Option<Recommendation> {
    let known = dataset.changes >= MIN_CHANGES || dataset.span >= dataset.ttl.saturating_mul(MIN_TTLS);
    if dataset.checks < MIN_CHECKS || !known || dataset.ttl.is_zero() {
        return None;
    }
    let between = between_changes(dataset);
    // Half of the time between two changes: data is then out of date for about a fifth of the time.
    let half = rounded(between / 2);
    let in_vain = dataset.loads.saturating_sub(dataset.changes);
    if dataset.ttl < between / SHORT && in_vain >= MIN_IN_VAIN {
        let ttl = half.min(limits.max_ttl);
        return (ttl > dataset.ttl).then(|| of_ttl(dataset, between, ttl));
    }
    if dataset.ttl > between && dataset.changes >= MIN_CHANGES && dataset.check_interval.is_none() {
        let ttl = half.max(limits.min_ttl).max(dataset.mean_load() * LOADS_IN_TTL);
        return (ttl < dataset.ttl).then(|| of_ttl(dataset, between, ttl));
    }
    None
}

/// The time between two changes on average; of data that has not changed, the time it was watched, which is the least that
/// it can be.
fn between_changes(dataset: &DatasetEvidence) -> Duration {
    let (checks, changes) = (dataset.checks as f64, dataset.changes.min(dataset.checks) as f64);
    let changes_a_check = -((checks - changes + 0.5) / (checks + 0.5)).ln();
    let mean = dataset.span.as_secs_f64() / checks / changes_a_check;
    if changes == 0.0 { dataset.span } else { Duration::try_from_secs_f64(mean).unwrap_or(Duration::MAX) }
}

/// The longest duration that people would choose and that is no longer; at least half as long.
fn rounded(most: Duration) -> Duration {
    const SECONDS: [u64; 22] = [
        1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 120, 180, 300, 600, 900, 1_200, 1_800, 2_700, 3_600, 7_200, 10_800, 21_600,
    ];
    let day = 24 * 3600;
    let seconds = most.as_secs();
    match seconds {
        0 => most,
        _ if seconds >= day => Duration::from_secs(seconds / day * day),
        _ if seconds >= 43_200 => Duration::from_secs(43_200),
        _ => Duration::from_secs(SECONDS.into_iter().rev().find(|step| *step <= seconds).unwrap_or(seconds)),
    }
}

/// The share of time in which data that is loaded again after each ttl is out of date, where changes come at random.
fn stale_share(ttl: Duration, between: Duration) -> f64 {
    let changes = ttl.as_secs_f64() / between.as_secs_f64().max(f64::MIN_POSITIVE);
    if changes > 0.0 { 1.0 + (-changes).exp_m1() / changes } else { 0.0 }
}

fn of_ttl(dataset: &DatasetEvidence, between: Duration, ttl: Duration) -> Recommendation {
    let name = &dataset.name;
    let longer = ttl > dataset.ttl;
    let (stale_now, stale_then) = (stale_share(dataset.ttl, between), stale_share(ttl, between));
    let loads_now = dataset.an_hour(dataset.loads as f64);
    let loads_then = loads_now * dataset.ttl.as_secs_f64() / ttl.as_secs_f64();
    let sentence = if dataset.changes == 0 {
        format!("{name} has not changed in {} ({} comparisons)", time(dataset.span), dataset.checks)
    } else {
        format!("{name} changes about every {} ({} changes in {})", time(between), dataset.changes, time(dataset.span))
    };
    Recommendation {
        id: format!("ttl:{name}"),
        title: format!("Keep {name} {}", if longer { "for longer" } else { "for less long" }),
        observed: Statement::new(
            format!("{sentence}; it counts as fresh for {} and was loaded {} times", time(dataset.ttl), dataset.loads),
            [
                ("ttl", dataset.ttl.as_secs_f64()),
                ("between_changes", between.as_secs_f64()),
                ("checks", dataset.checks as f64),
                ("changes", dataset.changes as f64),
                ("loads", dataset.loads as f64),
                ("loads_per_hour", loads_now),
                ("stale_share", stale_now),
                ("span", dataset.span.as_secs_f64()),
            ],
        ),
        advice: format!("set the ttl of {name} to {}", time(ttl)),
        expected: Statement::new(
            format!(
                "about {loads_then:.1} loads an hour instead of {loads_now:.1}, and data that is out of date for {} of the time \
                 instead of {}",
                percent(stale_then),
                percent(stale_now)
            ),
            [("ttl", ttl.as_secs_f64()), ("loads_per_hour", loads_then), ("stale_share", stale_then)],
        ),
        change: Change::Ttl { dataset: name.clone(), ttl },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    /// Loaded again after each ttl, and compared each time.
    fn loaded(ttl: u64, span: u64, changes: u64) -> DatasetEvidence {
        let loads = span / ttl;
        DatasetEvidence {
            name: "sales".to_owned(),
            span: Duration::from_secs(span),
            ttl: Duration::from_secs(ttl),
            checks: loads,
            changes,
            loads,
            ..DatasetEvidence::default()
        }
    }

    #[track_caller]
    fn check(dataset: &DatasetEvidence, ttl: Option<u64>) {
        let found = recommend(dataset, &Limits::default());
        let change = ttl.map(|ttl| Change::Ttl { dataset: "sales".to_owned(), ttl: Duration::from_secs(ttl) });
        assert_eq!(found.as_ref().map(|found| found.change.clone()), change, "{found:?}");
        assert!(found.is_none_or(|found| found.id == "ttl:sales"));
        // Whoever follows it hears no more of it.
        if let Some(ttl) = ttl {
            let (span, seen) = (dataset.span.as_secs(), dataset.changes);
            let changes = if seen == 0 { 0 } else { span / between_changes(dataset).as_secs() };
            let mut followed = loaded(ttl, span, changes);
            followed.load_time = dataset.mean_load().mul_f64(followed.loads as f64);
            assert_eq!(recommend(&followed, &Limits::default()), None);
        }
    }

    #[test]
    fn data_that_changes_seldom_is_kept_for_longer() {
        check(&loaded(60, 10 * HOUR, 5), Some(HOUR / 2 + 900));
        check(&loaded(60, 10 * HOUR, 0), Some(3 * HOUR));
        check(&loaded(60, 100 * 24 * HOUR, 0), Some(24 * HOUR));
        check(&loaded(24 * HOUR, 1_000 * 24 * HOUR, 0), None);
        check(&loaded(25 * HOUR, 1_000 * 24 * HOUR, 0), None);
    }

    #[test]
    fn a_ttl_of_a_quarter_of_the_time_between_changes_is_long_enough() {
        // No change is seen: the time between changes is the time watched.
        check(&loaded(900, HOUR, 0), None);
        check(&loaded(899, HOUR, 0), Some(HOUR / 2));
    }

    #[test]
    fn data_that_is_asked_for_changes_is_not_loaded_in_vain() {
        let asked = DatasetEvidence { loads: 7, changes: 5, ..loaded(60, 10 * HOUR, 5) };
        check(&asked, None);
        check(&DatasetEvidence { loads: 8, ..asked }, Some(HOUR / 2 + 900));
    }

    #[test]
    fn data_that_changes_often_is_kept_for_less_long() {
        // Each of ten comparisons found a change: there were about three between two of them.
        check(&loaded(HOUR, 10 * HOUR, 10), Some(300));
        check(&loaded(HOUR, 10 * HOUR, 5), None);
        let asked = DatasetEvidence { check_interval: Some(Duration::from_secs(10)), ..loaded(HOUR, 10 * HOUR, 10) };
        check(&asked, None);
    }

    #[test]
    fn data_is_not_loaded_all_the_time() {
        let slow = DatasetEvidence { load_time: Duration::from_secs(10 * 120), ..loaded(HOUR, 10 * HOUR, 10) };
        check(&slow, Some(1_200));
        let slower = DatasetEvidence { load_time: Duration::from_secs(10 * 360), ..loaded(HOUR, 10 * HOUR, 10) };
        check(&slower, None);
    }

    #[test]
    fn little_evidence_is_none() {
        check(&loaded(60, 180, 0), None);
        check(&DatasetEvidence { checks: 3, ..loaded(60, 10 * HOUR, 0) }, None);
        check(&DatasetEvidence { loads: 2, ..loaded(60, 10 * HOUR, 0) }, None);
    }

    #[test]
    fn durations_are_rounded_down_to_what_people_choose() {
        for (seconds, to) in [(1, 1), (4, 3), (59, 45), (61, 60), (3_599, 2_700), (50_000, 43_200), (200_000, 172_800)]
        {
            assert_eq!(rounded(Duration::from_secs(seconds)), Duration::from_secs(to));
        }
        assert_eq!(rounded(Duration::from_millis(300)), Duration::from_millis(300));
        for seconds in 1..300_000 {
            let time = Duration::from_secs(seconds);
            assert!(rounded(time) <= time && rounded(time) * 2 >= time, "{seconds}");
        }
    }

    #[test]
    fn the_share_of_stale_time_grows_with_the_ttl() {
        let between = Duration::from_secs(100);
        let share = |seconds| (stale_share(Duration::from_secs(seconds), between) * 100.0).round();
        assert_eq!([0, 10, 50, 100, 1_000].map(share), [0.0, 5.0, 21.0, 37.0, 90.0]);
    }
}
