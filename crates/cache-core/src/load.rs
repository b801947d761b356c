//! What goes into a load and what comes out of it.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::CancelSignal;
use crate::clock::Clock;
use crate::entry::{Freshness, Hit, Item, Stored};
use crate::origin::Origin;
use crate::stamps::Stamps;
use crate::sync::Mutex;

/// What one call asks for. The default leaves everything to the cache's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// How long the value is served, counted from when its scan began. Of a value that comes from disk this and the two
    /// windows below may shorten the time for which it was stored, but not prolong it; it is then in memory for everybody as
    /// the caller who had it read would have it.
    pub ttl: Option<Duration>,
    /// How long the load may take, the look on disk before it included, which takes half of it at most. Of the calls that
    /// share a load, the one that started it decides.
    pub timeout: Option<Duration>,
    /// When this caller stops waiting. The load goes on for the others.
    pub deadline: Option<Instant>,
    /// How long the value may be served after its ttl while it is loaded again.
    pub stale_while_revalidate: Option<Duration>,
    /// How long the value may be served after its ttl when loading it again fails.
    pub stale_if_error: Option<Duration>,
    /// What this caller does with a value whose ttl is over.
    pub stale: Stale,
    /// Whether the value is kept on disk, in a cache that has a disk tier. Default: yes.
    pub persist: Option<bool>,
}

/// What a caller does with a value whose ttl is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stale {
    /// Takes it while it is stale, and has it loaded again behind its back; loads it when it is expired.
    #[default]
    Refresh,
    /// Takes it as long as it may be used at all, and leaves it at that: somebody else knows when it must go.
    Accept,
    /// Loads it at once. If that fails, it takes the old value as far as `stale_if_error` allows.
    Refuse,
}

impl Stale {
    /// What will do of a value that is there.
    pub(crate) fn enough(self) -> Freshness {
        match self {
            Self::Refresh => Freshness::Stale,
            Self::Accept => Freshness::Expired,
            Self::Refuse => Freshness::Fresh,
        }
    }
}

/// What a loader is told.
#[derive(Clone, Debug)]
pub struct LoadContext {
    origin: Arc<FlightOrigin>,
    stamps: Arc<Stamps>,
    clock: Clock,
    cancel: CancelSignal,
    refresh: bool,
}

impl LoadContext {
    pub(crate) fn new(
        origin: Arc<FlightOrigin>,
        stamps: Arc<Stamps>,
        clock: Clock,
        cancel: CancelSignal,
        refresh: bool,
    ) -> Self {
        Self { origin, stamps, clock, cancel, refresh }
    }

    /// When this load began. The value gets this origin unless the loader gives it another.
    pub fn origin(&self) -> Origin {
        self.origin.get()
    }

    /// Says that this load has read nothing yet and will say [`LoadContext::begin_again`] before it does. Until then
    /// everybody may join it, whatever is invalidated meanwhile. For a loader that waits for its turn, or asks whether the
    /// data has changed, first. A load that never begins after this has no value: its waiters are told that it was lost.
    pub fn postpone(&self) {
        self.origin.postpone();
    }

    /// Says that nothing which this load has read so far goes into its value: it begins now. For a loader that has
    /// found out, and noted, that the data has changed, and only then reads it.
    pub fn begin_again(&self) -> Origin {
        self.origin.set(begin(&self.stamps, &self.clock))
    }

    /// Whether a value is there already and is to be replaced: what the loader stands on should be new too.
    pub fn is_refresh(&self) -> bool {
        self.refresh
    }

    /// Raised when the load is in vain.
    pub fn cancel_signal(&self) -> &CancelSignal {
        &self.cancel
    }

    /// Whether the load is in vain.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// The origin of a scan that begins now.
pub(crate) fn begin(stamps: &Stamps, clock: &Clock) -> Origin {
    // The counter first: an invalidation between the two makes the value invalid, never wrongly valid.
    let counter = stamps.counter();
    Origin::new(clock.exact(), counter)
}

/// The origin of a load under way, which its loader may move forward.
#[derive(Debug)]
pub(crate) struct FlightOrigin(Mutex<Begun>);

#[derive(Clone, Copy, Debug)]
struct Begun {
    origin: Origin,
    /// It has read nothing, and will begin later than now.
    postponed: bool,
}

impl FlightOrigin {
    pub(crate) fn new(origin: Origin) -> Self {
        Self(Mutex::new(Begun { origin, postponed: false }))
    }

    pub(crate) fn get(&self) -> Origin {
        self.0.lock().origin
    }

    /// The counter from before the load began; `None` while it has not begun.
    pub(crate) fn began(&self) -> Option<u64> {
        let Begun { origin, postponed } = *self.0.lock();
        (!postponed).then_some(origin.counter())
    }

    fn postpone(&self) {
        self.0.lock().postponed = true;
    }

    fn set(&self, origin: Origin) -> Origin {
        *self.0.lock() = Begun { origin, postponed: false };
        origin
    }
}

/// How a caller came by its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It was in memory.
    Hit,
    /// It was on disk.
    Restored,
    /// It was there and stale; it is loaded again behind this call.
    Stale,
    /// It was there, and loading it again failed.
    StaleOnError,
    /// This call started the load.
    Led,
    /// A load that was under way brought it.
    Joined,
}

/// A value, how old it is, and how this caller came by it.
pub struct Loaded<V> {
    pub(crate) hit: Hit<V>,
    pub(crate) how: How,
    pub(crate) stored: Stored,
}

impl<V> Loaded<V> {
    pub(crate) fn there(hit: Hit<V>, how: How) -> Self {
        Self { hit, how, stored: Stored::Yes }
    }

    /// The value.
    pub fn value(&self) -> &V {
        self.hit.value()
    }

    /// The value, taken out.
    pub fn into_value(self) -> V
    where
        V: Clone,
    {
        self.hit.into_value()
    }

    /// How this caller came by it.
    pub fn how(&self) -> How {
        self.how
    }

    /// What became of it in the cache. Whatever it was, the value is good for this call.
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// The value with its ages.
    pub fn hit(&self) -> &Hit<V> {
        &self.hit
    }

    /// When the scan behind it began.
    pub fn origin(&self) -> Origin {
        self.hit.origin()
    }
}

impl<V> Clone for Loaded<V> {
    fn clone(&self) -> Self {
        Self { hit: self.hit.clone(), ..*self }
    }
}

impl<V: fmt::Debug> fmt::Debug for Loaded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("hit", &self.hit).field("how", &self.how).field("stored", &self.stored).finish()
    }
}

/// An error of whatever type the loader has. Flights of one cache may have loaders of several.
pub(crate) type SharedError = Arc<dyn Any + Send + Sync>;

pub(crate) type LoadFuture<V> = Pin<Box<dyn Future<Output = Result<Item<V>, SharedError>> + Send>>;

/// A loader that has not begun, without its types.
pub(crate) type Loader<V> = Box<dyn FnOnce(LoadContext) -> LoadFuture<V> + Send>;

/// Takes the types off a loader, so that all that follows is compiled once for each value type.
pub(crate) fn erase<V, E, F, Fut>(load: F) -> Loader<V>
where
    V: 'static,
    E: Send + Sync + 'static,
    F: FnOnce(LoadContext) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Item<V>, E>> + Send + 'static,
{
    Box::new(|context| {
        // The loader itself is called inside the future as well: a panic of it is then one of the load.
        Box::pin(async move { load(context).await.map_err(|error| Arc::new(error) as SharedError) })
    })
}
