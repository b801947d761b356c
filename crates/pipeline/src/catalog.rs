//! All datasets of all sources: an immutable snapshot, built anew whenever a source comes, goes or says
//! something new. It is a function of the sources and of what each offers ([`Offers`]), so that a
//! source that is slow to say what it offers holds up nobody else.
//!
//! Names: a dataset is served under the name that its source gave it. When two sources offer one
//! name, the source that comes first by name keeps it and the other's is served as
//! `<source>-<dataset>`, so that the outcome does not depend on the order of loading. A dataset whose
//! schema cannot be had is kept in [`Catalog::broken`] with the reason, and nothing else suffers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use plugin_sdk::{DataSource, Dataset as Offer, SourceError};

use crate::dataset::{Dataset, DatasetFacts, namespace_of};
use crate::error::{Error, closest};
use crate::policy::{Policy, PolicyOverrides};

/// A source, as whoever runs it hands it to the pipeline.
#[derive(Clone)]
pub struct SourceHandle {
    /// Name of the instance.
    pub name: Arc<str>,
    /// Identity of the instance: its own, and another one with another library or configuration.
    pub identity: Arc<str>,
    /// The source.
    pub source: Arc<dyn DataSource>,
    /// Policy settings for all datasets of the source.
    pub policy: PolicyOverrides,
    /// Policy settings of single datasets, by the source's own name for them.
    pub datasets: BTreeMap<String, PolicyOverrides>,
}

impl SourceHandle {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.identity == other.identity
    }
}

/// The policies that do not come with a source.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    /// Of datasets for which nothing else was given.
    pub(crate) base: Policy,
    /// Of single datasets, by the name under which they are served. They win.
    pub(crate) datasets: BTreeMap<String, PolicyOverrides>,
    /// No dataset may keep more than this.
    pub(crate) most_bytes: u64,
}

impl Policies {
    fn of(&self, handle: &SourceHandle, offered: &str, served: &str) -> (Policy, Arc<[Arc<str>]>) {
        let given = [self.datasets.get(served), handle.datasets.get(offered), Some(&handle.policy)];
        let given = given.into_iter().flatten().fold(PolicyOverrides::default(), |strong, weak| strong.or(weak));
        let policy = given.over(self.base);
        if policy.max_bytes > self.most_bytes {
            tracing::warn!(dataset = %served, max_bytes = self.most_bytes,
                "max_bytes of dataset '{served}' is more than the cache of tables can hold: {} is used", self.most_bytes);
        }
        let policy = Policy { max_bytes: policy.max_bytes.min(self.most_bytes), ..policy };
        (policy, given.tags.unwrap_or_default().into())
    }
}

/// A dataset that is offered but cannot be served.
#[derive(Debug, Clone)]
pub struct BrokenDataset {
    /// The name under which it would be served.
    pub name: Arc<str>,
    /// Name of the source instance.
    pub source_name: Arc<str>,
    /// Why.
    pub error: SourceError,
}

/// All datasets at one time.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Grows with every published catalog.
    pub generation: u64,
    datasets: BTreeMap<Arc<str>, Arc<Dataset>>,
    broken: BTreeMap<Arc<str>, BrokenDataset>,
}

impl Catalog {
    /// The datasets that can be served, by name.
    pub fn datasets(&self) -> impl ExactSizeIterator<Item = &Arc<Dataset>> {
        self.datasets.values()
    }

    /// The datasets that are offered but cannot be served.
    pub fn broken(&self) -> impl ExactSizeIterator<Item = &BrokenDataset> {
        self.broken.values()
    }

    /// The dataset of a name.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`], with the closest name there is; [`Error::BrokenDataset`].
    pub fn get(&self, name: &str) -> Result<&Arc<Dataset>, Error> {
        if let Some(dataset) = self.datasets.get(name) {
            return Ok(dataset);
        }
        if let Some(broken) = self.broken.get(name) {
            return Err(Error::BrokenDataset { dataset: broken.name.clone(), source: broken.error.clone() });
        }
        let suggestion = closest(name, self.datasets.keys().map(AsRef::as_ref)).map(str::to_owned);
        Err(Error::UnknownDataset { name: name.to_owned(), suggestion })
    }

    /// The catalog of these sources and what each offers. What `previous` knew of an unchanged dataset
    /// (what is loaded of it) carries over.
    pub(crate) fn build(sources: &[(SourceHandle, Offers)], policies: &Policies, previous: &Catalog) -> Self {
        let mut sources: Vec<_> = sources.iter().collect();
        sources.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let mut catalog = Self { generation: previous.generation + 1, ..Self::default() };
        for (handle, offers) in sources {
            for offered in offers {
                catalog.add(handle, offered, policies, previous);
            }
        }
        catalog
    }

