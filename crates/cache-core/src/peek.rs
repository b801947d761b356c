//! A look that leaves no trace.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::entry::Hit;
use crate::inner::Inner;
use crate::key::Key;
use crate::listing::Tiers;

/// A value in memory as [`Cache::peek`](crate::Cache::peek) finds it: a [`Hit`] (its age, what is left of its ttl, its
/// cost, its tags) that also tells where else it is.
pub struct Peek<V> {
    hit: Hit<V>,
    key: Key,
    inner: Arc<Inner<V>>,
}

impl<V> Peek<V> {
    pub(crate) fn new(hit: Hit<V>, key: &Key, inner: &Arc<Inner<V>>) -> Self {
        Self { hit, key: key.clone(), inner: Arc::clone(inner) }
    }

    /// In memory alone, or on disk as well: as far as the tier knows now, without reading a file. Never blocks.
    pub fn tier(&self) -> Tiers {
        if self.inner.may_be_on_disk(&self.key) { Tiers::Both } else { Tiers::Memory }
    }

    /// The value with its ages.
    pub fn into_hit(self) -> Hit<V> {
        self.hit
    }

    /// The value, taken out.
    pub fn into_value(self) -> V
    where
        V: Clone,
    {
        self.hit.into_value()
    }
}

impl<V> Deref for Peek<V> {
    type Target = Hit<V>;

    fn deref(&self) -> &Hit<V> {
        &self.hit
    }
}

impl<V> Clone for Peek<V> {
    fn clone(&self) -> Self {
        Self { hit: self.hit.clone(), key: self.key.clone(), inner: Arc::clone(&self.inner) }
    }
}

impl<V: fmt::Debug> fmt::Debug for Peek<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").field("hit", &self.hit).field("tier", &self.tier()).finish()
    }
}
