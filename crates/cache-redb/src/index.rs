//! What is in the database, in memory: enough to say no without reading, to keep to the budget and to choose what goes.
//!
//! A slot is found by the hash of a record's name, with a seed of this process. The name itself is in the database alone.
//! Two names of one hash cannot both be in the index; the one that came first is then unknown, so never served, and
//! whoever brings the second one takes it out ([`Index::insert`] returns it).
//!
//! What goes first is what was used longest ago, by a sample: of 8 slots taken at random the oldest. A use is a tick of a
//! counter that starts at the time of day, so that the records of earlier processes stand in the order of their loads.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use cache_core::{RecordKey, Usage};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::row::Row;
use crate::store::Place;

const SAMPLE: usize = 8;
/// What a record takes in the file beside its payload and its name, which is stored twice: measured with empty payloads.
const ROW_BYTES: u64 = 168;

/// What is in the database, in memory.
#[derive(Debug)]
pub(crate) struct Index {
    seed: u64,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    slots: Vec<Slot>,
    spaces: Vec<Usage>,
    space_numbers: HashMap<(Arc<str>, Arc<str>), u32>,
    /// Places in `spaces` of what has no records any more.
    free_spaces: Vec<u32>,
    bytes: u64,
    tick: u64,
    random: u64,
    /// How many slots, from the first on, the search for what has expired has not looked at yet.
    unseen: usize,
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    hash: u64,
    pub(crate) place: Place,
    /// The bytes of the record against the budget.
    bytes: u64,
    usable_until_ms: u64,
    used: u64,
    space: u32,
}

impl Index {
    pub(crate) fn new(now_ms: u64) -> Self {
        let random = RandomState::new().hash_one("cache-redb");
        Self {
            seed: random,
            by_hash: HashMap::default(),
            slots: Vec::new(),
            spaces: Vec::new(),
            space_numbers: HashMap::new(),
            free_spaces: Vec::new(),
            bytes: 0,
            tick: now_ms,
            random: random | 1,
            unseen: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes of a record against the budget.
    pub(crate) fn cost(name: &[u8], stored_bytes: u64) -> u64 {
        stored_bytes + 2 * name.len() as u64 + ROW_BYTES
    }

    /// Where the record of this name is, if there is one.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Place> {
        self.by_hash.get(&self.hash(name)).map(|&at| self.slots[at as usize].place)
    }

    /// Where the record of this name is, which is being used.
    pub(crate) fn touch(&mut self, name: &[u8]) -> Option<Place> {
        let &at = self.by_hash.get(&self.hash(name))?;
        self.tick += 1;
        let slot = &mut self.slots[at as usize];
        slot.used = self.tick;
        Some(slot.place)
    }

    /// Takes a record in that was written now. Returns the one that had its hash.
    pub(crate) fn insert(&mut self, key: &RecordKey, name: &[u8], row: &Row) -> Option<Place> {
        self.tick += 1;
        self.insert_used(key, name, row, self.tick)
    }

    /// Takes a record in that an earlier process wrote.
    pub(crate) fn restore(&mut self, key: &RecordKey, name: &[u8], row: &Row) -> Option<Place> {
        self.insert_used(key, name, row, row.meta.loaded_at_ms.min(self.tick))
    }

    fn insert_used(&mut self, key: &RecordKey, name: &[u8], row: &Row, used: u64) -> Option<Place> {
        let hash = self.hash(name);
        let old = self.by_hash.get(&hash).map(|&at| self.slots[at as usize].place);
        if let Some(old) = old {
            self.remove_hash(hash, old.id);
        }
        let space = self.space(key);
        let place = Place { id: row.id, stored_bytes: row.stored_bytes };
        let bytes = Self::cost(name, row.stored_bytes);
        let slot = Slot { hash, place, bytes, usable_until_ms: row.meta.usable_until_ms(), used, space };
        // Four thousand million slots would take more memory than there is.
        self.by_hash.insert(hash, self.slots.len() as u32);
        self.slots.push(slot);
        self.bytes += bytes;
        let usage = &mut self.spaces[space as usize];
        usage.entries += 1;
        usage.bytes += bytes;
        old
    }

    /// Takes a record out, if it is the one of this id.
    pub(crate) fn remove(&mut self, name: &[u8], id: u64) -> bool {
        self.remove_hash(self.hash(name), id)
    }

    /// Takes one of those out that were used longest ago.
    pub(crate) fn evict(&mut self) -> Option<Slot> {
        let count = self.slots.len();
        let victim = (0..SAMPLE.min(count))
            .map(|_| {
                let at = self.next_random() % count as u64;
                self.slots[at as usize]
            })
            .min_by_key(|slot| slot.used)?;
        self.remove_hash(victim.hash, victim.place.id);
        Some(victim)
    }

    /// Looks at the next `looks` slots and takes those out that are of no more use, `limit` at most. Says whether it has
    /// come to the end of all; then the next call begins again.
    ///
    /// It goes from the last slot to the first: what takes the place of a slot that is taken out was looked at.
    pub(crate) fn expire(&mut self, now_ms: u64, looks: usize, limit: usize) -> (Vec<Slot>, bool) {
        if self.unseen == 0 {
            self.unseen = self.slots.len();
        }
        let mut expired = Vec::new();
        for _ in 0..looks {
            self.unseen = self.unseen.min(self.slots.len());
            if self.unseen == 0 || expired.len() == limit {
                break;
            }
            self.unseen -= 1;
            let slot = self.slots[self.unseen];
            if slot.usable_until_ms < now_ms {
                self.remove_hash(slot.hash, slot.place.id);
                expired.push(slot);
            }
        }
        (expired, self.unseen == 0)
    }

    /// The next search for what has expired begins with the last slot again.
    pub(crate) fn look_again(&mut self) {
        self.unseen = 0;
    }

    /// Records and bytes by cache and namespace, in their order.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let mut usage: Vec<Usage> = self.spaces.iter().filter(|usage| usage.entries > 0).cloned().collect();
        usage.sort_by(|left, right| (&left.cache, &left.namespace).cmp(&(&right.cache, &right.namespace)));
        usage
    }

