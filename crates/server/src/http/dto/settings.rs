//! Settings and policies that are changed while the server runs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::PolicyDto;

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingDto {
    /// Its name.
    #[schema(example = "bodies_max_bytes")]
    pub name: String,
    /// Its text; null where it has none.
    pub value: Option<String>,
    /// Where that came from: `default`, `file`, `environment`, `flag` or `applied`.
    pub origin: String,
    /// What it means.
    pub help: String,
    /// Whether it can be changed while the server runs.
    pub live: bool,
}

/// All settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingList {
    /// The settings.
    pub settings: Vec<SettingDto>,
}

/// Settings to change: `tables_max_bytes`, `bodies_max_bytes`, `concurrent_scans`, `scans_per_source`, `scan_queue`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler reads")]
pub struct SettingsPatch {
    /// Memory for cached tables and results; null takes a change back, as for all others.
    #[schema(example = "512 MiB")]
    tables_max_bytes: Option<String>,
    /// Memory for cached bodies.
    #[schema(example = "256 MiB")]
    bodies_max_bytes: Option<String>,
    /// Scans of sources at a time.
    #[schema(minimum = 1, maximum = 4096)]
    concurrent_scans: Option<u32>,
    /// Scans of one source at a time.
    #[schema(minimum = 1, maximum = 4096)]
    scans_per_source: Option<u32>,
    /// Scans that may wait.
    #[schema(minimum = 0, maximum = 1_000_000)]
    scan_queue: Option<u32>,
}

/// The policy of a dataset, and what of it was changed while the server ran.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyDetail {
    /// What is in force.
    pub policy: PolicyDto,
    /// Names to invalidate by.
    pub tags: Vec<String>,
    /// What was applied, as it was written.
    #[schema(value_type = Object)]
    pub applied: Map<String, Value>,
    /// Where each setting comes from: `default`, `file`, `environment`, `flag` or `applied`. A source's own policy counts as
    /// the default.
    pub origins: BTreeMap<String, &'static str>,
    /// Settings that take effect with the next start alone.
    pub needs_restart: Vec<String>,
}

/// Settings of a policy to change; null takes a change back.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler reads")]
pub struct PolicyPatch {
    /// How long data is fresh.
    #[schema(example = "2h")]
    ttl: Option<String>,
    /// How long a load may take.
    #[schema(example = "60s")]
    load_timeout: Option<String>,
    /// The largest table or result.
    #[schema(example = "64 MiB")]
    max_bytes: Option<String>,
    /// `table`, `query` or `auto`.
    #[schema(example = "auto")]
    mode: Option<String>,
    /// Whether it is kept on disk too.
    persist: Option<bool>,
    /// How long after its ttl it is served while it is loaded again.
    #[schema(example = "0s")]
    stale_while_revalidate: Option<String>,
    /// How long after its ttl it is served when loading it again fails.
    #[schema(example = "1h")]
    stale_if_error: Option<String>,
    /// How often its source is asked whether the data has changed.
    #[schema(example = "30s")]
    check_interval: Option<String>,
    /// How long clients may keep an answer.
    #[schema(example = "0s")]
    client_max_age: Option<String>,
    /// How often it is loaded again, asked for or not.
    #[schema(example = "15m")]
    refresh_every: Option<String>,
    /// Whether it is loaded when the server starts.
    warm: Option<bool>,
    /// Names to invalidate by.
    tags: Option<Vec<String>>,
}
