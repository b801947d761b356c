//! One recommendation.

use std::time::Duration;

use super::evidence::TableOrQuery;

/// A setting to change.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recommendation {
    /// The rule and the subject: `ttl:sales`. It stays the same as long as the recommendation is there.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
    /// What was seen.
    pub observed: Statement,
    /// What to change, as a sentence.
    pub advice: String,
    /// What that is expected to bring.
    pub expected: Statement,
    /// What to change.
    pub change: Change,
}

/// Numbers, and what they say. Durations are in seconds, sizes in bytes, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statement {
    /// For people.
    pub sentence: String,
    /// For machines.
    pub numbers: Vec<(&'static str, f64)>,
}

impl Statement {
    pub(super) fn new(sentence: String, numbers: impl Into<Vec<(&'static str, f64)>>) -> Self {
        Self { sentence, numbers: numbers.into() }
    }
}

/// A setting, and the value that is recommended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The budget of a cache.
    CacheBytes {
        /// Which one.
        cache: String,
        /// Its new budget.
        bytes: u64,
    },
    /// How long a dataset counts as fresh.
    Ttl {
        /// Which one.
        dataset: String,
        /// For so long.
        ttl: Duration,
    },
    /// Whether a dataset is kept on disk too.
    Persist {
        /// Which one.
        dataset: String,
        /// Whether it is.
        persist: bool,
    },
    /// Whether a dataset is kept as a whole.
    Mode {
        /// Which one.
        dataset: String,
        /// How it is kept.
        mode: TableOrQuery,
    },
    /// How many workers call sources.
    Workers {
        /// So many.
        workers: usize,
    },
}
