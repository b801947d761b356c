//! The cache folder of a home that no server holds.
//!
//! There is no catalog without a server: what a dataset has is told from the namespaces of the records, which end in the
//! dataset's own name and the fingerprint of its schema. Two sources with one dataset name are then one dataset, and what
//! a plugin or configuration of before has left behind is part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use cache_core::{ByteTier, Change, Listed, Meta};
use cache_redb::RedbTier;
use serde::Serialize;
use serde_json::Value;

use super::coverage::steps;
use crate::config::{Config, Layers};
use crate::disk;
use crate::home::Home;
use crate::http::dto::{CompactDto, DatasetUse, DiskFigures, EntryDto, EntryList, InvalidatedDto, VerifyDto};
use crate::http::entries::shown_tags;
use crate::http::entry_key::EntryKey;
use crate::http::figures;
use crate::invalidation::{Target, dataset_of};

/// The caches that have records.
const CACHES: [&str; 2] = ["tables", "bodies"];
/// Records of one look at the list.
const PAGE: usize = 1_000;

/// A home without a server, locked.
pub(super) struct Offline {
    config: Config,
    /// Given back last.
    _home: Home,
}

/// What is on disk, in numbers: the part of a server's statistics that there is without one.
#[derive(Serialize)]
struct OfflineStats {
    entries: u64,
    total_size_mb: f64,
    disk: DiskFigures,
    datasets: Vec<DatasetUse>,
}

impl Offline {
    /// Locks the home of the settings.
    pub(super) fn open(layers: &Layers) -> anyhow::Result<Self> {
        let config = Config::resolve(layers)?;
        let home = config.home.display();
        if !config.home.is_dir() || !config.cache_dir.is_dir() {
            bail!("find a cache in the home '{home}': there is none; name the home with --home");
        }
        let home = Home::open(&config.home).with_context(|| {
            format!("use the home '{home}'; while its server runs, leave --offline out and the server does the work")
        })?;
        Ok(Self { config, _home: home })
    }

    fn tier(&self) -> anyhow::Result<Arc<RedbTier>> {
        disk::open(&self.config).with_context(|| format!("use the cache folder '{}'", self.folder().display()))
    }

    fn folder(&self) -> &PathBuf {
        &self.config.cache_dir
    }

    pub(super) fn stats(&self) -> anyhow::Result<Value> {
        let tier = self.tier()?;
        let mut datasets: BTreeMap<String, DatasetUse> = BTreeMap::new();
        for used in tier.usage() {
            let name = dataset_of(&used.namespace);
            let sum = datasets.entry(name.to_owned()).or_insert_with(|| DatasetUse::named(name));
            sum.disk_entries += used.entries;
            sum.disk_bytes += used.bytes;
        }
        let disk = figures::of_tier(tier.stats(), self.config.disk_max_bytes);
        let stats = OfflineStats {
            entries: disk.entries,
            total_size_mb: figures::mib(disk.bytes),
            disk,
            datasets: datasets.into_values().collect(),
        };
        Ok(serde_json::to_value(stats)?)
    }

    pub(super) fn entries(&self, dataset: Option<&str>, limit: usize) -> anyhow::Result<Value> {
        let tier = self.tier()?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        // One more than asked for tells whether others follow.
        let mut found: BTreeMap<(EntryKey, Arc<str>), EntryDto> = BTreeMap::new();
        for cache in CACHES {
            each_record(&*tier, cache, |record| {
                let name = dataset_of(&record.key.namespace);
                if dataset.is_some_and(|wanted| wanted != name) {
                    return;
                }
                let key = EntryKey::new(name, &record.key.bytes, record.key.version);
                if let Some(entry) = shown(&key, cache, record, now_ms) {
                    found.insert((key, Arc::clone(&record.key.namespace)), entry);
                    if found.len() > limit + 1 {
                        found.pop_last();
                    }
                }
            });
        }
        let more = found.len() > limit;
        let entries: Vec<EntryDto> = found.into_values().take(limit).collect();
        let next = entries.last().filter(|_| more).map(|entry| entry.key.clone());
        Ok(serde_json::to_value(EntryList { entries, next })?)
    }

    /// Reads every record, and changes nothing.
    pub(super) fn verify(&self) -> anyhow::Result<Value> {
        let started = Instant::now();
        let report = cache_redb::verify(self.folder()).context("read the cache")?;
        Ok(serde_json::to_value(VerifyDto::new(report, started.elapsed()))?)
    }

    pub(super) fn compact(&self) -> anyhow::Result<Value> {
        let started = Instant::now();
        let report = cache_redb::compact(self.folder()).context("compact the cache")?;
        Ok(serde_json::to_value(CompactDto::new(report, started.elapsed()))?)
    }

