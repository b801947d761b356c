//! What an entry is found by: a namespace, opaque bytes, and a version.
//!
//! The caller writes everything that tells two values apart into the bytes. The version is apart from them because it
//! changes often while the bytes stay: [`Key::at_version`] neither hashes the bytes again nor allocates.
//!
//! Invariants: (1) two keys are equal if and only if namespace, bytes and version are; the hash is an index, never a
//! proof. (2) The hash is made once, with a seed of this process, so that nobody outside can prepare collisions; it is
//! never stored or sent.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use quick_cache::Equivalent;
use triomphe::ThinArc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The unit of invalidation: one dataset of one source. Caches that share their stamps share the namespaces' meaning
/// too: a body belongs into the namespace of the table that it is made of. Cloning is one reference count.
#[derive(Clone)]
pub struct Namespace(Arc<Name>);

struct Name {
    text: Arc<str>,
    /// Seeds the hashes of the keys in it, so that moving the border between the two changes the hash.
    hash: u64,
}

impl Namespace {
    /// A namespace of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let text = name.into();
        let hash = xxh3_64_with_seed(text.as_bytes(), process_seed());
        Self(Arc::new(Name { text, hash }))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Its name, shared.
    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0.text)
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for Namespace {}

impl Hash for Namespace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl std::borrow::Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// The full name of an entry. Cloning is one reference count. Keys are ordered by namespace, bytes and version.
#[derive(Clone)]
pub struct Key {
    /// The bytes and what comes before them, in one allocation behind one word.
    content: ThinArc<Head, u8>,
    version: u64,
}

struct Head {
    namespace: Namespace,
    hash: u64,
}

impl Key {
    /// The key of `bytes` in `namespace`, at version 0.
    pub fn new(namespace: &Namespace, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let head = Head { namespace: namespace.clone(), hash: xxh3_64_with_seed(bytes, namespace.0.hash) };
        Self { content: ThinArc::from_header_and_slice(head, bytes), version: 0 }
    }

    /// The same key at another version. It costs one reference count.
    #[must_use]
    pub fn at_version(&self, version: u64) -> Self {
        Self { content: ThinArc::clone(&self.content), version }
    }

    /// The namespace it is in.
    pub fn namespace(&self) -> &Namespace {
        &self.head().namespace
    }

    /// The bytes that it was made of.
    pub fn bytes(&self) -> &[u8] {
        &self.content.slice
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A hash of all of it, the same in this process and in no other: for samples and statistics, and no proof of anything.
    #[inline]
    pub fn sample_hash(&self) -> u64 {
        self.precomputed_hash()
    }

    fn shares_content(&self, other: &Self) -> bool {
        self.content.as_ptr() == other.content.as_ptr()
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.content.header.header
    }

    #[inline]
    pub(crate) fn precomputed_hash(&self) -> u64 {
        // A multiplication by an odd number (2^64 over the golden ratio, Knuth's multiplicative hashing) spreads
        // versions that follow each other over all bits; version 0 keeps the hash of the content.
        self.head().hash ^ self.version.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// What a key costs in memory beside the slot that it is stored in. The namespace is shared, and not counted.
    pub(crate) fn heap_bytes(&self) -> u64 {
        const COUNT_AND_LENGTH: usize = 2 * size_of::<usize>();
        (COUNT_AND_LENGTH + size_of::<Head>() + self.bytes().len()) as u64
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && (self.shares_content(other)
                || (self.head().hash == other.head().hash
                    && self.bytes() == other.bytes()
                    && self.namespace() == other.namespace()))
    }
}

impl Eq for Key {}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.namespace()
            .as_str()
            .cmp(other.namespace().as_str())
            .then_with(|| self.bytes().cmp(other.bytes()))
            .then_with(|| self.version.cmp(&other.version))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.precomputed_hash());
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

/// A key at version 0 that is only looked up: nothing is allocated for it.
#[derive(Clone, Copy)]
pub(crate) struct BorrowedKey<'a> {
    namespace: &'a Namespace,
    bytes: &'a [u8],
    hash: u64,
}

impl<'a> BorrowedKey<'a> {
    pub(crate) fn new(namespace: &'a Namespace, bytes: &'a [u8]) -> Self {
        Self { namespace, bytes, hash: xxh3_64_with_seed(bytes, namespace.0.hash) }
    }
}

impl Hash for BorrowedKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Key> for BorrowedKey<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.version == 0
            && key.head().hash == self.hash
            && key.bytes() == self.bytes
            && key.namespace() == self.namespace
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

    fn key(namespace: &'static str, bytes: &str, version: u64) -> Key {
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
        let head = Head { namespace: Namespace::new("a"), hash: left.head().hash };
        assert_ne!(left, Key { content: ThinArc::from_header_and_slice(head, b"y"), version: 0 });
    }

    #[test]
    fn a_borrowed_key_finds_what_it_names_and_nothing_else() {
        let namespace = Namespace::new("a");
        let borrowed = BorrowedKey::new(&namespace, b"x");
        assert!(borrowed.equivalent(&key("a", "x", 0)));
        for other in [key("a", "x", 1), key("a", "y", 0), key("b", "x", 0)] {
            assert!(!borrowed.equivalent(&other), "{other:?}");
        }
        assert_eq!(Prehashed(0).hash_one(borrowed), Prehashed(0).hash_one(key("a", "x", 0)));
    }

    #[test]
    fn a_version_shares_the_content_and_changes_the_hash() {
        let base = key("a", "x", 0);
        let next = base.at_version(1);
        assert!(base.shares_content(&next));
        assert_ne!(base.precomputed_hash(), next.precomputed_hash());
        assert_eq!(next.at_version(0), base);
        assert_eq!(next.at_version(0).precomputed_hash(), base.precomputed_hash());
    }
}
