//! The report: all operations, and what they come to together.

use std::sync::Arc;
use std::time::Duration;

use crate::history::Windows;

/// What is known of all operations.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// How long the monitor has been at work.
    pub uptime: Duration,
    /// The operations that were called, those that have taken the most time since the start first.
    pub operations: Vec<OperationReport>,
    /// Calls of all operations since the start.
    pub calls: u64,
    /// Of these: those that failed.
    pub errors: u64,
    /// Timers without an end.
    pub abandoned: u64,
    /// The time of all calls together. Operations contain each other, so it may be longer than the uptime.
    pub total_time: Duration,
    /// The time of a call on average; zero if there was none.
    pub average_operation_time: Duration,
    /// The slowest operation of the last hour, by its p99; `None` if none was called.
    pub slowest_operation: Option<SlowestOperation>,
}

/// What is known of one operation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperationReport {
    /// What it is called.
    pub name: Arc<str>,
    /// Its figures.
    pub windows: Windows,
}

/// The slowest operation of the last hour.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SlowestOperation {
    /// What it is called.
    pub name: Arc<str>,
    /// 99 of 100 calls took no longer.
    pub p99: Duration,
    /// The longest call.
    pub max: Duration,
}

impl Report {
    pub(crate) fn new(uptime: Duration, mut operations: Vec<OperationReport>) -> Self {
        operations.retain(|operation| operation.windows.total.count > 0 || operation.windows.total.abandoned > 0);
        operations.sort_by(|one, two| {
            let time = |operation: &OperationReport| operation.windows.total.total;
            time(two).cmp(&time(one)).then_with(|| one.name.cmp(&two.name))
        });
        let totals = || operations.iter().map(|operation| &operation.windows.total);
        let calls = totals().map(|total| total.count).sum();
        let total_time = totals().fold(Duration::ZERO, |sum, total| sum.saturating_add(total.total));
        Self {
            uptime,
            calls,
            errors: totals().map(|total| total.errors).sum(),
            abandoned: totals().map(|total| total.abandoned).sum(),
            total_time,
            average_operation_time: mean(total_time, calls),
            slowest_operation: slowest(&operations),
            operations,
        }
    }
}

fn mean(time: Duration, calls: u64) -> Duration {
    let nanos = time.as_nanos().checked_div(u128::from(calls)).unwrap_or(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn slowest(operations: &[OperationReport]) -> Option<SlowestOperation> {
    let called = operations.iter().filter(|operation| operation.windows.hour.count > 0);
    let slowest = called.max_by_key(|operation| (operation.windows.hour.p99, operation.windows.hour.max))?;
    let hour = &slowest.windows.hour;
    Some(SlowestOperation { name: Arc::clone(&slowest.name), p99: hour.p99, max: hour.max })
}
