//! What all functions stand on: the invalidations that they obey, and the tier that some of them keep results in.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use cache_core::{ByteTier, CacheConfig, Stamps, TierError};
use cache_redb::RedbTier;
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
    /// This function asked first, and its folder could not be used.
    Unusable { function: Arc<str>, reason: Arc<str> },
    /// This function asked first, and opened the default folder.
    Opened { function: Arc<str>, base: Arc<Base> },
    /// Somebody gave it.
    Given(Arc<Base>),
}

impl Persisted {
    fn base(&self) -> Option<&Arc<Base>> {
        match self {
            Self::Given(base) | Self::Opened { base, .. } => Some(base),
            Self::NotAsked | Self::Unusable { .. } => None,
        }
    }

    /// Whether a tier may still be given.
    fn check(&self) -> Result<(), Error> {
        match self {
            Self::NotAsked => Ok(()),
            Self::Unusable { function, .. } | Self::Opened { function, .. } => {
                Err(Error::TooLate { function: Arc::clone(function) })
            }
            Self::Given(_) => Err(Error::TierGiven),
        }
    }
}

/// Gives the functions with `persist = true` a tier to keep their results in, other than the folder `./cache`. To be
/// called once, before any of them is. Their invalidations, and those of [`global`](crate::global), are durable in it.
///
/// # Errors
/// There is a tier already, or one of these functions has been called.
pub fn persist_to(tier: Arc<dyn ByteTier>) -> Result<(), Error> {
    let mut persisted = PERSISTED.lock();
    persisted.check()?;
    *persisted = Persisted::Given(base_of(tier));
    Ok(())
}

/// As [`persist_to`], with a folder: it is made if need be.
///
/// # Errors
/// As there, or the folder cannot be used.
pub fn persist_in(folder: impl Into<PathBuf>) -> Result<(), Error> {
    let mut persisted = PERSISTED.lock();
    persisted.check()?;
    *persisted = Persisted::Given(base_of(RedbTier::open_for(&config(folder.into()))?));
    Ok(())
}

/// What a function that persists its results is opened with. Who asks first opens the default folder.
///
/// # Errors
/// It cannot be used: why.
pub(crate) fn asked_by(function: &Arc<str>) -> Result<Arc<Base>, Arc<str>> {
    let mut persisted = PERSISTED.lock();
    if let Persisted::NotAsked = &*persisted {
        let function = Arc::clone(function);
        *persisted = match open_default() {
            Ok(tier) => Persisted::Opened { function, base: base_of(tier) },
            Err(reason) => Persisted::Unusable { function, reason: reason.into() },
        };
    }
    match &*persisted {
        Persisted::Given(base) | Persisted::Opened { base, .. } => Ok(Arc::clone(base)),
        Persisted::Unusable { reason, .. } => Err(Arc::clone(reason)),
        Persisted::NotAsked => Err("persist results: nobody has asked yet".into()),
    }
}

/// The durable invalidations, if there are any.
pub(crate) fn durable_stamps() -> Option<Arc<Stamps>> {
    PERSISTED.lock().base().map(|base| Arc::clone(&base.stamps))
}

/// Waits until all results are in the tier, if there is one.
pub(crate) fn flush() -> Result<(), TierError> {
    let tier = PERSISTED.lock().base().and_then(|base| base.tier.clone());
    tier.map_or(Ok(()), |tier| tier.flush())
}

/// A thread that has stored a result in the tier waits for it when it ends, the main thread at the end of the program:
/// otherwise a program that ends at once would lose what it has just stored.
pub(crate) fn flush_when_this_thread_ends() {
    // Where the thread is ending already, others have to wait for it.
    let _ = AT_END.try_with(|_| ());
}

thread_local! {
    static AT_END: AtEnd = const { AtEnd };
}

struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        // What cannot be written is made anew by the next program.
        let _ = flush();
    }
}

fn base_of(tier: Arc<dyn ByteTier>) -> Arc<Base> {
    let stamps = Arc::new(Stamps::durable(Arc::clone(&tier)));
    Arc::new(Base::new(stamps, Some(tier)))
}

fn config(disk_cache_dir: PathBuf) -> CacheConfig {
    CacheConfig { persist_to_disk: true, disk_cache_dir, ..CacheConfig::default() }
}

fn open_default() -> Result<Arc<RedbTier>, String> {
    let folder = CacheConfig::default().disk_cache_dir;
    let error = match RedbTier::open_for(&config(folder.clone())) {
        Ok(tier) => return Ok(tier),
        Err(error) => error,
    };
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let reason = format!("persist results in '{}': {error}{cause}", folder.display());
    // Invalidations are not durable now, so what an earlier program has left must not be found by a later one.
    match cache_redb::forget(&folder) {
        Ok(()) => Err(reason),
        Err(_) => {
            Err(reason + "; what is there already may be found by a later program, whatever is invalidated in this")
        }
    }
}
