//! Questions as JSON, and documents about their answers.

use serde::Serialize;
use utoipa::ToSchema;

/// A query as JSON: what the URL of the rows says, for long filters; and a dashboard's short form, `filters`. Read by the
/// query language; this type documents it.
#[derive(ToSchema)]
#[schema(example = json!({
    "select": ["region", "total:amount.sum()"],
    "where": {"and": [{"column": "year", "op": "gte", "value": 2020}]},
    "order": ["total.desc"],
    "limit": 10
}))]
pub struct QueryBody {
    /// Columns, casts, new names and aggregates, as in `select=`: a list or one text.
    #[schema(value_type = Option<Object>)]
    pub select: Option<serde_json::Value>,
    /// Whether each row is answered once.
    pub distinct: Option<bool>,
    /// A tree of `{"and": [...]}`, `{"or": [...]}`, `{"not": ...}` and `{"column", "op", "value"}`; or a text as in `and=`.
    #[schema(value_type = Option<Object>)]
    pub r#where: Option<serde_json::Value>,
    /// A condition on groups, as `where`.
    #[schema(value_type = Option<Object>)]
    pub having: Option<serde_json::Value>,
    /// As in `order=`: a list or one text.
    #[schema(value_type = Option<Object>)]
    pub order: Option<serde_json::Value>,
    /// The most rows to answer with.
    pub limit: Option<u64>,
    /// Rows to skip.
    pub offset: Option<u64>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// The name of a format; beats `Accept`.
    pub format: Option<String>,
    /// Whether texts of CSV are written as they are.
    pub raw: Option<bool>,
    /// How the rows of the whole answer are counted; beats `Prefer`.
    #[schema(example = "exact")]
    pub count: Option<String>,
    /// Whether to explain the answer instead of giving it.
    pub explain: Option<bool>,
    /// A dashboard's short form: `<column>_min`, `<column>_max`, a column with one value or a list, or its plural.
    #[schema(value_type = Option<Object>, example = json!({"year_min": 2020, "year_max": 2025}))]
    pub filters: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether a filter that names no column of the dataset is an error.
    pub strict: Option<bool>,
}

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

/// Rows and batches of an evaluation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainRows {
    /// Rows that the condition was tested on.
    pub tested: u64,
    /// Rows that fulfilled it, as far as they were looked for.
    pub matched: u64,
    /// Rows of the answer.
    pub answered: u64,
    /// Rows of the whole answer, if they were counted.
    pub total: Option<u64>,
    /// Batches of the table.
    pub batches: u64,
    /// Batches that were skipped, as their least and greatest values rule them out.
    pub batches_skipped: u64,
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
