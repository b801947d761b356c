//! Numbers for values of which there are many, the same for all threads.
//!
//! The values of many rows are sorted by a few bits of their hashes, and each part of them is looked up in a hash table of
//! its own behind a lock. So a thread works for a while in a table that fits its core's cache, two threads seldom want the
//! same one, and nothing has to be joined at the end. (Radix partitioning, as in Balkesen et al., "Main-memory hash joins on
//! multi-core CPUs", ICDE 2013.)
//!
//! Numbers are given as values come, so they differ from run to run, and some are never given; each value also knows the
//! place of its first row, which does not change.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Found;
use parking_lot::{Mutex, MutexGuard};

use super::text::{INLINE, mix, seed};

/// Parts that values are sorted into: a quarter of a million rows have a thousand for each.
const PARTS: usize = 256;
/// The most values that room is made for before they come.
const MAX_EXPECTED: usize = 1 << 19;
/// Numbers that a part takes at a time; some of them it never gives.
const NUMBERS: u32 = 64;
/// The bits of a hash that choose the part. The table takes the lowest and the highest ones.
const PART_SHIFT: u32 = 40;

/// A way to the bytes of each row's text.
pub(super) type Texts<'a> = dyn Fn(usize) -> &'a [u8] + 'a;

/// What a thread needs for some rows; kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Which part each row is in.
    parts: Vec<u8>,
    /// The rows and their views, part by part.
    rows: Vec<u32>,
    views: Vec<u128>,
}

impl Scratch {
    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.capacity() + self.rows.capacity() * 4 + self.views.capacity() * 16
    }
}

/// Distinct values, shared by all threads.
#[derive(Debug)]
pub(super) struct Partitions {
    parts: Box<[Mutex<Part>]>,
    /// Numbers that were given to parts.
    given: AtomicU32,
    bytes: AtomicUsize,
    seed: u64,
}

#[derive(Debug, Default)]
struct Part {
    table: HashTable<Entry>,
    /// Numbers that are left to give.
    left: Range<u32>,
    /// The bytes of texts that are longer than a view.
    long: Vec<u8>,
}

/// A value: whole, or the length, half of the hash and the place among the long ones.
#[derive(Debug, Clone, Copy)]
struct Entry {
    view: u128,
    first: u64,
    number: u32,
}

/// A value that was found; the bytes of a long text are elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The place of the first row that has it.
    pub(super) first: u64,
    pub(super) number: u32,
    /// Little-endian, so that the bytes of a short text can be lent.
    view: [u8; 16],
    part: u32,
}

impl Known {
    /// The view.
    pub(super) fn view(&self) -> u128 {
        u128::from_le_bytes(self.view)
    }
}

impl Partitions {
    /// No values yet, with room for as many as are expected.
    pub(super) fn new(expected: usize) -> Self {
        let in_part = expected.min(MAX_EXPECTED) / PARTS;
        let part = || Part { table: HashTable::with_capacity(in_part), ..Part::default() };
        let parts: Box<[Mutex<Part>]> = (0..PARTS).map(|_| Mutex::new(part())).collect();
        let bytes = parts.iter().map(|part| part.lock().bytes()).sum::<usize>();
        Self { parts, given: AtomicU32::new(0), bytes: AtomicUsize::new(bytes), seed: seed() }
    }

