//! The seam to a tier of bytes that survives the process, such as a database file.
//!
//! A tier keeps *records*: what must be known of an entry ([`Meta`]) and its encoded payload. It keeps the
//! *invalidations* too ([`Change`]), apart from the payloads and durable on their own. It decides nothing: whether a
//! record may be served is decided by the cache, which compares [`Meta::counter`] with the stamps after every read.
//!
//! Rules for who implements it:
//! 1. [`ByteTier::record`] returns when the change is durable, and waits for no payload.
//! 2. Changes and writes of one record take effect in the order of the calls: a [`ByteTier::put`] that came before a
//!    [`ByteTier::remove`] is never seen after it, not after a crash either.
//!    Nor is a record that a change covers, though its put came after the change. Covered is what is made of something
//!    that began before the stamp ([`Meta::counter`]); by a delete of keys or a prefix, only what was itself begun before
//!    it ([`Write::began`]). Such a delete also bars from its namespace whatever began before it, as long as the process
//!    lives.
//! 3. Anything that cannot be read back exactly (another layout, a wrong checksum, a key that differs) is a miss.
//! 4. Everything but `put`, `remove`, `may_have` and `stats` may block; the cache calls it off the async threads.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::codec::Codec;

/// The full name of a record: which cache it belongs to, and the parts of its [`Key`](crate::Key).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// Name of the cache.
    pub cache: Arc<str>,
    /// Name of the namespace.
    pub namespace: Arc<str>,
    /// The key's bytes.
    pub bytes: Arc<[u8]>,
    /// The key's version.
    pub version: u64,
}

/// What is known of a record without its payload. Times of day are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What the payload was encoded by: the fingerprint of its layout.
    pub layout: u64,
    /// When the scan behind the value began.
    pub loaded_at_ms: u64,
    /// When the value stops being fresh.
    pub expires_ms: u64,
    /// How long after that it may be served while it is loaded again.
    pub stale_while_revalidate_ms: u64,
    /// How long after that it may be served when loading it again fails.
    pub stale_if_error_ms: u64,
    /// The invalidation counter from before the scan began.
    pub counter: u64,
    /// What it cost to load the value, in microseconds.
    pub cost_us: u64,
    /// The bytes of the value in memory, by its own count.
    pub value_bytes: u64,
    /// The tags of the value.
    pub tags: Vec<Arc<str>>,
}

impl Meta {
    /// The last moment at which the value may be of use, in milliseconds since the Unix epoch.
    pub fn usable_until_ms(&self) -> u64 {
        self.expires_ms.saturating_add(self.stale_while_revalidate_ms.max(self.stale_if_error_ms))
    }
}

/// The value of a record, encoded and compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// How it is compressed.
    pub codec: Codec,
    /// The bytes that it has when it is decompressed: more are never read.
    pub plain_bytes: u64,
    /// The compressed bytes.
    pub bytes: Vec<u8>,
}

/// Makes the payload of a record; called once, on a thread of the tier. `None` if it cannot be encoded, or is of no more
/// use: then the record is not stored, and what was stored under its key goes.
pub type Encode = Box<dyn FnOnce() -> Option<Payload> + Send>;

/// A record on its way into the tier.
pub struct Write {
    /// Its name.
    pub key: RecordKey,
    /// What is known of it.
    pub meta: Meta,
    /// The invalidation counter from before the value's own load began: what a delete of keys is compared with.
    /// [`Meta::counter`] is lower where the value is made of something older.
    pub began: u64,
    /// Makes its payload.
    pub encode: Encode,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("key", &self.key)
            .field("meta", &self.meta)
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

/// What an invalidation covers, as it is made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything that began before the stamp.
    All {
        /// Value of the invalidation counter.
        stamp: u64,
    },
    /// Everything of a namespace that began before the stamp.
    Namespace {
        /// Its name.
        namespace: Arc<str>,
        /// Value of the invalidation counter.
        stamp: u64,
    },
    /// Everything with a tag that began before the stamp.
    Tag {
        /// Its name.
        tag: Arc<str>,
        /// Value of the invalidation counter.
        stamp: u64,
    },
    /// All versions of one key whose own load began before the stamp.
    Key {
        /// Name of the cache.
        cache: Arc<str>,
        /// Name of the namespace.
        namespace: Arc<str>,
        /// The key's bytes.
        bytes: Arc<[u8]>,
        /// Value of the invalidation counter.
        stamp: u64,
    },
    /// All keys of a namespace with this prefix whose own load began before the stamp.
    Prefix {
        /// Name of the cache.
        cache: Arc<str>,
        /// Name of the namespace.
        namespace: Arc<str>,
        /// The beginning of the keys' bytes.
        prefix: Arc<[u8]>,
        /// Value of the invalidation counter.
        stamp: u64,
    },
    /// The data behind a namespace has this fingerprint now. What began before the stamp (0 for none) is invalid.
    Fingerprint {
        /// Name of the namespace.
        namespace: Arc<str>,
        /// The fingerprint.
        fingerprint: Arc<[u8]>,
        /// Value of the invalidation counter, or 0 if this is the first fingerprint and nothing was invalidated.
        stamp: u64,
    },
}

