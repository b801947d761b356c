//! What an entry is found by: a namespace, opaque bytes, and a version.
//!
//! The caller writes everything that tells two values apart into the bytes. The version is apart from them because it
//! changes often while the bytes stay: [`Key::at_version`] neither hashes the bytes again nor allocates.
//!
//! Invariants: (1) two keys are equal if and only if namespace, bytes and version are; the hash is an index, never a
//! proof. (2) The hash is made once, with a seed of this process, so that nobody outside can prepare collisions; it is
//! never stored or sent.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The unit of invalidation: one dataset of one source. Caches that share their stamps share the namespaces' meaning
/// too: a body belongs into the namespace of the table that it is made of. Cloning is one reference count.
#[derive(Clone, Eq)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// A namespace of this name.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for Namespace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full name of an entry. Cloning is one reference count.
#[derive(Clone)]
pub struct Key {
    content: Arc<Content>,
    version: u64,
    hash: u64,
}

struct Content {
    namespace: Namespace,
    bytes: Box<[u8]>,
    hash: u64,
}

impl Key {
    /// The key of `bytes` in `namespace`, at version 0.
    pub fn new(namespace: &Namespace, bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        // The namespace's hash seeds that of the bytes: moving the border between the two changes the hash.
        let seed = xxh3_64_with_seed(namespace.0.as_bytes(), process_seed());
        let hash = xxh3_64_with_seed(&bytes, seed);
        let content = Content { namespace: namespace.clone(), bytes, hash };
        Self { content: Arc::new(content), version: 0, hash }
    }

    /// The same key at another version. It costs one reference count.
    #[must_use]
    pub fn at_version(&self, version: u64) -> Self {
        // A multiplication by an odd number (2^64 over the golden ratio, Knuth's multiplicative hashing) spreads
        // versions that follow each other over all bits; version 0 keeps the hash of the content.
        let hash = self.content.hash ^ version.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { content: Arc::clone(&self.content), version, hash }
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.content.namespace
    }

    /// The bytes that it was made of.
    pub fn bytes(&self) -> &[u8] {
        &self.content.bytes
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn precomputed_hash(&self) -> u64 {
        self.hash
    }

    /// What a key costs in memory beside the slot that it is stored in.
    pub(crate) fn heap_bytes(&self) -> u64 {
        const COUNTS: usize = 2 * size_of::<usize>();
        (COUNTS + size_of::<Content>() + self.content.bytes.len()) as u64
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && (Arc::ptr_eq(&self.content, &other.content)
                || (self.hash == other.hash
                    && self.content.namespace == other.content.namespace
                    && self.content.bytes == other.content.bytes))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("namespace", self.namespace())
            .field("bytes", &format_args!("{}", self.bytes().escape_ascii()))
            .field("version", &self.version)
            .finish()
    }
}

fn process_seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one("cache-core"))
}

/// A hasher for maps keyed by what carries its own hash: it passes that hash on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn write(&mut self, bytes: &[u8]) {
        // Keys write one u64. Anything else that is ever hashed here still gets a sound hash.
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for Prehashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, bytes: &str, version: u64) -> Key {
        Key::new(&Namespace::new(namespace), bytes.as_bytes()).at_version(version)
    }

    #[track_caller]
    fn check(left: Key, right: Key, equal: bool) {
        assert_eq!(left == right, equal, "{left:?} and {right:?}");
        if equal {
            assert_eq!(left.precomputed_hash(), right.precomputed_hash(), "{left:?} and {right:?}");
        }
    }

    #[test]
    fn keys_are_equal_when_all_three_parts_are() {
        check(key("a", "x", 0), key("a", "x", 0), true);
        check(key("a", "x", 7), key("a", "x", 7), true);
        check(key("a", "", 7), key("a", "", 7), true);
        check(key("a", "x", 0), key("a", "x", 1), false);
        check(key("a", "x", 0), key("a", "y", 0), false);
        check(key("a", "x", 0), key("b", "x", 0), false);
        check(key("ab", "c", 0), key("a", "bc", 0), false);
        check(key("", "abc", 0), key("abc", "", 0), false);
    }

    #[test]
    fn equal_hashes_do_not_make_equal_keys() {
        let left = key("a", "x", 0);
        let mut right = key("a", "y", 0);
        right.hash = left.hash;
        assert_ne!(left, right);
    }

    #[test]
    fn a_version_shares_the_content_and_changes_the_hash() {
        let base = key("a", "x", 0);
        let next = base.at_version(1);
        assert!(Arc::ptr_eq(&base.content, &next.content));
        assert_ne!(base.precomputed_hash(), next.precomputed_hash());
        assert_eq!(next.at_version(0), base);
        assert_eq!(next.at_version(0).precomputed_hash(), base.precomputed_hash());
    }
}
