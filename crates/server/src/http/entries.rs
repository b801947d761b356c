//! The entries of both caches as one list, in the order of datasets and keys.
//!
//! A namespace is shown under the name that its dataset is served by. Entries of namespaces that no dataset has any more
//! (of another plugin, another configuration, another schema) are no part of the list: nothing can reach them.

use std::collections::HashSet;
use std::sync::Arc;

use cache_core::{EntryFilter, EntryInfo, Freshness, Namespace, Tiers};
use pipeline::Dataset;

use super::dto::{EntryDto, EntryList};
use super::entry_key::EntryKey;
use crate::problem::Problem;
use crate::state::AppState;

/// Entries of one page, unless the client says how many.
const DEFAULT_LIMIT: usize = 100;
/// The most entries of one page.
const MAX_LIMIT: usize = 1_000;

const PARAMETERS: [&str; 3] = ["limit", "after", "dataset"];

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    after: Option<EntryKey>,
    dataset: Option<String>,
}

impl Page {
    /// Reads a query string.
    ///
    /// # Errors
    /// A parameter that there is not, or a value that it cannot take.
    pub fn read(query: &str) -> Result<Self, Problem> {
        let mut page = Self { limit: DEFAULT_LIMIT, after: None, dataset: None };
        for (name, value) in pipeline::query::params::decode(query).map_err(pipeline::Error::from)? {
            match name.as_str() {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    page.limit = limit.ok_or_else(|| Problem::bad_value("limit", &value, "a number from 1 to 1000"))?;
                }
                "after" => {
                    // No key has a space: it is a plus that was not percent-encoded.
                    let key = EntryKey::parse(&value.replace(' ', "+"));
                    page.after = Some(key.ok_or_else(|| Problem::bad_key("after", &value))?);
                }
                "dataset" => page.dataset = Some(value),
                _ => return Err(Problem::unknown_parameter(&name, &PARAMETERS)),
            }
        }
        Ok(page)
    }
}

/// One page of entries. Blocks.
///
/// # Errors
/// A dataset that there is not.
pub fn list(state: &AppState, page: &Page) -> Result<EntryList, Problem> {
    let catalog = state.pipeline.catalog();
    let datasets: Vec<&Arc<Dataset>> = match &page.dataset {
        Some(name) => vec![catalog.get(name)?],
        None => {
            let in_use = in_use(state);
            catalog.datasets().filter(|dataset| in_use.contains(dataset.namespace.as_str())).collect()
        }
    };
    // One more than asked for tells whether others follow.
    let wanted = page.limit + 1;
    let mut entries = Vec::new();
    for dataset in datasets {
        let after = page.after.as_ref().map(|after| (after, dataset.name.as_ref().cmp(&after.dataset)));
        let after = match after {
            Some((_, std::cmp::Ordering::Less)) => continue,
            Some((after, std::cmp::Ordering::Equal)) => Some(after),
            _ => None,
        };
        entries.extend(of_dataset(state, dataset, after, wanted - entries.len()));
        if entries.len() == wanted {
            break;
        }
    }
    let more = entries.len() == wanted;
    entries.truncate(page.limit);
    let next = entries.last().filter(|_| more).map(|entry| entry.key.clone());
    Ok(EntryList { entries, next })
}

/// The namespaces that have entries, so that those without are not searched.
fn in_use(state: &AppState) -> HashSet<Arc<str>> {
    let in_memory = state.pipeline.tables().usage().into_iter().chain(state.bodies.usage());
    let in_memory = in_memory.map(|used| Arc::from(used.namespace.as_str()));
    in_memory.chain(state.disk.usage().into_iter().map(|used| used.namespace)).collect()
}

