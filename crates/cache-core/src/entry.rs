//! What is stored, what a loader hands over to be stored, and what a reader gets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::key::Key;
use crate::origin::Origin;
use crate::stamps::{Cell, Stamps};

/// A value on its way into the cache, with what the cache must know of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Item<V> {
    pub(crate) value: V,
    pub(crate) bytes: u64,
    pub(crate) origin: Option<Origin>,
    pub(crate) ttl: Option<Duration>,
}

impl<V> Item<V> {
    /// A value that takes `bytes` of memory: all that is freed when it is dropped. The cache adds the key and its own
    /// bookkeeping. Its origin is that of the flight that loads it, or the moment of its insertion.
    pub fn new(value: V, bytes: u64) -> Self {
        Self { value, bytes, origin: None, ttl: None }
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
    /// Its ttl was over before it could be stored.
    Expired,
    /// An entry that began later is there already.
    Superseded,
}

/// One stored value. Immutable; a newer value is a new entry.
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    pub(crate) origin: Origin,
    pub(crate) expires: Moment,
    /// All that the entry takes in memory: value, key, bookkeeping.
    pub(crate) bytes: u64,
    pub(crate) cell: Arc<Cell>,
}

/// What an entry may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Fresh,
    Expired,
    Invalid,
}

impl<V> Entry<V> {
    /// What an entry takes beside its value and its key's heap: the entry and its counts, and its slot of the memory
    /// tier (key, pointer, list links, hash index), half as much again for the keys that the tier remembers.
    pub(crate) const OVERHEAD: u64 = {
        let entry = size_of::<Self>() + 2 * size_of::<usize>();
        let slot = size_of::<Key>() + size_of::<usize>() + 29;
        (entry + slot + slot / 2) as u64
    };

    #[inline]
    pub(crate) fn state(&self, now: Moment, stamps: &Stamps) -> State {
        if !stamps.is_valid(&self.cell, self.origin.counter()) {
            State::Invalid
        } else if now >= self.expires {
            State::Expired
        } else {
            State::Fresh
        }
    }
}

/// A value found in the cache, and how old it is. It stays usable after its entry has left the cache.
pub struct Hit<V> {
    pub(crate) entry: Arc<Entry<V>>,
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

    /// How much of its ttl was left when it was found.
    pub fn remaining(&self) -> Duration {
        self.entry.expires.since(self.now)
    }

    /// The bytes that it takes, its key and the bookkeeping included.
    pub fn bytes(&self) -> u64 {
        self.entry.bytes
    }
}

impl<V> Clone for Hit<V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), now: self.now }
    }
}

impl<V: fmt::Debug> fmt::Debug for Hit<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("value", self.value())
            .field("age", &self.age())
            .field("remaining", &self.remaining())
            .finish()
    }
}
