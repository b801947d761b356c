//! A piece of the past: what was counted in it, in few bytes.
//!
//! Of the buckets only those with something in them are kept, each as one or two numbers of as few bytes as they need: its
//! count, with a bit that says whether buckets lie between it and the one before, and if so how many. A byte or two for a
//! bucket are usual.

use crate::tally::Tally;

/// The highest count of a bucket that is kept.
const MOST: u64 = u64::MAX >> 1;

/// What was counted in some time that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) tally: Tally,
    buckets: Box<[u8]>,
}

impl Default for Slice {
    fn default() -> Self {
        Self { tally: Tally::EMPTY, buckets: Box::default() }
    }
}

impl Slice {
    /// Of buckets in ascending order.
    pub(crate) fn new(tally: Tally, counts: impl Iterator<Item = (usize, u64)>) -> Self {
        let mut bytes = Vec::with_capacity(64);
        let mut next = 0;
        for (bucket, count) in counts {
            let gap = (bucket - next) as u64;
            write(&mut bytes, count.min(MOST) << 1 | u64::from(gap > 0));
            if gap > 0 {
                write(&mut bytes, gap);
            }
            next = bucket + 1;
        }
        Self { tally, buckets: bytes.into_boxed_slice() }
    }

    /// The buckets with something in them, in ascending order, and their counts.
    pub(crate) fn counts(&self) -> Counts<'_> {
        Counts { bytes: &self.buckets, next: 0 }
    }

    /// Both pieces in one.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let mut tally = self.tally;
        tally.add(&other.tally);
        Self::new(tally, Merged { left: self.counts().peekable(), right: other.counts().peekable() })
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the buckets of a slice.
pub(crate) struct Counts<'a> {
    bytes: &'a [u8],
    next: usize,
}

impl Counts<'_> {
    fn read(&mut self) -> Option<u64> {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

impl Iterator for Counts<'_> {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.read()?;
        let gap = if count & 1 == 0 { 0 } else { self.read()? };
        let bucket = self.next + gap as usize;
        self.next = bucket + 1;
        Some((bucket, count >> 1))
    }
}

struct Merged<'a> {
    left: std::iter::Peekable<Counts<'a>>,
    right: std::iter::Peekable<Counts<'a>>,
}

impl Iterator for Merged<'_> {
    type Item = (usize, u64);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.left.peek(), self.right.peek()) {
            (Some(left), Some(right)) if left.0 == right.0 => {
                let (bucket, count) = self.left.next()?;
                Some((bucket, count.saturating_add(self.right.next()?.1)))
            }
            (Some(left), Some(right)) if left.0 > right.0 => self.right.next(),
            (Some(_), _) => self.left.next(),
            (None, _) => self.right.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::BUCKETS;

    fn slice(counts: &[(usize, u64)]) -> Slice {
        Slice::new(Tally::EMPTY, counts.iter().copied())
    }

    #[track_caller]
    fn check(counts: &[(usize, u64)], bytes: usize) {
        let slice = slice(counts);
        assert_eq!(slice.counts().collect::<Vec<_>>(), counts);
        assert_eq!(slice.buckets.len(), bytes);
    }

    #[test]
    fn buckets_are_read_as_they_were_written() {
        check(&[], 0);
        check(&[(0, 1)], 1);
        check(&[(0, 63), (1, 64), (130, 1)], 1 + 2 + 3);
        check(&[(BUCKETS - 1, MOST)], 10 + 2);
    }

    #[test]
    fn a_merge_has_the_buckets_of_both() {
        let (left, right) = (slice(&[(1, 5), (7, 1), (9, 2)]), slice(&[(0, 3), (7, 4), (500, 6)]));
        let expected = slice(&[(0, 3), (1, 5), (7, 5), (9, 2), (500, 6)]);
        assert_eq!(left.merged(&right), expected);
        assert_eq!(right.merged(&left), expected);
        assert_eq!(left.merged(&Slice::default()), left);
    }
}
