//! How a dataset is used: what its policy is judged by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counts since the dataset was first served.
#[derive(Debug)]
pub(crate) struct Usage {
    since: Instant,
    questions: AtomicU64,
    rows_answered: AtomicU64,
    table_loads: Loads,
    result_loads: Loads,
    checks: AtomicU64,
    changes: AtomicU64,
    /// The last table.
    table: Mutex<Option<(u64, u64)>>,
    /// The last scan for a result that read the whole dataset.
    whole: Mutex<Option<WholeScan>>,
}

/// A scan for a result in which the source gave all of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeScan {
    /// How many rows it gave.
    pub rows: u64,
    /// What all columns of them take, about.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

#[derive(Debug, Default)]
struct Loads {
    ended: AtomicU64,
    failed: AtomicU64,
    nanos: AtomicU64,
    bytes: AtomicU64,
}

/// Loads of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadsSeen {
    /// How many ended well.
    pub loaded: u64,
    /// How many failed.
    pub failed: u64,
    /// The time that those took that ended well.
    pub time: Duration,
    /// The bytes that they brought.
    pub bytes: u64,
}

/// How a dataset was used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// For how long that was counted.
    pub span: Duration,
    /// Questions that were evaluated; those that were answered with a kept body are not among them.
    pub questions: u64,
    /// Rows of their answers.
    pub rows_answered: u64,
    /// Loads of the whole table.
    pub table_loads: LoadsSeen,
    /// Loads of single results.
    pub result_loads: LoadsSeen,
    /// How often the source said whether the data has changed.
    pub checks: u64,
    /// How often it had.
    pub changes: u64,
    /// Rows and bytes of the last whole table.
    pub table: Option<(u64, u64)>,
    /// The last scan for a single result in which the source gave all of the rows.
    pub whole_scan: Option<WholeScan>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            questions: AtomicU64::default(),
            rows_answered: AtomicU64::default(),
            table_loads: Loads::default(),
            result_loads: Loads::default(),
            checks: AtomicU64::default(),
            changes: AtomicU64::default(),
            table: Mutex::default(),
            whole: Mutex::default(),
        }
    }
}

impl Usage {
    pub(crate) fn answer(&self, rows: u64) {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.rows_answered.fetch_add(rows, Ordering::Relaxed);
    }

    /// A load of the whole table ended, with so many rows and bytes if it did so well.
    pub(crate) fn table_load(&self, took: Duration, brought: Option<(u64, u64)>) {
        self.table_loads.add(took, brought.map(|(_, bytes)| bytes));
        if brought.is_some() {
            *self.table.lock() = brought;
        }
    }

    /// A load of a result ended, with so many bytes if it did so well.
    pub(crate) fn result_load(&self, took: Duration, bytes: Option<u64>) {
        self.result_loads.add(took, bytes);
    }

    /// A scan for a result read the whole dataset.
    pub(crate) fn whole_scan(&self, scan: WholeScan) {
        *self.whole.lock() = Some(scan);
    }

    /// The source said whether the data has changed.
    pub(crate) fn check(&self, changed: bool) {
        self.checks.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(u64::from(changed), Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> Used {
        Used {
            span: self.since.elapsed(),
            questions: self.questions.load(Ordering::Relaxed),
            rows_answered: self.rows_answered.load(Ordering::Relaxed),
            table_loads: self.table_loads.look(),
            result_loads: self.result_loads.look(),
            checks: self.checks.load(Ordering::Relaxed),
            changes: self.changes.load(Ordering::Relaxed),
            table: *self.table.lock(),
            whole_scan: *self.whole.lock(),
        }
    }
}

impl Loads {
    fn add(&self, took: Duration, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => {
                self.ended.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            None => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn look(&self) -> LoadsSeen {
        LoadsSeen {
            loaded: self.ended.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
