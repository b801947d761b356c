//! What can be refused: a name, and one timer too many.

/// Why the monitor did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name of an operation that is empty, too long, or of other characters.
    #[error(
        "name an operation with {length} bytes, or with others than ASCII letters, digits, spaces and _ . : / -: 1 to {limit} are taken"
    )]
    Name {
        /// How long the name is, in bytes.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// So many timers are open.
    #[error("open another timer beside {limit}: end some, or let them grow old")]
    TooManyTimers {
        /// How many may be open.
        limit: usize,
    },
    /// A text that is no id of a timer.
    #[error("read the id of a timer")]
    TimerId,
}
