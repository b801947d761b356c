//! One alert, and what becomes of it.

use std::fmt;

use crate::clock::Moment;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// An operation takes too long.
    SlowOperation,
    /// A cache takes nearly all that it may, or too much where it may take any amount.
    Memory,
    /// Too few reads of a cache are hits.
    HitRate,
    /// Too many calls of an operation fail.
    FailedOperations,
    /// A plugin's process has crashed, or the plugin is not started any more.
    PluginCrash,
    /// The disk tier does not keep what it is given.
    DiskDegraded,
    /// A queue was full and somebody was turned away.
    QueueFull,
    /// A dataset has been answered with old data for too long.
    StaleTooLong,
    /// A source is not called any more, because its calls fail.
    BreakerOpen,
}

impl AlertKind {
    /// Its name in ids, logs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlowOperation => "slow_operation",
            Self::Memory => "memory",
            Self::HitRate => "hit_rate",
            Self::FailedOperations => "failed_operations",
            Self::PluginCrash => "plugin_crash",
            Self::DiskDegraded => "disk_degraded",
            Self::QueueFull => "queue_full",
            Self::StaleTooLong => "stale_too_long",
            Self::BreakerOpen => "breaker_open",
        }
    }

    /// Whether it happens, rather than lasts.
    pub(super) fn happens(self) -> bool {
        matches!(self, Self::PluginCrash | Self::QueueFull)
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked into.
    Warning,
    /// Users are served badly, or data may be lost.
    Critical,
}

impl Severity {
    /// Its name in logs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Something that is not as it should be, or was not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// The kind and the subject: `slow_operation:GET rows`.
    pub id: String,
    /// What is wrong.
    pub kind: AlertKind,
    /// With what: an operation, a cache, a dataset, a plugin.
    pub subject: String,
    /// How bad it was when it was last seen.
    pub severity: Severity,
    /// When it began.
    pub since: Moment,
    /// When it was last seen.
    pub last_seen: Moment,
    /// When it had been gone for long enough; `None` while it is active.
    pub cleared: Option<Moment>,
    /// In how many evaluations it was seen; of what happens, rather than lasts: how often it has happened.
    pub count: u64,
    /// Named numbers, as they were when it was last seen. Durations are in seconds, sizes in bytes, shares from 0 to 1.
    pub evidence: Vec<(&'static str, f64)>,
    /// What people read; as it was when it was last seen.
    pub message: String,
}

/// What has become of an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertChange {
    /// It is new.
    Raised(Alert),
    /// It is better or worse than it was, or has happened again.
    Updated(Alert),
    /// It is over.
    Cleared(Alert),
}

impl AlertChange {
    /// The alert, as it is after the change.
    pub fn alert(&self) -> &Alert {
        match self {
            Self::Raised(alert) | Self::Updated(alert) | Self::Cleared(alert) => alert,
        }
    }
}
