//! A disk in memory that does what a byte tier has to, and no favours beyond that.
//!
//! What was put waits until it is written: at once, or when [`Disk::write`] is called while the disk is held. It obeys
//! deletes by key and prefix itself, as it must: what was loaded before them goes, and nothing of their namespace is
//! stored any more in this process that was. It leaves whatever an invalidation of a namespace, a tag or everything
//! covers where it is: to see through that is the cache's part. [`Disk::open`] again is the next process; what waited
//! then is lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use cache_core::{
    ByteTier, Change, Listed, Meta, Payload, RecordKey, Restored, TierError, TierStats, TierWatcher, Usage, Write,
};

#[cfg(feature = "shuttle")]
use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(feature = "shuttle"))]
use std::sync::{Mutex, MutexGuard};

/// Called without any lock of the disk.
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// The disk: it outlives the caches on it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    changes: Vec<Change>,
    records: BTreeMap<RecordKey, Record>,
    /// The newest delete in each namespace, of this process.
    barriers: BTreeMap<Arc<str>, u64>,
    pending: BTreeMap<RecordKey, (u64, Option<Write>)>,
    sequence: u64,
    held: bool,
    failing: bool,
    corrupt: u64,
    abandoned: u64,
    watchers: Vec<Weak<dyn TierWatcher>>,
    before_get: Option<Hook>,
    after_get: Option<Hook>,
}

/// What was put, written, and when its load began.
struct Record {
    meta: Meta,
    began: u64,
    payload: Payload,
}

/// The disk as one process has it open.
struct Opened {
    disk: Disk,
    epoch: u64,
}

impl Disk {
    /// Opens it for the next process.
    pub(crate) fn open(&self) -> Arc<dyn ByteTier> {
        let mut state = self.state();
        state.epoch += 1;
        state.pending.clear();
        state.barriers.clear();
        let epoch = state.epoch;
        drop(state);
        Arc::new(Opened { disk: self.clone(), epoch })
    }

    /// Holds back what is put from now on.
    pub(crate) fn hold(&self) {
        self.state().held = true;
    }

    /// Writes what waits; what is put from now on waits no more.
    pub(crate) fn release(&self) {
        self.state().held = false;
        while self.write() {}
    }

    /// Whether changes fail to become durable.
    pub(crate) fn fail(&self, failing: bool) {
        self.state().failing = failing;
    }

    /// Tells those who watch it that it is out of service, or back.
    pub(crate) fn tell(&self, degraded: Option<&str>) {
        let watchers: Vec<_> = self.state().watchers.iter().filter_map(Weak::upgrade).collect();
        watchers.iter().for_each(|watcher| watcher.service(degraded));
    }

    /// Does this before each read, from now on.
    pub(crate) fn before_get(&self, hook: Option<Hook>) {
        self.state().before_get = hook;
    }

    /// Does this after each read, from now on.
    pub(crate) fn after_get(&self, hook: Option<Hook>) {
        self.state().after_get = hook;
    }

    /// Changes the stored payloads.
    pub(crate) fn damage(&self, damage: impl Fn(&mut Payload)) {
        self.state().records.values_mut().for_each(|record| damage(&mut record.payload));
    }

    /// Records that are written and could be read.
    pub(crate) fn len(&self) -> usize {
        self.state().records.len()
    }

