//! A cache with a disk that lives more than once.

use std::sync::Arc;

use cache_core::{
    Builder, ByteTier, Cache, Codec, Item, Key, LoadOptions, Loaded, ManualClock, MessagePack, Scope, Stamps, Stored,
};

use crate::fixture::{BYTES, TTL, ready};
use crate::tier::Disk;

/// A cache of numbers on a disk, in one of its lives.
pub(crate) struct Life {
    pub(crate) cache: Cache<u64>,
    pub(crate) clock: ManualClock,
    pub(crate) disk: Disk,
    change: fn(Builder<u64>) -> Builder<u64>,
    /// Whether the disk is in use.
    persists: bool,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: fn(Builder<u64>) -> Builder<u64>) -> Self {
        Self::begin(Disk::default(), ManualClock::new(), change, true)
    }

    /// A cache that forgets everything between two lives.
    pub(crate) fn without_disk(change: fn(Builder<u64>) -> Builder<u64>) -> Self {
        Self::begin(Disk::default(), ManualClock::new(), change, false)
    }

    fn begin(disk: Disk, clock: ManualClock, change: fn(Builder<u64>) -> Builder<u64>, persists: bool) -> Self {
        let mut builder = Cache::builder("numbers").max_bytes(16 << 20).ttl(TTL).clock(clock.clock());
        if persists {
            let tier: Arc<dyn ByteTier> = disk.open();
            let stamps = Arc::new(Stamps::durable(Arc::clone(&tier)));
            builder = builder.persist(MessagePack::new()).compression(Codec::None).stamps(stamps).tier(tier);
        }
        Self { cache: change(builder).build().unwrap(), clock, disk, change, persists }
    }

    /// The next process: what had not been written is lost.
    pub(crate) fn crash(self) -> Self {
        let change = self.change;
        self.crash_into(change)
    }

    /// The next process, with other settings.
    pub(crate) fn crash_into(self, change: fn(Builder<u64>) -> Builder<u64>) -> Self {
        Self::begin(self.disk, self.clock.restarted(), change, self.persists)
    }

    pub(crate) fn insert(&self, key: &Key, number: u64) {
        assert_eq!(self.cache.insert(key, Item::new(number, BYTES)), Stored::Yes);
    }

    pub(crate) fn insert_tagged(&self, key: &Key, number: u64, tag: &str) {
        let item = Item::new(number, BYTES).with_tags([Arc::from(tag)]);
        assert_eq!(self.cache.insert(key, item), Stored::Yes);
    }

    /// From both tiers.
    pub(crate) fn find(&self, key: &Key) -> Option<u64> {
        self.cache.find_blocking(key).map(|hit| *hit.value())
    }

    /// Takes everything out of memory; the disk keeps what it has.
    pub(crate) fn forget(&self, key: &Key) {
        self.cache.release(key.namespace());
    }

    pub(crate) async fn load(&self, key: &Key, number: u64) -> Loaded<u64> {
        self.cache.try_get_or_load(key, LoadOptions::default(), ready(number)).await.unwrap()
    }

    pub(crate) fn invalidate(&self, scope: Scope) {
        self.cache.invalidate_blocking(&scope).unwrap();
    }
}
