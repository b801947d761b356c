//! What the statistics answer. Ages are seconds, rates 0 to 1, sizes bytes unless the name says else.

use serde::Serialize;
use utoipa::ToSchema;

/// The caches in numbers: together, by tier, by cache and by dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct CacheStats {
    /// Entries in memory.
    #[schema(example = 12)]
    pub entries: u64,
    /// What they take, in MiB.
    #[schema(example = 1.75)]
    pub total_size_mb: f64,
    /// Look-ups that were served without a load, of all look-ups; null before the first one.
    #[schema(example = 0.98)]
    pub hit_rate: Option<f64>,
    /// Both caches in memory.
    pub memory: MemoryFigures,
    /// Tables and results.
    pub tables: CacheFigures,
    /// Encoded bodies.
    pub bodies: CacheFigures,
    /// The disk tier; null when nothing is kept on disk.
    pub disk: Option<DiskFigures>,
    /// Invalidations since the start.
    pub invalidations: u64,
    /// Whether an invalidation outlives the process.
    pub durable: bool,
    /// What each dataset takes, by name.
    pub datasets: Vec<DatasetUse>,
}

/// Both caches in memory.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryFigures {
    /// Entries held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes that may be held.
    pub max_bytes: u64,
    /// Look-ups that memory answered.
    pub hits: u64,
    /// Look-ups that it did not.
    pub misses: u64,
    /// Entries that made room for others.
    pub evictions: u64,
}

/// Figures of one cache, since the start.
#[derive(Debug, Serialize, ToSchema)]
pub struct CacheFigures {
    /// Entries held in memory.
    pub entries: u64,
    /// Bytes held in memory.
    pub bytes: u64,
    /// Bytes that may be held.
    pub max_bytes: u64,
    /// Look-ups that found a fresh entry in memory.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Of these: found on disk.
    pub disk_hits: u64,
    /// Of these: looked for on disk, and not found there.
    pub disk_misses: u64,
    /// Look-ups that were served stale data while it was loaded again.
    pub stale_serves: u64,
    /// Look-ups that were served old data because loading it again failed.
    pub stale_on_error: u64,
    /// Look-ups that were served without a load, of all; null before the first one.
    pub hit_rate: Option<f64>,
    /// The last minutes.
    pub window: WindowDto,
    /// Loads that ended.
    pub loads: u64,
    /// Of these: failed.
    pub load_failures: u64,
    /// Callers that shared somebody else's load.
    pub joined: u64,
    /// Background loads that were left out because too many were under way.
    pub refreshes_skipped: u64,
    /// Seconds spent loading.
    pub load_seconds: f64,
    /// Seconds of loading that hits made unnecessary.
    pub load_seconds_saved: f64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries found too old.
    pub expirations: u64,
    /// Entries found invalidated.
    pub invalidations: u64,
    /// Values that were too large to be kept.
    pub refusals: u64,
    /// Age of the oldest entry in memory; null when there is none.
    pub oldest_age_seconds: Option<f64>,
}

/// Look-ups of the last minutes.
#[derive(Debug, Serialize, ToSchema)]
pub struct WindowDto {
    /// How many seconds it looks back.
    pub seconds: f64,
    /// Look-ups that were served without a load.
    pub hits: u64,
    /// Look-ups that were not.
    pub misses: u64,
    /// The former of all; null when there was none.
    pub hit_rate: Option<f64>,
}

/// The disk tier.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct DiskFigures {
    /// Records held.
    pub entries: u64,
    /// Bytes of their payloads, keys and metadata: at most two thirds of `max_bytes`.
    pub bytes: u64,
    /// Look-ups that it answered.
    pub hits: u64,
    /// Look-ups that it did not.
    pub misses: u64,
    /// Bytes that the file may have.
    pub max_bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// Records on their way into the file.
    pub queued: u64,
    /// Records written since the start.
    pub writes: u64,
    /// Bytes of payloads written since the start.
    pub written_bytes: u64,
    /// Records that were not written: the queue was full, or the tier out of service.
    pub dropped: u64,
    /// Records that made room for others.
    pub evictions: u64,
    /// Records that were too old to be of use.
    pub expirations: u64,
    /// Reads that met something that could not be read back exactly, and were misses.
    pub corrupt: u64,
    /// How often the file had to be opened again or made anew.
    pub recoveries: u64,
    /// Why the tier is out of service; null while it is in service.
    pub degraded: Option<String>,
}

/// What one dataset takes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct DatasetUse {
    /// Its name.
    #[schema(example = "sector_analysis")]
    pub name: String,
    /// Its entries in memory.
    pub memory_entries: u64,
    /// What they take.
    pub memory_bytes: u64,
    /// Its records on disk.
    pub disk_entries: u64,
    /// What they take, compressed.
    pub disk_bytes: u64,
    /// How often its entries in memory were read.
    pub hits: u64,
    /// How many rows its table has; only there while one is in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Seconds since the scan behind that table began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
}

impl DatasetUse {
    /// A dataset that takes nothing.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}