    /// Records that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.state().pending.len()
    }

    /// How often somebody reported something that could not be read.
    pub(crate) fn corrupt(&self) -> u64 {
        self.state().corrupt
    }

    /// How often it was given up.
    pub(crate) fn abandoned(&self) -> u64 {
        self.state().abandoned
    }

    /// Writes one of those that wait. Says whether there was one.
    pub(crate) fn write(&self) -> bool {
        let mut state = self.state();
        let waiting = state
            .pending
            .iter_mut()
            .find_map(|(key, (sequence, write))| write.take().map(|write| (key.clone(), *sequence, write)));
        drop(state);
        let Some((key, sequence, write)) = waiting else { return false };
        let payload = (write.encode)();
        let mut state = self.state();
        // Another put or remove has come meanwhile, or a change that covers it.
        if state.pending.get(&key).is_none_or(|(present, _)| *present != sequence) {
            return true;
        }
        state.pending.remove(&key);
        match payload {
            Some(payload) => {
                let Write { meta, began, .. } = write;
                state.records.insert(key, Record { meta, began, payload })
            }
            None => state.records.remove(&key),
        };
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl State {
    fn restored(&self, epoch: u64) -> Restored {
        let mut restored = Restored { epoch, ..Restored::default() };
        for change in &self.changes {
            restored.last_stamp = restored.last_stamp.max(stamp(change));
            match change {
                Change::All { stamp } => restored.floor = restored.floor.max(*stamp),
                Change::Namespace { namespace, stamp } => restored.namespaces.push((Arc::clone(namespace), *stamp)),
                Change::Tag { tag, stamp } => restored.tags.push((Arc::clone(tag), *stamp)),
                Change::Fingerprint { namespace, fingerprint, stamp } => {
                    restored.namespaces.push((Arc::clone(namespace), *stamp));
                    restored.fingerprints.push((Arc::clone(namespace), Arc::clone(fingerprint)));
                }
                Change::Key { .. } | Change::Prefix { .. } => {}
            }
        }
        restored
    }

    /// Whether a record may be stored.
    fn admits(&self, write: &Write) -> bool {
        let barrier = self.barriers.get(&write.key.namespace).is_none_or(|barrier| *barrier <= write.began);
        barrier && !self.changes.iter().any(|change| deletes(change, &write.key, write.began))
    }
}

fn stamp(change: &Change) -> u64 {
    match change {
        Change::All { stamp }
        | Change::Namespace { stamp, .. }
        | Change::Tag { stamp, .. }
        | Change::Key { stamp, .. }
        | Change::Prefix { stamp, .. }
        | Change::Fingerprint { stamp, .. } => *stamp,
    }
}

/// Whether a delete covers a record whose load began then.
fn deletes(change: &Change, key: &RecordKey, began: u64) -> bool {
    match change {
        Change::Key { cache, namespace, bytes, stamp } => {
            *cache == key.cache && *namespace == key.namespace && *bytes == key.bytes && *stamp > began
        }
        Change::Prefix { cache, namespace, prefix, stamp } => {
            *cache == key.cache && *namespace == key.namespace && key.bytes.starts_with(prefix) && *stamp > began
        }
        _ => false,
    }
}

fn listed(key: &RecordKey, record: &Record) -> Listed {
    Listed { key: key.clone(), meta: record.meta.clone(), stored_bytes: record.payload.bytes.len() as u64 }
}

impl ByteTier for Opened {
    fn restored(&self) -> Restored {
        self.disk.state().restored(self.epoch)
    }

    fn record(&self, change: &Change) -> Result<(), TierError> {
        let mut state = self.disk.state();
        if state.failing {
            return Err(TierError { what: "the disk is full".into(), source: None });
        }
        state.changes.push(change.clone());
        if let Change::Key { namespace, stamp, .. } | Change::Prefix { namespace, stamp, .. } = change {
            let barrier = state.barriers.entry(Arc::clone(namespace)).or_default();
            *barrier = (*barrier).max(*stamp);
        }
        state.records.retain(|key, record| !deletes(change, key, record.began));
        // One whose write is at work has no write here any more; what it covers it is not known to be spared by.
        state.pending.retain(|key, (_, write)| match write {
            Some(write) => !deletes(change, key, write.began),
            None => !matches!(change, Change::Key { .. } | Change::Prefix { .. }),
        });
        Ok(())
    }

    fn abandon(&self) {
        let mut state = self.disk.state();
        state.records.clear();
        state.pending.clear();
        state.abandoned += 1;
    }

    fn put(&self, write: Write) {
        let mut state = self.disk.state();
        if !state.admits(&write) {
            // What is there was to be replaced.
            state.pending.remove(&write.key);
            state.records.remove(&write.key);
            return;
        }
        state.sequence += 1;
        let sequence = state.sequence;
        state.pending.insert(write.key.clone(), (sequence, Some(write)));
        let held = state.held;
        drop(state);
        if !held {
            while self.disk.write() {}
        }
    }

    fn remove(&self, key: &RecordKey) {
        let mut state = self.disk.state();
        state.pending.remove(key);
        state.records.remove(key);
    }

    fn get(&self, key: &RecordKey) -> Option<(Meta, Payload)> {
        let hook = self.disk.state().before_get.clone();
        if let Some(hook) = hook {
            hook();
        }
        let state = self.disk.state();
        let found = state.records.get(key).filter(|_| !state.pending.contains_key(key));
        let found = found.map(|record| (record.meta.clone(), record.payload.clone()));
        let hook = state.after_get.clone();
        drop(state);
        if let Some(hook) = hook {
            hook();
        }
        found
    }

    fn may_have(&self, key: &RecordKey) -> bool {
        let state = self.disk.state();
        state.records.contains_key(key) && !state.pending.contains_key(key)
    }

    fn meta(&self, key: &RecordKey) -> Option<Meta> {
        let state = self.disk.state();
        if state.pending.contains_key(key) {
            return None;
        }
        state.records.get(key).map(|record| record.meta.clone())
    }

    fn listed(&self, key: &RecordKey) -> Option<Listed> {
        let state = self.disk.state();
        let record = state.records.get(key).filter(|_| !state.pending.contains_key(key))?;
        Some(listed(key, record))
    }

    fn report_corrupt(&self, key: &RecordKey) {
        self.disk.state().corrupt += 1;
        self.remove(key);
    }

    fn list(&self, cache: &str, after: Option<&RecordKey>, limit: usize) -> Vec<Listed> {
        let state = self.disk.state();
        let shown = state.records.iter().filter(|(key, _)| {
            &*key.cache == cache && after.is_none_or(|after| *key > after) && !state.pending.contains_key(key)
        });
        shown.map(|(key, record)| listed(key, record)).take(limit).collect()
    }

    fn flush(&self) -> Result<(), TierError> {
        while self.disk.write() {}
        Ok(())
    }

    fn stats(&self) -> TierStats {
        let mut stats = TierStats::default();
        stats.entries = self.disk.len() as u64;
        stats
    }

    fn usage(&self) -> Vec<Usage> {
        Vec::new()
    }

    fn watch(&self, watcher: Weak<dyn TierWatcher>) {
        self.disk.state().watchers.push(watcher);
    }
}
