//! Loads of many datasets, as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::ProblemPart;

/// What is to be loaded.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that http::loads reads, which says more about what is wrong")]
pub struct LoadBody {
    /// The requests; their names are unique.
    #[schema(min_items = 1, max_items = 10_000)]
    requests: Vec<LoadRequestBody>,
    /// Requests that are worked on at a time.
    #[schema(minimum = 1, maximum = 256, default = 4)]
    max_workers: Option<u16>,
    /// How long one attempt to read a source may take.
    #[schema(example = "30s", pattern = r"^[1-9]\d{0,5}(ms|s|m|h)$")]
    timeout: Option<String>,
    /// How often a failed attempt is made again.
    #[schema(minimum = 0, maximum = 10, default = 2)]
    retries: Option<u8>,
    /// How long the whole load may take; as long as its requests do when not set.
    #[schema(example = "5m", pattern = r"^[1-9]\d{0,5}(ms|s|m|h)$")]
    deadline: Option<String>,
}

/// One dataset, or a part of it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that http::loads reads")]
pub struct LoadRequestBody {
    /// What it is called in the load; the dataset's name when not set.
    #[schema(example = "recent", pattern = r"^[A-Za-z0-9_.-]{1,80}$")]
    name: Option<String>,
    /// The dataset.
    #[schema(example = "historical_ai_data", pattern = r"^[a-z0-9_-]{1,64}$")]
    source: String,
    /// A dashboard's filters. Either these or a query.
    #[schema(value_type = Option<Object>)]
    filters: Option<serde_json::Value>,
    /// A query, as for `POST /api/v1/datasets/{name}/query`.
    #[schema(value_type = Option<Object>)]
    query: Option<serde_json::Value>,
    /// The format that its result is given in, unless another is asked for.
    #[schema(example = "csv")]
    format: Option<String>,
}

/// All loads that are under way or were not long ago.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoadList {
    /// The newest first; without their requests.
    pub loads: Vec<LoadSummary>,
}

/// How a load stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoadSummary {
    /// Its id.
    #[schema(example = "9e3779b97f4a7c15")]
    pub id: String,
    /// `running`, `finished` or `cancelled`.
    pub state: &'static str,
    /// When it began, RFC 3339.
    pub began_at: String,
    /// How long it has taken so far, or took, in milliseconds.
    pub elapsed_ms: f64,
    /// A guess of how long it will take still, once there is a basis for one.
    pub time_left_ms: Option<f64>,
    /// How many requests it has.
    pub total: usize,
    /// How many of them are done with.
    pub done: usize,
    /// How many of these failed.
    pub failed: usize,
    /// The part that is done, 0 to 1; requests under way count for as much as is known of them.
    pub progress: f64,
    /// Where to go from here.
    pub links: LoadLinks,
}

/// Addresses of a load.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoadLinks {
    /// The load.
    #[serde(rename = "self")]
    pub this: String,
    /// What happens in it, as it happens.
    pub events: String,
}

/// A load with its requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoadDto {
    /// How it stands.
    #[serde(flatten)]
    pub summary: LoadSummary,
    /// Its requests, in their order.
    pub requests: Vec<LoadRequestDto>,
}

/// How one request of a load stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoadRequestDto {
    /// What it is called.
    pub name: String,
    /// Its dataset.
    pub source: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    pub state: &'static str,
    /// How far it has come, while it is running.
    pub progress: Option<ProgressDto>,
    /// What came of it, once it is done with.
    pub outcome: Option<OutcomeDto>,
}

/// How far a request has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressDto {
    /// `queued` (it waits for its source), `reading`, `waiting` (for the next attempt) or `read`.
    pub stage: &'static str,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far, as the source counts them.
    pub bytes: u64,
    /// How many rows there will be, where that is known.
    pub total_rows: Option<u64>,
    /// The part that is done, 0 to 1, where that is known.
    pub fraction: Option<f64>,
    /// A guess of how long it will take still, in milliseconds.
    pub time_left_ms: Option<f64>,
}

/// What came of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeDto {
    /// Rows of the answer; null if it failed.
    pub rows: Option<u64>,
    /// Bytes that they take in memory.
    pub bytes: Option<u64>,
    /// Where they came from: `memory`, `disk`, `stale`, `stale_if_error`, `source` or `shared_load`.
    pub from: Option<&'static str>,
    /// Whether an old value stands in for one that could not be loaded, or is being loaded.
    pub stale: bool,
    /// How often the source was read for it; 0 if the rows were kept, or if the load of somebody else brought them.
    pub attempts: u32,
    /// How long it took, in milliseconds, waiting for a worker not included.
    pub took_ms: f64,
    /// Filters that name no column and were skipped.
    pub ignored_filters: Vec<String>,
    /// Why it failed.
    pub error: Option<ProblemPart>,
    /// Its id in the log.
    pub request_id: String,
    /// Its rows; null if it failed.
    pub result: Option<String>,
}