    fn add(&mut self, handle: &SourceHandle, offered: &Offered, policies: &Policies, previous: &Catalog) {
        let Some(name) = self.free_name(&handle.name, &offered.name) else {
            tracing::warn!(source = %handle.name, dataset = %offered.name, "dataset left out: its name is taken twice over");
            return;
        };
        if *name != *offered.name && !previous.datasets.contains_key(&name) {
            tracing::warn!(source = %handle.name, dataset = %offered.name,
                "dataset '{}' of source '{}' is served as '{name}': a source before it by name offers one too",
                offered.name, handle.name);
        }
        let schema = match &offered.schema {
            Ok(schema) => Arc::clone(schema),
            Err(error) => {
                let broken =
                    BrokenDataset { name: name.clone(), source_name: handle.name.clone(), error: error.clone() };
                self.broken.insert(name, broken);
                return;
            }
        };
        let (policy, tags) = policies.of(handle, &offered.name, &name);
        let namespace = namespace_of(&handle.identity, &offered.name, &schema);
        let known = previous.datasets.values().find(|d| d.namespace == namespace);
        let state = known.map(|d| d.state()).unwrap_or_default();
        if known.is_some_and(|known| known.policy.max_bytes < policy.max_bytes) {
            // What did not fit may fit now.
            state.forget_too_large();
        }
        let facts = DatasetFacts {
            name: name.clone(),
            source_dataset: offered.name.clone(),
            description: offered.description.clone(),
            source_name: handle.name.clone(),
            source: handle.source.clone(),
            source_identity: handle.identity.clone(),
            schema,
            policy,
            tags,
        };
        self.datasets.insert(name, Arc::new(Dataset::new(facts, state)));
    }

    fn free_name(&self, source: &str, dataset: &str) -> Option<Arc<str>> {
        [dataset.to_owned(), format!("{source}-{dataset}")]
            .into_iter()
            .find(|name| {
                Offer::is_valid_name(name) && !self.datasets.contains_key(&**name) && !self.broken.contains_key(&**name)
            })
            .map(Arc::from)
    }
}

/// What a source offers.
pub(crate) type Offers = Vec<Offered>;

/// One dataset that a source offers, with its schema or why there is none.
#[derive(Debug, Clone)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) schema: Result<SchemaRef, SourceError>,
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use plugin_sdk::{CancelToken, Context, ErrorCode, Scan, ScanRequest};

    use super::*;

    struct Listed(Vec<&'static str>, DataType);

    impl DataSource for Listed {
        fn datasets(&self, _: &Context) -> plugin_sdk::Result<Vec<Offer>> {
            Ok(self.0.iter().map(|name| Offer::new(*name, "")).collect())
        }
        fn schema(&self, _: &Context, dataset: &str) -> plugin_sdk::Result<SchemaRef> {
            if dataset == "bad" {
                return Err(SourceError::invalid_data("line 3 has 2 fields"));
            }
            Ok(Arc::new(Schema::new(vec![Field::new("a", self.1.clone(), true)])))
        }
        fn scan(&self, _: &Context, _: &ScanRequest) -> plugin_sdk::Result<Scan> {
            Err(SourceError::new(ErrorCode::Unsupported, "never scanned"))
        }
    }

    const BASE: Policy = Policy { max_bytes: 1, ..Policy::DEFAULT };

    fn handle(name: &str, offers: &[&'static str], data_type: DataType) -> SourceHandle {
        SourceHandle {
            name: name.into(),
            identity: format!("id-{name}").into(),
            source: Arc::new(Listed(offers.to_vec(), data_type)),
            policy: PolicyOverrides::default(),
            datasets: BTreeMap::new(),
        }
    }

    fn build(sources: &[SourceHandle], previous: &Catalog) -> Catalog {
        let context = || Context::detached("test", None, CancelToken::new());
        let offer = |handle: &SourceHandle, Offer { name, description }: Offer| Offered {
            schema: handle.source.schema(&context(), &name),
            name,
            description,
        };
        let offers = |handle: &SourceHandle| -> Offers {
            handle.source.datasets(&context()).unwrap().into_iter().map(|o| offer(handle, o)).collect()
        };
        let sources: Vec<_> = sources.iter().map(|handle| (handle.clone(), offers(handle))).collect();
        let policies = Policies { base: BASE, datasets: BTreeMap::new(), most_bytes: u64::MAX };
        Catalog::build(&sources, &policies, previous)
    }

    #[test]
    fn the_first_source_by_name_keeps_a_shared_name_whatever_the_order() {
        let (a, b) = (handle("a", &["t", "x"], DataType::Int64), handle("b", &["t"], DataType::Int64));
        for sources in [[a.clone(), b.clone()], [b, a]] {
            let catalog = build(&sources, &Catalog::default());
            let names: Vec<_> = catalog.datasets().map(|d| (&*d.name, &*d.source_name)).collect();
            assert_eq!(names, [("b-t", "b"), ("t", "a"), ("x", "a")]);
        }
    }

    #[test]
    fn a_broken_dataset_is_kept_with_its_reason_and_harms_nobody() {
        let catalog = build(&[handle("a", &["bad", "good"], DataType::Int64)], &Catalog::default());
        assert!(catalog.get("good").is_ok());
        assert!(matches!(catalog.get("bad"), Err(Error::BrokenDataset { .. })));
        let Err(Error::UnknownDataset { suggestion, .. }) = catalog.get("goood") else { panic!("must be unknown") };
        assert_eq!(suggestion.as_deref(), Some("good"));
    }

    #[test]
    fn state_carries_over_only_while_source_and_schema_are_the_same() {
        let first = build(&[handle("a", &["t"], DataType::Int64)], &Catalog::default());
        first.get("t").unwrap().set_version(7);
        let same = build(&[handle("a", &["t"], DataType::Int64)], &first);
        assert_eq!(same.get("t").unwrap().version(), 7);
        assert_eq!(same.generation, first.generation + 1);
        let other = build(&[handle("a", &["t"], DataType::Utf8)], &same);
        assert_eq!(other.get("t").unwrap().version(), 0);
        assert_ne!(other.get("t").unwrap().namespace, same.get("t").unwrap().namespace);
    }
}
