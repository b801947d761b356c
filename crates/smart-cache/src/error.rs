//! What can go wrong outside a cached function. Inside, nothing can: the function is called instead.

use std::sync::Arc;

/// Why something could not be done with the caches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is one already.
    #[error("give the persisted functions a second tier")]
    TierGiven,
    /// It has opened the default folder, or keeps its results in memory.
    #[error("give the persisted functions a tier: {function} has been called without one")]
    TooLate {
        /// The first that was.
        function: Arc<str>,
    },
    /// The folder cannot be used.
    #[error("give the persisted functions a folder")]
    Folder(#[from] cache_redb::Error),
    /// Results are not in the tier.
    #[error("write what is persisted")]
    NotWritten(#[from] cache_core::TierError),
    /// It holds in this process, and may not in the next one.
    #[error(transparent)]
    NotDurable(#[from] cache_core::NotDurable),
}