    pub(super) fn invalidate(&self, target: &Target) -> anyhow::Result<Value> {
        let tier = self.tier()?;
        let namespaces: BTreeSet<Arc<str>> = tier.usage().into_iter().map(|used| used.namespace).collect();
        // Above the counters of all processes before: they numbered what is on disk.
        let mut stamp = tier.restored().first_counter();
        let mut record = |change: &dyn Fn(u64) -> Change| {
            stamp += 1;
            tier.record(&change(stamp)).context("write the invalidation")
        };
        let datasets = match target {
            Target::All => {
                record(&|stamp| Change::All { stamp })?;
                namespaces.iter().map(|namespace| dataset_of(namespace).to_owned()).collect()
            }
            Target::Tag(tag) => {
                let tagged = tagged(&*tier, tag);
                record(&|stamp| Change::Tag { tag: tag.as_str().into(), stamp })?;
                tagged
            }
            named => {
                let mut datasets = BTreeSet::new();
                if let Target::Dataset(name) = named {
                    // It may have been served under another name than its source's.
                    let name_tag = pipeline::name_tag(name);
                    if !tagged(&*tier, &name_tag).is_empty() {
                        record(&|stamp| Change::Tag { tag: Arc::clone(&name_tag), stamp })?;
                        datasets.insert(name.clone());
                    }
                }
                for namespace in &namespaces {
                    for step in steps(named, namespace)? {
                        record(&step)?;
                        datasets.insert(dataset_of(namespace).to_owned());
                    }
                }
                if datasets.is_empty() {
                    let there: BTreeSet<&str> = namespaces.iter().map(|namespace| dataset_of(namespace)).collect();
                    let there = there.into_iter().collect::<Vec<_>>().join(", ");
                    let (scope, name) = named.parts();
                    bail!("find {scope} '{}' on disk; there is: {there}", name.unwrap_or_default());
                }
                datasets
            }
        };
        // What is covered leaves the file now, and not when a server starts.
        tier.settle();
        tier.flush().context("write the cache")?;
        let (scope, name) = target.parts();
        Ok(serde_json::to_value(InvalidatedDto {
            scope: scope.to_owned(),
            target: name.map(str::to_owned),
            stamp,
            durable: true,
            datasets: datasets.into_iter().collect(),
        })?)
    }
}

/// The datasets with records of this tag.
fn tagged(tier: &dyn ByteTier, tag: &str) -> BTreeSet<String> {
    let mut datasets = BTreeSet::new();
    for cache in CACHES {
        each_record(tier, cache, |record| {
            if record.meta.tags.iter().any(|own| **own == *tag) {
                datasets.insert(dataset_of(&record.key.namespace).to_owned());
            }
        });
    }
    datasets
}

fn each_record(tier: &dyn ByteTier, cache: &str, mut with: impl FnMut(&Listed)) {
    let mut page = tier.list(cache, None, PAGE);
    while let Some(last) = page.last() {
        let after = last.key.clone();
        page.iter().for_each(&mut with);
        page = tier.list(cache, Some(&after), PAGE);
    }
}

/// An entry as it is on disk; `None` when it is of no more use.
fn shown(key: &EntryKey, cache: &str, record: &Listed, now_ms: u64) -> Option<EntryDto> {
    let meta = &record.meta;
    Some(EntryDto {
        key: key.to_string(),
        cache: cache.to_owned(),
        dataset: key.dataset.clone(),
        tier: "disk".to_owned(),
        state: state(meta, now_ms)?.to_owned(),
        age_seconds: now_ms.saturating_sub(meta.loaded_at_ms) as f64 / 1e3,
        ttl_seconds: (meta.expires_ms as f64 - now_ms as f64) / 1e3,
        bytes: meta.value_bytes,
        stored_bytes: Some(record.stored_bytes),
        hits: 0,
        cost_ms: meta.cost_us as f64 / 1e3,
        tags: shown_tags(meta.tags.iter()),
    })
}

fn state(meta: &Meta, now_ms: u64) -> Option<&'static str> {
    if now_ms < meta.expires_ms {
        Some("fresh")
    } else if now_ms < meta.expires_ms.saturating_add(meta.stale_while_revalidate_ms) {
        Some("stale")
    } else if now_ms < meta.expires_ms.saturating_add(meta.stale_if_error_ms) {
        Some("expired")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(expires_ms: u64, while_revalidate: u64, if_error: u64) -> Meta {
        Meta {
            layout: 0,
            loaded_at_ms: 0,
            expires_ms,
            stale_while_revalidate_ms: while_revalidate,
            stale_if_error_ms: if_error,
            counter: 0,
            cost_us: 0,
            value_bytes: 0,
            tags: Vec::new(),
        }
    }

    #[test]
    fn a_record_ages_from_fresh_to_useless() {
        let meta = meta(1_000, 10, 100);
        let states = [999, 1_000, 1_009, 1_010, 1_099, 1_100].map(|now_ms| state(&meta, now_ms));
        let expected = [Some("fresh"), Some("stale"), Some("stale"), Some("expired"), Some("expired"), None];
        assert_eq!(states, expected);
    }
}
