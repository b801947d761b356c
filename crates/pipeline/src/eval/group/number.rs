//! Numbers for whole numbers: which distinct ones there are, in order of first appearance.
//!
//! Most rows have a value that was seen a moment ago, so a small cache of one entry a slot stands before the hash table.

use hashbrown::HashTable;

use super::text::{mix, seed};

/// Slots of the cache: 8 KiB, a fraction of a core's first cache.
const SLOTS: usize = 512;

/// Distinct 64-bit values.
#[derive(Debug)]
pub(super) struct Numbers {
    table: HashTable<u32>,
    values: Vec<u64>,
    recent: Box<[(u64, u32)]>,
    seed: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            values: Vec::new(),
            // No value has this number.
            recent: vec![(0, u32::MAX); SLOTS].into_boxed_slice(),
            seed: seed(),
        }
    }
}

impl Numbers {
    /// The number of a value.
    #[inline]
    pub(super) fn number(&mut self, value: u64) -> u32 {
        let hash = mix(value, self.seed);
        let slot = hash as usize % SLOTS;
        let (known, number) = self.recent[slot];
        if known == value && number != u32::MAX {
            return number;
        }
        let number = self.find(value, hash);
        self.recent[slot] = (value, number);
        number
    }

    fn find(&mut self, value: u64, hash: u64) -> u32 {
        let Self { table, values, seed, .. } = self;
        let entry = table.entry(hash, |at| values[*at as usize] == value, |at| mix(values[*at as usize], *seed));
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let number = u32::try_from(values.len()).unwrap_or(u32::MAX);
                entry.insert(number);
                values.push(value);
                number
            }
        }
    }

    /// The values, each at its number.
    pub(super) fn values(&self) -> &[u64] {
        &self.values
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.values.capacity() * 8 + self.table.capacity() * 5
    }
}
