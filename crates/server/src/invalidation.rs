//! Invalidations that people ask for: what they name, as scopes of the caches.
//!
//! A dataset, a tag and everything reach both caches through the stamps that these share. A key and a prefix name entries
//! of one cache; where that is the cache of tables, the bodies of the dataset go too, because they are made of what went.
//!
//! The whole table is the dataset: a body that is being made of it must not be kept either, and only a stamp reaches that.
//!
//! What is kept of a dataset under another identity (another library, configuration or schema, or of a plugin that is out
//! for now) goes too, because it may be served again: all that was ever kept under a name has a tag for that name.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use actix_web::rt::task::spawn_blocking;
use actix_web::web::block;
use cache_core::{Key, Namespace, NotDurable, Scope};
use futures_util::future::join_all;
use pipeline::{Catalog, Dataset, keys, name_tag};

use crate::http::entry_key::EntryKey;
use crate::problem::Problem;
use crate::state::AppState;

/// What an invalidation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everything.
    All,
    /// A dataset.
    Dataset(String),
    /// Datasets with a tag.
    Tag(String),
    /// Datasets whose names begin so; with a slash, keys of one dataset that begin so.
    Prefix(String),
    /// One key; without a version, in all its versions.
    Key(String),
}

impl Target {
    /// The kind of target, and what is named.
    pub fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::All => ("all", None),
            Self::Dataset(name) => ("dataset", Some(name)),
            Self::Tag(tag) => ("tag", Some(tag)),
            Self::Prefix(prefix) => ("prefix", Some(prefix)),
            Self::Key(key) => ("key", Some(key)),
        }
    }
}

/// What an invalidation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalidated {
    /// Its number; the highest, where several were needed.
    pub stamp: u64,
    /// The datasets that it touched.
    pub datasets: Vec<String>,
}

/// Drops what `target` names. When this returns, nothing of it that began to load before is served any more, and where
/// there is a disk tier, not after a restart either.
///
/// # Errors
/// A dataset that there is not, a key that is none; the invalidation holds but is not durable.
pub async fn invalidate(state: &Arc<AppState>, target: &Target) -> Result<Invalidated, Problem> {
    let catalog = state.pipeline.catalog();
    let kept = match target {
        // What is served has a tag for its name; only what is not has to be looked for.
        Target::Dataset(name) if catalog.get(name).is_err() => kept_namespaces(state).await?,
        Target::Prefix(prefix) if !prefix.contains('/') => kept_namespaces(state).await?,
        _ => Vec::new(),
    };
    let (steps, datasets) = plan(&catalog, &kept, target)?;
    // All at once: they share one write to the disk.
    let outcomes = join_all(steps.into_iter().map(|step| run(state, step))).await;
    let outcome = outcomes.into_iter().fold(Ok(state.bodies.stamps().counter()), all);
    state.sweeper.sweep(state);
    let stamp = outcome?;
    outlives(state)?;
    Ok(Invalidated { stamp, datasets: datasets.into_iter().collect() })
}

/// The namespaces of which something is kept, in memory or on disk.
async fn kept_namespaces(state: &Arc<AppState>) -> Result<Vec<Namespace>, Problem> {
    let state = Arc::clone(state);
    let kept = block(move || {
        let memory = state.pipeline.tables().usage().into_iter().chain(state.bodies.usage());
        let memory = memory.map(|used| used.namespace);
        memory.chain(state.disk.usage().into_iter().map(|used| Namespace::new(used.namespace))).collect()
    });
    let kept: HashSet<Namespace> = kept.await.map_err(Problem::internal)?;
    Ok(kept.into_iter().collect())
}

/// Drops one entry.
///
/// # Errors
/// It holds, but is not durable.
pub async fn drop_entry(state: &Arc<AppState>, key: Key) -> Result<(), Problem> {
    let outcome = run(state, Step::of_key(key)).await;
    state.sweeper.sweep(state);
    outcome?;
    outlives(state)
}

/// Without a tier an invalidation is written nowhere. That is no harm unless an earlier server's entries are left.
///
/// # Errors
/// They are.
pub fn outlives(state: &AppState) -> Result<(), Problem> {
    state.disk.not_durable().map_or(Ok(()), |why| Err(Problem::entries_may_return(why)))
}

/// What one step covers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A scope that both caches obey.
    Both(Scope),
    /// One key of either cache; at version 0, in all its versions.
    Key(Key),
    /// Keys of both caches that begin so.
    Keys(Namespace, Box<[u8]>),
}

