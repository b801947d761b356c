//! What goes into a call of the pipeline, and what comes out of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use cache_core::{How, Loaded, Stale};

use crate::dataset::Dataset;
use crate::eval::{EvalStats, PageEnd, Run};
use crate::progress::Begun;
use crate::query::{BoundQuery, Query};
use crate::stored;
use crate::table::Table;

/// What one call wants.
#[derive(Debug, Clone)]
pub struct CallOptions {
    /// The id of the request, for logs.
    pub request_id: Arc<str>,
    /// Who asks: one request, or one of many of a load. Source calls go round between owners.
    pub owner: Arc<str>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// What the caller does with data whose ttl is over.
    pub stale: Stale,
    /// How long one attempt to read the source may take; as long as the load when `None`.
    pub attempt_timeout: Option<Duration>,
    /// How often a failed attempt may be made again; as whoever runs loads thinks fit when `None`.
    pub retries: Option<u32>,
    /// Where the caller finds the load that is begun for it.
    pub begun: Option<Arc<Begun>>,
}

impl CallOptions {
    /// A call of this id without a deadline of its own.
    pub fn new(request_id: impl Into<Arc<str>>) -> Self {
        let request_id = request_id.into();
        Self {
            owner: Arc::clone(&request_id),
            request_id,
            deadline: None,
            stale: Stale::Refresh,
            attempt_timeout: None,
            retries: None,
            begun: None,
        }
    }
}

/// Where the data of an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFrom {
    /// A cached table or result.
    Cache,
    /// A table or result that was kept on disk.
    Disk,
    /// A table or result that is out of date and is being loaded again; or one from disk, of which the source did not
    /// say in time whether it still holds.
    Stale,
    /// A table or result that is out of date, because loading it again failed.
    StaleOnError,
    /// The source, in this call.
    Source,
    /// The source, in a call of somebody else that was under way.
    SharedLoad,
}

impl From<How> for AnswerFrom {
    fn from(how: How) -> Self {
        match how {
            How::Hit => Self::Cache,
            How::Restored => Self::Disk,
            How::Stale => Self::Stale,
            How::StaleOnError => Self::StaleOnError,
            How::Led => Self::Source,
            How::Joined => Self::SharedLoad,
        }
    }
}

/// A dataset made ready for queries: its table is loaded, or it is known to go query by query.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) table: Option<(Loaded<Arc<Table>>, AnswerFrom)>,
    pub(crate) version: u64,
}

impl Prepared {
    /// Number of the data; part of the key of what is made of it.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How its table was come by; `None` for a dataset that goes query by query.
    pub fn from(&self) -> Option<AnswerFrom> {
        self.table.as_ref().map(|(_, from)| *from)
    }
}

/// The rows that a query asked for.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The selected columns, in the order of the query.
    pub schema: SchemaRef,
    /// The rows, as the table stores them: texts of few values may be dictionary-encoded. All formats write them as the
    /// schema says, and so does [`declared`](Self::declared).
    pub batches: Vec<RecordBatch>,
    /// How many rows.
    pub rows: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// When the scan behind them began.
    pub origin: cache_core::Origin,
    /// Number of the load that read them ([`Table::version`]).
    pub version: u64,
    /// Where they came from.
    pub from: AnswerFrom,
    /// Where the next page begins; `None` if there are no more rows.
    pub next: Option<Next>,
    /// What evaluating them on a table took; nothing where they were kept as they are.
    pub stats: EvalStats,
    /// Holds the memory that they take. Whoever works on them asks it whether to go on.
    pub run: Run,
}

impl Answer {
    /// The rows in the types of the schema.
    ///
    /// # Errors
    /// A column has more text than its type can hold.
    pub fn declared(&self) -> Result<Vec<RecordBatch>, ArrowError> {
        self.batches.iter().map(|batch| stored::as_declared(batch, &self.schema)).collect()
    }
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// At a cursor.
    Cursor(Arc<str>),
    /// After so many rows, where a cursor would be too long.
    Offset(u64),
}

impl Next {
    /// Where the page behind one of `rows` rows begins.
    pub(crate) fn after(query: &BoundQuery, end: &PageEnd, rows: u64) -> Self {
        match query.cursor_after(end, rows) {
            Some(cursor) => Self::Cursor(cursor.into()),
            None => Self::Offset(query.rows_before().saturating_add(rows)),
        }
    }

    /// The query for the next page.
    pub fn query(&self, of: &BoundQuery) -> Query {
        let mut query = of.to_query();
        (query.cursor, query.offset) = match self {
            Self::Cursor(cursor) => (Some(cursor.to_string()), 0),
            Self::Offset(offset) => (None, *offset),
        };
        query
    }

    /// As one text, for a record on disk.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Cursor(cursor) => format!("c{cursor}"),
            Self::Offset(offset) => format!("o{offset}"),
        }
    }

    /// What [`to_text`](Self::to_text) made.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match (text.strip_prefix('c'), text.strip_prefix('o')) {
            (Some(cursor), _) => Some(Self::Cursor(cursor.into())),
            (_, Some(offset)) => offset.parse().ok().map(Self::Offset),
            _ => None,
        }
    }
}

/// How the rows of a whole answer are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counting {
    /// All of them.
    Exact,
    /// From a sample where there are many, and not at all where the source would have to be asked.
    Estimated,
}

/// The answer to a dashboard's filters.
#[derive(Debug, Clone)]
pub struct Processed {
    /// The rows.
    pub answer: Answer,
    /// Filters that name no column of the dataset and were skipped.
    pub ignored_filters: Vec<String>,
}

/// What is kept of a dataset.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// How many rows.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Time since its scan began.
    pub age: Duration,
    /// When its scan began.
    pub loaded_at: SystemTime,
}

/// What a refresh did.
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// The new table; `None` when the dataset goes query by query.
    pub table: Option<TableInfo>,
    /// How long it took.
    pub took: Duration,
}
