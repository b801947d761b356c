//! Alerts come and go with the readings: every kind is raised and cleared, in a time that is counted by hand.

use std::time::Duration;

use monitor::alerts::{
    AlertBook, AlertChange, BreakerReading, BreakerState, CacheReading, DatasetReading, DiskReading, OperationReading,
    PluginReading, QueueReading, Readings, Recovery, Severity, Thresholds,
};
use monitor::{Figures, Moment};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn at(seconds: u64) -> Moment {
    Moment::from_start(SECOND * u32::try_from(seconds).unwrap())
}

/// Each change as a short text.
fn told(changes: &[AlertChange]) -> Vec<String> {
    let tell = |change: &AlertChange| {
        let what = match change {
            AlertChange::Raised(_) => "raised",
            AlertChange::Updated(_) => "updated",
            AlertChange::Cleared(_) => "cleared",
        };
        format!("{what} {} {}", change.alert().severity, change.alert().id)
    };
    changes.iter().map(tell).collect()
}

/// A minute of an operation.
fn operation(count: u64, errors: u64, p99: Duration) -> Readings {
    let mut figures = Figures::default();
    (figures.count, figures.errors, figures.p99) = (count, errors, p99);
    (figures.mean, figures.max) = (p99 / 2, p99 * 2);
    let recovery = Recovery { retried: 3, served_stale: 2, breaker_open: 1 };
    let reading = OperationReading { name: "GET rows".into(), last_minute: figures, recovery };
    Readings { operations: vec![reading], ..Readings::default() }
}

fn cache(reading: CacheReading) -> Readings {
    Readings { caches: vec![CacheReading { name: "bodies".to_owned(), ..reading }], ..Readings::default() }
}

fn reads(hits: u64, reads: u64) -> Readings {
    cache(CacheReading { hits, reads, ..CacheReading::default() })
}

fn memory(bytes: u64, max_bytes: Option<u64>) -> Readings {
    cache(CacheReading { bytes, max_bytes, ..CacheReading::default() })
}

fn plugin(crashes: u64, quarantined: bool) -> Readings {
    let reading = PluginReading { name: "files".to_owned(), crashes, quarantined };
    Readings { plugins: vec![reading], ..Readings::default() }
}

fn queue(rejections: u64) -> Readings {
    let reading = QueueReading { name: "scans".to_owned(), rejections, waiting: 64, limit: 64 };
    Readings { queues: vec![reading], ..Readings::default() }
}

fn stale(stale_for: Option<Duration>) -> Readings {
    let reading = DatasetReading { name: "sales".to_owned(), stale_for };
    Readings { datasets: vec![reading], ..Readings::default() }
}

fn breaker(state: BreakerState) -> Readings {
    let reading = BreakerReading { name: "shop".to_owned(), state, failures: 5 };
    Readings { breakers: vec![reading], ..Readings::default() }
}

fn disk(degraded: bool) -> Readings {
    let reading = DiskReading { name: "redb".to_owned(), degraded, failed_writes: 2 };
    Readings { disks: vec![reading], ..Readings::default() }
}

/// `bad` raises an alert with this id and these numbers; `near` neither raises nor clears it; `good` clears it in so many
/// seconds.
#[track_caller]
fn check(id: &str, bad: &Readings, near: &Readings, good: &Readings, evidence: &[(&str, f64)], seconds: u64) {
    let mut book = AlertBook::new(Thresholds::default());
    assert_eq!(told(&book.evaluate(at(0), near)), [""; 0], "{near:?}");
    assert_eq!(told(&book.evaluate(at(1), bad)).len(), 1, "{bad:?}");
    let alert = book.active().next().unwrap().clone();
    assert_eq!((&*alert.id, alert.since, alert.count, alert.cleared), (id, at(1), 1, None));
    assert_eq!(alert.id, format!("{}:{}", alert.kind, alert.subject));
    for number in evidence {
        assert!(alert.evidence.contains(number), "{number:?} of {:?}", alert.evidence);
    }
    assert!(alert.message.contains(&alert.subject), "{}", alert.message);
    for second in 2..1_000 {
        assert_eq!(told(&book.evaluate(at(second), near)), [""; 0], "{near:?}");
    }
    for second in 1_000..1_000 + seconds {
        assert_eq!(told(&book.evaluate(at(second), good)), [""; 0], "after {second} s: {good:?}");
    }
    let changes = book.evaluate(at(1_000 + seconds), good);
    assert_eq!(told(&changes), [format!("cleared {} {id}", alert.severity)]);
    assert_eq!(changes[0].alert().cleared, Some(at(1_000 + seconds)));
    assert_eq!((book.active().count(), book.past().count()), (0, 1));
}

