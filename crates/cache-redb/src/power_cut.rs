//! Cuts of the power: of what was written since the last sync, any part may be on the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::{Codec, Meta, RecordKey};
use parking_lot::Mutex;
use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use crate::backend::Backend;
use crate::name;
use crate::row::Row;
use crate::state::State;
use crate::store::{Found, Store};

const SECTOR: usize = 512;

/// A disk that remembers what was not synced.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Content>>);

#[derive(Clone, Debug, Default)]
struct Content {
    /// As it is read.
    bytes: Vec<u8>,
    /// As it is for certain.
    synced: Vec<u8>,
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.0.lock();
        let range = content.bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut content = self.0.lock();
        content.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock();
        content.synced = content.bytes.clone();
        content.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock();
        content.bytes[offset as usize..offset as usize + data.len()].copy_from_slice(data);
        content.unsynced.push((offset, data.to_vec()));
        Ok(())
    }
}

impl Disk {
    /// The disk after a cut: some of the sectors that were not synced, in any combination.
    fn cut(&self, random: &mut u64) -> Self {
        let content = self.0.lock();
        let mut bytes = content.synced.clone();
        bytes.resize(bytes.len().max(content.bytes.len()), 0);
        for (offset, data) in &content.unsynced {
            for (number, sector) in data.chunks(SECTOR).enumerate() {
                if next(random).is_multiple_of(2) {
                    let at = *offset as usize + number * SECTOR;
                    bytes[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Self(Arc::new(Mutex::new(Content { bytes: bytes.clone(), synced: bytes, unsynced: Vec::new() })))
    }
}

fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn name_of(number: u64) -> Vec<u8> {
    name::of(&RecordKey { cache: "c".into(), namespace: "n".into(), bytes: number.to_le_bytes().into(), version: 0 })
}

/// A record whose payload follows from its id.
fn record(id: u64) -> (Row, Vec<u8>) {
    let payload = vec![id as u8; (id as usize * 977) % 9_000];
    let meta = Meta {
        layout: 0,
        loaded_at_ms: 0,
        expires_ms: 0,
        stale_while_revalidate_ms: 0,
        stale_if_error_ms: 0,
        counter: 0,
        cost_us: 0,
        value_bytes: 0,
        tags: Vec::new(),
    };
    let stored_bytes = payload.len() as u64;
    let payload_hash = xxh3_64(&payload);
    let codec = Codec::None;
    (Row { meta, began: 0, id, codec, plain_bytes: stored_bytes, stored_bytes, payload_hash }, payload)
}

/// Writes batches to a disk; cuts the power after each of its syncs and in the middle of each batch.
fn check(seed: u64) {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let disk = Disk::default();
    let store = Store::open(Backend(Box::new(disk.clone())), 1 << 20).unwrap();
    let mut committed: Vec<Option<u64>> = vec![None; 8];
    for batch in 0..4u64 {
        let mut coming = committed.clone();
        // A cut while this transaction is open and, at the latest, when it is durable.
        let cut_within = store.write(|tables| {
            for step in 0..6 {
                let number = next(&mut random) % 8;
                let id = 1 + (batch * 6 + step) * 4;
                if next(&mut random).is_multiple_of(4) {
                    tables.remove(&name_of(number), None)?;
                    coming[number as usize] = None;
                } else {
                    let (row, payload) = record(id);
                    tables.insert(&name_of(number), &row, &payload, None)?;
                    coming[number as usize] = Some(id);
                }
            }
            tables.set_state(&State { store_id: 1, epoch: 1, log_seq: batch, seen_ms: 0 })?;
            Ok(disk.cut(&mut random))
        });
        let cut_within = cut_within.unwrap();
        if batch > 0 {
            compare(cut_within, &committed, seed);
        }
        committed = coming;
        compare(disk.cut(&mut random), &committed, seed);
    }
}

#[test]
fn a_power_cut_after_compacting_makes_no_start_read_the_whole_file() {
    let disk = Disk::default();
    let mut store = Store::open(Backend(Box::new(disk.clone())), 1 << 20).unwrap();
    store.write(|tables| tables.set_state(&State { store_id: 1, epoch: 1, log_seq: 1, seen_ms: 0 })).unwrap();
    store.compact().unwrap();
    let repaired = Arc::new(AtomicBool::new(false));
    let saw = Arc::clone(&repaired);
    let mut builder = redb::Database::builder();
    builder.set_repair_callback(move |_| saw.store(true, Ordering::SeqCst));
    builder.create_with_backend(disk.cut(&mut 1)).unwrap();
    assert!(!repaired.load(Ordering::SeqCst));
}

/// After a cut the database has exactly what was durable.
fn compare(disk: Disk, expected: &[Option<u64>], seed: u64) {
    let store = Store::open(Backend(Box::new(disk)), 1 << 20).unwrap();
    assert!(store.state().unwrap().is_some(), "seed {seed}");
    for (number, id) in expected.iter().enumerate() {
        let name = name_of(number as u64);
        let mut stored = None;
        store
            .walk(std::ops::Bound::Included(&name), |found, row| {
                stored = (found == name).then(|| row.unwrap().id);
                false
            })
            .unwrap();
        assert_eq!(stored, *id, "seed {seed}, key {number}");
        if let Some(id) = *id {
            let (row, payload) = record(id);
            assert!(store.get(&name, id).unwrap() == Found::Record(row, payload), "seed {seed}, key {number}");
        }
    }
}

#[test]
fn after_a_power_cut_everything_durable_is_there_and_nothing_else() {
    for seed in 1..=200 {
        check(seed);
    }
}
