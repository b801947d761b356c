//! A cache directory of a test, and records whose content can be told from their names.

use std::path::Path;
use std::sync::Arc;

use cache_core::{ByteTier, Codec, Meta, Payload, RecordKey, Write};
use cache_redb::{RedbTier, TierOptions};

/// The time of day at which most tests play.
pub(crate) const NOW_MS: u64 = 1_000_000;

/// A directory for one test.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        // In memory if that is possible: what is tested here is not whether a disk keeps what it was told to keep.
        let memory = Path::new("/dev/shm");
        Self(tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    #[track_caller]
    pub(crate) fn open(&self) -> Arc<RedbTier> {
        self.open_with(options())
    }

    #[track_caller]
    pub(crate) fn open_with(&self, options: TierOptions) -> Arc<RedbTier> {
        RedbTier::open(self.path(), options).unwrap()
    }
}

/// Settings with a clock that stands still.
pub(crate) fn options() -> TierOptions {
    TierOptions { clock: Arc::new(|| NOW_MS), ..TierOptions::default() }
}

pub(crate) fn key(name: &str) -> RecordKey {
    RecordKey { cache: "bodies".into(), namespace: "sales".into(), bytes: name.as_bytes().into(), version: 0 }
}

pub(crate) fn meta() -> Meta {
    Meta {
        layout: 7,
        loaded_at_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
        stale_while_revalidate_ms: 0,
        stale_if_error_ms: 0,
        counter: u64::MAX >> 1,
        cost_us: 5,
        value_bytes: 100,
        tags: Vec::new(),
    }
}

/// Bytes that no coder makes smaller, and that tell which name and size they belong to.
pub(crate) fn content(name: &str, size: usize) -> Vec<u8> {
    let mut state =
        name.bytes().fold(size as u64 + 1, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn put(tier: &dyn ByteTier, name: &str, size: usize) {
    put_meta(tier, name, size, |_| {});
}

pub(crate) fn put_meta(tier: &dyn ByteTier, name: &str, size: usize, change: impl FnOnce(&mut Meta)) {
    let mut meta = Meta { value_bytes: size as u64, ..meta() };
    change(&mut meta);
    put_begun(tier, name, size, meta.counter, meta);
}

/// As [`put`], of a load that began at this counter.
pub(crate) fn put_begun(tier: &dyn ByteTier, name: &str, size: usize, began: u64, meta: Meta) {
    let bytes = content(name, size);
    let encode = Box::new(move || Some(Payload { codec: Codec::None, plain_bytes: size as u64, bytes }));
    tier.put(Write { key: key(name), meta, began, encode });
}

#[track_caller]
pub(crate) fn check_hit(tier: &dyn ByteTier, name: &str, size: usize) {
    let found = tier.get(&key(name)).map(|(_, payload)| payload.bytes);
    assert!(found == Some(content(name, size)), "{name}: {:?} bytes", found.map(|bytes| bytes.len()));
}

/// Waits until the tier is in service again.
pub(crate) fn wait_for_service(tier: &dyn ByteTier) {
    while tier.stats().degraded.is_some() {
        std::thread::yield_now();
    }
}