/// As [`check`], of what happens rather than lasts: nothing is near.
#[track_caller]
fn check_event(id: &str, before: &Readings, bad: &Readings, evidence: &[(&str, f64)]) {
    let mut book = AlertBook::new(Thresholds::default());
    assert_eq!(told(&book.evaluate(at(0), before)), [""; 0]);
    assert_eq!(told(&book.evaluate(at(1), bad)), [format!("raised warning {id}")]);
    let alert = book.active().next().unwrap().clone();
    for number in evidence {
        assert!(alert.evidence.contains(number), "{number:?} of {:?}", alert.evidence);
    }
    for second in 2..302 {
        assert_eq!(told(&book.evaluate(at(second), bad)), [""; 0], "the count has not grown any more");
    }
    assert_eq!(told(&book.evaluate(at(302), bad)), [format!("cleared warning {id}")]);
}

#[test]
fn a_slow_operation_is_an_alert() {
    let [bad, near, good] = [1_001, 1_000, 799].map(|millis| operation(10, 0, MILLI * millis));
    check("slow_operation:GET rows", &bad, &near, &good, &[("p99", 1.001), ("count", 10.0)], 30);
    check("slow_operation:GET rows", &bad, &near, &Readings::default(), &[], 30);
}

#[test]
fn calls_that_fail_are_an_alert_with_what_was_done_about_them() {
    let evidence = [("errors", 6.0), ("count", 100.0), ("error_share", 0.06), ("retried", 3.0), ("served_stale", 2.0)];
    let [bad, near, good] = [6, 5, 3].map(|errors| operation(100, errors, MILLI));
    check("failed_operations:GET rows", &bad, &near, &good, &evidence, 30);
    // A share of many calls needs enough errors too.
    let [bad, near, good] = [5, 4, 3].map(|errors| operation(10, errors, MILLI));
    check("failed_operations:GET rows", &bad, &near, &good, &[("breaker_open", 1.0)], 30);
}

#[test]
fn a_cache_that_is_nearly_full_is_an_alert() {
    let [bad, near, good] = [901, 900, 719].map(|bytes| memory(bytes, Some(1_000)));
    check("memory:bodies", &bad, &near, &good, &[("bytes", 901.0), ("max_bytes", 1_000.0)], 30);
    let [bad, near, good] = [100_000_001, 100_000_000, 79_999_999].map(|bytes| memory(bytes, None));
    check("memory:bodies", &bad, &near, &good, &[("threshold", 100_000_000.0)], 30);
}

#[test]
fn a_low_hit_rate_is_an_alert_if_there_are_reads_enough_to_mean_it() {
    let [bad, near, good] = [49, 50, 61].map(|hits| reads(hits, 100));
    check("hit_rate:bodies", &bad, &near, &good, &[("hit_rate", 0.49), ("reads", 100.0)], 30);
    check("hit_rate:bodies", &bad, &near, &reads(0, 99), &[("hits", 49.0)], 30);
}

#[test]
fn a_disk_tier_that_keeps_nothing_is_an_alert() {
    let mut book = AlertBook::new(Thresholds::default());
    assert_eq!(told(&book.evaluate(at(0), &disk(true))), ["raised critical disk_degraded:redb"]);
    assert_eq!(told(&book.evaluate(at(1), &disk(false))), [""; 0]);
    assert_eq!(told(&book.evaluate(at(31), &disk(false))), ["cleared critical disk_degraded:redb"]);
}

#[test]
fn data_that_is_old_for_too_long_is_an_alert() {
    let [bad, near, good] = [601, 600, 479].map(|seconds| stale(Some(SECOND * seconds)));
    check("stale_too_long:sales", &bad, &near, &good, &[("stale_for", 601.0)], 30);
    check("stale_too_long:sales", &bad, &near, &stale(None), &[], 30);
}

#[test]
fn an_open_breaker_is_an_alert_until_it_is_closed() {
    let [bad, near, good] = [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed].map(breaker);
    check("breaker_open:shop", &bad, &near, &good, &[("failures", 5.0)], 30);
}

#[test]
fn a_crash_is_an_alert_until_it_has_been_quiet() {
    check_event("plugin_crash:files", &plugin(0, false), &plugin(2, false), &[("crashes", 2.0), ("new_crashes", 2.0)]);
}

#[test]
fn somebody_turned_away_is_an_alert_until_it_has_been_quiet() {
    check_event("queue_full:scans", &queue(0), &queue(7), &[("new_rejections", 7.0), ("limit", 64.0)]);
}

#[test]
fn what_happens_again_is_told_and_counted() {
    let mut book = AlertBook::new(Thresholds::default());
    let steps = [
        (plugin(1, false), "raised warning plugin_crash:files"),
        (plugin(1, false), ""),
        (plugin(3, false), "updated warning plugin_crash:files"),
        (plugin(4, true), "updated critical plugin_crash:files"),
        (plugin(4, true), ""),
        (plugin(0, false), ""),
        (plugin(1, false), "updated warning plugin_crash:files"),
    ];
    for (second, (readings, expected)) in (0..).zip(&steps) {
        assert_eq!(told(&book.evaluate(at(second), readings)).join(""), *expected, "{second}");
    }
    let alert = book.active().next().unwrap();
    assert_eq!((alert.count, alert.since, alert.last_seen), (5, at(0), at(6)));
}

