//! What the rules look at: numbers that their owner has read a moment ago.
//!
//! Counters count from the start of the process: the rules see for themselves how much they have grown.

use std::sync::Arc;
use std::time::Duration;

use crate::figures::Figures;

/// Everything that is looked at in one evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// Operations that were called in the last minute.
    pub operations: Vec<OperationReading>,
    /// Caches.
    pub caches: Vec<CacheReading>,
    /// Plugins.
    pub plugins: Vec<PluginReading>,
    /// Disk tiers.
    pub disks: Vec<DiskReading>,
    /// Queues.
    pub queues: Vec<QueueReading>,
    /// Datasets.
    pub datasets: Vec<DatasetReading>,
    /// Circuit breakers.
    pub breakers: Vec<BreakerReading>,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationReading {
    /// What it is called.
    pub name: Arc<str>,
    /// Its last minute.
    pub last_minute: Figures,
    /// What was done about its errors.
    pub recovery: Recovery,
}

/// What was done about errors of the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Calls that were tried again.
    pub retried: u64,
    /// Calls that were answered with old data.
    pub served_stale: u64,
    /// Calls that were not made because a breaker was open.
    pub breaker_open: u64,
}

/// One cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheReading {
    /// What it is called.
    pub name: String,
    /// What its entries take.
    pub bytes: u64,
    /// What they may take, if there is a limit.
    pub max_bytes: Option<u64>,
    /// Hits of the last minute.
    pub hits: u64,
    /// Reads of the last minute, hits included.
    pub reads: u64,
}

/// One plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginReading {
    /// What it is called.
    pub name: String,
    /// How often its processes have crashed.
    pub crashes: u64,
    /// Whether it has crashed too often to be started again.
    pub quarantined: bool,
}

/// One disk tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskReading {
    /// What it is called.
    pub name: String,
    /// Whether it does not keep what it is given.
    pub degraded: bool,
    /// How many of its writes have failed.
    pub failed_writes: u64,
}

/// One queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueReading {
    /// What it is called.
    pub name: String,
    /// How many were turned away because it was full.
    pub rejections: u64,
    /// How many are waiting in it.
    pub waiting: u64,
    /// How many may.
    pub limit: u64,
}

/// One dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetReading {
    /// What it is called.
    pub name: String,
    /// For how long it has been answered with old data; `None` if it is not.
    pub stale_for: Option<Duration>,
}

/// One circuit breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerReading {
    /// What it is called: the source's name.
    pub name: String,
    /// Whether calls pass.
    pub state: BreakerState,
    /// How many calls have failed one after another.
    pub failures: u64,
}

/// Whether calls pass a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    #[default]
    Closed,
    /// One does, to see how it goes.
    HalfOpen,
    /// None does.
    Open,
}
