//! Finds the first byte of a text that a format has to escape, eight bytes at a time.
//!
//! The word tricks are those of Sean Eron Anderson's "Bit Twiddling Hacks" (a zero byte, a byte less than n): a borrow may
//! mark a byte behind the first one that is meant, never one before it.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The first byte that cannot stand in a JSON string.
#[inline]
pub(super) fn json(bytes: &[u8]) -> Option<usize> {
    first(
        bytes,
        |word| less(word, 0x20) | equal(word, b'"') | equal(word, b'\\'),
        |byte| byte < 0x20 || byte == b'"' || byte == b'\\',
    )
}

/// The first byte for which a CSV field has to be quoted.
#[inline]
pub(super) fn csv(bytes: &[u8]) -> Option<usize> {
    first(
        bytes,
        |word| equal(word, b',') | equal(word, b'"') | equal(word, b'\n') | equal(word, b'\r'),
        |byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'),
    )
}

#[inline]
fn first(bytes: &[u8], in_word: impl Fn(u64) -> u64, in_byte: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = in_word(u64::from_le_bytes(*word)) & HIGH;
        if found != 0 {
            return Some(at * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    rest.iter().position(|byte| in_byte(*byte)).map(|at| words.len() * 8 + at)
}

/// Marks the bytes that are less than `n`, which is at most 128.
#[inline]
const fn less(word: u64, n: u8) -> u64 {
    word.wrapping_sub(ONES * n as u64) & !word
}

/// Marks the bytes that are `byte`.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    less(word ^ (ONES * byte as u64), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_at_every_place() {
        for byte in 0..=255_u8 {
            for len in 1..20 {
                for at in 0..len {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(json(&bytes), special.then_some(at), "{byte} at {at} of {len}");
                    let special = matches!(byte, b',' | b'"' | b'\n' | b'\r');
                    assert_eq!(csv(&bytes), special.then_some(at), "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_is_found() {
        assert_eq!(json(b"abc\x00\x01\"\\def"), Some(3));
        assert_eq!(json(b"abcdefgh!\"\x21\""), Some(9));
        assert_eq!(csv(b"--,-,-----\n"), Some(2));
    }
}