    /// The caches that have records in a namespace.
    pub(crate) fn caches_of(&self, namespace: &str) -> Vec<Arc<str>> {
        let spaces = self.spaces.iter().filter(|usage| &*usage.namespace == namespace && usage.entries > 0);
        spaces.map(|usage| Arc::clone(&usage.cache)).collect()
    }

    fn space(&mut self, key: &RecordKey) -> u32 {
        let name = (Arc::clone(&key.cache), Arc::clone(&key.namespace));
        if let Some(&number) = self.space_numbers.get(&name) {
            return number;
        }
        let usage = Usage { cache: Arc::clone(&name.0), namespace: Arc::clone(&name.1), entries: 0, bytes: 0 };
        let number = self.free_spaces.pop().unwrap_or(self.spaces.len() as u32);
        match self.spaces.get_mut(number as usize) {
            Some(free) => *free = usage,
            None => self.spaces.push(usage),
        }
        self.space_numbers.insert(name, number);
        number
    }

    fn remove_hash(&mut self, hash: u64, id: u64) -> bool {
        let Some(&at) = self.by_hash.get(&hash) else { return false };
        if self.slots[at as usize].place.id != id {
            return false;
        }
        self.by_hash.remove(&hash);
        let slot = self.slots.swap_remove(at as usize);
        if let Some(moved) = self.slots.get(at as usize) {
            self.by_hash.insert(moved.hash, at);
        }
        self.bytes -= slot.bytes;
        let usage = &mut self.spaces[slot.space as usize];
        usage.entries -= 1;
        usage.bytes -= slot.bytes;
        if usage.entries == 0 {
            self.space_numbers.remove(&(Arc::clone(&usage.cache), Arc::clone(&usage.namespace)));
            self.free_spaces.push(slot.space);
        }
        true
    }

    fn hash(&self, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed)
    }

    /// Marsaglia's xorshift: a sample needs no better numbers.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Hashes are their own hashes.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use cache_core::{Codec, Meta};

    use super::*;
    use crate::name;

    fn insert(index: &mut Index, number: u64, usable_until_ms: u64) {
        let bytes = number.to_le_bytes().into();
        let key = RecordKey { cache: "c".into(), namespace: "n".into(), bytes, version: 0 };
        let meta = Meta {
            layout: 0,
            loaded_at_ms: 0,
            expires_ms: usable_until_ms,
            stale_while_revalidate_ms: 0,
            stale_if_error_ms: 0,
            counter: 0,
            cost_us: 0,
            value_bytes: 0,
            tags: Vec::new(),
        };
        let codec = Codec::None;
        let row = Row { meta, began: 0, id: number, codec, plain_bytes: 0, stored_bytes: 0, payload_hash: 0 };
        index.insert(&key, &name::of(&key), &row);
    }

    #[test]
    fn what_has_expired_is_found_a_few_slots_at_a_time() {
        let mut index = Index::new(0);
        for number in 0..1_000 {
            insert(&mut index, number, if number % 3 == 0 { 5 } else { 50 });
        }
        let (mut found, mut calls) = (0, 0);
        loop {
            calls += 1;
            let (expired, over) = index.expire(10, 100, 20);
            assert!(expired.len() <= 20 && expired.iter().all(|slot| slot.usable_until_ms == 5));
            found += expired.len();
            // What comes and goes meanwhile moves others about.
            insert(&mut index, 10_000 + calls, 50);
            index.evict();
            if over {
                break;
            }
        }
        assert!(calls >= 334 / 20, "{calls}");
        let evicted = calls as usize;
        assert!((334 - evicted..=334).contains(&found), "{found}");
        let left = index.slots.iter().filter(|slot| slot.usable_until_ms == 5).count();
        assert_eq!(left, 0);
    }
}
