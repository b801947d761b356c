//! Encoded bodies as the server caches them, all of them resident, and the traffic that reads them.

use std::sync::Arc;

use anyhow::Context;
use cache_core::{Cache, Item, Key, Namespace};
use monitor::mrc::CurveSettings;

use super::KEYS;
use crate::random::{Random, Zipf};

/// What a body has.
pub(super) type Body = Arc<[u8]>;

/// The most bodies that the server keeps, and the least weight that it tells the curve.
const MAX_BODIES: u64 = 1_000_000;
const LEAST_WEIGHT: u32 = 184;

/// The bodies by their numbers.
pub(super) struct Bodies {
    pub(super) keys: Vec<Key>,
    /// The bytes of each.
    pub(super) lengths: Vec<u64>,
    /// What each takes in the cache, its key and the bookkeeping included.
    pub(super) weights: Vec<u32>,
    /// Holds all of them.
    pub(super) cache: Cache<Body>,
}

impl Bodies {
    /// As many as there are keys, of 300 bytes to 4 kB.
    pub(super) fn new() -> anyhow::Result<Self> {
        let (namespace, mut random) = (Namespace::new("bench"), Random::new(5));
        let cache = cache(1 << 30)?;
        let mut bodies = Self { keys: Vec::new(), lengths: Vec::new(), weights: Vec::new(), cache };
        for number in 0..KEYS {
            let key = Key::new(&namespace, format!("json|id=gte.{number}&order=id.desc&limit=50"));
            let body: Body = vec![number as u8; 300 + random.number() as usize % 3_700].into();
            bodies.lengths.push(body.len() as u64);
            bodies.cache.insert(&key, Item::new(body, bodies.lengths[number]));
            let hit = bodies.cache.get(&key).context("keep a body")?;
            bodies.weights.push(u32::try_from(hit.bytes())?);
            bodies.keys.push(key);
        }
        Ok(bodies)
    }

    /// Numbers of bodies in the order in which they are read: by Zipf's law, and a popular one's says nothing of its rank.
    pub(super) fn reads(&self, exponent: f64, reads: usize, seed: u64) -> Vec<usize> {
        let (law, mut random) = (Zipf::new(KEYS, exponent), Random::new(seed));
        (0..reads).map(|_| law.rank(&mut random) * 7_919 % KEYS).collect()
    }
}

/// A cache of bodies with this budget.
pub(super) fn cache(max_bytes: u64) -> anyhow::Result<Cache<Body>> {
    let cache = Cache::builder("bodies").max_bytes(max_bytes).max_entries(MAX_BODIES).build();
    cache.context("size a cache of bodies")
}

/// What the server tells the curve of a cache with this budget.
pub(super) fn curve_settings(max_bytes: u64) -> CurveSettings {
    CurveSettings { max_entries: MAX_BODIES, least_weight: LEAST_WEIGHT, ..CurveSettings::new(max_bytes) }
}
