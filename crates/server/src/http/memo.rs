//! From the bytes of a request straight to the key of its body.
//!
//! Parsing a query and finding its canonical form costs more than all the rest of a hit. The memo
//! maps (target, `Accept`, `Accept-Encoding`, `Prefer`), compared in full, to what they led to last time. An
//! entry counts only for the catalog that it was made with, because another catalog may bind the
//! same text to another dataset or schema.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cache_core::Key;
use pipeline::Dataset;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::cache_headers::ForClients;

/// Requests remembered at most.
const MAX_ENTRIES: usize = 8_192;
/// Longer ones are parsed each time, which bounds the memo's bytes: 8,192 entries of 1 KiB.
const MAX_REQUEST_BYTES: usize = 1_024;

/// The parts of a request that decide its body.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Path and query, as sent.
    pub target: &'a str,
    /// `Accept`, empty when there is none.
    pub accept: &'a [u8],
    /// `Accept-Encoding`, empty when there is none.
    pub accept_encoding: &'a [u8],
    /// `Prefer`, empty when there is none.
    pub prefer: &'a [u8],
}

/// What a request led to.
#[derive(Debug)]
pub struct Remembered {
    /// Number of the catalog that it was bound with.
    pub generation: u64,
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// The body's key, at no version.
    pub key: Key,
    /// How long clients may keep the answer.
    pub for_clients: ForClients,
}

#[derive(PartialEq, Eq)]
struct Owned {
    target: Box<str>,
    accept: Box<[u8]>,
    accept_encoding: Box<[u8]>,
    prefer: Box<[u8]>,
}

impl Owned {
    fn as_asked(&self) -> Asked<'_> {
        Asked {
            target: &self.target,
            accept: &self.accept,
            accept_encoding: &self.accept_encoding,
            prefer: &self.prefer,
        }
    }
}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_asked().hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
        self.accept.hash(state);
        self.accept_encoding.hash(state);
        self.prefer.hash(state);
    }
}

impl Equivalent<Owned> for Asked<'_> {
    fn equivalent(&self, key: &Owned) -> bool {
        self.target == &*key.target
            && is_same(self.accept, &key.accept)
            && is_same(self.accept_encoding, &key.accept_encoding)
            && is_same(self.prefer, &key.prefer)
    }
}

/// Whether two header lines are the same. Most are empty, and those are not left to `memcmp`: glibc's for AVX-512 masks out
/// all that it reads, and where an empty box points, the processor takes 0.1 us to find that nothing is read.
fn is_same(line: &[u8], other: &[u8]) -> bool {
    line.len() == other.len() && (line.is_empty() || line == other)
}

/// The bounded memo.
pub struct Memo {
    entries: Cache<Owned, Arc<Remembered>>,
}

impl Memo {
    /// An empty memo.
    pub fn new() -> Self {
        Self { entries: Cache::new(MAX_ENTRIES) }
    }

    /// What the same request led to, if the catalog is still the same.
    pub fn get(&self, asked: &Asked<'_>, generation: u64) -> Option<Arc<Remembered>> {
        self.entries.get(asked).filter(|remembered| remembered.generation == generation)
    }

    /// Remembers what a request led to.
    pub fn insert(&self, asked: &Asked<'_>, remembered: Remembered) {
        let bytes = asked.target.len() + asked.accept.len() + asked.accept_encoding.len() + asked.prefer.len();
        if bytes <= MAX_REQUEST_BYTES {
            let owned = Owned {
                target: asked.target.into(),
                accept: asked.accept.into(),
                accept_encoding: asked.accept_encoding.into(),
                prefer: asked.prefer.into(),
            };
            self.entries.insert(owned, Arc::new(remembered));
        }
    }

    /// Forgets everything: called when the catalog changes, so that old datasets are let go.
    pub fn clear(&self) {
        self.entries.clear();
    }
}

impl Default for Memo {
    fn default() -> Self {
        Self::new()
    }
}
