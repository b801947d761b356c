//! A table of 1.6 MB put on disk, for which the Python module that this product grew from took 1.7 s (pickled, gzip at
//! level 9) on the machine that its figure comes from.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use arrow::array::RecordBatch;
use cache_core::{Cache, Item, Key, Namespace, Persist, PersistError};
use cache_redb::{RedbTier, TierOptions};

use super::place::Place;
use super::tables;
use crate::report::{Line, median, section};

const TABLE_BYTES: usize = 1_600_000;
const SEED_SECONDS: f64 = 1.7;
const ROUNDS: usize = 9;

/// Tables as Arrow IPC streams.
struct Tables;

impl Persist<RecordBatch> for Tables {
    fn layout(&self) -> u64 {
        1
    }

    fn weight(&self, table: &RecordBatch) -> u64 {
        table.get_array_memory_size() as u64
    }

    fn encode(&self, table: &RecordBatch) -> Result<Vec<u8>, PersistError> {
        Ok(tables::encode(table)?)
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<RecordBatch, PersistError> {
        Ok(tables::decode(&bytes)?)
    }
}

/// Prints the time.
pub(super) fn run() -> anyhow::Result<()> {
    section(&format!("A table of 1.6 MB, until it is durable: encoded, compressed, written; median of {ROUNDS}"), &[]);
    let (table, place) = (tables::sample(TABLE_BYTES)?, Place::new()?);
    let tier = RedbTier::open(place.path(), TierOptions::default()).context("open the disk tier")?;
    let cache = Cache::builder("tables").persist(Tables).tier(Arc::clone(&tier) as _).build()?;
    let namespace = Namespace::new("bench");
    let mut millis = Vec::new();
    for round in 0..ROUNDS as u64 {
        let began = Instant::now();
        let key = Key::new(&namespace, round.to_le_bytes().as_slice());
        cache.insert(&key, Item::new(table.clone(), table.get_array_memory_size() as u64));
        cache.tier().context("find the disk tier")?.flush()?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let ours = median(&millis);
    Line::new(format!("{} rows", table.num_rows()), format!("{ours:.1} ms"))
        .peer("seed", format!("{SEED_SECONDS} s"))
        .ratio(format!("{:.0}x faster", SEED_SECONDS * 1e3 / ours))
        .inform();
    Ok(())
}
