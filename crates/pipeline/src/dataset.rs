//! One named table of one source, as the pipeline serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use cache_core::Namespace;
use plugin_sdk::{DataSource, Fingerprint};

use crate::check::{Checked, Checks};
use crate::exactness::Exactness;
use crate::policy::{Mode, Policy};
use crate::usage::{Usage, Used};

/// A dataset of the catalog. The facts never change; the state says what was loaded of it.
pub struct Dataset {
    /// The name under which it is served.
    pub name: Arc<str>,
    /// The name that its source knows; the same unless two sources offer one name.
    pub source_dataset: String,
    /// What it holds, for people.
    pub description: String,
    /// Name of the source instance.
    pub source_name: Arc<str>,
    /// The source.
    pub source: Arc<dyn DataSource>,
    /// The schema that queries are bound to.
    pub schema: SchemaRef,
    /// How it is kept.
    pub policy: Policy,
    /// Names under which it can be invalidated together with others.
    pub tags: Arc<[Arc<str>]>,
    /// Identity of what is cached: source identity, dataset, schema. Another plugin, another
    /// configuration or another schema never shares a key.
    pub namespace: Namespace,
    name_tag: Arc<str>,
    /// Identity of the source instance alone.
    pub(crate) source_identity: Arc<str>,
    state: Arc<State>,
}

/// What was learned of a dataset while serving; survives a republished catalog of the same namespace.
#[derive(Debug, Default)]
pub(crate) struct State {
    version: AtomicU64,
    too_large: AtomicBool,
    /// Whether it was looked up if an earlier process had found the dataset too large.
    recalled: AtomicBool,
    pub(crate) checks: Checks,
    usage: Usage,
    exactness: Exactness,
}

impl State {
    pub(crate) fn forget_too_large(&self) {
        self.too_large.store(false, Ordering::Release);
    }
}

impl Dataset {
    pub(crate) fn new(facts: DatasetFacts, state: Arc<State>) -> Self {
        let namespace = namespace_of(&facts.source_identity, &facts.source_dataset, &facts.schema);
        Self {
            name_tag: name_tag(&facts.name),
            name: facts.name,
            source_dataset: facts.source_dataset,
            description: facts.description,
            source_name: facts.source_name,
            source_identity: facts.source_identity,
            source: facts.source,
            schema: facts.schema,
            policy: facts.policy,
            tags: facts.tags,
            namespace,
            state,
        }
    }

    /// Number of the table that is served now; part of the key of all that is made of it. Zero in query mode, where
    /// results have no common age.
    pub fn version(&self) -> u64 {
        match self.mode() {
            Mode::Query => 0,
            _ => self.state.version.load(Ordering::Acquire),
        }
    }

    /// The tags of what is kept of the dataset: its own, and one that stands for its name, whatever identity, configuration
    /// or schema it has. People cannot write that one: it has a colon.
    pub fn item_tags(&self) -> impl Iterator<Item = Arc<str>> {
        self.tags.iter().chain([&self.name_tag]).cloned()
    }

    /// What the source said when it was last asked whether the data has changed; `None` before that, and for a source
    /// that cannot tell.
    pub fn checked(&self) -> Option<Checked> {
        self.state.checks.last()
    }

    /// How it was used so far.
    pub fn used(&self) -> Used {
        self.state.usage.look()
    }

    pub(crate) fn exactness(&self) -> &Exactness {
        &self.state.exactness
    }

    /// The source was asked whether the data has changed, and said this.
    pub(crate) fn answered(&self, fingerprint: Fingerprint) {
        if let Some(changed) = self.state.checks.answered(fingerprint) {
            self.state.usage.check(changed);
        }
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.state.usage
    }

    pub(crate) fn checks(&self) -> &Checks {
        &self.state.checks
    }

    /// Whether this is the first time that somebody wants to know what an earlier process found out.
    pub(crate) fn recall(&self) -> bool {
        self.policy.mode == Mode::Auto && !self.state.recalled.swap(true, Ordering::AcqRel)
    }

    /// The table cache served the data of this number. Loads are numbered as they begin, and the
    /// cache keeps the one that began last, so a smaller number is that of a table on its way out.
    pub(crate) fn set_version(&self, version: u64) {
        self.state.version.fetch_max(version, Ordering::AcqRel);
    }

    /// The mode in force: never [`Mode::Auto`].
    pub fn mode(&self) -> Mode {
        match self.policy.mode {
            Mode::Auto if self.state.too_large.load(Ordering::Acquire) => Mode::Query,
            Mode::Auto => Mode::Table,
            mode => mode,
        }
    }

    /// Whether a scan passed `max_bytes`: then a dataset of mode `auto` goes query by query.
    pub(crate) fn set_too_large(&self, too_large: bool) {
        self.state.too_large.store(too_large, Ordering::Release);
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

/// The facts of a dataset.
pub(crate) struct DatasetFacts {
    pub(crate) name: Arc<str>,
    pub(crate) source_dataset: String,
    pub(crate) description: String,
    pub(crate) source_name: Arc<str>,
    pub(crate) source: Arc<dyn DataSource>,
    pub(crate) schema: SchemaRef,
    pub(crate) policy: Policy,
    pub(crate) tags: Arc<[Arc<str>]>,
    pub(crate) source_identity: Arc<str>,
}

/// The tag of all that was ever kept of the datasets that were served under this name.
pub fn name_tag(name: &str) -> Arc<str> {
    format!("dataset:{name}").into()
}

/// The namespace of all that is cached of a dataset.
pub(crate) fn namespace_of(source_identity: &str, dataset: &str, schema: &SchemaRef) -> Namespace {
    Namespace::new(format!("{source_identity}/{dataset}/{:032x}", schema_fingerprint(schema)))
}

/// A hash of names, types, nullability and metadata of a schema's fields.
fn schema_fingerprint(schema: &SchemaRef) -> u128 {
    // Arrow's Debug form names every part of a type, whatever types there will be.
    let mut text = String::new();
    for field in schema.fields() {
        let mut metadata: Vec<_> = field.metadata().iter().collect();
        metadata.sort();
        text.push_str(&format!("{:?}|{:?}|{}|{metadata:?};", field.name(), field.data_type(), field.is_nullable()));
    }
    xxhash_rust::xxh3::xxh3_128(text.as_bytes())
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("name", &self.name).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
