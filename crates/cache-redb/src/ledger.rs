//! What the invalidations so far come to: the state that the log makes durable.
//!
//! *Stamps* of everything (the floor), of namespaces and of tags last; what is no newer than the floor needs no entry of
//! its own. *Tombstones* of keys and prefixes last until what they cover has been removed from the database for good.
//! *Barriers* are of this process alone: a record whose load began before the newest delete in its namespace is not
//! stored any more, whenever it arrives.
//!
//! A record has two counters. Stamps are compared with that of what it is made of, which may be much older than itself:
//! a response is as old as its table. Tombstones and barriers are about the record alone, and are compared with when its
//! own load began. So what is made anew after a delete is kept, although its table is older than the delete.
//!
//! Each kind is bounded: the oldest go when there are too many, and what covers more rises to cover what they covered.

use std::collections::HashMap;
use std::sync::Arc;

use cache_core::{Change, Meta, RecordKey, Restored};

use crate::name;

/// How many stamps, tombstones, barriers and fingerprints there may be, of each kind.
pub(crate) const MAX_ENTRIES: usize = 100_000;
/// Each read compares its key with each of these.
const MAX_PREFIXES: usize = 256;

/// The state that the invalidations so far come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Counters of this process begin at the epoch times 2^40.
    epoch: u64,
    floor: u64,
    namespaces: HashMap<Arc<str>, u64>,
    tags: HashMap<Arc<str>, u64>,
    fingerprints: HashMap<Arc<str>, Arc<[u8]>>,
    keys: HashMap<Arc<[u8]>, Tombstone>,
    prefixes: HashMap<Arc<[u8]>, Tombstone>,
    barriers: HashMap<Arc<str>, u64>,
    /// The number of the last tombstone.
    order: u64,
    /// The highest stamp that was taken in.
    last_stamp: u64,
}

/// A delete by key or prefix that the database may not have followed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tombstone {
    change: Change,
    stamp: u64,
    order: u64,
}

/// What a change made necessary in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Nothing.
    Nothing,
    /// Some of the records whose names begin so; then the tombstone of this number may go.
    Names {
        /// The beginning.
        begin: Arc<[u8]>,
        /// The number of the tombstone.
        order: u64,
    },
    /// Some of a namespace.
    Namespace(Arc<str>),
    /// Some records anywhere.
    Anything,
}

impl Ledger {
    /// The state that these changes make.
    pub(crate) fn replay(epoch: u64, changes: &[Change]) -> Self {
        let mut ledger = Self { epoch, ..Self::default() };
        for change in changes {
            ledger.apply(change);
        }
        // Loads of the last process are over.
        ledger.barriers.clear();
        ledger
    }

    /// Takes a change in. Stamps only grow.
    pub(crate) fn apply(&mut self, change: &Change) -> Covered {
        self.last_stamp = self.last_stamp.max(stamp_of(change));
        let covered = match change {
            Change::All { stamp } => {
                self.raise_floor(*stamp);
                Covered::Anything
            }
            Change::Namespace { namespace, stamp } => {
                raise(&mut self.namespaces, self.floor, namespace, *stamp);
                Covered::Namespace(Arc::clone(namespace))
            }
            Change::Tag { tag, stamp } => {
                raise(&mut self.tags, self.floor, tag, *stamp);
                Covered::Anything
            }
            Change::Key { cache, namespace, bytes, stamp } => {
                let begin = name::of_key(cache, namespace, bytes).into();
                self.bury(change, namespace, begin, *stamp)
            }
            Change::Prefix { cache, namespace, prefix, stamp } => {
                let begin = name::of_prefix(cache, namespace, prefix).into();
                self.bury(change, namespace, begin, *stamp)
            }
            Change::Fingerprint { namespace, fingerprint, stamp } => {
                self.fingerprints.insert(Arc::clone(namespace), Arc::clone(fingerprint));
                if *stamp == 0 {
                    Covered::Nothing
                } else {
                    raise(&mut self.namespaces, self.floor, namespace, *stamp);
                    Covered::Namespace(Arc::clone(namespace))
                }
            }
        };
        // What was folded covers more than what it came from, and no walk of its own is on its way.
        if self.bound() { Covered::Anything } else { covered }
    }

    fn bury(&mut self, change: &Change, namespace: &Arc<str>, begin: Arc<[u8]>, stamp: u64) -> Covered {
        self.order += 1;
        let order = self.order;
        raise(&mut self.barriers, self.floor, namespace, stamp);
        let table = if matches!(change, Change::Key { .. }) { &mut self.keys } else { &mut self.prefixes };
        let newest = table.get(&begin).map_or(stamp, |old| old.stamp.max(stamp));
        let mut change = change.clone();
        match &mut change {
            Change::Key { stamp, .. } | Change::Prefix { stamp, .. } => *stamp = newest,
            _ => {}
        }
        table.insert(Arc::clone(&begin), Tombstone { change, stamp: newest, order });
        Covered::Names { begin, order }
    }

    /// Whether a record is older than what was invalidated.
    pub(crate) fn covers(&self, key: &RecordKey, name: &[u8], meta: &Meta, began: u64) -> bool {
        let counter = meta.counter;
        let newer = |stamp: Option<&u64>| stamp.is_some_and(|&stamp| stamp > counter);
        self.floor > counter
            || newer(self.namespaces.get(&key.namespace))
            || meta.tags.iter().any(|tag| newer(self.tags.get(tag)))
            || self.keys.get(name::without_version(name)).is_some_and(|tombstone| tombstone.stamp > began)
            || self.prefixes.iter().any(|(begin, prefix)| prefix.stamp > began && name.starts_with(begin))
    }

