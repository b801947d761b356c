//! The sources of a pipeline, what each offers, and the catalog that follows from both.
//!
//! Sources are asked each in a thread of its own, and a new catalog is published as each answers: one
//! that hangs delays its own datasets and no others. A source that is replaced by another of its name
//! goes on serving until the new one has answered. One that fails for the moment is asked again, at
//! growing intervals, for as long as it is wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::datatypes::SchemaRef;
use parking_lot::{Condvar, Mutex, RwLock};
use plugin_sdk::{CancelToken, Context};

use crate::catalog::{Catalog, Offers, Policies, SourceHandle};
use crate::dataset::Dataset;
use crate::describe::{describe, worth_another_try};
use crate::policy::PolicyOverrides;

/// The first and the longest wait before a source that failed for the moment is asked again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Which sources are asked what they offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Those that were not asked before: a plugin came or was replaced.
    New,
    /// All of them: their data may have changed.
    All,
}

/// Told of a new catalog: the one before, the one of now.
pub(crate) type Listener = Box<dyn Fn(&Catalog, &Catalog) + Send + Sync>;

pub(crate) struct Registry {
    catalog: ArcSwap<Catalog>,
    known: Mutex<Known>,
    all_answered: Condvar,
    policies: RwLock<Policies>,
    describe_timeout: Duration,
    listener: Listener,
}

#[derive(Default)]
struct Known {
    /// What should serve.
    wanted: Vec<SourceHandle>,
    /// What serves, with what it offers: of each name the last one that answered.
    serving: Vec<(SourceHandle, Offers)>,
    /// The last ask of each wanted source, by identity.
    asks: HashMap<Arc<str>, LastAsk>,
    /// How many asks were begun.
    begun: u64,
}

impl Known {
    fn serves(&self, handle: &SourceHandle) -> bool {
        self.serving.iter().any(|(serving, _)| serving.is_same(handle))
    }

    /// A new ask of a source; what an older one brings counts no more.
    fn begin_ask(&mut self, handle: &SourceHandle) -> u64 {
        self.begun += 1;
        self.asks.insert(handle.identity.clone(), LastAsk { number: self.begun, is_answered: false });
        self.begun
    }

    /// Whether the source is wanted, and this is the last time that it was asked.
    fn is_current(&self, handle: &SourceHandle, number: u64) -> bool {
        self.asks.get(&handle.identity).is_some_and(|ask| ask.number == number)
    }
}

/// Sources that are being asked.
#[must_use]
pub struct Asking(Arc<Registry>);

impl Asking {
    /// Waits until every source has answered once, or for `patience`. Later answers are served as they
    /// come.
    pub fn wait(self, patience: Duration) {
        let mut known = self.0.known.lock();
        let some_left = |known: &mut Known| known.asks.values().any(|ask| !ask.is_answered);
        self.0.all_answered.wait_while_for(&mut known, some_left, patience);
    }
}

/// The last time that a source was asked.
struct LastAsk {
    number: u64,
    is_answered: bool,
}

impl Registry {
    pub(crate) fn new(policies: Policies, describe_timeout: Duration, listener: Listener) -> Self {
        Self {
            catalog: ArcSwap::default(),
            known: Mutex::default(),
            all_answered: Condvar::new(),
            policies: RwLock::new(policies),
            describe_timeout,
            listener,
        }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.catalog.load().generation
    }

    /// Serves these sources from now on, and begins to ask those that are to be asked.
    pub(crate) fn publish(self: &Arc<Self>, handles: &[SourceHandle], which: Ask) -> Asking {
        let to_ask: Vec<(SourceHandle, u64)> = {
            let mut known = self.known.lock();
            known.wanted = handles.to_vec();
            known.serving.retain(|(serving, _)| handles.iter().any(|handle| handle.name == serving.name));
            for (serving, _) in &mut known.serving {
                // The same source may have come back with other policies.
                if let Some(handle) = handles.iter().find(|handle| handle.is_same(serving)) {
                    *serving = handle.clone();
                }
            }
            known.asks.retain(|identity, _| handles.iter().any(|handle| handle.identity == *identity));
            self.rebuild(&known);
            let to_ask = |handle: &&SourceHandle| which == Ask::All || !known.asks.contains_key(&handle.identity);
            let to_ask: Vec<SourceHandle> = handles.iter().filter(to_ask).cloned().collect();
            let begin = |handle| {
                let number = known.begin_ask(&handle);
                (handle, number)
            };
            to_ask.into_iter().map(begin).collect()
        };
        for (handle, number) in to_ask {
            self.start(handle, number);
        }
        Asking(Arc::clone(self))
    }

    /// Asks a source that serves what it offers now; meanwhile it serves what it offered before.
    pub(crate) fn ask_again(self: &Arc<Self>, handle: &SourceHandle) {
        let wanted = {
            let mut known = self.known.lock();
            let wanted = known.wanted.iter().find(|wanted| wanted.is_same(handle)).cloned();
            wanted.map(|handle| (known.begin_ask(&handle), handle))
        };
        if let Some((number, handle)) = wanted {
            self.start(handle, number);
        }
    }

    fn start(self: &Arc<Self>, handle: SourceHandle, number: u64) {
        let this = Arc::downgrade(self);
        let name = format!("ask-{}", handle.name);
        let asking = std::thread::Builder::new().name(name).spawn(move || ask_until_answered(&this, &handle, number));
        if let Err(error) = asking {
            tracing::error!(error = %error, "failed to start a thread: {error}");
        }
    }

