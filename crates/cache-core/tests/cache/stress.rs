//! Loads, reads, reloads, deletes and invalidations at once, on many threads.
//!
//! The oracle: a source whose value only grows. Whoever changes it says so to the cache, and when the cache has
//! acknowledged that, nobody who begins to read afterwards may see what was there before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use cache_core::{Key, LoadContext, LoadOptions, Scope};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, Loading, invalidate, key_in, number_item, remove};

const KEYS: usize = 4;
const ROUNDS: u64 = 2_000;

/// What is true, and what has been acknowledged to be invalid, per key.
#[derive(Default)]
struct Source {
    truth: [AtomicU64; KEYS],
    acknowledged: [AtomicU64; KEYS],
}

#[derive(Clone)]
struct World {
    fixture: Arc<Fixture>,
    source: Arc<Source>,
    keys: Arc<[Key]>,
    over: Arc<AtomicBool>,
}

impl World {
    /// Reads the source, with pauses around, so that much happens between a scan and its storing.
    fn scan(&self, index: usize) -> impl FnOnce(LoadContext) -> Loading + Send + 'static {
        let source = Arc::clone(&self.source);
        move |_| {
            Box::pin(async move {
                tokio::task::yield_now().await;
                let seen = source.truth[index].load(Ordering::SeqCst);
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok(number_item(seen))
            })
        }
    }

    /// Changes the source and tells the cache, each round in one of three ways.
    async fn change(self) {
        for round in 1..=ROUNDS {
            let index = round as usize % KEYS;
            let cache = &self.fixture.cache;
            // All keys change before an invalidation of all; only then is what was acknowledged true for each.
            let changed = if round % 16 == 0 { 0..KEYS } else { index..index + 1 };
            for each in changed.clone() {
                self.source.truth[each].store(round, Ordering::SeqCst);
            }
            match round % 3 {
                _ if changed.len() > 1 => invalidate(cache, Scope::All),
                0 => invalidate(cache, Scope::Namespace(self.keys[index].namespace().clone())),
                1 => u64::from(remove(cache, &self.keys[index])),
                _ => {
                    // A reload is a promise too: who reads after it sees what was true when it began.
                    let scan = self.scan(index);
                    let reloaded = cache.reload(&self.keys[index], LoadOptions::default(), scan).await.unwrap();
                    assert!(*reloaded.value() >= round, "only one task reloads, so none began before");
                    0
                }
            };
            for each in changed {
                self.source.acknowledged[each].store(round, Ordering::SeqCst);
            }
            tokio::task::yield_now().await;
        }
        self.over.store(true, Ordering::SeqCst);
    }

    async fn read(self, reader: usize) -> u64 {
        let mut reads = 0;
        while !self.over.load(Ordering::SeqCst) {
            let index = (reads as usize + reader) % KEYS;
            let least = self.source.acknowledged[index].load(Ordering::SeqCst);
            let value = if reads % 3 == 0 {
                self.fixture.get(&self.keys[index])
            } else {
                let scan = self.scan(index);
                let loaded = self.fixture.cache.try_get_or_load(&self.keys[index], LoadOptions::default(), scan).await;
                Some(*loaded.unwrap().value())
            };
            if let Some(value) = value {
                assert!(value >= least, "read {value} of key {index} after {least} had been acknowledged");
            }
            reads += 1;
            tokio::task::yield_now().await;
        }
        reads
    }
}

async fn check(keys: impl Fn(usize) -> Key, readers: usize) {
    let world = World {
        // The process's clock: it orders the scans exactly.
        fixture: Arc::new(Fixture::with(|builder| builder.clock(cache_core::Clock::process().unwrap()))),
        source: Arc::default(),
        keys: (0..KEYS).map(keys).collect(),
        over: Arc::default(),
    };
    let mut tasks = JoinSet::new();
    for reader in 0..readers {
        tasks.spawn(world.clone().read(reader));
    }
    world.clone().change().await;
    let reads: u64 = tasks.join_all().await.into_iter().sum();
    let stats = world.fixture.cache.stats();
    assert!(reads > 0 && stats.loads > 0, "{stats:?}");
    assert_eq!(stats.loading, 0, "no flight is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_older_than_an_acknowledged_invalidation_is_read() {
    check(|index| key_in("one", &index.to_string()), 6).await;
    check(|index| key_in(&format!("space {index}"), "a"), 6).await;
}

#[test]
fn a_store_never_slips_past_a_delete() {
    let fixture = Fixture::new();
    let name = key_in("space", "a");
    let together = Barrier::new(2);
    let mut survivors = 0;
    std::thread::scope(|scope| {
        let deleter = scope.spawn(|| {
            for _ in 0..20_000 {
                together.wait();
                remove(&fixture.cache, &name);
                together.wait();
            }
        });
        for round in 0..20_000 {
            let origin = fixture.cache.begin();
            together.wait();
            // Varied, so that the two meet at every point of each other's way.
            (0..round % 64).for_each(|_| std::hint::spin_loop());
            fixture.cache.insert(&name, number_item(round).with_origin(origin));
            together.wait();
            survivors += usize::from(fixture.get(&name).is_some());
        }
        deleter.join().unwrap();
    });
    assert_eq!(survivors, 0, "each began before a delete that was done when it was read");
}