/// The invalidations that a tier keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How often the tier has been opened; it was durable, with this opening counted, before the opening returned. Every
    /// counter of this process is larger than those of the processes before: see [`Restored::first_counter`].
    pub epoch: u64,
    /// What is older than this is invalid.
    pub floor: u64,
    /// The stamps of namespaces.
    pub namespaces: Vec<(Arc<str>, u64)>,
    /// The stamps of tags.
    pub tags: Vec<(Arc<str>, u64)>,
    /// The highest stamp that was ever recorded, deletes included.
    pub last_stamp: u64,
    /// The fingerprints of the data behind namespaces.
    pub fingerprints: Vec<(Arc<str>, Arc<[u8]>)>,
}

impl Restored {
    /// Where the invalidation counter of this process begins: above what the processes before have counted, and not below
    /// what this one has recorded if it begins a second time. 2^40 invalidations fit into one process.
    pub fn first_counter(&self) -> u64 {
        (self.epoch << 40).max(self.last_stamp)
    }
}

/// Why a tier could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct TierError {
    /// What went wrong, without paths.
    pub what: String,
    /// What the operating system or the database said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Figures of a tier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierStats {
    /// Records.
    pub entries: u64,
    /// The bytes of their payloads, keys and metadata.
    pub bytes: u64,
    /// The length of the file.
    pub file_bytes: u64,
    /// Records on their way into the file.
    pub queued: u64,
    /// Records that were written.
    pub writes: u64,
    /// Bytes that were written, payloads alone.
    pub written_bytes: u64,
    /// Records that were not written because the queue was full, or the tier out of service.
    pub dropped: u64,
    /// Records that left to make room.
    pub evictions: u64,
    /// Records that left because they were of no more use.
    pub expirations: u64,
    /// Reads that met something that could not be read back exactly.
    pub corrupt: u64,
    /// How often the file had to be opened again or made anew.
    pub recoveries: u64,
    /// Why the tier is out of service; `None` while it is in service.
    pub degraded: Option<String>,
}

/// One record of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: RecordKey,
    /// What is known of it.
    pub meta: Meta,
    /// The bytes of its payload as stored.
    pub stored_bytes: u64,
}

/// A tier of bytes that survives the process.
pub trait ByteTier: Send + Sync {
    /// The invalidations of the processes before, and those that were recorded since the tier was opened.
    fn restored(&self) -> Restored;

    /// Makes an invalidation durable, and begins to remove what it covers.
    ///
    /// # Errors
    /// The change is not durable. The caller then calls [`ByteTier::abandon`].
    fn record(&self, change: &Change) -> Result<(), TierError>;

    /// Gives up all records, durably as far as that is still possible: none is served again, by this process or a later
    /// one.
    fn abandon(&self);

    /// Takes a record to be written. Never blocks for long: when the queue is full the record is dropped, counted, and
    /// what was stored under its key is not served any more.
    fn put(&self, write: Write);

    /// Takes a record out. Not durable by itself: an invalidation is recorded first.
    fn remove(&self, key: &RecordKey);

    /// The record of a key. One that is still on its way in is a miss; so is everything that cannot be read.
    fn get(&self, key: &RecordKey) -> Option<(Meta, Payload)>;

    /// Whether there may be a record of a key; `false` is certain. It asks memory alone and never the file: it never
    /// blocks.
    fn may_have(&self, key: &RecordKey) -> bool {
        self.meta(key).is_some()
    }

    /// What is known of the record of a key. It looks into memory or into pages that are read in any case.
    fn meta(&self, key: &RecordKey) -> Option<Meta>;

    /// The record of a key as a listing shows it: what is known of it, and no payload.
    fn listed(&self, key: &RecordKey) -> Option<Listed> {
        let (meta, payload) = self.get(key)?;
        Some(Listed { key: key.clone(), meta, stored_bytes: payload.bytes.len() as u64 })
    }

    /// Tells that a payload of this record could not be decoded: it is counted and removed.
    fn report_corrupt(&self, key: &RecordKey);

    /// The records of one cache after `after` in the order of keys, `limit` at most.
    fn list(&self, cache: &str, after: Option<&RecordKey>, limit: usize) -> Vec<Listed>;

    /// Waits until all that was put and removed before is durable, or the tier is out of service.
    fn flush(&self) -> Result<(), TierError>;

    /// Figures.
    fn stats(&self) -> TierStats;

    /// Records and stored bytes by cache and namespace.
    fn usage(&self) -> Vec<Usage>;

    /// Tells this from now on, as long as it lives, when the tier goes out of service and when it is back; at once, if it
    /// is out of service now. A tier that never is has nothing to tell.
    fn watch(&self, watcher: Weak<dyn TierWatcher>) {
        let _ = watcher;
    }
}

/// Who is told whether a tier is in service.
pub trait TierWatcher: Send + Sync {
    /// It is out of service, for this reason, or back. Called outside all locks of the tier.
    fn service(&self, degraded: Option<&str>);
}

/// What one namespace of one cache takes in a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Name of the cache.
    pub cache: Arc<str>,
    /// Name of the namespace.
    pub namespace: Arc<str>,
    /// Records.
    pub entries: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// The time of day as tiers keep it; zero before the epoch.
pub(crate) fn millis(time: std::time::SystemTime) -> u64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
