//! More workers where calls wait for each other.
//!
//! How long they would wait with more is what queueing theory says of calls that come at random (Erlang's formula C, for
//! M/M/c queues). Few busy workers are no reason for fewer: an idle worker costs next to nothing.

use std::time::Duration;

use super::evidence::WorkerEvidence;
use super::limits::Limits;
use super::recommendation::{Change, Recommendation, Statement};
use crate::amount::{percent, time};

/// Calls below which nothing is known.
const MIN_CALLS: u64 = 20;
/// A wait is long that is a fifth of a call.
const LONG_WAITS_IN_CALL: u32 = 5;
/// The share of time with all workers busy that shows that calls wait for workers.
const SATURATED: f64 = 0.1;
/// How busy workers should be.
const BUSY: f64 = 0.7;

pub(super) fn recommend(now: &WorkerEvidence, limits: &Limits) -> Option<Recommendation> {
    let waits = now.p90_wait.saturating_mul(LONG_WAITS_IN_CALL) >= now.mean_call;
    if now.calls < MIN_CALLS || !waits || now.saturated_share < SATURATED || now.mean_call.is_zero() {
        return None;
    }
    let busy = now.utilisation.clamp(0.0, 1.0) * now.workers as f64;
    let enough = (busy / BUSY).ceil() as usize;
    let workers = enough.max(now.workers + 1).min(now.workers * 2).min(limits.max_workers);
    (workers > now.workers).then(|| of_workers(now, busy, workers))
}

/// How long nine of ten calls would wait at most, if this many workers were busy on average; `None` if they could not keep
/// up.
fn p90_wait(workers: usize, busy: f64, mean_call: Duration) -> Option<Duration> {
    let free = workers as f64 - busy;
    if free <= 0.0 {
        return None;
    }
    // Erlang's formula B, from which C follows.
    let blocked = (1..=workers).fold(1.0, |blocked, worker| busy * blocked / (worker as f64 + busy * blocked));
    let has_to_wait = blocked / (1.0 - busy / workers as f64 * (1.0 - blocked));
    let calls = (has_to_wait / 0.1).ln().max(0.0) / free;
    Some(mean_call.mul_f64(calls))
}

fn of_workers(now: &WorkerEvidence, busy: f64, workers: usize) -> Recommendation {
    let wait = p90_wait(workers, busy, now.mean_call);
    let utilisation = busy / workers as f64;
    let mut expected = vec![("utilisation", utilisation)];
    expected.extend(wait.map(|wait| ("p90_wait", wait.as_secs_f64())));
    let waits =
        wait.map_or_else(String::new, |wait| format!(", and nine of ten calls wait for {} at most", time(wait)));
    Recommendation {
        id: "workers".to_owned(),
        title: "Call sources with more workers".to_owned(),
        observed: Statement::new(
            format!(
                "all {} workers were busy for {} of the time; a call takes {}, and one in ten waited {} or longer for a \
                 worker",
                now.workers,
                percent(now.saturated_share),
                time(now.mean_call),
                time(now.p90_wait)
            ),
            [
                ("workers", now.workers as f64),
                ("calls", now.calls as f64),
                ("mean_call", now.mean_call.as_secs_f64()),
                ("p90_wait", now.p90_wait.as_secs_f64()),
                ("utilisation", now.utilisation),
                ("saturated_share", now.saturated_share),
            ],
        ),
        advice: format!("set the workers to {workers}"),
        expected: Statement::new(format!("workers are busy for {} of the time{waits}", percent(utilisation)), expected),
        change: Change::Workers { workers },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> WorkerEvidence {
        WorkerEvidence {
            workers: 4,
            calls: 20,
            mean_call: Duration::from_millis(100),
            p90_wait: Duration::from_millis(20),
            utilisation: 0.9,
            saturated_share: 0.1,
        }
    }

    #[track_caller]
    fn check(now: &WorkerEvidence, workers: Option<usize>) {
        let found = recommend(now, &Limits { max_workers: 16, ..Limits::default() });
        let change = workers.map(|workers| Change::Workers { workers });
        assert_eq!(found.as_ref().map(|found| found.change.clone()), change, "{found:?}");
        assert!(found.is_none_or(|found| found.id == "workers"));
    }

    #[test]
    fn calls_that_wait_for_each_other_need_more_workers() {
        check(&busy(), Some(6));
        check(&WorkerEvidence { p90_wait: Duration::from_micros(19_999), ..busy() }, None);
        check(&WorkerEvidence { saturated_share: 0.09, ..busy() }, None);
        check(&WorkerEvidence { calls: 19, ..busy() }, None);
    }

    #[test]
    fn there_is_one_more_at_least_and_twice_as_many_at_most() {
        check(&WorkerEvidence { utilisation: 0.3, ..busy() }, Some(5));
        check(&WorkerEvidence { workers: 1, utilisation: 1.0, ..busy() }, Some(2));
        check(&WorkerEvidence { workers: 14, ..busy() }, Some(16));
        check(&WorkerEvidence { workers: 16, ..busy() }, None);
    }

    #[test]
    fn idle_workers_are_no_matter() {
        let idle = WorkerEvidence { workers: 16, utilisation: 0.05, saturated_share: 0.0, ..busy() };
        check(&idle, None);
        check(&WorkerEvidence { p90_wait: Duration::ZERO, ..idle }, None);
    }

    #[test]
    fn waits_are_as_queueing_theory_has_them() {
        let wait = |workers, busy| p90_wait(workers, busy, Duration::from_secs(1)).map(|wait| wait.as_secs_f64());
        // One worker, busy for half the time: half of the calls wait, and one of ten for longer than ln(5) / 0.5.
        assert!((wait(1, 0.5).unwrap() - 5.0_f64.ln() / 0.5).abs() < 1e-6);
        // Two workers, one busy on average: a third of the calls wait.
        assert!((wait(2, 1.0).unwrap() - (10.0_f64 / 3.0).ln()).abs() < 1e-6);
        assert_eq!(wait(8, 0.5), Some(0.0));
        assert_eq!(wait(2, 2.0), None);
    }
}