/// The entries of a dataset that follow `after`, of both caches, `limit` at most.
fn of_dataset(state: &AppState, dataset: &Dataset, after: Option<&EntryKey>, limit: usize) -> Vec<EntryDto> {
    let filter = |namespace: &Namespace| EntryFilter {
        namespace: Some(namespace.clone()),
        after: after.map(|after| after.within(namespace)),
        limit,
    };
    let filter = filter(&dataset.namespace);
    let tables = state.pipeline.tables().entries(&filter).into_iter().map(|info| ("tables", info));
    let bodies = state.bodies.entries(&filter).into_iter().map(|info| ("bodies", info));
    let mut found: Vec<_> = tables.chain(bodies).collect();
    found.sort_by(|(_, a), (_, b)| a.key.cmp(&b.key));
    found.truncate(limit);
    found.into_iter().map(|(cache, info)| shown(dataset, cache, info)).collect()
}

/// One entry. Blocks.
///
/// # Errors
/// There is no such entry.
pub fn find(state: &AppState, text: &str) -> Result<(cache_core::Key, EntryDto), Problem> {
    let missing = || Problem::entry_not_found(text);
    let name = EntryKey::parse(text).ok_or_else(missing)?;
    let catalog = state.pipeline.catalog();
    let dataset = catalog.get(&name.dataset).map_err(|_| missing())?;
    let key = name.within(&dataset.namespace);
    let in_tables = || Some(("tables", state.pipeline.tables().entry(&key)?));
    let in_bodies = || Some(("bodies", state.bodies.entry(&key)?));
    let (cache, info) = in_tables().or_else(in_bodies).ok_or_else(missing)?;
    let entry = shown(dataset, cache, info);
    Ok((key, entry))
}

fn shown(dataset: &Dataset, cache: &str, info: EntryInfo) -> EntryDto {
    EntryDto {
        key: EntryKey::new(&dataset.name, info.key.bytes(), info.key.version()).to_string(),
        cache: cache.to_owned(),
        dataset: dataset.name.to_string(),
        tier: tier_name(info.tier).to_owned(),
        state: state_name(info.freshness).to_owned(),
        age_seconds: info.age.as_secs_f64(),
        ttl_seconds: info.freshness_ms as f64 / 1e3,
        bytes: info.bytes,
        stored_bytes: info.stored_bytes,
        hits: info.hits.into(),
        cost_ms: info.cost.as_secs_f64() * 1e3,
        tags: shown_tags(info.tags.iter()),
    }
}

/// The tags that people gave: not the one that stands for the dataset's name.
pub fn shown_tags<'a>(tags: impl Iterator<Item = &'a Arc<str>>) -> Vec<String> {
    tags.filter(|tag| !tag.contains(':')).map(ToString::to_string).collect()
}

/// The name of a tier in answers.
pub fn tier_name(tier: Tiers) -> &'static str {
    match tier {
        Tiers::Memory => "memory",
        Tiers::Disk => "disk",
        Tiers::Both => "both",
    }
}

/// The name of a state in answers.
pub fn state_name(state: Freshness) -> &'static str {
    match state {
        Freshness::Fresh => "fresh",
        Freshness::Stale => "stale",
        Freshness::Expired => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, limit: usize, after: Option<(&str, &str, u64)>, dataset: Option<&str>) {
        let after = after.map(|(dataset, bytes, version)| EntryKey::new(dataset, bytes.as_bytes(), version));
        let expected = Page { limit, after, dataset: dataset.map(str::to_owned) };
        assert_eq!(Page::read(query).unwrap(), expected, "{query}");
    }

    #[test]
    fn a_page_is_read_from_the_query_string() {
        check("", 100, None, None);
        check("limit=1000&dataset=sales", 1000, None, Some("sales"));
        check("after=sales%2Fjson%2Bgzip%3Fa%3Deq.1%407", 100, Some(("sales", "json+gzip?a=eq.1", 7)), None);
        check("after=sales/json+gzip?a=eq.1", 100, Some(("sales", "json+gzip?a=eq.1", 0)), None);
    }

    #[test]
    fn a_page_that_makes_no_sense_is_refused_with_the_parameter() {
        for (query, code) in [
            ("limit=0", "bad_value"),
            ("limit=1001", "bad_value"),
            ("limit=many", "bad_value"),
            ("after=sales", "bad_key"),
            ("offset=3", "unknown_parameter"),
        ] {
            let problem = Page::read(query).unwrap_err();
            assert!(problem.to_string().starts_with(code), "{query}: {problem}");
        }
    }
}
