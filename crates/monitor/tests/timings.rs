//! What the monitor makes of timers and recorded durations, by a clock that is moved by hand.

use std::time::Duration;

use monitor::{Error, ManualClock, MonitorLimits, OperationName, Outcome, PerformanceMonitor, Windows};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn monitor() -> (PerformanceMonitor, ManualClock) {
    limited(MonitorLimits::default())
}

fn limited(limits: MonitorLimits) -> (PerformanceMonitor, ManualClock) {
    let clock = ManualClock::new();
    (PerformanceMonitor::with(limits, clock.clone()), clock)
}

fn name(name: &str) -> OperationName {
    OperationName::new(name).unwrap()
}

fn windows(monitor: &PerformanceMonitor, name: &str) -> Windows {
    let report = monitor.report();
    report.operations.iter().find(|operation| &*operation.name == name).map(|found| found.windows).unwrap_or_default()
}

/// Checks calls, errors and abandoned timers of an operation since the start.
#[track_caller]
fn check(monitor: &PerformanceMonitor, name: &str, calls: u64, errors: u64, abandoned: u64) {
    let total = windows(monitor, name).total;
    assert_eq!((total.count, total.errors, total.abandoned), (calls, errors, abandoned), "{name}: {total:?}");
}

#[test]
fn a_timer_says_how_long_its_call_took() {
    let (monitor, clock) = monitor();
    let timer = monitor.start_timer("load");
    clock.advance(MILLI * 250);
    assert_eq!(timer.elapsed(), MILLI * 250);
    assert_eq!(timer.end(), MILLI * 250);
    check(&monitor, "load", 1, 0, 0);
    assert_eq!(windows(&monitor, "load").minute.max, MILLI * 250);
}

#[test]
fn nested_and_concurrent_timers_of_one_name_are_separate() {
    let (monitor, clock) = monitor();
    let outer = monitor.start_timer("load");
    clock.advance(SECOND);
    let inner = monitor.start_timer("load");
    let beside = monitor.start_timer("load");
    clock.advance(SECOND);
    assert_eq!(inner.fail(), SECOND);
    clock.advance(SECOND);
    assert_eq!(outer.end(), SECOND * 3);
    assert_eq!(beside.end(), SECOND * 2);
    check(&monitor, "load", 3, 1, 0);
    assert_eq!(windows(&monitor, "load").hour.total, SECOND * 6);
}

#[test]
fn a_timer_without_an_end_is_abandoned_and_no_call() {
    let (monitor, clock) = monitor();
    let timer = monitor.start_timer("load");
    clock.advance(SECOND);
    drop(timer);
    check(&monitor, "load", 0, 0, 1);
    assert_eq!(windows(&monitor, "load").total.mean, Duration::ZERO);
    assert_eq!(monitor.report().abandoned, 1);
}

#[test]
fn a_panic_abandons_the_timers_it_passes() {
    let (monitor, _) = monitor();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _timer = monitor.start_timer("load");
        std::panic::resume_unwind(Box::new("boom"));
    }));
    assert!(panicked.is_err());
    check(&monitor, "load", 0, 0, 1);
}

