//! The memory tier: `quick_cache`, with one weight that bounds bytes and entries, and stores that obey the stamps.
//!
//! An entry weighs `max(its bytes, max_bytes / max_entries)`, so a full tier has at most `max_bytes` bytes and at most
//! `max_entries` entries.
//!
//! `quick_cache` refuses what is heavier than 97 % of a shard without saying so. Therefore the number of shards follows
//! the largest entry allowed, and what is larger than that is refused here, where the caller hears of it.
//!
//! It has no compare-and-insert either, and a store must not slip past a delete. Stores and deletes of a key meet at
//! one lock of a fixed number of them ("stripes"; reads take none):
//! - a store locks, asks the stamps, inserts, hands the entry to the disk tier, unlocks;
//! - a delete of a key raises the namespace's store barrier, and only then locks, removes, raises the barrier once more,
//!   unlocks;
//! - a delete of many raises it twice, and only then takes each lock once, one after the other, and lets go of it at once.
//!   Every store that had asked before has then inserted, and every later one asks again. What it removes it looks for
//!   without a lock, however many there are: whoever stores waits for no walk.
//!
//! Whichever comes first, the deleted value is not there afterwards. An entry that was read from the disk tier began
//! long before any barrier; it is stored if no barrier was raised since before it was read. A delete that was under way
//! then raises its second barrier, under the lock or before it takes it, so it is seen whichever of the two gets the lock
//! first. And it is
//! stored only if the disk tier still has that very record: a value that was stored meanwhile, and has left the memory
//! again or was too large for it, is not followed by the one before it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync};

use triomphe::Arc as Shared;

use crate::clock::Moment;
use crate::config::Config;
use crate::entry::{Entry, State, Stored};
use crate::key::{BorrowedKey, Key, Prehashed};
use crate::observer::Departure;
use crate::stamps::Stamps;
use crate::sync::Mutex;

/// The share of a shard for entries that have proved themselves; quick_cache admits nothing heavier. Its own default.
const HOT: f64 = 0.97;
/// Few where schedules are tried: two keys should meet there now and then.
const STRIPES: usize = if cfg!(feature = "shuttle") { 2 } else { 64 };
/// A tier of so few entries has its slots set aside from the start; another one when it has seen so many stores. Until
/// then a cache that is allowed much and used little stays small; without it the slabs of one that is used grow by
/// doubling, and up to half of them is never used.
const FEW: usize = 4_096;
/// Slots that are set aside at most.
const MAX_RESERVED: usize = 1_000_000;
const MAX_SHARDS: u64 = 64;

type Tier<V> = sync::Cache<Key, Shared<Entry<V>>, ByWeight, Prehashed, Departures>;

pub(crate) struct Memory<V> {
    tier: Tier<V>,
    stripes: Box<[Mutex<()>]>,
    /// What all the entries take, by their own counts.
    bytes: AtomicU64,
    /// The slots that a full tier needs, and how many stores are left until they are set aside.
    to_reserve: usize,
    until_reserve: AtomicUsize,
    /// The largest entry allowed: what was configured, or less where the budget is smaller now.
    max_entry_bytes: AtomicU64,
    configured_entry_bytes: u64,
    shards: u64,
    /// What an entry counts for at least.
    least: u64,
    /// The budget in force.
    max_bytes: AtomicU64,
}

/// What a store did, beside its result.
pub(crate) struct Put<V> {
    pub(crate) stored: Stored,
    /// What is not there any more, and why.
    pub(crate) departed: Vec<(Key, Shared<Entry<V>>)>,
    pub(crate) why: Departure,
}

/// Why an entry may be stored.
#[derive(Clone, Copy)]
pub(crate) enum Admission<'a> {
    /// It was loaded, and no barrier was raised since this counter, from before its load began. The value may be made of
    /// what is older: that may be invalid, but a delete of keys does not touch it.
    Loaded { began: u64 },
    /// It was read from the disk tier, before which the namespace's barrier stood here; and it is still what the disk
    /// tier has.
    Restored { barrier: u64, unchanged: &'a dyn Fn() -> bool },
}

