//! What looking after the cache on disk brought.

use std::time::Duration;

use cache_redb::{CompactReport, VerifyReport};
use serde::Serialize;
use utoipa::ToSchema;

/// What a look at every record on disk brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerifyDto {
    /// Whether all is well.
    pub ok: bool,
    /// Records that can be read back exactly.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Records that cannot be read back exactly. They are misses, and do no harm.
    pub bad: u64,
    /// Records that were invalidated and wait to be removed.
    pub invalidated: u64,
    /// What is wrong, line by line; of records, the first hundred.
    pub findings: Vec<String>,
    /// How long it took.
    pub duration_ms: f64,
}

impl VerifyDto {
    /// What a look of this length found.
    pub fn new(report: VerifyReport, took: Duration) -> Self {
        let ok = report.is_sound();
        let records = report.bad_keys.into_iter().map(|key| format!("record {key} cannot be read back"));
        let orphans = (report.orphans > 0).then(|| format!("{} payloads belong to no record", report.orphans));
        let database = report.database.map(|reason| format!("database: {reason}"));
        let log = report.log.map(|reason| format!("log of invalidations: {reason}"));
        Self {
            ok,
            records: report.records,
            bytes: report.payload_bytes,
            bad: report.bad,
            invalidated: report.invalidated,
            findings: records.chain(orphans).chain(database).chain(log).collect(),
            duration_ms: took.as_secs_f64() * 1e3,
        }
    }
}

/// What compaction brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompactDto {
    /// Length of the file before.
    pub file_bytes_before: u64,
    /// Length of the file now.
    pub file_bytes_after: u64,
    /// How long it took.
    pub duration_ms: f64,
}

impl CompactDto {
    /// What a compaction of this length brought.
    pub fn new(report: CompactReport, took: Duration) -> Self {
        Self {
            file_bytes_before: report.file_bytes_before,
            file_bytes_after: report.file_bytes_after,
            duration_ms: took.as_secs_f64() * 1e3,
        }
    }
}
