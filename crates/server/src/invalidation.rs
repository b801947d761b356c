//! Invalidations that people ask for: what they name, as scopes of the caches.
//!
//! A dataset, a tag and everything reach both caches through the stamps that these share. A key and a prefix name entries
//! of one cache; where that is the cache of tables, the bodies of the dataset go too, because they are made of what went.
//! The whole table is the dataset: a body that is being made of it must not be kept either, and only a stamp reaches that.

use std::sync::Arc;

use actix_web::web::block;
use cache_core::{Key, Namespace, NotDurable, Scope};
use pipeline::{Catalog, Dataset};

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
    let (steps, datasets) = plan(&catalog, target)?;
    let mut outcome = Ok(state.bodies.stamps().counter());
    for step in steps {
        outcome = all(outcome, run(state, step).await);
    }
    sweep(state).await;
    let stamp = outcome?;
    outlives(state)?;
    Ok(Invalidated { stamp, datasets: datasets.iter().map(|dataset| dataset.name.to_string()).collect() })
}

/// Drops one entry.
///
/// # Errors
/// It holds, but is not durable.
pub async fn drop_entry(state: &Arc<AppState>, key: Key) -> Result<(), Problem> {
    let outcome = run(state, Step::of_key(key)).await;
    sweep(state).await;
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

/// The steps of an invalidation, and the datasets that it touches.
fn plan<'a>(catalog: &'a Catalog, target: &Target) -> Result<(Vec<Step>, Vec<&'a Arc<Dataset>>), Problem> {
    let whole = |dataset: &Arc<Dataset>| Step::Both(Scope::Namespace(dataset.namespace.clone()));
    Ok(match target {
        Target::All => (vec![Step::Both(Scope::All)], catalog.datasets().collect()),
        Target::Dataset(name) => {
            let dataset = catalog.get(name)?;
            (vec![whole(dataset)], vec![dataset])
        }
        Target::Tag(tag) => {
            let tagged = catalog.datasets().filter(|dataset| dataset.tags.iter().any(|own| **own == **tag));
            (vec![Step::Both(Scope::Tag(tag.as_str().into()))], tagged.collect())
        }
        Target::Prefix(prefix) => match prefix.split_once('/') {
            None => {
                let named: Vec<_> = catalog.datasets().filter(|dataset| dataset.name.starts_with(&**prefix)).collect();
                (named.iter().map(|dataset| whole(dataset)).collect(), named)
            }
            Some((name, begin)) => {
                let named: Vec<_> = catalog.datasets().filter(|dataset| *dataset.name == *name).collect();
                let keys = |dataset: &&Arc<Dataset>| Step::of_prefix(&dataset.namespace, begin.as_bytes());
                (named.iter().map(keys).collect(), named)
            }
        },
        Target::Key(text) => {
            let key = EntryKey::parse(text).ok_or_else(|| Problem::bad_key("key", text))?;
            let dataset = catalog.get(&key.dataset)?;
            (vec![Step::of_key(key.within(&dataset.namespace))], vec![dataset])
        }
    })
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
const TABLE: &[u8] = b"table";
/// The key of the mark that a table is too large to be kept whole.
const MARK: &[u8] = b"too large";
/// How the other keys of the cache of tables begin: results of queries.
const RESULT: &[u8] = b"result?";

/// Whether a key is one of the cache of tables.
pub fn is_of_tables(key: &[u8]) -> bool {
    key == TABLE || key == MARK || key.starts_with(RESULT)
}

/// Whether keys of the cache of tables may begin so.
pub fn touches_tables(prefix: &[u8]) -> bool {
    [TABLE, MARK, RESULT].iter().any(|key| key.starts_with(prefix)) || prefix.starts_with(RESULT)
}

/// Gives back the memory of what is not served any more.
async fn sweep(state: &Arc<AppState>) {
    let state = Arc::clone(state);
    let swept = block(move || state.pipeline.tables().sweep() + state.bodies.sweep()).await;
    if let Err(error) = swept {
        tracing::warn!(error = %error, "invalidated entries keep their memory for now: {error}");
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
        for yes in ["", "t", "table", "too", "r", "result?", "result?a=eq.1"] {
            check(yes, true);
        }
        for no in ["json", "tables", "told[", "csv+gzip?", "results"] {
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
        for (prefix, whole) in
            [("", true), ("t", true), ("table", true), ("too", false), ("result?", false), ("js", false)]
        {
            check_whole(Step::of_prefix(&namespace, prefix.as_bytes()), whole);
        }
        for (key, whole) in [("table", true), ("too large", false), ("result?a=eq.1", false), ("json+gzip?", false)] {
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
