//! Entries of the cache as they are listed.

use serde::Serialize;
use utoipa::ToSchema;

/// Entries, in the order of datasets and keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryList {
    /// The entries.
    pub entries: Vec<EntryDto>,
    /// Goes into `after` for those that follow; null at the end.
    pub next: Option<String>,
}

/// One entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryDto {
    /// Its name: the dataset, its key there, and the version of the data behind an `@`.
    #[schema(example = "sector_analysis/json+zstd?year=gte.2020@1099511627777")]
    pub key: String,
    /// `tables` or `bodies`.
    pub cache: String,
    /// The dataset.
    pub dataset: String,
    /// Where it is: `memory`, `disk` or `both`.
    pub tier: String,
    /// `fresh`, `stale` (served while it is loaded again) or `expired` (served if that fails).
    pub state: String,
    /// Seconds since the scan behind it began.
    pub age_seconds: f64,
    /// Seconds until it is not fresh any more; negative when that is over.
    pub ttl_seconds: f64,
    /// Bytes in memory, by its own count.
    pub bytes: u64,
    /// Bytes on disk; null when it is not there.
    pub stored_bytes: Option<u64>,
    /// How often it was read from memory.
    pub hits: u64,
    /// What it cost to load.
    pub cost_ms: f64,
    /// Its tags.
    pub tags: Vec<String>,
}