impl<V> Memory<V> {
    pub(crate) fn new(config: &Config) -> Self {
        let plan = Plan::new(config);
        let items = config.max_entries.min(config.max_bytes / Entry::<V>::OVERHEAD).max(1);
        let options = OptionsBuilder::new()
            .shards(plan.shards as usize)
            .hot_allocation(HOT)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(plan.capacity)
            .build()
            .expect("the two settings without a default are given");
        let tier = Tier::with_options(options, ByWeight { least: plan.least }, Prehashed::default(), Departures);
        let items = usize::try_from(items + items / 64).unwrap_or(MAX_RESERVED).min(MAX_RESERVED);
        if items <= FEW {
            tier.reserve(items);
        }
        Self {
            tier,
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            bytes: AtomicU64::new(0),
            to_reserve: items,
            until_reserve: AtomicUsize::new(if items <= FEW { 0 } else { FEW }),
            max_entry_bytes: AtomicU64::new(config.max_entry_bytes),
            configured_entry_bytes: config.max_entry_bytes,
            shards: plan.shards,
            least: plan.least,
            max_bytes: AtomicU64::new(config.max_bytes),
        }
    }

    /// Goes on with another budget. What does not fit any more leaves at once. A smaller one may take only smaller entries
    /// than were configured: the shards stay as many.
    ///
    /// # Errors
    /// The least budget that is possible: an entry of the least weight has to fit a shard.
    pub(crate) fn resize(&self, max_bytes: u64) -> Result<(), u64> {
        let least = ((2 * Entry::<V>::OVERHEAD.max(self.least)) as f64 / HOT).ceil() as u64 * self.shards;
        if max_bytes < least {
            return Err(least);
        }
        // quick_cache does not tell what it lets go here, so what is left is counted anew, while nothing is stored.
        let _all: Vec<_> = self.stripes.iter().map(|stripe| stripe.lock()).collect();
        let largest = self.configured_entry_bytes.min(admitted(max_bytes / self.shards));
        self.max_entry_bytes.store(largest, Ordering::Relaxed);
        self.tier.set_capacity(max_bytes / self.shards * self.shards);
        self.bytes.store(self.entries().map(|(_, entry)| entry.bytes).sum(), Ordering::Relaxed);
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// The largest entry that is stored now, key and bookkeeping included.
    pub(crate) fn max_entry_bytes(&self) -> u64 {
        self.max_entry_bytes.load(Ordering::Relaxed)
    }

    /// The budget in force.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn get(&self, key: &Key) -> Option<Shared<Entry<V>>> {
        self.tier.get(key)
    }

    /// A look that leaves the recency as it was.
    pub(crate) fn peek(&self, key: &Key) -> Option<Shared<Entry<V>>> {
        self.tier.peek(key)
    }

    /// The entry of a key at version 0 that is not made for the look.
    #[inline]
    pub(crate) fn get_borrowed(&self, key: &BorrowedKey<'_>) -> Option<Shared<Entry<V>>> {
        self.tier.get(key)
    }

    /// Stores an entry if it may be; `then` is told, under the key's lock, whether the entry is in the cache (`true`),
    /// or is not and what was under its key has gone (`false`).
    pub(crate) fn store(
        &self,
        key: Key,
        entry: Shared<Entry<V>>,
        admission: Admission<'_>,
        now: Moment,
        stamps: &Stamps,
        then: impl FnOnce(bool),
    ) -> Put<V> {
        let refused = |stored| Put { stored, departed: Vec::new(), why: Departure::Removed };
        if now >= entry.usable_until() {
            return refused(Stored::Expired);
        }
        let mut departed = Departed::default();
        {
            let _stripe = self.stripe(&key).lock();
            let may_store = match admission {
                Admission::Loaded { began } => entry.cell.barrier() <= began,
                Admission::Restored { barrier, unchanged } => entry.cell.barrier() == barrier && unchanged(),
            };
            if !may_store || entry.state(now, stamps) == State::Invalid {
                return refused(Stored::Invalidated);
            }
            if entry.bytes > self.max_entry_bytes() {
                // The key's older value goes too: the caller has seen a newer one, and must not meet the old one again.
                let departed = self.remove_older(&key, &entry);
                then(false);
                return Put { departed, ..refused(Stored::TooLarge) };
            }
            if let Some(present) = self.tier.peek(&key)
                && present.origin.loaded_at() > entry.origin.loaded_at()
                && present.state(now, stamps).is_usable()
            {
                return refused(Stored::Superseded);
            }
            self.bytes.fetch_add(entry.bytes, Ordering::Relaxed);
            self.tier.insert_with_lifecycle(key, entry, &mut departed);
            then(true);
        }
        self.reserve_in_time();
        // Counted, told and dropped when the locks are released: dropping a table takes its time.
        for (_, entry) in departed.evicted.iter().chain(&departed.replaced) {
            self.forget(entry);
        }
        Put { stored: Stored::Yes, departed: departed.evicted, why: Departure::Evicted }
    }

