//! What a load is asked for, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use pipeline::query::{BoundQuery, Query, dashboard, parse_json};
use pipeline::{Answer, AnswerFrom, DataPipeline, Dataset, Error};
use serde_json::{Map, Value};

/// One dataset, or a part of it, to be loaded.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// What its outcome is called; unique within a load.
    pub name: String,
    /// The dataset: the word that people know it by.
    pub source: String,
    /// Which rows of it.
    pub ask: Ask,
    /// In which format they are wanted; nothing here depends on it.
    pub format: Option<String>,
}

/// Which rows of a dataset.
#[derive(Debug, Clone, Default)]
pub enum Ask {
    /// All of them.
    #[default]
    All,
    /// A dashboard's filters: `year_min`, `year_max`, lists, plurals; what names no column is skipped and listed.
    Filters(Map<String, Value>),
    /// A query as JSON.
    Json(Map<String, Value>),
    /// A query.
    Query(Box<Query>),
}

impl LoadRequest {
    /// All rows of a dataset, under its name.
    pub fn new(source: impl Into<String>) -> Self {
        let source = source.into();
        Self { name: source.clone(), source, ask: Ask::All, format: None }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The rows that fulfil a dashboard's filters.
    #[must_use]
    pub fn with_filters(mut self, filters: Map<String, Value>) -> Self {
        self.ask = Ask::Filters(filters);
        self
    }

    /// The rows that a query asks for.
    #[must_use]
    pub fn with_query(mut self, query: Query) -> Self {
        self.ask = Ask::Query(Box::new(query));
        self
    }

    /// The query on the dataset of now, and the filters that were skipped.
    pub(crate) fn bind(&self, pipeline: &DataPipeline, dataset: &Dataset) -> Result<(BoundQuery, Vec<String>), Error> {
        let (schema, rules) = (&dataset.schema, pipeline.rules());
        Ok(match &self.ask {
            Ask::All => (BoundQuery::bind(&Query::default(), schema, &rules.limits)?, Vec::new()),
            Ask::Query(query) => (BoundQuery::bind(query, schema, &rules.limits)?, Vec::new()),
            Ask::Filters(filters) => {
                dashboard::from_filters_within(filters, schema, dashboard::Strictness::Lenient, &rules.limits)?
            }
            Ask::Json(body) => {
                let (query, ignored) = parse_json(body, schema, rules)?;
                (query, ignored.unwrap_or_default())
            }
        })
    }
}

/// What came of one request.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the request is called.
    pub name: Arc<str>,
    /// Its dataset.
    pub source: Arc<str>,
    /// What was loaded, or why nothing was.
    pub result: Result<Loaded, Error>,
    /// How long it took, waiting for a worker not included.
    pub took: Duration,
    /// How often its source was read for it: none if the rows were kept, or if somebody else's load brought them.
    pub attempts: u32,
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How many rows.
    pub rows: u64,
    /// How many bytes they take in memory.
    pub bytes: u64,
    /// Where they came from.
    pub from: AnswerFrom,
    /// Filters that name no column and were skipped.
    pub ignored_filters: Vec<String>,
    /// The rows, where they were to be kept.
    pub answer: Option<Answer>,
}

impl Loaded {
    /// Whether an old value stands in, because loading it again failed or is under way.
    pub fn is_stale(&self) -> bool {
        matches!(self.from, AnswerFrom::Stale | AnswerFrom::StaleOnError)
    }
}

/// What came of a load.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// One for each request, in their order.
    pub outcomes: Vec<Outcome>,
    /// How long all of them took together.
    pub took: Duration,
}

impl LoadReport {
    /// How many failed.
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.result.is_err()).count()
    }

    /// What came of the request of this name.
    pub fn get(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| &*outcome.name == name)
    }
}
