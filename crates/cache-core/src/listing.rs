//! What is in a cache, entry by entry, in the order of keys and page by page.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::Moment;
use crate::disk::{Disk, key_of};
use crate::entry::{Entry, Extras, Freshness, State, Windows};
use crate::inner::Inner;
use crate::key::{Key, Namespace};
use crate::tier::{Listed, Meta};

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    /// Only those of this namespace.
    pub namespace: Option<Namespace>,
    /// Only those after this key.
    pub after: Option<Key>,
    /// So many at most.
    pub limit: usize,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tiers {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
    /// In both.
    Both,
}

/// What is known of an entry without its value.
#[derive(Clone, Debug)]
pub struct EntryInfo {
    /// Its key.
    pub key: Key,
    /// Where it is.
    pub tier: Tiers,
    /// How good it still is.
    pub freshness: Freshness,
    /// The time since its scan began.
    pub age: Duration,
    /// How much of its ttl is left, in milliseconds; negative by how long it is over.
    pub freshness_ms: i64,
    /// The bytes that it takes in memory, or would take.
    pub bytes: u64,
    /// The bytes that it takes on disk, if it is there.
    pub stored_bytes: Option<u64>,
    /// How often it was served from memory since it came there. Of hits in the same instant one may be missed.
    pub hits: u32,
    /// What it cost to load.
    pub cost: Duration,
    /// Its tags.
    pub tags: Vec<Arc<str>>,
}

/// What a namespace takes in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceUse {
    /// The namespace.
    pub namespace: Namespace,
    /// Its entries.
    pub entries: u64,
    /// Their bytes, keys and bookkeeping included.
    pub bytes: u64,
    /// How often they were served.
    pub hits: u64,
}

impl<V> Inner<V> {
    /// What each namespace takes in memory.
    pub(crate) fn usage(&self) -> Vec<NamespaceUse> {
        let mut uses = HashMap::<Namespace, NamespaceUse>::new();
        for (key, entry) in self.memory.entries() {
            let namespace = key.namespace();
            let used = uses.entry(namespace.clone()).or_insert_with(|| NamespaceUse {
                namespace: namespace.clone(),
                entries: 0,
                bytes: 0,
                hits: 0,
            });
            used.entries += 1;
            used.bytes += entry.bytes;
            used.hits += u64::from(entry.hits.load(Ordering::Relaxed));
        }
        uses.into_values().collect()
    }

    /// A page of the entries that may be used. Blocks while it reads the disk's list, and looks at every key in memory.
    pub(crate) fn list(&self, filter: &EntryFilter) -> Vec<EntryInfo> {
        let now = self.clock.now();
        if filter.limit == 0 {
            return Vec::new();
        }
        let wanted = |key: &Key| {
            filter.namespace.as_ref().is_none_or(|namespace| key.namespace() == namespace)
                && filter.after.as_ref().is_none_or(|after| key > after)
        };
        let mut page = BTreeMap::new();
        for (key, entry) in self.memory.entries().filter(|(key, _)| wanted(key)) {
            if let Some(info) = self.info(&key, &entry, now) {
                page.insert(key, info);
                if page.len() > filter.limit {
                    page.pop_last();
                }
            }
        }
        if let Some(disk) = &self.disk {
            self.add_from_disk(disk, filter, now, &mut page);
        }
        page.into_values().collect()
    }

    fn add_from_disk(&self, disk: &Disk<V>, filter: &EntryFilter, now: Moment, page: &mut BTreeMap<Key, EntryInfo>) {
        // The first key that can be in the namespace.
        let first = filter.namespace.as_ref().map(|namespace| Key::new(namespace, *b""));
        let mut after = filter.after.as_ref().map(|after| disk.record_key(after));
        if let Some(first) = first.filter(|first| filter.after.as_ref().is_none_or(|after| after < first)) {
            // What comes after it is listed; it may be a key itself.
            self.add_record(disk, disk.stored(&first), now, filter.limit, page);
            after = Some(disk.record_key(&first));
        }
        loop {
            let listed = disk.tier.list(&disk.cache, after.as_ref(), filter.limit);
            let Some(last) = listed.last().map(|record| record.key.clone()) else { return };
            for record in listed {
                let key = key_of(&record.key);
                if filter.namespace.as_ref().is_some_and(|namespace| key.namespace() != namespace) {
                    return;
                }
                if page.len() >= filter.limit && page.last_key_value().is_some_and(|(highest, _)| *highest < key) {
                    return;
                }
                self.add_record(disk, Some(record), now, filter.limit, page);
            }
            after = Some(last);
        }
    }