impl Step {
    fn of_key(key: Key) -> Self {
        if key.bytes() == TABLE { Self::Both(Scope::Namespace(key.namespace().clone())) } else { Self::Key(key) }
    }

    fn of_prefix(namespace: &Namespace, prefix: &[u8]) -> Self {
        let namespace = namespace.clone();
        if TABLE.starts_with(prefix) {
            Self::Both(Scope::Namespace(namespace))
        } else {
            Self::Keys(namespace, prefix.into())
        }
    }
}

/// The steps of an invalidation, and the datasets that it touches. `kept` are the namespaces of which something is kept.
fn plan(catalog: &Catalog, kept: &[Namespace], target: &Target) -> Result<(Vec<Step>, BTreeSet<String>), Problem> {
    let names = |datasets: &[&Arc<Dataset>]| datasets.iter().map(|dataset| dataset.name.to_string()).collect();
    Ok(match target {
        Target::All => (vec![Step::Both(Scope::All)], names(&catalog.datasets().collect::<Vec<_>>())),
        Target::Dataset(name) => {
            let steps = of_name(catalog, kept, name, |dataset| dataset == name);
            if steps.is_empty() {
                catalog.get(name)?;
            }
            (steps, BTreeSet::from([name.clone()]))
        }
        Target::Tag(tag) => {
            let tagged: Vec<_> =
                catalog.datasets().filter(|dataset| dataset.tags.iter().any(|own| **own == **tag)).collect();
            // What was kept before a dataset had the tag does not have it.
            let whole = tagged.iter().flat_map(|dataset| whole(dataset));
            let steps = whole.chain([Step::Both(Scope::Tag(tag.as_str().into()))]).collect();
            (steps, names(&tagged))
        }
        Target::Prefix(prefix) => match prefix.split_once('/') {
            None => {
                let begins = |dataset: &str| dataset.starts_with(&**prefix);
                let served = catalog.datasets().map(|dataset| dataset.name.to_string());
                let left = kept.iter().map(|namespace| dataset_of(namespace.as_str()).to_owned());
                let named: BTreeSet<String> = served.chain(left).filter(|name| begins(name)).collect();
                let steps = named.iter().flat_map(|name| of_name(catalog, kept, name, |dataset| dataset == name));
                (steps.collect(), named)
            }
            Some((name, begin)) => {
                let dataset = catalog.get(name)?;
                (vec![Step::of_prefix(&dataset.namespace, begin.as_bytes())], names(&[dataset]))
            }
        },
        Target::Key(text) => {
            let key = EntryKey::parse(text).ok_or_else(|| Problem::bad_key("key", text))?;
            let dataset = catalog.get(&key.dataset)?;
            (vec![Step::of_key(key.within(&dataset.namespace))], names(&[dataset]))
        }
    })
}

/// All that is kept of a dataset that is served, under whatever identity.
fn whole(dataset: &Dataset) -> [Step; 2] {
    [Step::Both(Scope::Namespace(dataset.namespace.clone())), Step::Both(Scope::Tag(name_tag(&dataset.name)))]
}

/// All that is kept under a name, whether it is served now or not. Nothing, for a name of which nothing is known.
fn of_name(catalog: &Catalog, kept: &[Namespace], name: &str, is_named: impl Fn(&str) -> bool) -> Vec<Step> {
    let served = catalog.get(name).ok().map(|dataset| whole(dataset));
    let left = kept.iter().filter(|namespace| is_named(dataset_of(namespace.as_str())));
    let left: Vec<Step> = left.map(|namespace| Step::Both(Scope::Namespace(namespace.clone()))).collect();
    let tag = (served.is_none() && !left.is_empty()).then(|| Step::Both(Scope::Tag(name_tag(name))));
    served.into_iter().flatten().chain(left).chain(tag).collect()
}

/// The dataset of a namespace: what stands before the fingerprint of the schema.
pub fn dataset_of(namespace: &str) -> &str {
    namespace.rsplit('/').nth(1).unwrap_or(namespace)
}