    /// Appends the number of each row's value, which come as views in pieces; `place` is the first row's place among all
    /// rows. The bytes of texts that their views do not hold are in `long`; there is none for values that are all whole.
    pub(super) fn number(
        &self,
        pieces: &[Cow<'_, [u128]>],
        long: Option<&Texts<'_>>,
        place: u64,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let ends = self.sort(pieces, long, scratch);
        let start = out.len();
        out.resize(start + scratch.rows.len(), 0);
        let out = &mut out[start..];
        // Threads begin at different parts.
        let turn = (place >> 16) as usize * 97;
        for part in (0..PARTS).map(|part| (part + turn) % PARTS) {
            let start = if part == 0 { 0 } else { ends[part - 1] };
            let range = start as usize..ends[part] as usize;
            if range.is_empty() {
                continue;
            }
            let range_len = range.len();
            let rows = scratch.rows[range.clone()].iter().zip(&scratch.views[range]);
            let mut part = self.parts[part].lock();
            let before = part.bytes();
            part.fetch(range_len);
            match long {
                None => rows.for_each(|(row, view)| out[*row as usize] = part.number(*row, *view, None, place, self)),
                Some(texts) => {
                    for (row, view) in rows {
                        let bytes = is_long(*view).then(|| texts(*row as usize));
                        out[*row as usize] = part.number(*row, *view, Some(bytes), place, self);
                    }
                }
            }
            self.bytes.fetch_add(part.bytes() - before, Ordering::Relaxed);
        }
    }

    /// Sorts the rows by part; where each part ends.
    fn sort(&self, pieces: &[Cow<'_, [u128]>], long: Option<&Texts<'_>>, scratch: &mut Scratch) -> [u32; PARTS] {
        let Scratch { parts, rows, views } = scratch;
        parts.clear();
        for piece in pieces {
            match long {
                None => parts.extend(piece.iter().map(|view| part_of(self.hash(*view)))),
                Some(texts) => {
                    let start = parts.len();
                    parts.extend(piece.iter().zip(start..).map(|(view, row)| match is_long(*view) {
                        true => part_of(self.hash_of_long(texts(row))),
                        false => part_of(self.hash(*view)),
                    }));
                }
            }
        }
        let mut ends = [0_u32; PARTS];
        parts.iter().for_each(|part| ends[*part as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            // The start of each part for now, which moves to its end below.
            sum += std::mem::replace(end, sum);
        }
        rows.resize(parts.len(), 0);
        views.resize(parts.len(), 0);
        let all = pieces.iter().flat_map(|piece| piece.iter());
        for ((row, part), view) in (0..).zip(parts.iter()).zip(all) {
            let end = &mut ends[*part as usize];
            rows[*end as usize] = row;
            views[*end as usize] = *view;
            *end += 1;
        }
        ends
    }

    #[inline]
    fn hash(&self, view: u128) -> u64 {
        mix(view as u64 ^ self.seed, (view >> 64) as u64)
    }

    fn hash_of_long(&self, bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.seed)
    }

    /// One more than the greatest number.
    pub(super) fn end(&self) -> usize {
        self.given.load(Ordering::Relaxed) as usize
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The values while nobody adds to them.
    pub(super) fn lock(&self) -> Locked<'_> {
        Locked(self.parts.iter().map(Mutex::lock).collect())
    }
}

fn part_of(hash: u64) -> u8 {
    (hash >> PART_SHIFT) as u8
}

fn is_long(view: u128) -> bool {
    view as u32 as usize > INLINE
}

impl Part {
    /// Brings the table into the core's cache, if so many rows are worth it: reading it from end to end is many times
    /// faster than waiting for each entry that is looked up.
    fn fetch(&self, rows: usize) {
        if self.table.len() < rows {
            std::hint::black_box(self.table.iter().fold(0, |sum: u32, entry| sum.wrapping_add(entry.number)));
        }
    }

    /// The number of a row's value. `texts` is there for a column of texts, with the bytes of one that is long.
    #[inline]
    fn number(&mut self, row: u32, view: u128, texts: Option<Option<&[u8]>>, place: u64, all: &Partitions) -> u32 {
        let Self { table, left, long } = self;
        let hash = match texts.flatten() {
            None => all.hash(view),
            Some(bytes) => all.hash_of_long(bytes),
        };
        let is_same = |entry: &Entry| match texts.flatten() {
            None => entry.view == view,
            Some(bytes) => entry.view as u64 == head(bytes, hash) && of_long(entry.view, long) == bytes,
        };
        let hash_again = |entry: &Entry| match texts.is_some() && is_long(entry.view) {
            true => all.hash_of_long(of_long(entry.view, long)),
            false => all.hash(entry.view),
        };
        let first = place + u64::from(row);
        match table.entry(hash, is_same, hash_again) {
            Found::Occupied(mut entry) => {
                let entry = entry.get_mut();
                if first < entry.first {
                    entry.first = first;
                }
                entry.number
            }
            Found::Vacant(entry) => {
                let number = left.next().unwrap_or_else(|| {
                    let given = all.given.fetch_add(NUMBERS, Ordering::Relaxed);
                    *left = given + 1..given + NUMBERS;
                    given
                });
                let view = match texts.flatten() {
                    None => view,
                    Some(bytes) => {
                        let start = long.len() as u128;
                        long.extend_from_slice(bytes);
                        start << 64 | u128::from(head(bytes, hash))
                    }
                };
                entry.insert(Entry { view, first, number });
                number
            }
        }
    }

    fn bytes(&self) -> usize {
        self.table.capacity() * (size_of::<Entry>() + 1) + self.long.capacity()
    }
}

/// The lower half of a long text's view: its length, and half of its hash to tell most texts of one length apart.
fn head(bytes: &[u8], hash: u64) -> u64 {
    bytes.len() as u64 & 0xFFFF_FFFF | hash & 0xFFFF_FFFF_0000_0000
}

/// The bytes of a long text.
fn of_long(view: u128, long: &[u8]) -> &[u8] {
    let start = (view >> 64) as usize;
    &long[start..start + view as u32 as usize]
}

/// The values, to be read.
pub(super) struct Locked<'a>(Vec<MutexGuard<'a, Part>>);

impl Locked<'_> {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| part.table.len()).sum()
    }

    /// All values, in no order.
    pub(super) fn known(&self) -> impl Iterator<Item = Known> {
        let parts = (0_u32..).zip(&self.0);
        parts.flat_map(|(part, entries)| {
            let known = move |Entry { view, first, number }: &Entry| Known {
                first: *first,
                number: *number,
                view: view.to_le_bytes(),
                part,
            };
            entries.table.iter().map(known)
        })
    }

    /// The bytes of a text.
    pub(super) fn bytes<'a>(&'a self, known: &'a Known) -> &'a [u8] {
        let length = known.view() as u32 as usize;
        match is_long(known.view()) {
            true => of_long(known.view(), &self.0[known.part as usize].long),
            false => &known.view[4..4 + length],
        }
    }
}
