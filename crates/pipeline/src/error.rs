//! What can keep a question from its answer.

use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::SourceError;

use crate::eval::EvalError;
use crate::format::EncodeError;
use crate::query::QueryError;

/// A question that was not answered. Cheap to clone: everyone who waited for one load gets it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no dataset of that name.
    #[error("no dataset named '{name}'")]
    UnknownDataset {
        /// What was asked for.
        name: String,
        /// The closest name there is.
        suggestion: Option<String>,
    },
    /// The dataset is offered, but its schema cannot be had.
    #[error("dataset '{dataset}' cannot be served: {source}")]
    BrokenDataset {
        /// The dataset.
        dataset: Arc<str>,
        /// Why.
        source: SourceError,
    },
    /// The query makes no sense for the dataset.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The source failed.
    #[error("the source of dataset '{dataset}' failed: {source}")]
    Source {
        /// The dataset.
        dataset: Arc<str>,
        /// Why.
        source: SourceError,
    },
    /// Too many loads wait for their sources.
    #[error("dataset '{dataset}' cannot be loaded now: {queued} loads wait for their sources, and no more may")]
    QueueFull {
        /// The dataset.
        dataset: Arc<str>,
        /// How many wait.
        queued: usize,
        /// When it is worth another try.
        retry_after: Duration,
    },
    /// The source has failed so often that it is left alone for a while.
    #[error("the source of dataset '{dataset}' failed {failures} times in a row and is left alone for a while")]
    BreakerOpen {
        /// The dataset.
        dataset: Arc<str>,
        /// The source.
        source_name: Arc<str>,
        /// How often.
        failures: u32,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// The data has another schema than the query was bound to; bind again and retry.
    #[error("the schema of dataset '{dataset}' has changed")]
    SchemaChanged {
        /// The dataset.
        dataset: Arc<str>,
    },
    /// The table or result is larger than the dataset's policy allows.
    #[error("more than {limit_bytes} bytes of dataset '{dataset}' would have to be kept")]
    TooLarge {
        /// The dataset.
        dataset: Arc<str>,
        /// `max_bytes` of its policy.
        limit_bytes: u64,
        /// Whether a narrower query would help: a result was too large, not the table.
        narrower_helps: bool,
    },
    /// The load took longer than the policy allows, or the caller's deadline passed.
    #[error("loading dataset '{dataset}' did not finish in time")]
    Timeout {
        /// The dataset.
        dataset: Arc<str>,
    },
    /// The load of many that this was a part of had a deadline, and it passed.
    #[error("the deadline of the load passed before dataset '{dataset}' was loaded")]
    LoadDeadline {
        /// The dataset.
        dataset: Arc<str>,
    },
    /// The evaluation failed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The result cannot be written in the format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// An invalidation holds now, but may not outlive the process.
    #[error("{0}")]
    NotDurable(#[source] Arc<cache_core::NotDurable>),
    /// A defect: the work panicked or ended without an answer.
    #[error("{0}")]
    Internal(Arc<str>),
}

impl Error {
    /// Whether the question asked for what cannot be had, or is not asked any more: nothing here has failed.
    pub(crate) fn is_of_the_question(&self) -> bool {
        use EvalError::{BadCast, Cancelled, SumOverflow, TooLarge};
        match self {
            Self::Eval(error) => matches!(error, BadCast { .. } | Cancelled | SumOverflow { .. } | TooLarge { .. }),
            Self::Query(_) | Self::SchemaChanged { .. } | Self::TooLarge { narrower_helps: true, .. } => true,
            _ => false,
        }
    }
}

impl From<cache_core::NotDurable> for Error {
    fn from(error: cache_core::NotDurable) -> Self {
        Self::NotDurable(Arc::new(error))
    }
}

/// The candidate closest to `word`, if one is close enough to have been meant.
pub(crate) fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
