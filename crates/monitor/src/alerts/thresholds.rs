//! Beyond which numbers something is wrong.

use std::time::Duration;

/// The thresholds of all rules. A value has to be above a threshold (a hit rate below it) to count, not just at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// The p99 or the mean of an operation over the last minute: 1 s.
    pub slow_operation: Duration,
    /// From where a slow operation is critical: 10 s.
    pub slow_operation_critical: Duration,
    /// What a cache takes, as a share of what it may take: 0.9.
    pub memory_share: f64,
    /// What a cache without a limit takes: 100 MB.
    pub memory_bytes: u64,
    /// The share of hits in a cache's reads of the last minute: 0.5.
    pub hit_rate: f64,
    /// The fewest reads for a hit rate to mean something: 100.
    pub hit_rate_min_reads: u64,
    /// The share of an operation's calls of the last minute that fail: 0.05.
    pub error_share: f64,
    /// From where failing calls are critical: 0.5.
    pub error_share_critical: f64,
    /// The fewest errors for their share to mean something: 5.
    pub min_errors: u64,
    /// How long a dataset is answered with old data: 10 min.
    pub stale_for: Duration,
    /// An alert stays until its value is below this share of its threshold (of a hit rate: until the share of misses is):
    /// 0.8.
    pub clear_share: f64,
    /// How long a value has to be beyond its threshold before there is an alert: 0 s.
    pub raise_after: Duration,
    /// How long it has to be well within it before the alert is over: 30 s.
    pub clear_after: Duration,
    /// How long nothing must have happened before an alert of something that happens is over: 5 min.
    pub quiet_after: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            slow_operation: Duration::from_secs(1),
            slow_operation_critical: Duration::from_secs(10),
            memory_share: 0.9,
            memory_bytes: 100_000_000,
            hit_rate: 0.5,
            hit_rate_min_reads: 100,
            error_share: 0.05,
            error_share_critical: 0.5,
            min_errors: 5,
            stale_for: Duration::from_secs(600),
            clear_share: 0.8,
            raise_after: Duration::ZERO,
            clear_after: Duration::from_secs(30),
            quiet_after: Duration::from_secs(300),
        }
    }
}
