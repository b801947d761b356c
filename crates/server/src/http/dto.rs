//! The JSON that clients see. Domain types never go over the wire themselves.

mod entry;
mod figures;
mod invalidation;
mod load;
mod monitor;
mod query;
mod report;
mod settings;

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

pub use entry::{EntryDto, EntryList};
pub use figures::{CacheFigures, CacheStats, DatasetUse, DiskFigures, MemoryFigures, WindowDto};
pub use invalidation::{InvalidateBody, InvalidatedDto};
pub use load::{
    LoadBody, LoadDto, LoadLinks, LoadList, LoadRequestBody, LoadRequestDto, LoadSummary, OutcomeDto, ProgressDto,
};
pub use monitor::{
    ActionDto, AlertDto, AlertList, CurvePointDto, DatasetCostDto, EndedDto, FiguresDto, MeasuredBody, OperationDto,
    ProcessDto, RecommendationDto, RecommendationList, ReportDto, ScansDto, SlowestDto, StatementDto, TimerBody,
    TimerDto, ms,
};
pub use query::{ExplainDto, ExplainRows, ExplainTimes, FacetDto, FacetValue, FacetsDto, PushedDto};
pub use report::{CompactDto, VerifyDto};
pub use settings::{PolicyDetail, PolicyPatch, SettingDto, SettingList, SettingsPatch};

/// All datasets.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetList {
    /// The datasets, by name.
    pub datasets: Vec<DatasetSummary>,
    /// Grows whenever the list, a schema or a policy changes.
    pub generation: u64,
}

/// One dataset of the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetSummary {
    /// Its name.
    #[schema(example = "sector_analysis")]
    pub name: String,
    /// What it holds.
    pub description: String,
    /// Name of the source that offers it.
    #[schema(example = "files")]
    pub source: String,
    /// How many columns it has.
    pub columns: usize,
    /// How many rows the cached table has; null while none is cached.
    pub rows: Option<u64>,
    /// How many bytes the cached table takes; null while none is cached.
    pub bytes: Option<u64>,
    /// Seconds since the scan behind the cached table began; null while none is cached.
    pub age_seconds: Option<f64>,
    /// Why it cannot be served; only there when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where to go from here.
    pub links: Links,
}

/// Addresses of a dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    /// The dataset.
    #[serde(rename = "self")]
    pub this: String,
    /// Its rows.
    pub rows: String,
}

impl Links {
    /// The addresses of the dataset called `name`.
    pub fn of(name: &str) -> Self {
        Self { this: format!("/api/v1/datasets/{name}"), rows: format!("/api/v1/datasets/{name}/rows") }
    }
}

/// One dataset in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetDetail {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub description: String,
    /// Where it comes from.
    pub source: SourceRef,
    /// Its columns.
    pub schema: SchemaDto,
    /// How many rows the cached table has; null while none is cached.
    pub rows: Option<u64>,
    /// How many bytes the cached table takes; null while none is cached.
    pub bytes: Option<u64>,
    /// When the scan behind the cached table began, RFC 3339; null while none is cached.
    pub loaded_at: Option<String>,
    /// Seconds since then.
    pub age_seconds: Option<f64>,
    /// What is kept now: `table` or `query`.
    pub mode: String,
    /// How it is kept.
    pub policy: PolicyDto,
    /// Names under which it can be invalidated together with others.
    pub tags: Vec<String>,
    /// When its source was last asked whether the data has changed, RFC 3339; null before the first time.
    pub last_checked_at: Option<String>,
    /// What the source said then: another token, other data. Null when it cannot tell.
    pub fingerprint: Option<String>,
    /// Where to go from here.
    pub links: Links,
}

/// The source of a dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceRef {
    /// Name of the instance.
    pub name: String,
    /// File name of its library.
    pub plugin: String,
    /// Version of the library.
    pub version: String,
}

/// The columns of a dataset.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaDto {
    /// The columns, in order.
    pub fields: Vec<FieldDto>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldDto {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    #[schema(example = "Int64")]
    pub r#type: String,
    /// Whether it may hold nulls.
    pub nullable: bool,
    /// What it holds, if the source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its unit, if the source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl FieldDto {
    /// A column of an Arrow schema.
    pub fn of(field: &arrow::datatypes::Field) -> Self {
        let metadata = |key: &str| field.metadata().get(key).cloned();
        Self {
            name: field.name().clone(),
            r#type: field.data_type().to_string(),
            nullable: field.is_nullable(),
            description: metadata("description"),
            unit: metadata("unit"),
        }
    }
}

/// How a dataset is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyDto {
    /// How long data is served before it is loaded again.
    pub ttl_seconds: f64,
    /// How long a load may take.
    pub load_timeout_seconds: f64,
    /// The most bytes that its table or one result may take.
    pub max_bytes: u64,
    /// `table`, `query` or `auto`.
    pub mode: String,
    /// Whether it is kept on disk too.
    pub persist: bool,
    /// How long old data is served while it is loaded again.
    pub stale_while_revalidate_seconds: f64,
    /// How long old data is served when loading it again fails.
    pub stale_if_error_seconds: f64,
    /// How often the source is asked whether the data has changed; 0 for never.
    pub check_interval_seconds: f64,
    /// How long clients may keep an answer.
    pub client_max_age_seconds: f64,
    /// Seconds after which it is loaded again, asked for or not; null for not at all.
    pub refresh_every_seconds: Option<f64>,
    /// Whether it is loaded when the server starts.
    pub warm: bool,
}

