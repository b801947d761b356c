//! A cache's side of its disk tier: entries become records, records become entries.
//!
//! A record is used only if its layout is that of now, it decodes, its times make sense by this machine's clock, and the
//! stamps allow it. Everything else is a miss.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, UNIX_EPOCH};

use triomphe::Arc as Shared;

use crate::clock::Clock;
use crate::codec::Codec;
use crate::entry::{AtMost, Entry, Extras, Windows};
use crate::key::{Key, Namespace};
use crate::origin::Origin;
use crate::persist::Persist;
use crate::stamps::{Floor, Stamps};
use crate::tier::{ByteTier, Listed, Meta, Payload, RecordKey, Write, millis};

pub(crate) struct Disk<V> {
    pub(crate) tier: Arc<dyn ByteTier>,
    pub(crate) persist: Arc<dyn Persist<V>>,
    pub(crate) codec: Codec,
    /// Name of the cache, as records have it.
    pub(crate) cache: Arc<str>,
}

impl<V> Disk<V> {
    pub(crate) fn record_key(&self, key: &Key) -> RecordKey {
        RecordKey {
            cache: Arc::clone(&self.cache),
            namespace: key.namespace().text(),
            bytes: key.bytes().into(),
            version: key.version(),
        }
    }

    /// What the tier says of one record. Blocks.
    pub(crate) fn stored(&self, key: &Key) -> Option<Listed> {
        self.tier.listed(&self.record_key(key))
    }

    /// The record's payload as a value, and what was known of it. Blocks.
    pub(crate) fn read(
        &self,
        key: &Key,
        at_most: AtMost,
        clock: &Clock,
        stamps: &Stamps,
    ) -> Option<(Shared<Entry<V>>, Meta)> {
        let name = self.record_key(key);
        let (meta, payload) = self.tier.get(&name)?;
        let (origin, expires) = self.times(&meta, clock)?;
        let expires = origin.loaded_at().plus(at_most.cut_ttl(expires.since(origin.loaded_at())));
        if meta.layout != self.persist.layout() {
            return None;
        }
        let Some((value, weight)) = self.decode(payload) else {
            self.tier.report_corrupt(&name);
            return None;
        };
        let windows = at_most.cut(Windows {
            stale_while_revalidate: Duration::from_millis(meta.stale_while_revalidate_ms),
            stale_if_error: Duration::from_millis(meta.stale_if_error_ms),
        });
        let extras = Extras::of(windows, &meta.tags, stamps);
        let bytes = weight
            + key.heap_bytes()
            + Entry::<V>::OVERHEAD
            + size_of::<V>() as u64
            + extras.as_ref().map_or(0, |extras| extras.bytes());
        let entry = Shared::new(Entry {
            value,
            origin,
            expires,
            bytes,
            cell: stamps.cell(key.namespace()),
            extras,
            cost_us: u32::try_from(meta.cost_us).unwrap_or(u32::MAX),
            hits: AtomicU32::new(0),
        });
        Some((entry, meta))
    }

    /// The value of a payload and what it weighs.
    fn decode(&self, payload: Payload) -> Option<(V, u64)> {
        let plain_bytes = payload.plain_bytes;
        let plain = payload.codec.decompress(payload.bytes, plain_bytes).ok()?;
        if plain.len() as u64 != plain_bytes {
            return None;
        }
        // Unwind safe: after a panic nothing of it is left. What cannot be decoded is a miss, however it says so.
        let decode = || self.persist.decode(plain).ok().map(|value| (self.persist.weight(&value), value));
        let (weight, value) = catch_unwind(AssertUnwindSafe(decode)).ok().flatten()?;
        Some((value, weight))
    }

    /// When the scan behind a record began and when it stops being fresh; `None` if the time of day was set back since.
    pub(crate) fn times(&self, meta: &Meta, clock: &Clock) -> Option<(Origin, crate::clock::Moment)> {
        let loaded_at = clock.moment_of(UNIX_EPOCH + Duration::from_millis(meta.loaded_at_ms))?;
        let ttl = Duration::from_millis(meta.expires_ms.saturating_sub(meta.loaded_at_ms));
        Some((Origin::new(loaded_at, meta.counter), loaded_at.plus(ttl)))
    }
}

impl<V: Send + Sync + 'static> Disk<V> {
    /// Hands an entry to the tier, which encodes it on a thread of its own. `began` is the counter from before its load.
    pub(crate) fn write(
        &self,
        key: &Key,
        entry: &Shared<Entry<V>>,
        began: u64,
        value_bytes: u64,
        clock: &Clock,
        floor: Floor,
    ) {
        let loaded_at = clock.wall() - clock.exact().since(entry.origin.loaded_at());
        let loaded_at_ms = millis(loaded_at);
        let ttl = entry.expires.since(entry.origin.loaded_at());
        let windows = entry.windows();
        let meta = Meta {
            layout: self.persist.layout(),
            loaded_at_ms,
            expires_ms: loaded_at_ms.saturating_add(whole_millis(ttl)),
            stale_while_revalidate_ms: whole_millis(windows.stale_while_revalidate),
            stale_if_error_ms: whole_millis(windows.stale_if_error),
            counter: entry.origin.counter(),
            cost_us: u64::from(entry.cost_us),
            value_bytes,
            tags: entry.tags().iter().map(|tag| Arc::clone(&tag.name)).collect(),
        };
        let (persist, codec) = (Arc::clone(&self.persist), self.codec);
        // Not the stamps, which hold the tier: it could never be closed by letting go of it.
        let (entry, clock) = (Shared::clone(entry), clock.clone());
        let encode = move || {
            if !entry.is_usable(clock.now(), &floor) {
                return None;
            }
            // Unwind safe, as decoding is. A panic would end the tier's thread.
            let encoded = catch_unwind(AssertUnwindSafe(|| persist.encode(&entry.value)));
            let plain = encoded.ok()?.ok()?;
            drop(entry);
            let plain_bytes = plain.len() as u64;
            let codec = codec.for_payload(&plain);
            Some(Payload { codec, plain_bytes, bytes: codec.compress(plain).ok()? })
        };
        self.tier.put(Write { key: self.record_key(key), meta, began, encode: Box::new(encode) });
    }
}

/// The key of a record.
pub(crate) fn key_of(record: &RecordKey) -> Key {
    Key::new(&Namespace::new(Arc::clone(&record.namespace)), &*record.bytes).at_version(record.version)
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
