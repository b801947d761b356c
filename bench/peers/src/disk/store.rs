//! Our side on disk: a `Cache` over the redb tier, with the settings that it has by default.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use cache_core::{ByteTier, Cache, Hit, Item, Key, MessagePack, Namespace, Stored};
use cache_redb::{RedbTier, TierOptions};
use serde_bytes::ByteBuf;

use super::place::Place;

/// Values that are inserted between two flushes: fewer than may wait, so that none is dropped.
const LOT: usize = 8_000;
/// Their bytes, likewise.
const LOT_BYTES: usize = 32 << 20;

/// An open cache.
pub(super) struct Store {
    pub(super) cache: Cache<ByteBuf>,
    tier: Arc<dyn ByteTier>,
    namespace: Namespace,
}

impl Store {
    /// The cache of this folder: a new one, or what is there.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let tier: Arc<dyn ByteTier> =
            RedbTier::open(place.path(), TierOptions::default()).context("open the disk tier")?;
        let cache = Cache::builder("bench").persist(MessagePack::<ByteBuf>::new()).tier(Arc::clone(&tier)).build()?;
        Ok(Self { cache, tier, namespace: Namespace::new("bench") })
    }

    fn key(&self, number: usize) -> Key {
        Key::new(&self.namespace, format!("key-{number}").into_bytes())
    }

    /// Inserts these values; what is inserted is durable when this returns.
    pub(super) fn fill(&self, values: impl IntoIterator<Item = (usize, ByteBuf)>) -> anyhow::Result<()> {
        let (mut waiting, mut waiting_bytes) = (0, 0);
        for (number, value) in values {
            let bytes = value.len();
            let stored = self.cache.insert(&self.key(number), Item::new(value, bytes as u64));
            ensure!(stored == Stored::Yes, "insert a value: {stored:?}");
            (waiting, waiting_bytes) = (waiting + 1, waiting_bytes + bytes);
            if waiting == LOT || waiting_bytes >= LOT_BYTES {
                self.flush()?;
                (waiting, waiting_bytes) = (0, 0);
            }
        }
        self.flush()?;
        let stats = self.tier.stats();
        if stats.dropped > 0 || stats.evictions > 0 || stats.degraded.is_some() {
            bail!("keep all values on disk: {stats:?}");
        }
        Ok(())
    }

    fn flush(&self) -> anyhow::Result<()> {
        self.tier.flush().context("flush the disk tier")
    }

    /// The value of a number, from memory or from disk.
    pub(super) fn find(&self, number: usize) -> anyhow::Result<Hit<ByteBuf>> {
        self.cache.find_blocking(&self.key(number)).with_context(|| format!("find value {number}"))
    }
}