impl From<&pipeline::Policy> for PolicyDto {
    fn from(policy: &pipeline::Policy) -> Self {
        Self {
            ttl_seconds: policy.ttl.as_secs_f64(),
            load_timeout_seconds: policy.load_timeout.as_secs_f64(),
            max_bytes: policy.max_bytes,
            mode: policy.mode.name().to_owned(),
            persist: policy.persist,
            stale_while_revalidate_seconds: policy.stale_while_revalidate.as_secs_f64(),
            stale_if_error_seconds: policy.stale_if_error.as_secs_f64(),
            check_interval_seconds: policy.check_interval.as_secs_f64(),
            client_max_age_seconds: policy.client_max_age.unwrap_or(policy.ttl).as_secs_f64(),
            refresh_every_seconds: policy.refresh_every.map(|every| every.as_secs_f64()),
            warm: policy.warm,
        }
    }
}

/// What a refresh brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefreshDto {
    /// The dataset.
    pub name: String,
    /// How many rows it has now; null when it is kept query by query.
    pub rows: Option<u64>,
    /// How many bytes its table takes now.
    pub bytes: Option<u64>,
    /// When the scan began, RFC 3339.
    pub loaded_at: Option<String>,
    /// How long the refresh took.
    pub duration_ms: f64,
}

/// What a look at a source brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct TouchDto {
    /// The dataset.
    pub name: String,
    /// Whether its data changed; null when its source cannot tell.
    pub changed: Option<bool>,
    /// Whether what is kept of it was dropped.
    pub invalidated: bool,
    /// How long the look took.
    pub checked_ms: f64,
}

/// All plugins.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginList {
    /// The plugins, by name.
    pub plugins: Vec<PluginDto>,
}

/// One plugin.
#[derive(Debug, Serialize, ToSchema)]
pub struct PluginDto {
    /// Name of the instance.
    pub name: String,
    /// File name of the library.
    pub file: String,
    /// `starting`, `loaded`, `outdated` (a newer file failed, the old one serves), `failed` or
    /// `quarantined` (it crashed too often).
    pub state: String,
    /// Version of the library.
    pub version: String,
    /// What it is.
    pub description: String,
    /// SHA-256 of the library.
    pub sha256: String,
    /// How many versions of it were put in service.
    pub generation: u64,
    /// What was tried with the newest file.
    pub steps: Vec<StepDto>,
    /// The datasets that it offers, by its own names for them.
    pub datasets: Vec<String>,
    /// Process id of its worker, when one runs.
    pub worker_pid: Option<u32>,
    /// Workers started.
    pub starts: u64,
    /// Workers that crashed.
    pub crashes: u64,
    /// The last failure.
    pub last_error: Option<String>,
    /// Whether its source is called, or left alone for a while; null before the first call.
    pub breaker: Option<BreakerDto>,
}

/// How the circuit breaker of a source stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct BreakerDto {
    /// `closed` (it is called), `open` (it is left alone) or `half_open` (one call may try).
    pub state: &'static str,
    /// Calls in a row that failed.
    pub failures: u32,
    /// How often it has opened.
    pub openings: u64,
    /// Seconds until it is tried again, while it is open.
    pub retry_after_seconds: Option<f64>,
}

impl From<loader::BreakerSeen> for BreakerDto {
    fn from(seen: loader::BreakerSeen) -> Self {
        Self {
            state: seen.state.name(),
            failures: seen.failures,
            openings: seen.openings,
            retry_after_seconds: seen.retry_after.map(|time| time.as_secs_f64()),
        }
    }
}

/// One step on the way to a serving plugin.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepDto {
    /// What was tried.
    pub name: String,
    /// Whether it worked.
    pub ok: bool,
    /// What was found, or why it failed.
    pub detail: String,
}

impl From<plugin_host::PluginStatus> for PluginDto {
    fn from(status: plugin_host::PluginStatus) -> Self {
        let step = |step: plugin_host::Step| StepDto { name: step.name, ok: step.ok, detail: step.detail };
        Self {
            name: status.name,
            file: status.library,
            state: status.state.name().to_owned(),
            version: status.version,
            description: status.description,
            sha256: status.sha256,
            generation: status.generation,
            steps: status.steps.into_iter().map(step).collect(),
            datasets: status.datasets.into_iter().map(|dataset| dataset.name).collect(),
            worker_pid: status.worker_pid,
            starts: status.starts,
            crashes: status.crashes,
            last_error: status.last_error,
            breaker: None,
        }
    }
}

/// Whether the server serves.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `starting`.
    pub status: String,
    /// Datasets that can be served.
    pub datasets: usize,
    /// Plugins by state.
    pub plugins: std::collections::BTreeMap<String, usize>,
}

/// A point in time as RFC 3339 in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
