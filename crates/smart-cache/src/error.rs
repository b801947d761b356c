//! What can go wrong outside a cached function. Inside, nothing can: the function is called instead.

use std::sync::Arc;

/// Why something could not be done with the caches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is one already.
    #[error("give the persisted functions a second tier")]
    TierGiven,
    /// It keeps its results in memory.
    #[error("give the persisted functions a tier: {function} has been called without one")]
    TooLate {
        /// The first that was.
        function: Arc<str>,
    },
    /// It holds in this process, and may not in the next one.
    #[error(transparent)]
    NotDurable(#[from] cache_core::NotDurable),
}