    /// The sources that serve, with what each offers.
    pub(crate) fn serving(&self) -> Vec<(SourceHandle, Offers)> {
        self.known.lock().serving.clone()
    }

    /// Serves the same datasets under these policies from now on.
    pub(crate) fn set_policies(&self, datasets: BTreeMap<String, PolicyOverrides>) {
        let known = self.known.lock();
        self.policies.write().datasets = datasets;
        self.rebuild(&known);
    }

    /// Serves the same datasets within these bounds from now on: of those without a `max_bytes` of their own, and of all.
    pub(crate) fn set_bounds(&self, max_bytes: u64, most_bytes: u64) {
        let known = self.known.lock();
        {
            let mut policies = self.policies.write();
            if (policies.base.max_bytes, policies.most_bytes) == (max_bytes, most_bytes) {
                return;
            }
            (policies.base.max_bytes, policies.most_bytes) = (max_bytes, most_bytes);
        }
        self.rebuild(&known);
    }

    /// How often a source is asked for its list.
    pub(crate) fn check_interval(&self, handle: &SourceHandle) -> Duration {
        handle.policy.check_interval.unwrap_or(self.policies.read().base.check_interval)
    }

    /// The source has answered, well or not, whoever asked.
    fn answered(&self, handle: &SourceHandle, number: u64) {
        if let Some(ask) = self.known.lock().asks.get_mut(&handle.identity).filter(|ask| ask.number == number) {
            ask.is_answered = true;
        }
        self.all_answered.notify_all();
    }

    /// Asks once and serves the answer; says whether asking again may bring more.
    fn ask(&self, handle: &SourceHandle, ask: u64) -> bool {
        let context = || Context::detached("catalog", Some(Instant::now() + self.describe_timeout), CancelToken::new());
        let answer = describe(handle, &context, |partial| {
            let mut known = self.known.lock();
            // Half an answer is better than none, but not better than what is served in its place.
            let serving = known.serving.iter().find(|(serving, _)| serving.name == handle.name);
            if known.is_current(handle, ask) && serving.is_none_or(|(_, offers)| is_partial(offers)) {
                self.serve(&mut known, handle, partial.clone());
            }
        });
        let mut known = self.known.lock();
        if !known.is_current(handle, ask) {
            return false;
        }
        match answer {
            Ok(offers) => {
                let again = offers.iter().any(|offered| offered.schema.as_ref().is_err_and(worth_another_try));
                self.serve(&mut known, handle, offers);
                again
            }
            // What it offered before is still the best that is known.
            Err(error) if known.serves(handle) => worth_another_try(&error),
            Err(error) => {
                self.serve(&mut known, handle, Offers::new());
                worth_another_try(&error)
            }
        }
    }

    fn serve(&self, known: &mut Known, handle: &SourceHandle, offers: Offers) {
        // The handle of now: its policies may have changed since it was asked.
        let Some(handle) = known.wanted.iter().find(|wanted| wanted.is_same(handle)).cloned() else { return };
        known.serving.retain(|(serving, _)| serving.name != handle.name);
        known.serving.push((handle, offers));
        self.rebuild(known);
    }

    /// Whether the datasets of the newest source of this name are served.
    pub(crate) fn serves(&self, name: &str) -> bool {
        let known = self.known.lock();
        known.wanted.iter().any(|wanted| &*wanted.name == name && known.serves(wanted))
    }

    /// The source of `dataset` says that it has this schema now.
    pub(crate) fn adopt_schema(&self, dataset: &Dataset, schema: SchemaRef) {
        let mut known = self.known.lock();
        let serving = known
            .serving
            .iter_mut()
            .find(|(handle, _)| handle.identity == dataset.source_identity && handle.name == dataset.source_name);
        let offers = serving.into_iter().flat_map(|(_, offers)| offers);
        let offered = offers.into_iter().find(|offered| offered.name == dataset.source_dataset);
        // Another load may have seen the change first, or the dataset may be gone.
        if let Some(offered) = offered.filter(|offered| offered.schema.as_ref().is_ok_and(|old| *old != schema)) {
            offered.schema = Ok(schema);
            self.rebuild(&known);
        }
    }

    fn rebuild(&self, known: &Known) {
        let previous = self.catalog.load_full();
        let catalog = Arc::new(Catalog::build(&known.serving, &self.policies.read(), &previous));
        self.catalog.store(Arc::clone(&catalog));
        (self.listener)(&previous, &catalog);
    }
}

/// Whether a schema is still missing that may come yet.
fn is_partial(offers: &Offers) -> bool {
    offers.iter().any(|offered| offered.schema.as_ref().is_err_and(worth_another_try))
}

/// Asks a source until it has nothing more to say, is not wanted any more, or is asked anew.
fn ask_until_answered(registry: &Weak<Registry>, handle: &SourceHandle, number: u64) {
    let mut wait = RETRY.0;
    while let Some(registry) = registry.upgrade()
        && registry.known.lock().is_current(handle, number)
    {
        let again = registry.ask(handle, number);
        registry.answered(handle, number);
        drop(registry);
        if !again {
            return;
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(RETRY.1);
    }
}
