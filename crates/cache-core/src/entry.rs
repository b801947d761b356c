//! What is stored, what a loader hands over to be stored, and what a reader gets.
//!
//! The life of an entry, from when its scan began:
//!
//! ```text
//! |---- ttl ----|---- stale_while_revalidate ----|
//!               |---- stale_if_error ------------------------|
//! fresh          stale                            expired     dead
//! ```
//!
//! Fresh is served. Stale is served too, and loaded again behind it. Expired is served only if loading it again fails.
//! An invalidation ends all of them at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use triomphe::Arc as Shared;

use crate::clock::Moment;
use crate::key::Key;
use crate::load::LoadOptions;
use crate::origin::Origin;
use crate::stamps::{Cell, Floor, Stamps};

/// A value on its way into the cache, with what the cache must know of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Item<V> {
    pub(crate) value: V,
    pub(crate) bytes: u64,
    pub(crate) origin: Option<Origin>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) cost: Option<Duration>,
    pub(crate) persist: bool,
}

impl<V> Item<V> {
    /// A value that takes `bytes` of memory: all that is freed when it is dropped. The cache adds the key and its own
    /// bookkeeping. Its origin is that of the flight that loads it, or the moment of its insertion.
    pub fn new(value: V, bytes: u64) -> Self {
        Self { value, bytes, origin: None, ttl: None, tags: Vec::new(), cost: None, persist: true }
    }

    /// A value that is as old as what it was made of.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// A value with a ttl of its own, which beats that of the call and that of the cache.
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A value that goes when one of these tags is invalidated.
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// What the value cost to load, where that is not the time that its load took.
    pub fn with_cost(mut self, cost: Duration) -> Self {
        self.cost = Some(cost);
        self
    }

    /// A value that is kept in memory alone, whatever the cache does with others.
    pub fn in_memory_only(mut self) -> Self {
        self.persist = false;
        self
    }
}

/// How long a value is good for, where it does not say so itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) ttl: Duration,
    pub(crate) windows: Windows,
    pub(crate) persist: bool,
}

/// How long at most a caller would have a value used that is on disk: it may have been stored under longer terms, by an
/// earlier process. `None` leaves it at those.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtMost {
    ttl: Option<Duration>,
    stale_while_revalidate: Option<Duration>,
    stale_if_error: Option<Duration>,
}

impl AtMost {
    pub(crate) fn of(options: &LoadOptions) -> Self {
        let LoadOptions { ttl, stale_while_revalidate, stale_if_error, .. } = *options;
        Self { ttl, stale_while_revalidate, stale_if_error }
    }

    pub(crate) fn cut_ttl(self, stored: Duration) -> Duration {
        self.ttl.map_or(stored, |most| most.min(stored))
    }

    pub(crate) fn cut(self, stored: Windows) -> Windows {
        let least = |most: Option<Duration>, stored: Duration| most.map_or(stored, |most| most.min(stored));
        Windows {
            stale_while_revalidate: least(self.stale_while_revalidate, stored.stale_while_revalidate),
            stale_if_error: least(self.stale_if_error, stored.stale_if_error),
        }
    }
}

/// How long a value may be used after its ttl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
}

impl Windows {
    fn longest(self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    /// How good a value still is; `None` when it is of no more use.
    pub(crate) fn freshness(self, expires: Moment, now: Moment) -> Option<Freshness> {
        if now < expires {
            Some(Freshness::Fresh)
        } else if now < expires.plus(self.stale_while_revalidate) {
            Some(Freshness::Stale)
        } else if now < expires.plus(self.stale_if_error) {
            Some(Freshness::Expired)
        } else {
            None
        }
    }
}

/// What became of a value that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// It is in the cache.
    Yes,
    /// It is heavier than the cache allows one entry to be.
    TooLarge,
    /// An invalidation or a delete came after it began.
    Invalidated,
    /// Its time was over before it could be stored.
    Expired,
    /// An entry that began later is there already.
    Superseded,
}

/// One stored value. Immutable but for its count; a newer value is a new entry.
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    pub(crate) origin: Origin,
    pub(crate) expires: Moment,
    /// All that the entry takes in memory: value, key, bookkeeping.
    pub(crate) bytes: u64,
    pub(crate) cell: Arc<Cell>,
    /// What most entries do without.
    pub(crate) extras: Option<Box<Extras>>,
    /// What it cost to load, in microseconds; at most 71 minutes.
    pub(crate) cost_us: u32,
    pub(crate) hits: AtomicU32,
}

/// What some entries have beside the rest.
pub(crate) struct Extras {
    pub(crate) windows: Windows,
    pub(crate) tags: Box<[Tag]>,
}

pub(crate) struct Tag {
    pub(crate) name: Arc<str>,
    pub(crate) cell: Arc<Cell>,
}

impl Extras {
    /// `None` where there is nothing to say.
    pub(crate) fn of(windows: Windows, tags: &[Arc<str>], stamps: &Stamps) -> Option<Box<Self>> {
        if windows == Windows::default() && tags.is_empty() {
            return None;
        }
        let tags = tags.iter().map(|name| Tag { name: Arc::clone(name), cell: stamps.tag_cell(name) }).collect();
        Some(Box::new(Self { windows, tags }))
    }

