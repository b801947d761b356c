//! Questions as JSON, and documents about their answers.

use serde::Serialize;
use utoipa::ToSchema;

/// How often values occur.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetsDto {
    /// How many rows fulfil the filters.
    pub rows: u64,
    /// The columns that were asked for.
    pub facets: Vec<FacetDto>,
}

/// The values of a column.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetDto {
    /// Name of the column.
    pub column: String,
    /// How many values there are, null not among them.
    pub distinct: u64,
    /// How many rows have none.
    pub nulls: u64,
    /// The most frequent values first.
    pub values: Vec<FacetValue>,
}

/// A value and how often it occurs.
#[derive(Debug, Serialize, ToSchema)]
pub struct FacetValue {
    /// The value, as the rows have it.
    pub value: serde_json::Value,
    /// How many rows have it.
    pub count: u64,
}

/// How an answer is come by.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainDto {
    /// The dataset.
    pub dataset: String,
    /// The query in normal form: two spellings of one question share it.
    pub query: String,
    /// `table` when the whole dataset is kept, `query` when each result is.
    pub mode: String,
    /// What the source is asked for; null when the rows come from a table that is kept.
    pub source: Option<PushedDto>,
    /// What is done here, in this order. Filters of the source are applied again.
    pub here: Vec<String>,
    /// Where the table or result came from: memory, disk, stale, stale_if_error, source or shared_load.
    pub from: String,
    /// Whether the body of the same request without `explain` is in memory.
    pub body_is_cached: bool,
    /// Rows of the table.
    pub table_rows: Option<u64>,
    /// Bytes of the table.
    pub table_bytes: Option<u64>,
    /// Time since the scan of the table began.
    pub table_age_seconds: Option<f64>,
    /// What evaluating it took.
    pub rows: ExplainRows,
    /// Whether there are more rows than the answer has.
    pub more: bool,
    /// Status of the answer.
    pub status: u16,
    /// Format of the answer.
    pub format: String,
    /// Bytes of the answer before compression; null when it is streamed.
    pub body_bytes: Option<u64>,
    /// Memory that the evaluation held at its end.
    pub memory_bytes: u64,
    /// How long each part took.
    pub times_ms: ExplainTimes,
}

/// What a source is asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushedDto {
    /// The columns; null for all.
    pub columns: Option<Vec<String>>,
    /// Conditions that all rows must fulfil.
    pub filters: Vec<String>,
    /// The most rows; null for all.
    pub limit: Option<u64>,
}

/// Rows and batches of an evaluation. In query mode the rows go through as the source gives them, and nobody counts what
/// is null then.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainRows {
    /// Rows that the condition was tested on.
    pub tested: Option<u64>,
    /// Rows that fulfilled it, as far as they were looked for.
    pub matched: Option<u64>,
    /// Rows of the answer.
    pub answered: u64,
    /// Rows of the whole answer, if they were counted.
    pub total: Option<u64>,
    /// Batches of the table.
    pub batches: Option<u64>,
    /// Batches that were skipped, as their least and greatest values rule them out.
    pub batches_skipped: Option<u64>,
}

/// Times in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainTimes {
    /// Coming by the table.
    pub table: f64,
    /// Evaluating the query; in query mode with what the source took.
    pub evaluate: f64,
    /// Counting the rows of the whole answer.
    pub count: Option<f64>,
    /// Writing the rows.
    pub encode: f64,
    /// All of it.
    pub total: f64,
}