#[tokio::test]
async fn futures_are_timed_and_count_as_abandoned_when_they_are_dropped() {
    let (monitor, clock) = monitor();
    let found = monitor.time("load", async {
        clock.advance(SECOND);
        5
    });
    assert_eq!(found.await, 5);
    let failed = monitor.try_time("load", async { Err::<(), _>("away") });
    assert_eq!(failed.await, Err("away"));
    assert_eq!(monitor.try_time("load", async { Ok::<_, ()>(1) }).await, Ok(1));
    check(&monitor, "load", 3, 1, 0);
    let mut pending = Box::pin(monitor.time("load", std::future::pending::<()>()));
    assert!(pending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    drop(pending);
    check(&monitor, "load", 3, 1, 1);
}

#[test]
fn timers_with_ids_end_once_and_only_by_their_own_id() {
    let (monitor, clock) = monitor();
    let first = monitor.begin(&name("render")).unwrap();
    clock.advance(SECOND);
    let second = monitor.begin(&name("render")).unwrap();
    clock.advance(SECOND);
    let guessed = first.to_string().replace(&first.to_string()[17..], &second.to_string()[17..]).parse().unwrap();
    assert_eq!(monitor.end_timer(guessed), None, "the secret of another timer");
    assert_eq!(monitor.end_timer(first), Some(SECOND * 2));
    assert_eq!(monitor.end_timer(first), None);
    assert_eq!(monitor.finish_timer(second, Outcome::Error), Some(SECOND));
    check(&monitor, "render", 2, 1, 0);
}

#[test]
fn open_timers_are_bounded_in_number() {
    let (monitor, _) = limited(MonitorLimits { max_open_timers: 2, ..MonitorLimits::default() });
    let first = monitor.begin(&name("render")).unwrap();
    monitor.begin(&name("render")).unwrap();
    assert_eq!(monitor.begin(&name("render")), Err(Error::TooManyTimers { limit: 2 }));
    monitor.end_timer(first).unwrap();
    monitor.begin(&name("render")).unwrap();
    assert_eq!(monitor.open_timers(), 2);
}

#[test]
fn a_timer_that_is_open_for_too_long_counts_as_abandoned() {
    let (monitor, clock) = limited(MonitorLimits { max_open_timers: 1, ..MonitorLimits::default() });
    let old = monitor.begin(&name("render")).unwrap();
    clock.advance(SECOND * 3600);
    assert!(monitor.begin(&name("render")).is_err(), "an hour is not too long");
    clock.advance(MILLI);
    let young = monitor.begin(&name("render")).unwrap();
    assert_eq!(monitor.end_timer(old), None);
    check(&monitor, "render", 0, 0, 1);
    assert!(monitor.end_timer(young).is_some());
}

#[test]
fn operations_beyond_the_limit_are_counted_together() {
    let (monitor, _) = limited(MonitorLimits { max_operations: 2, ..MonitorLimits::default() });
    for operation in ["a", "b", "c", "d", "a", PerformanceMonitor::OTHER] {
        monitor.record(operation, MILLI, Outcome::Ok);
    }
    check(&monitor, "a", 2, 0, 0);
    check(&monitor, "b", 1, 0, 0);
    check(&monitor, "c", 0, 0, 0);
    check(&monitor, PerformanceMonitor::OTHER, 3, 0, 0);
    assert_eq!(monitor.report().calls, 6);
}

#[test]
fn names_of_clients_leave_places_for_those_of_the_program() {
    let (monitor, _) =
        limited(MonitorLimits { max_operations: 3, max_client_operations: 2, ..MonitorLimits::default() });
    for client in ["a", "b", "c", "d"] {
        monitor.client_operation(&name(client)).record(MILLI, Outcome::Ok);
    }
    check(&monitor, PerformanceMonitor::OTHER, 2, 0, 0);
    monitor.record("scan", MILLI, Outcome::Ok);
    check(&monitor, "scan", 1, 0, 0);
}

#[test]
fn a_report_names_what_takes_the_most_time_first_and_what_is_slowest() {
    let (monitor, clock) = monitor();
    (0..1_000).for_each(|_| monitor.record("hit", MILLI * 10, Outcome::Ok));
    monitor.record("scan", SECOND * 2, Outcome::Error);
    monitor.record("scan", SECOND * 4, Outcome::Ok);
    drop(monitor.start_timer("never"));
    clock.advance(SECOND * 20);
    let report = monitor.report();
    let names: Vec<&str> = report.operations.iter().map(|operation| &*operation.name).collect();
    assert_eq!(names, ["hit", "scan", "never"]);
    assert_eq!((report.calls, report.errors, report.abandoned), (1_002, 1, 1));
    assert_eq!((report.uptime, report.total_time), (SECOND * 20, SECOND * 16));
    assert_eq!(report.average_operation_time, SECOND * 16 / 1_002);
    let slowest = report.slowest_operation.unwrap();
    assert_eq!((&*slowest.name, slowest.p99, slowest.max), ("scan", SECOND * 4, SECOND * 4));
    assert_eq!(windows(&monitor, "hit").minute.rate, 50.0);
}

#[test]
fn a_report_of_an_idle_monitor_is_right() {
    let (monitor, clock) = monitor();
    assert_eq!(monitor.report().slowest_operation, None);
    monitor.record("scan", SECOND, Outcome::Ok);
    clock.advance(SECOND * 7_200);
    let report = monitor.report();
    assert_eq!((report.calls, report.slowest_operation), (1, None));
    let idle = windows(&monitor, "scan");
    assert_eq!((idle.minute.count, idle.hour.count, idle.total.count), (0, 0, 1));
    assert_eq!((idle.minute.rate, idle.hour.p99, idle.total.p99), (0.0, Duration::ZERO, SECOND));
    assert!(monitor.last_minute().is_empty());
}

#[test]
fn the_last_minute_alone_is_what_the_report_says() {
    let (monitor, clock) = monitor();
    for n in 1..=300_u32 {
        clock.advance(SECOND / 2);
        monitor.record("scan", MILLI * n, if n % 10 == 0 { Outcome::Error } else { Outcome::Ok });
    }
    assert_eq!(monitor.last_minute(), [("scan".into(), windows(&monitor, "scan").minute)]);
}

#[test]
fn threads_lose_no_calls() {
    let (monitor, clock) = monitor();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let operation = monitor.operation("hit");
            scope.spawn(move || (0..10_000).for_each(|_| operation.record(MILLI, Outcome::Ok)));
        }
        (0..100).for_each(|_| clock.advance(SECOND));
    });
    check(&monitor, "hit", 40_000, 0, 0);
}