    pub(crate) fn bytes(&self) -> u64 {
        Self::bytes_of(self.windows, self.tags.len())
    }

    /// What extras for these windows and so many tags take.
    pub(crate) fn bytes_of(windows: Windows, tags: usize) -> u64 {
        if windows == Windows::default() && tags == 0 {
            return 0;
        }
        (size_of::<Self>() + tags * size_of::<Tag>()) as u64
    }
}

/// How good an entry still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Within its ttl.
    Fresh,
    /// May be served while it is loaded again.
    Stale,
    /// May be served if loading it again fails.
    Expired,
}

/// What an entry may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Usable(Freshness),
    Dead,
    Invalid,
}

impl State {
    pub(crate) fn is_usable(self) -> bool {
        matches!(self, Self::Usable(_))
    }
}

impl<V> Entry<V> {
    /// What an entry takes beside its value and its key's heap: the entry and its count, and its slot of the memory
    /// tier (key, pointer, list links, hash index), half as much again for the keys that the tier remembers.
    pub(crate) const OVERHEAD: u64 = {
        let entry = size_of::<Self>() + size_of::<usize>() - size_of::<V>();
        let slot = size_of::<Key>() + size_of::<usize>() + 24;
        (entry + slot + slot / 2) as u64
    };

    /// Fresh, valid and nothing else: the question of a hit.
    #[inline]
    pub(crate) fn is_fresh(&self, now: Moment, stamps: &Stamps) -> bool {
        now < self.expires && self.is_valid(stamps)
    }

    #[inline]
    fn is_valid(&self, stamps: &Stamps) -> bool {
        let counter = self.origin.counter();
        stamps.is_valid(&self.cell, counter)
            && self.extras.as_ref().is_none_or(|extras| extras.tags.iter().all(|tag| tag.cell.is_valid(counter)))
    }

    pub(crate) fn state(&self, now: Moment, stamps: &Stamps) -> State {
        if !self.is_valid(stamps) {
            return State::Invalid;
        }
        self.windows().freshness(self.expires, now).map_or(State::Dead, State::Usable)
    }

    /// As [`State::is_usable`], for who does not have the stamps.
    pub(crate) fn is_usable(&self, now: Moment, floor: &Floor) -> bool {
        let counter = self.origin.counter();
        now < self.usable_until()
            && floor.admits(counter)
            && self.cell.is_valid(counter)
            && self.tags().iter().all(|tag| tag.cell.is_valid(counter))
    }

    pub(crate) fn usable_until(&self) -> Moment {
        self.expires.plus(self.windows().longest())
    }

    pub(crate) fn windows(&self) -> Windows {
        self.extras.as_ref().map_or(Windows::default(), |extras| extras.windows)
    }

    pub(crate) fn tags(&self) -> &[Tag] {
        self.extras.as_ref().map_or(&[], |extras| &extras.tags)
    }

    pub(crate) fn cost(&self) -> Duration {
        Duration::from_micros(u64::from(self.cost_us))
    }
}

/// A value found in the cache, and how old it is. It stays usable after its entry has left the cache.
pub struct Hit<V> {
    pub(crate) entry: Shared<Entry<V>>,
    pub(crate) now: Moment,
}

impl<V> Hit<V> {
    /// The value.
    pub fn value(&self) -> &V {
        &self.entry.value
    }

    /// The value, taken out.
    pub fn into_value(self) -> V
    where
        V: Clone,
    {
        self.entry.value.clone()
    }

    /// When the scan behind it began.
    pub fn origin(&self) -> Origin {
        self.entry.origin
    }

    /// How old it was when it was found.
    pub fn age(&self) -> Duration {
        self.now.since(self.entry.origin.loaded_at())
    }

    /// How much of its ttl was left when it was found; zero when it was not fresh any more.
    pub fn remaining(&self) -> Duration {
        self.entry.expires.since(self.now)
    }

    /// How much of its ttl was left when it was found, in milliseconds; negative by how long it was over.
    pub fn freshness_ms(&self) -> i64 {
        self.entry.expires.nanos_after(self.now) / 1_000_000
    }

    /// The bytes that it takes, its key and the bookkeeping included.
    pub fn bytes(&self) -> u64 {
        self.entry.bytes
    }

    /// What it cost to load.
    pub fn cost(&self) -> Duration {
        self.entry.cost()
    }

    /// How often it was served from memory. Of hits in the same instant one may be missed here; the cache's sums are exact.
    pub fn hits(&self) -> u32 {
        self.entry.hits.load(Ordering::Relaxed)
    }

    /// Its tags.
    pub fn tags(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entry.tags().iter().map(|tag| &tag.name)
    }
}

impl<V> Clone for Hit<V> {
    fn clone(&self) -> Self {
        Self { entry: Shared::clone(&self.entry), now: self.now }
    }
}

impl<V: fmt::Debug> fmt::Debug for Hit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("value", self.value())
            .field("age", &self.age())
            .field("freshness_ms", &self.freshness_ms())
            .finish()
    }
}