    fn reserve_in_time(&self) {
        if self.until_reserve.load(Ordering::Relaxed) > 0 {
            let count_down = |left: usize| left.checked_sub(1);
            if self.until_reserve.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count_down) == Ok(1) {
                self.tier.reserve(self.to_reserve.saturating_sub(self.tier.len()));
            }
        }
    }

    fn remove_older(&self, key: &Key, entry: &Entry<V>) -> Vec<(Key, Shared<Entry<V>>)> {
        let removed = self.tier.remove_if(key, |present| present.origin.loaded_at() <= entry.origin.loaded_at());
        removed.into_iter().inspect(|(_, entry)| self.forget(entry)).collect()
    }

    /// Removes what is under the key, and does `then` under its lock. The namespace's store barrier must have been raised
    /// before, and must be raised again by `then`.
    pub(crate) fn remove(&self, key: &Key, then: impl FnOnce()) -> Option<Shared<Entry<V>>> {
        let removed = {
            let _stripe = self.stripe(key).lock();
            let removed = self.tier.remove(key);
            then();
            removed
        };
        removed.map(|(_, entry)| {
            self.forget(&entry);
            entry
        })
    }

    /// Waits until every store has ended that is under way: those that begin later see what was done before this.
    pub(crate) fn wait_for_stores(&self) {
        for stripe in &self.stripes {
            drop(stripe.lock());
        }
    }

    /// Removes every entry whose key is covered and that was there when this began. What is stored meanwhile may stay.
    pub(crate) fn remove_all(&self, covers: impl Fn(&Key) -> bool) -> Vec<(Key, Shared<Entry<V>>)> {
        self.entries().filter(|(key, entry)| covers(key) && self.remove_exact(key, entry)).collect()
    }

    /// Removes this entry, unless another one has taken its place. Says whether it did.
    pub(crate) fn remove_exact(&self, key: &Key, entry: &Shared<Entry<V>>) -> bool {
        let removed = self.tier.remove_if(key, |present| Shared::ptr_eq(present, entry)).is_some();
        if removed {
            self.forget(entry);
        }
        removed
    }

    /// Every entry, one look at a time: what comes and goes meanwhile may be seen or not.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Key, Shared<Entry<V>>)> + '_ {
        self.tier.iter()
    }

    pub(crate) fn len(&self) -> u64 {
        self.tier.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn weight(&self) -> u64 {
        self.tier.weight()
    }

    fn forget(&self, entry: &Entry<V>) {
        // Never below zero: a resize counts anew while entries are on their way out.
        let less = |bytes: u64| Some(bytes.saturating_sub(entry.bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn stripe(&self, key: &Key) -> &Mutex<()> {
        // Not the bits that choose the shard, nor those that the hash table probes with.
        &self.stripes[(key.precomputed_hash() >> 16) as usize % STRIPES]
    }
}

/// How the budget is cut into shards.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    shards: u64,
    capacity: u64,
    least: u64,
}

impl Plan {
    fn new(config: &Config) -> Self {
        // One entry at most still has to fit under the limit of a shard; two of this weight never do.
        let least = config.max_bytes.div_ceil(config.max_entries).min(admitted(config.max_bytes));
        let largest = config.max_entry_bytes.max(least);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let mut shards = (cores * 4).next_power_of_two().min(MAX_SHARDS);
        while shards > 1 && admitted(config.max_bytes / shards) < largest {
            shards /= 2;
        }
        // quick_cache rounds a shard's share up; a multiple of the shards leaves nothing to round.
        Self { shards, capacity: config.max_bytes / shards * shards, least }
    }
}

/// The heaviest entry that a shard of this capacity takes.
pub(crate) fn admitted(shard_capacity: u64) -> u64 {
    (shard_capacity as f64 * HOT) as u64
}

#[derive(Clone)]
struct ByWeight {
    least: u64,
}

impl<V> Weighter<Key, Shared<Entry<V>>> for ByWeight {
    fn weight(&self, _: &Key, entry: &Shared<Entry<V>>) -> u64 {
        entry.bytes.max(self.least)
    }
}

/// Collects what an insert pushes out, so that it is counted and dropped when no lock is held any more.
#[derive(Clone)]
struct Departures;

struct Departed<V> {
    /// quick_cache announces an eviction and does not announce a replacement: that tells them apart.
    announced: bool,
    evicted: Vec<(Key, Shared<Entry<V>>)>,
    replaced: Option<(Key, Shared<Entry<V>>)>,
}

impl<V> Default for Departed<V> {
    fn default() -> Self {
        Self { announced: false, evicted: Vec::new(), replaced: None }
    }
}

impl<V> Lifecycle<Key, Shared<Entry<V>>> for Departures {
    type RequestState = Departed<V>;

    fn before_evict(&self, departed: &mut Departed<V>, _: &Key, _: &mut Shared<Entry<V>>) {
        departed.announced = true;
    }

    fn on_evict(&self, departed: &mut Departed<V>, key: Key, entry: Shared<Entry<V>>) {
        if std::mem::take(&mut departed.announced) {
            departed.evicted.push((key, entry));
        } else {
            departed.replaced = Some((key, entry));
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use super::*;
    use crate::key::Namespace;
    use crate::origin::Origin;
    use crate::stamps::Cell;

    fn entry(cell: &Arc<Cell>) -> Shared<Entry<u64>> {
        Shared::new(Entry {
            value: 1,
            origin: Origin::new(Moment::from_start(Duration::ZERO), 0),
            expires: Moment::from_start(Duration::from_secs(60)),
            bytes: 200,
            cell: Arc::clone(cell),
            extras: None,
            cost_us: 0,
            hits: AtomicU32::new(0),
        })
    }

    #[test]
    fn nobody_who_stores_waits_for_a_walk_through_all_entries() {
        let (memory, stamps) = (Memory::new(&Config::new("test")), Stamps::new());
        let namespace = Namespace::new("n");
        let (cell, now) = (stamps.cell(&namespace), Moment::from_start(Duration::ZERO));
        let store = |number: u32| {
            let key = Key::new(&namespace, number.to_be_bytes());
            memory.store(key, entry(&cell), Admission::Loaded { began: 0 }, now, &stamps, |_| {}).stored
        };
        for number in 0..100 {
            assert_eq!(store(number), Stored::Yes);
        }
        let removed = memory.remove_all(|key| {
            assert!(memory.stripes.iter().all(|stripe| stripe.try_lock().is_some()), "a lock is held");
            key.bytes()[3].is_multiple_of(2)
        });
        assert_eq!((removed.len(), memory.len(), memory.bytes()), (50, 50, 50 * 200));
    }

    #[track_caller]
    fn check(max_bytes: u64, max_entries: u64, max_entry_bytes: u64) {
        let config = Config { max_bytes, max_entries, max_entry_bytes, ..Config::new("test") };
        let plan = Plan::new(&config);
        let shard = plan.capacity / plan.shards;
        assert!(plan.capacity <= max_bytes, "{plan:?}");
        assert!(admitted(shard) >= max_entry_bytes, "the largest entry fits a shard: {plan:?}");
        assert!(admitted(shard) >= plan.least, "the lightest entry fits a shard: {plan:?}");
        assert!(plan.capacity / plan.least <= max_entries, "the weight bounds the entries: {plan:?}");
    }

    #[test]
    fn shards_follow_the_largest_entry_allowed() {
        check(1 << 30, 100_000, 1 << 28);
        check(1 << 30, 100_000, 1 << 20);
        check(1 << 30, 1, 1 << 20);
        check(1 << 30, 2, 1 << 20);
        check(1 << 30, 3, 900 << 20);
        check(1_000, 7, 970);
        check(100_003, 1_000, 5_000);
        check(1 << 40, u64::MAX, 1 << 10);
    }
}
