//! A cache and its tier from one configuration, as people write it.

use std::sync::Arc;

use cache_core::{ByteTier, Cache, CacheConfig, Item, Key, MessagePack, Namespace};
use cache_redb::{Error, RedbTier, TierOptions};

use crate::support::Dir;

fn config(dir: &Dir) -> CacheConfig {
    let disk_cache_dir = dir.path().join("below/cache");
    CacheConfig { persist_to_disk: true, disk_cache_dir, ttl_seconds: 60, ..CacheConfig::default() }
}

fn build(config: &CacheConfig) -> Cache<String> {
    let tier = RedbTier::open_for(config).unwrap();
    Cache::builder("greetings").config(config).persist(MessagePack::new()).tier(tier).build().unwrap()
}

#[test]
fn a_configuration_that_persists_makes_a_cache_that_outlives_its_process() {
    let dir = Dir::new();
    let config = config(&dir);
    let key = Key::new(&Namespace::new("people"), b"ada".as_slice());
    let cache = build(&config);
    cache.insert(&key, Item::new("hello, Ada".to_owned(), 10));
    drop(cache);
    assert!(config.disk_cache_dir.join("cache.redb").exists(), "it is in the folder that was named");
    let cache = build(&config);
    assert!(cache.get(&key).is_none(), "memory begins empty");
    assert_eq!(cache.find_blocking(&key).map(|hit| hit.into_value()).as_deref(), Some("hello, Ada"));
    assert_eq!(cache.stats().disk_hits, 1);
}

#[test]
fn what_the_disk_may_take_bounds_the_file_and_two_thirds_of_it_the_records() {
    let dir = Dir::new();
    let config = CacheConfig { disk_max_bytes: 3 << 30, ..config(&dir) };
    let options = TierOptions::of(&config);
    assert_eq!((options.file_limit(), options.record_limit()), (3 << 30, 2 << 30));
    let options = TierOptions { max_bytes: 3 << 30, ..TierOptions::default() };
    assert_eq!((options.file_limit(), options.record_limit()), (3 << 30, 2 << 30), "said in the other way");
}

#[test]
fn a_disk_below_the_largest_entry_is_refused() {
    let dir = Dir::new();
    // An entry may have a quarter of the memory.
    let config = CacheConfig { max_bytes: 64 << 20, disk_max_bytes: 20 << 20, ..config(&dir) };
    assert!(matches!(RedbTier::open_for(&config), Err(Error::EntryOverBudget { .. })));
    let config = CacheConfig { disk_max_bytes: 24 << 20, ..config };
    let tier: Arc<dyn ByteTier> = RedbTier::open_for(&config).unwrap();
    let config = CacheConfig { disk_max_bytes: 15 << 20, ..config };
    let built = Cache::<String>::builder("greetings").config(&config).persist(MessagePack::new()).tier(tier).build();
    assert!(matches!(built, Err(cache_core::Error::EntryOverDisk { .. })));
}
