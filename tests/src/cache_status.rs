//! What an answer says of the cache: its `Cache-Status` (RFC 9211), taken apart.

use crate::http::Answer;

/// A `Cache-Status` of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStatus {
    /// Whether it was a hit.
    pub hit: bool,
    /// Seconds of freshness left, negative when stale.
    pub ttl: Option<i64>,
    /// Why the request went on, `""` if it did not: `miss`, `stale`.
    pub fwd: String,
    /// Where the answer is from: `memory`, `disk`, `table`, `source`, `stale-if-error`.
    pub detail: String,
}

impl CacheStatus {
    /// The status of an answer.
    ///
    /// # Panics
    /// When it has none, or one that is not the server's.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let text = answer.header("cache-status");
        let mut parts = text.split(';').map(str::trim);
        assert_eq!(parts.next(), Some("larder"), "{}: cache-status is '{text}'", answer.asked);
        let mut status = Self { hit: false, ttl: None, fwd: String::new(), detail: String::new() };
        for part in parts {
            match part.split_once('=') {
                None if part == "hit" => status.hit = true,
                Some(("ttl", ttl)) => status.ttl = ttl.parse().ok(),
                Some(("fwd", reason)) => reason.clone_into(&mut status.fwd),
                Some(("detail", detail)) => detail.clone_into(&mut status.detail),
                _ => {}
            }
        }
        assert!(status.hit == status.fwd.is_empty(), "{}: cache-status is '{text}'", answer.asked);
        status
    }

    /// Whether it is a hit that is past its time.
    pub fn is_stale(&self) -> bool {
        self.hit && self.ttl.is_some_and(|ttl| ttl < 0)
    }

    /// Demands where the answer is from.
    ///
    /// # Panics
    /// When it is from elsewhere.
    #[track_caller]
    pub fn expect(answer: &Answer, detail: &str) -> Self {
        let status = Self::of(answer);
        assert_eq!(status.detail, detail, "{}: cache-status is '{}'", answer.asked, answer.header("cache-status"));
        status
    }
}

/// The `Age` of an answer in seconds.
///
/// # Panics
/// When it has none.
#[track_caller]
pub fn age(answer: &Answer) -> i64 {
    let text = answer.header("age");
    text.parse().unwrap_or_else(|_| panic!("{}: age is '{text}'", answer.asked))
}
