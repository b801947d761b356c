//! One id a request: the client's, if it sent a plain one, else a new one.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest id of a client that is taken over.
const MAX_LEN: usize = 64;

/// The id of a request, kept among its extensions.
#[derive(Debug, Clone)]
pub struct RequestId(pub std::sync::Arc<str>);

/// Whether a client's id may be repeated in headers and logs.
pub fn is_plain(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A new id: 16 hexadecimal digits, unique within one process and unlikely to repeat across many.
pub fn fresh() -> [u8; 16] {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("start"));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // An odd factor makes a bijection of the counter, so ids never repeat within a process.
    let number = START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut text = [0; 16];
    for (i, digit) in text.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (60 - 4 * i) & 15) as usize];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_are_plain_and_differ() {
        let ids: std::collections::HashSet<_> = (0..1_000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| is_plain(std::str::from_utf8(id).unwrap())));
    }

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert!(is_plain("a-1_b.C"));
        for bad in ["", "a b", "a\r\nb", "<x>", &"a".repeat(65)] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