    fn add_record(
        &self,
        disk: &Disk<V>,
        record: Option<Listed>,
        now: Moment,
        limit: usize,
        page: &mut BTreeMap<Key, EntryInfo>,
    ) {
        let Some(record) = record else { return };
        let key = key_of(&record.key);
        let Some(on_disk) = self.info_of_record(disk, &key, &record, now) else { return };
        page.entry(key)
            .and_modify(|info| {
                info.tier = Tiers::Both;
                info.stored_bytes = Some(record.stored_bytes);
            })
            .or_insert(on_disk);
        if page.len() > limit {
            page.pop_last();
        }
    }

    /// What is known of one entry. Blocks while it looks on disk.
    pub(crate) fn describe(&self, key: &Key) -> Option<EntryInfo> {
        let now = self.clock.now();
        let in_memory = self.memory.peek(key).and_then(|entry| self.info(key, &entry, now));
        let on_disk = self.disk.as_ref().and_then(|disk| {
            let record = disk.stored(key)?;
            self.info_of_record(disk, key, &record, now)
        });
        match (in_memory, on_disk) {
            (Some(info), Some(disk)) => Some(EntryInfo { tier: Tiers::Both, stored_bytes: disk.stored_bytes, ..info }),
            (info, disk) => info.or(disk),
        }
    }

    fn info(&self, key: &Key, entry: &Entry<V>, now: Moment) -> Option<EntryInfo> {
        let State::Usable(freshness) = entry.state(now, &self.stamps) else { return None };
        Some(EntryInfo {
            key: key.clone(),
            tier: Tiers::Memory,
            freshness,
            age: now.since(entry.origin.loaded_at()),
            freshness_ms: entry.expires.nanos_after(now) / 1_000_000,
            bytes: entry.bytes,
            stored_bytes: None,
            hits: entry.hits.load(Ordering::Relaxed),
            cost: entry.cost(),
            tags: entry.tags().iter().map(|tag| Arc::clone(&tag.name)).collect(),
        })
    }

    fn info_of_record(&self, disk: &Disk<V>, key: &Key, record: &Listed, now: Moment) -> Option<EntryInfo> {
        let Listed { meta, stored_bytes, .. } = record;
        let (origin, expires) = disk.times(meta, &self.clock)?;
        if meta.layout != disk.persist.layout() || !self.is_valid_record(key, meta) {
            return None;
        }
        let windows = Windows {
            stale_while_revalidate: Duration::from_millis(meta.stale_while_revalidate_ms),
            stale_if_error: Duration::from_millis(meta.stale_if_error_ms),
        };
        let freshness = windows.freshness(expires, now)?;
        Some(EntryInfo {
            key: key.clone(),
            tier: Tiers::Disk,
            freshness,
            age: now.since(origin.loaded_at()),
            freshness_ms: expires.nanos_after(now) / 1_000_000,
            bytes: meta.value_bytes
                + key.heap_bytes()
                + Entry::<V>::OVERHEAD
                + size_of::<V>() as u64
                + Extras::bytes_of(windows, meta.tags.len()),
            stored_bytes: Some(*stored_bytes),
            hits: 0,
            cost: Duration::from_micros(meta.cost_us),
            tags: meta.tags.clone(),
        })
    }

    /// Whether the stamps allow a record.
    pub(crate) fn is_valid_record(&self, key: &Key, meta: &Meta) -> bool {
        self.stamps.is_valid(&self.stamps.cell(key.namespace()), meta.counter)
            && meta.tags.iter().all(|tag| self.stamps.tag_cell(tag).is_valid(meta.counter))
    }
}