#[test]
fn a_quarantined_plugin_stays_an_alert_while_nothing_happens() {
    let mut book = AlertBook::new(Thresholds::default());
    book.evaluate(at(0), &plugin(3, true));
    for second in 1..1_000 {
        assert_eq!(told(&book.evaluate(at(second), &plugin(3, true))), [""; 0]);
    }
    assert_eq!(book.active().map(|alert| (alert.severity, alert.count)).collect::<Vec<_>>(), [(Severity::Critical, 3)]);
}

#[test]
fn a_value_about_its_threshold_raises_one_alert() {
    let mut book = AlertBook::new(Thresholds::default());
    let [bad, good] = [1_100, 700].map(|millis| operation(10, 0, MILLI * millis));
    let changes: Vec<AlertChange> =
        (0..1_000).flat_map(|second| book.evaluate(at(second), if second % 20 < 10 { &bad } else { &good })).collect();
    assert_eq!(told(&changes), ["raised warning slow_operation:GET rows"]);
    assert_eq!(book.active().next().unwrap().count, 500);
}

#[test]
fn what_becomes_worse_is_told() {
    let mut book = AlertBook::new(Thresholds::default());
    let slow = |seconds| operation(10, 0, SECOND * seconds);
    assert_eq!(told(&book.evaluate(at(0), &slow(2))), ["raised warning slow_operation:GET rows"]);
    assert_eq!(told(&book.evaluate(at(1), &slow(3))), [""; 0]);
    assert_eq!(told(&book.evaluate(at(2), &slow(11))), ["updated critical slow_operation:GET rows"]);
    assert_eq!(book.active().next().unwrap().evidence[0], ("p99", 11.0));
    assert_eq!(told(&book.evaluate(at(3), &slow(2))), ["updated warning slow_operation:GET rows"]);
}

#[test]
fn an_alert_can_wait_until_its_threshold_has_been_passed_for_a_while() {
    let thresholds = Thresholds { raise_after: SECOND * 10, ..Thresholds::default() };
    let mut book = AlertBook::new(thresholds);
    let [bad, near] = [1_100, 900].map(|millis| operation(10, 0, MILLI * millis));
    (0..10).for_each(|second| assert_eq!(told(&book.evaluate(at(second), &bad)), [""; 0]));
    assert_eq!(told(&book.evaluate(at(10), &near)), [""; 0], "it begins anew");
    (11..21).for_each(|second| assert_eq!(told(&book.evaluate(at(second), &bad)), [""; 0]));
    assert_eq!(told(&book.evaluate(at(21), &bad)), ["raised warning slow_operation:GET rows"]);
    assert_eq!(book.active().next().unwrap().since, at(11));
    assert_eq!(told(&book.evaluate(at(22), &queue(1))), ["raised warning queue_full:scans"], "it has happened");
}

#[test]
fn other_thresholds_hold_from_the_next_evaluation() {
    let mut book = AlertBook::new(Thresholds::default());
    let readings = operation(10, 0, MILLI * 500);
    assert_eq!(told(&book.evaluate(at(0), &readings)), [""; 0]);
    book.adopt(Thresholds { slow_operation: MILLI * 400, ..Thresholds::default() });
    assert_eq!(told(&book.evaluate(at(1), &readings)), ["raised warning slow_operation:GET rows"]);
    assert_eq!(book.thresholds().slow_operation, MILLI * 400);
}

#[test]
fn active_alerts_are_bounded_and_critical_ones_have_places_of_their_own() {
    let mut book = AlertBook::new(Thresholds::default());
    let queues = (0..1_000).map(|n| QueueReading { name: n.to_string(), rejections: 1, ..QueueReading::default() });
    let readings = Readings { queues: queues.collect(), ..Readings::default() };
    let warnings = AlertBook::MAX_ACTIVE - AlertBook::FOR_CRITICAL;
    assert_eq!(book.evaluate(at(0), &readings).len(), warnings);
    assert_eq!((book.active().count(), book.left_out()), (warnings, 1_000 - warnings as u64));
    let disks = (0..100).map(|n| DiskReading { name: n.to_string(), degraded: true, ..DiskReading::default() });
    book.evaluate(at(1), &Readings { disks: disks.collect(), ..Readings::default() });
    assert_eq!(book.active().count(), AlertBook::MAX_ACTIVE);
}

#[test]
fn past_alerts_are_bounded_and_the_latest_come_first() {
    let thresholds = Thresholds { clear_after: Duration::ZERO, ..Thresholds::default() };
    let mut book = AlertBook::new(thresholds);
    for n in 0..300 {
        let disks = vec![DiskReading { name: n.to_string(), degraded: true, ..DiskReading::default() }];
        book.evaluate(at(n), &Readings { disks, ..Readings::default() });
    }
    book.evaluate(at(300), &Readings::default());
    assert_eq!(book.past().count(), AlertBook::MAX_PAST);
    assert_eq!(book.past().next().unwrap().subject, "299");
}
