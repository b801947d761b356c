//! Numbers for texts and bytes: which distinct ones there are, in order of first appearance.
//!
//! A value of up to 12 bytes is one 128-bit number with its length, as in Arrow's view arrays, and is compared as such; of
//! a longer one that number holds the length, four bytes, and where the bytes are kept here.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use hashbrown::HashTable;

/// Slots of the cache of values that were seen last: 16 KiB.
const SLOTS: usize = 512;
/// The longest value that is inside of its view.
pub(super) const INLINE: usize = 12;

/// A number for this process, so that nobody can choose values that collide.
pub(super) fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0) | 1);
    *SEED
}

/// The folded multiply of wyhash (Wang Yi; foldhash and ahash have it too).
#[inline]
pub(super) fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ 0x9E37_79B9_7F4A_7C15) * u128::from(right ^ 0xD6E8_FEB8_6659_FD93);
    product as u64 ^ (product >> 64) as u64
}

/// Distinct texts.
#[derive(Debug)]
pub(super) struct Texts {
    table: HashTable<u32>,
    /// Little-endian, so that the bytes of a short value can be lent.
    views: Vec<[u8; 16]>,
    hashes: Vec<u64>,
    /// The bytes of the long ones.
    long: Vec<u8>,
    recent: Box<[(u128, u32)]>,
    seed: u64,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            views: Vec::new(),
            hashes: Vec::new(),
            long: Vec::new(),
            // No value has this number.
            recent: vec![(0, u32::MAX); SLOTS].into_boxed_slice(),
            seed: seed(),
        }
    }
}

impl Texts {
    /// The number of a value that a view array holds: `view` is its view, `bytes` gives the bytes of a long one.
    #[inline]
    pub(super) fn number_of_view<'a>(&mut self, view: u128, bytes: impl FnOnce() -> &'a [u8]) -> u32 {
        if view as u32 as usize > INLINE {
            return self.number_of_long(bytes());
        }
        let hash = mix(view as u64 ^ self.seed, (view >> 64) as u64);
        let slot = hash as usize % SLOTS;
        let (known, number) = self.recent[slot];
        if known == view && number != u32::MAX {
            return number;
        }
        let number = self.find_inline(view, hash);
        self.recent[slot] = (view, number);
        number
    }

    /// The number of a value.
    #[inline]
    pub(super) fn number(&mut self, bytes: &[u8]) -> u32 {
        if bytes.len() > INLINE {
            return self.number_of_long(bytes);
        }
        let mut view = [0; 16];
        view[0] = bytes.len() as u8;
        view[4..4 + bytes.len()].copy_from_slice(bytes);
        self.number_of_view(u128::from_le_bytes(view), || bytes)
    }

    fn find_inline(&mut self, view: u128, hash: u64) -> u32 {
        let Self { table, views, hashes, .. } = self;
        let entry = table.entry(hash, |at| u128::from_le_bytes(views[*at as usize]) == view, |at| hashes[*at as usize]);
        match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let number = u32::try_from(views.len()).unwrap_or(u32::MAX);
                entry.insert(number);
                views.push(view.to_le_bytes());
                hashes.push(hash);
                number
            }
        }
    }

    fn number_of_long(&mut self, bytes: &[u8]) -> u32 {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.seed);
        let Self { table, views, hashes, long, .. } = self;
        let same = |at: &u32| hashes[*at as usize] == hash && of_view(&views[*at as usize], long) == bytes;
        match table.entry(hash, same, |at| hashes[*at as usize]) {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                let number = u32::try_from(views.len()).unwrap_or(u32::MAX);
                entry.insert(number);
                let start = long.len() as u128;
                long.extend_from_slice(bytes);
                views.push((start << 64 | bytes.len() as u128).to_le_bytes());
                hashes.push(hash);
                number
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.views.len()
    }

    /// The values, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.views.iter().map(|view| of_view(view, &self.long))
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.views.capacity() * 24 + self.table.capacity() * 5 + self.long.capacity()
    }
}

/// The bytes of a value: inside of its view, or among the long ones.
fn of_view<'a>(view: &'a [u8; 16], long: &'a [u8]) -> &'a [u8] {
    let number = u128::from_le_bytes(*view);
    let length = number as u32 as usize;
    if length > INLINE {
        let start = (number >> 64) as usize;
        return &long[start..start + length];
    }
    &view[4..4 + length]
}