    /// Whether a record may still be stored.
    pub(crate) fn admits(&self, key: &RecordKey, name: &[u8], meta: &Meta, began: u64) -> bool {
        !self.covers(key, name, meta, began) && self.barriers.get(&key.namespace).is_none_or(|&stamp| stamp <= began)
    }

    /// Forgets the tombstone of this beginning, if it is of this number: what it covered is gone for good.
    pub(crate) fn forget(&mut self, begin: &[u8], order: u64) {
        for table in [&mut self.keys, &mut self.prefixes] {
            if table.get(begin).is_some_and(|tombstone| tombstone.order == order) {
                table.remove(begin);
            }
        }
    }

    /// Forgets all tombstones up to this number.
    pub(crate) fn forget_until(&mut self, order: u64) {
        for table in [&mut self.keys, &mut self.prefixes] {
            table.retain(|_, tombstone| tombstone.order > order);
        }
    }

    /// The number of the last tombstone.
    pub(crate) fn last_order(&self) -> u64 {
        self.order
    }

    /// The number of tombstones.
    pub(crate) fn tombstones(&self) -> usize {
        self.keys.len() + self.prefixes.len()
    }

    /// The changes that make this state.
    pub(crate) fn snapshot(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.floor > 0 {
            changes.push(Change::All { stamp: self.floor });
        }
        let namespaces = self.namespaces.iter();
        changes.extend(namespaces.map(|(name, &stamp)| Change::Namespace { namespace: Arc::clone(name), stamp }));
        changes.extend(self.tags.iter().map(|(tag, &stamp)| Change::Tag { tag: Arc::clone(tag), stamp }));
        changes.extend(self.fingerprints.iter().map(|(namespace, fingerprint)| Change::Fingerprint {
            namespace: Arc::clone(namespace),
            fingerprint: Arc::clone(fingerprint),
            stamp: 0,
        }));
        changes.extend(self.keys.values().chain(self.prefixes.values()).map(|tombstone| tombstone.change.clone()));
        changes
    }

    /// What the cache is told when it starts.
    pub(crate) fn restored(&self, epoch: u64) -> Restored {
        let stamps =
            |table: &HashMap<Arc<str>, u64>| table.iter().map(|(name, &stamp)| (Arc::clone(name), stamp)).collect();
        Restored {
            epoch,
            floor: self.floor,
            namespaces: stamps(&self.namespaces),
            tags: stamps(&self.tags),
            last_stamp: self.last_stamp,
            fingerprints: self.fingerprints.iter().map(|(name, bytes)| (Arc::clone(name), Arc::clone(bytes))).collect(),
        }
    }

    fn raise_floor(&mut self, stamp: u64) {
        if stamp <= self.floor {
            return;
        }
        self.floor = stamp;
        self.namespaces.retain(|_, &mut own| own > stamp);
        self.tags.retain(|_, &mut own| own > stamp);
        self.barriers.retain(|_, &mut own| own > stamp);
        for table in [&mut self.keys, &mut self.prefixes] {
            table.retain(|_, tombstone| tombstone.stamp > stamp);
        }
    }

    /// Folds the oldest quarter of what there is too much of: tombstones into stamps of their namespaces, stamps and
    /// barriers into the floor. Says whether there was anything to fold.
    fn bound(&mut self) -> bool {
        let mut folded = false;
        for (table, limit) in [(&mut self.keys, MAX_ENTRIES), (&mut self.prefixes, MAX_PREFIXES)] {
            let Some(highest) = surplus(table.values().map(|tombstone| tombstone.stamp), table.len(), limit) else {
                continue;
            };
            folded = true;
            table.retain(|_, tombstone| {
                if tombstone.stamp > highest {
                    return true;
                }
                if let Change::Key { namespace, .. } | Change::Prefix { namespace, .. } = &tombstone.change {
                    raise(&mut self.namespaces, self.floor, namespace, tombstone.stamp);
                }
                false
            });
        }
        let highest = [&self.namespaces, &self.tags, &self.barriers]
            .into_iter()
            .filter_map(|table| surplus(table.values().copied(), table.len(), MAX_ENTRIES))
            .max();
        if let Some(highest) = highest {
            folded = true;
            self.raise_floor(highest);
        }
        if self.fingerprints.len() > MAX_ENTRIES {
            // A namespace whose fingerprint is forgotten must not look like one whose data never changed. So all that
            // this process has stored, and will store, is invalid; the next one begins above the floor.
            self.fingerprints.clear();
            self.raise_floor((self.epoch + 1) << 40);
            folded = true;
        }
        folded
    }
}

fn stamp_of(change: &Change) -> u64 {
    match change {
        Change::All { stamp }
        | Change::Namespace { stamp, .. }
        | Change::Tag { stamp, .. }
        | Change::Key { stamp, .. }
        | Change::Prefix { stamp, .. }
        | Change::Fingerprint { stamp, .. } => *stamp,
    }
}

/// The stamp up to which entries go so that three quarters of the limit are left, if there are too many.
fn surplus(stamps: impl Iterator<Item = u64>, count: usize, limit: usize) -> Option<u64> {
    if count <= limit {
        return None;
    }
    let mut stamps: Vec<u64> = stamps.collect();
    let (_, highest, _) = stamps.select_nth_unstable(count - (limit - limit / 4) - 1);
    Some(*highest)
}

fn raise(table: &mut HashMap<Arc<str>, u64>, floor: u64, name: &Arc<str>, stamp: u64) {
    if stamp > floor {
        let own = table.entry(Arc::clone(name)).or_insert(stamp);
        *own = stamp.max(*own);
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