async fn run(state: &AppState, step: Step) -> Result<u64, NotDurable> {
    let (tables, bodies) = (state.pipeline.tables(), &state.bodies);
    match step {
        Step::Both(scope) => tables.invalidate(scope).await,
        Step::Key(key) if is_of_tables(key.bytes()) => {
            let bodies_of = all_keys(key.namespace());
            all(tables.invalidate(one(key)).await, bodies.invalidate(bodies_of).await)
        }
        Step::Key(key) => bodies.invalidate(one(key)).await,
        Step::Keys(namespace, prefix) if touches_tables(&prefix) => {
            let bodies_of = all_keys(&namespace);
            let scope = Scope::Prefix { namespace, prefix: (*prefix).into() };
            all(tables.invalidate(scope).await, bodies.invalidate(bodies_of).await)
        }
        Step::Keys(namespace, prefix) => bodies.invalidate(Scope::Prefix { namespace, prefix: (*prefix).into() }).await,
    }
}

fn one(key: Key) -> Scope {
    if key.version() == 0 { Scope::Versions(key) } else { Scope::Key(key) }
}

/// The later stamp of two invalidations, if both are durable. Both were tried, so that memory obeys in any case.
fn all(before: Result<u64, NotDurable>, now: Result<u64, NotDurable>) -> Result<u64, NotDurable> {
    Ok(before?.max(now?))
}

fn all_keys(namespace: &Namespace) -> Scope {
    Scope::Prefix { namespace: namespace.clone(), prefix: (*b"").into() }
}

/// The key of the whole table.
const TABLE: &[u8] = keys::TABLE.as_bytes();
/// How the other keys of the cache of tables begin: results of queries.
const RESULT: &[u8] = keys::RESULT_PREFIX.as_bytes();

/// Whether a key is one of the cache of tables.
pub fn is_of_tables(key: &[u8]) -> bool {
    key == TABLE || key.starts_with(RESULT)
}

/// Whether keys of the cache of tables may begin so.
pub fn touches_tables(prefix: &[u8]) -> bool {
    [TABLE, RESULT].iter().any(|key| key.starts_with(prefix)) || prefix.starts_with(RESULT)
}

/// Gives back the memory of what is not served any more: behind whoever invalidated it, one walk at a time.
#[derive(Debug, Default)]
pub struct Sweeper {
    /// Nothing, a walk, or a walk after which another is wanted.
    wanted: AtomicU8,
}

impl Sweeper {
    fn sweep(&self, state: &Arc<AppState>) {
        let before = self.wanted.fetch_update(Ordering::AcqRel, Ordering::Acquire, |wanted| Some((wanted + 1).min(2)));
        if before == Ok(0) {
            let state = Arc::clone(state);
            // Nobody waits for it; a server that stops needs no memory.
            drop(spawn_blocking(move || {
                while {
                    state.pipeline.tables().sweep();
                    state.bodies.sweep();
                    state.sweeper.wanted.fetch_sub(1, Ordering::AcqRel) > 1
                } {}
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, expected: bool) {
        assert_eq!(touches_tables(prefix.as_bytes()), expected, "{prefix:?}");
    }

    #[test]
    fn a_prefix_touches_tables_when_a_key_of_theirs_begins_so() {
        for yes in ["", "t", "table", "r", "result?", "result?a=eq.1"] {
            check(yes, true);
        }
        for no in ["json", "tables", "too", "told[", "csv+gzip?", "results"] {
            check(no, false);
        }
    }

    #[track_caller]
    fn check_whole(step: Step, whole: bool) {
        let namespace = Namespace::new("files@1f/sales/00ff");
        assert_eq!(step == Step::Both(Scope::Namespace(namespace)), whole, "{step:?}");
    }

    #[test]
    fn what_covers_the_table_covers_the_dataset() {
        let namespace = Namespace::new("files@1f/sales/00ff");
        for (prefix, whole) in [("", true), ("t", true), ("table", true), ("result?", false), ("js", false)] {
            check_whole(Step::of_prefix(&namespace, prefix.as_bytes()), whole);
        }
        for (key, whole) in [("table", true), ("result?a=eq.1", false), ("json+gzip?", false)] {
            check_whole(Step::of_key(Key::new(&namespace, key.as_bytes())), whole);
        }
    }

    #[test]
    fn keys_of_bodies_are_none_of_tables() {
        assert!(is_of_tables(b"table") && is_of_tables(b"result?a=eq.1"));
        for body in ["json+identity?", "told[]+gzip?", "arrow+zstd?select=table", "tables"] {
            assert!(!is_of_tables(body.as_bytes()), "{body}");
        }
    }
}
