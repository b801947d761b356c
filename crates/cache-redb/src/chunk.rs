//! How payloads are cut so that they fill the database's pages.
//!
//! A page is 4 KiB x 2^n and one large value takes one: 4 KiB and a few bytes of header would take 8. So the front of a
//! payload is cut into *chunks* that fill a page each to the last byte, the largest first, and what is left goes, with
//! others of its kind, into the pages of the table `rest`.

use std::ops::Range;

const PAGE: u64 = 4096;
/// What a page with one pair of an eight-byte key and a value takes for itself: header, end of the value, key.
const OVERHEAD: u64 = 4 + 4 + 8;
/// The largest chunk fills 4 KiB x 2^8, 1 MiB.
const MAX_ORDER: u32 = 8;

/// The chunks of a payload of `length` bytes, in their order; what follows the last one is its rest.
pub(crate) fn chunks(length: u64) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let order = (0..=MAX_ORDER).rev().find(|&order| capacity(order) <= length - at)?;
        let start = at;
        at += capacity(order);
        Some(start as usize..at as usize)
    })
}

/// The number of chunks of a payload.
pub(crate) fn count(length: u64) -> u64 {
    let whole = length / capacity(MAX_ORDER);
    whole + chunks(length - whole * capacity(MAX_ORDER)).count() as u64
}

fn capacity(order: u32) -> u64 {
    (PAGE << order) - OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(length: u64, expected: &[u64]) {
        let found: Vec<u64> = chunks(length).map(|range| range.len() as u64).collect();
        assert_eq!(found, expected, "{length}");
        assert_eq!(count(length), expected.len() as u64);
    }

    #[test]
    fn chunks_fill_pages_and_leave_less_than_a_page() {
        check(0, &[]);
        check(4079, &[]);
        check(4080, &[4080]);
        check(4096, &[4080]);
        check(8175, &[4080, 4080]);
        check(8176, &[8176]);
        check(20_000, &[16_368]);
        check(1 << 20, &[(1 << 20) - 16]);
        check(5 << 19, &[(1 << 20) - 16, (1 << 20) - 16, (1 << 19) - 16]);
        for length in (0..3 << 20).step_by(1_237) {
            let end = chunks(length).last().map_or(0, |range| range.end as u64);
            assert!(length - end < 4080, "{length}");
        }
    }
}
