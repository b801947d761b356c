//! What can go wrong: building a cache, and loading a value.

use std::sync::Arc;
use std::time::Duration;

use crate::flight::Failure;
use crate::tier::TierError;

/// Why a cache could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that must not be zero.
    #[error("use a cache with {setting} = 0")]
    Zero {
        /// Its name.
        setting: &'static str,
    },
    /// The largest entry would not fit the budget.
    #[error("use max_entry_bytes = {max_entry_bytes}: at most {limit}, 97 % of max_bytes, can be admitted")]
    EntryOverBudget {
        /// What was asked for.
        max_entry_bytes: u64,
        /// The most that is possible.
        limit: u64,
    },
    /// A budget that would hardly hold an entry.
    #[error("use max_bytes = {max_bytes}: at least {least} are needed")]
    BudgetTooSmall {
        /// What was asked for.
        max_bytes: u64,
        /// What is needed.
        least: u64,
    },
    /// Not even an empty value would fit.
    #[error("use max_entry_bytes = {max_entry_bytes}: the bookkeeping of an entry alone takes {overhead}")]
    EntryTooSmall {
        /// What was asked for, or follows from `max_bytes`.
        max_entry_bytes: u64,
        /// What an entry takes without its value.
        overhead: u64,
    },
    /// The largest entry would not fit the disk.
    #[error("use disk_max_bytes = {disk_max_bytes}: an entry may have {max_entry_bytes}, see max_entry_bytes")]
    EntryOverDisk {
        /// The room on disk.
        disk_max_bytes: u64,
        /// The largest entry allowed.
        max_entry_bytes: u64,
    },
    /// Persistence was asked for, and there is nothing to persist to.
    #[error("use persist_to_disk = true without a tier: open one in disk_cache_dir and give it to the builder")]
    NoTier,
    /// There is a tier, and nothing says how values become bytes.
    #[error("use a tier without saying how values become bytes: give the builder a Persist, such as MessagePack")]
    NoPersist,
    /// The entries would outlive the invalidations of them.
    #[error("use a tier with stamps that are not durable in it: make them of this tier with Stamps::durable")]
    StampsNotDurable,
    /// The thread of the clock.
    #[error("start the clock's thread")]
    Clock(#[source] std::io::Error),
}

/// Why a caller got no value. `E` is the error of the loader; all waiters of a load share it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed.
    #[error("load: {0}")]
    Failed(#[source] Arc<E>),
    /// The loader panicked.
    #[error("load: the loader panicked: {message}")]
    Panicked {
        /// What it said.
        message: Arc<str>,
    },
    /// The load took longer than its time-out.
    #[error("load within {after:?}")]
    TimedOut {
        /// The time-out.
        after: Duration,
    },
    /// This caller's deadline came first; the load goes on if others wait for it.
    #[error("load before the caller's deadline")]
    Deadline,
    /// The load was given up: its runtime is shutting down.
    #[error("load: the load was given up")]
    Lost,
    /// Called outside a tokio runtime, by a cache that was not given one.
    #[error("load outside a runtime")]
    NoRuntime,
}

impl<E: Send + Sync + 'static> LoadError<E> {
    pub(crate) fn from_failure(failure: Failure) -> Self {
        match failure {
            // Only callers with the same error type share a flight, so the other arm is never taken.
            Failure::Failed(error) => error.downcast().map_or(Self::Lost, Self::Failed),
            Failure::Panicked(message) => Self::Panicked { message },
            Failure::TimedOut(after) => Self::TimedOut { after },
            Failure::Lost => Self::Lost,
            Failure::Deadline => Self::Deadline,
            Failure::NoRuntime => Self::NoRuntime,
        }
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(error) => Self::Failed(Arc::clone(error)),
            Self::Panicked { message } => Self::Panicked { message: Arc::clone(message) },
            Self::TimedOut { after } => Self::TimedOut { after: *after },
            Self::Deadline => Self::Deadline,
            Self::Lost => Self::Lost,
            Self::NoRuntime => Self::NoRuntime,
        }
    }
}

/// An invalidation that holds in this process, but could not be made to outlive it. The tier that keeps the records was
/// given up, as far as that was possible.
#[derive(Debug, thiserror::Error)]
#[error("make the invalidation durable")]
pub struct NotDurable {
    /// The stamp that it has.
    pub stamp: u64,
    /// Why.
    #[source]
    pub source: TierError,
}
