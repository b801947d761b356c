//! Why a cache directory could not be opened or worked on.

use std::io;

/// Why a cache directory could not be opened or worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another tier of this one, has the directory.
    #[error("open the cache directory: another process holds it")]
    Held,
    /// There is no cache in the directory.
    #[error("open the cache directory: there is no cache in it")]
    Missing,
    /// A limit is zero.
    #[error("open the cache directory: {what} must be more than zero")]
    Limit {
        /// Which one.
        what: &'static str,
    },
    /// The largest entry that the caches store would never fit.
    #[error("open the cache directory: an entry may have {max_entry_bytes} bytes, and all records {limit}")]
    EntryOverBudget {
        /// The largest entry allowed.
        max_entry_bytes: u64,
        /// What all records may take: two thirds of `disk_max_bytes`.
        limit: u64,
    },
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was tried, without paths.
        what: &'static str,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The database refused something.
    #[error("{what}")]
    Database {
        /// What was tried.
        what: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody has asked for the same already.
    #[error("compact the cache file: it is being compacted already")]
    Compacting,
    /// The tier is closed, or out of service.
    #[error("use the disk tier: {reason}")]
    OutOfService {
        /// Why.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
