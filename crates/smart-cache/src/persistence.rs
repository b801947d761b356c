//! What all functions stand on: the invalidations that they obey, and the tier that some of them keep results in.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use cache_core::{ByteTier, Stamps};
use parking_lot::Mutex;

use crate::error::Error;

/// What a cache is opened with.
pub(crate) struct Base {
    stamps: Arc<Stamps>,
    tier: Option<Arc<dyn ByteTier>>,
    /// The names of the caches in the tier.
    taken: Mutex<HashSet<String>>,
}

impl Base {
    fn new(stamps: Arc<Stamps>, tier: Option<Arc<dyn ByteTier>>) -> Self {
        Self { stamps, tier, taken: Mutex::default() }
    }

    pub(crate) fn stamps(&self) -> &Arc<Stamps> {
        &self.stamps
    }

    pub(crate) fn tier(&self) -> Option<&Arc<dyn ByteTier>> {
        self.tier.as_ref()
    }

    /// Whether a name in the tier is had for the first time. Two caches must not find each other's results.
    pub(crate) fn take(&self, name: &str) -> bool {
        self.taken.lock().insert(name.to_owned())
    }
}

/// What functions that persist nothing are opened with.
pub(crate) static MEMORY: LazyLock<Base> = LazyLock::new(|| Base::new(Arc::default(), None));

static PERSISTED: Mutex<Persisted> = Mutex::new(Persisted::NotAsked);

enum Persisted {
    /// Neither a tier nor a function that asked for one.
    NotAsked,
    /// This function asked first, and there was none.
    Missed(Arc<str>),
    Given(Arc<Base>),
}

/// Gives the functions with `persist = true` a tier to keep their results in. To be called once, before any of them is.
/// Their invalidations, and those of [`global`](crate::global), are durable from then on.
///
/// Without it they keep their results in memory alone, and [`FunctionStats::persistence`] says so.
///
/// [`FunctionStats::persistence`]: crate::FunctionStats::persistence
///
/// # Errors
/// There is a tier already, or one of these functions has been called.
pub fn persist_to(tier: Arc<dyn ByteTier>) -> Result<(), Error> {
    let mut persisted = PERSISTED.lock();
    match &*persisted {
        Persisted::NotAsked => {}
        Persisted::Missed(function) => return Err(Error::TooLate { function: Arc::clone(function) }),
        Persisted::Given(_) => return Err(Error::TierGiven),
    }
    let stamps = Arc::new(Stamps::durable(Arc::clone(&tier)));
    *persisted = Persisted::Given(Arc::new(Base::new(stamps, Some(tier))));
    Ok(())
}

/// What a function that persists its results is opened with: `None` if there is no tier.
pub(crate) fn asked_by(function: &Arc<str>) -> Option<Arc<Base>> {
    let mut persisted = PERSISTED.lock();
    match &*persisted {
        Persisted::Given(base) => Some(Arc::clone(base)),
        Persisted::Missed(_) => None,
        Persisted::NotAsked => {
            *persisted = Persisted::Missed(Arc::clone(function));
            None
        }
    }
}

/// The durable invalidations, if there are any.
pub(crate) fn durable_stamps() -> Option<Arc<Stamps>> {
    match &*PERSISTED.lock() {
        Persisted::Given(base) => Some(Arc::clone(&base.stamps)),
        Persisted::NotAsked | Persisted::Missed(_) => None,
    }
}
