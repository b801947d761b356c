//! What the rules go by: counts of some time, and the settings that were in force.

use std::time::Duration;

use crate::mrc::Point;

/// All that was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Caches.
    pub caches: Vec<CacheEvidence>,
    /// Datasets.
    pub datasets: Vec<DatasetEvidence>,
    /// The workers that call sources.
    pub workers: Option<WorkerEvidence>,
}

/// One cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheEvidence {
    /// What it is called.
    pub name: String,
    /// Its budget.
    pub max_bytes: u64,
    /// What is taken of it.
    pub bytes: u64,
    /// Its [miss-ratio curve](crate::mrc::MissRatioCurve::curve).
    pub curve: Vec<Point>,
}

/// Whether a dataset is kept as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TableOrQuery {
    /// It is, and queries are answered from it.
    #[default]
    Table,
    /// The results of its queries are.
    Query,
}

/// One dataset. All counts are of the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DatasetEvidence {
    /// What it is called.
    pub name: String,
    /// How long it was watched, under the settings below.
    pub span: Duration,
    /// How long its data counts as fresh; zero if it never does.
    pub ttl: Duration,
    /// How often its source is asked whether the data has changed; `None` if it is not asked.
    pub check_interval: Option<Duration>,
    /// How often two states of the data were compared, by asking or by loading again.
    pub checks: u64,
    /// How often they were different.
    pub changes: u64,
    /// How often the source was read: for the whole table, or for a query.
    pub loads: u64,
    /// How long that took together.
    pub load_time: Duration,
    /// Whether it is kept on disk too.
    pub persist: bool,
    /// Whether it is kept as a whole; what `auto` has come to, if that is set.
    pub mode: TableOrQuery,
    /// What the whole table may take in memory.
    pub max_bytes: u64,
    /// What the whole table takes, or is estimated to; `None` if nothing is known.
    pub table_bytes: Option<u64>,
    /// How many rows it has, or is estimated to have.
    pub table_rows: Option<u64>,
    /// How long the whole table takes to load, or is estimated to.
    pub full_load_time: Option<Duration>,
    /// How many queries were answered, from the cache or not.
    pub queries: u64,
    /// How many of them were not like any other.
    pub distinct_queries: u64,
    /// How many rows their answers had together.
    pub rows_returned: u64,
}

impl DatasetEvidence {
    /// How long a load takes on average.
    pub(super) fn mean_load(&self) -> Duration {
        if self.loads == 0 { Duration::ZERO } else { self.load_time.div_f64(self.loads as f64) }
    }

    /// So many in the time that was watched, as so many an hour.
    pub(super) fn an_hour(&self, amount: f64) -> f64 {
        if self.span.is_zero() { 0.0 } else { amount * 3600.0 / self.span.as_secs_f64() }
    }
}

/// The workers that call sources.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerEvidence {
    /// How many there are: so many calls are under way at most.
    pub workers: usize,
    /// How many calls were made.
    pub calls: u64,
    /// How long a call took on average, without waiting.
    pub mean_call: Duration,
    /// Nine of ten calls waited no longer for a worker.
    pub p90_wait: Duration,
    /// How many workers were busy on average, as a share of all.
    pub utilisation: f64,
    /// The share of time in which all were busy.
    pub saturated_share: f64,
}
