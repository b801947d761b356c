//! The sources of a pipeline, what each offers, and the catalog that follows from both.
//!
//! Sources are asked each in a thread of its own, and a new catalog is published as each answers: one
//! that hangs delays its own datasets and no others. A source that is replaced by another of its name
//! goes on serving until the new one has answered. One that fails for the moment is asked again, at
//! growing intervals, for as long as it is wanted.

use std::collections::HashSet;
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use plugin_sdk::{CancelToken, Context};

use crate::catalog::{Catalog, Offers, SourceHandle};
use crate::dataset::Dataset;
use crate::describe::{describe, worth_another_try};
use crate::policy::Policy;

/// How long [`Registry::publish`] waits for answers; later ones are published as they come.
const PATIENCE: Duration = Duration::from_secs(10);
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
    base: Policy,
    describe_timeout: Duration,
    listener: Listener,
}

#[derive(Default)]
struct Known {
    /// What should serve.
    wanted: Vec<SourceHandle>,
    /// What serves, with what it offers: of each name the last one that answered.
    serving: Vec<(SourceHandle, Offers)>,
    /// Identities of sources that serve while they have not answered in full.
    partial: HashSet<Arc<str>>,
}

impl Known {
    fn wants(&self, handle: &SourceHandle) -> bool {
        self.wanted.iter().any(|wanted| wanted.identity == handle.identity)
    }

    fn is_partial(&self, handle: &SourceHandle) -> bool {
        self.partial.contains(&handle.identity)
    }

    fn serves(&self, handle: &SourceHandle) -> bool {
        self.serving.iter().any(|(serving, _)| serving.identity == handle.identity)
    }
}

impl Registry {
    pub(crate) fn new(base: Policy, describe_timeout: Duration, listener: Listener) -> Self {
        Self { catalog: ArcSwap::default(), known: Mutex::default(), base, describe_timeout, listener }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.catalog.load().generation
    }

    /// Serves these sources from now on. Blocks until those that are asked have answered, or for ten
    /// seconds.
    pub(crate) fn publish(self: &Arc<Self>, handles: &[SourceHandle], which: Ask) -> Arc<Catalog> {
        let to_ask: Vec<SourceHandle> = {
            let mut known = self.known.lock();
            known.wanted = handles.to_vec();
            known.serving.retain(|(serving, _)| handles.iter().any(|handle| handle.name == serving.name));
            for (serving, _) in &mut known.serving {
                // The same source may have come back with other policies.
                if let Some(handle) = handles.iter().find(|handle| handle.identity == serving.identity) {
                    *serving = handle.clone();
                }
            }
            self.rebuild(&known);
            handles.iter().filter(|handle| which == Ask::All || !known.serves(handle)).cloned().collect()
        };
        let (send, answered) = mpsc::channel();
        for handle in to_ask {
            let (this, send) = (Arc::downgrade(self), send.clone());
            let name = format!("ask-{}", handle.name);
            let asking = std::thread::Builder::new().name(name).spawn(move || ask_until_answered(&this, &handle, send));
            if let Err(error) = asking {
                tracing::error!(error = %error, "failed to start a thread: {error}");
            }
        }
        drop(send);
        let until = Instant::now() + PATIENCE;
        // Ends when all have answered, for then every sender is gone, or when time is over.
        while answered.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
        self.catalog()
    }

    /// Asks once and serves the answer; says whether asking again may bring more.
    fn ask(&self, handle: &SourceHandle) -> bool {
        let context = || Context::detached("catalog", Some(Instant::now() + self.describe_timeout), CancelToken::new());
        let answer = describe(handle, &context, |partial| {
            let mut known = self.known.lock();
            // Half an answer is better than none, but not better than the source that it replaces.
            if !known.serving.iter().any(|(serving, _)| serving.name == handle.name) || known.is_partial(handle) {
                known.partial.insert(handle.identity.clone());
                self.serve(&mut known, handle, partial.clone());
            }
        });
        let mut known = self.known.lock();
        known.partial.remove(&handle.identity);
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
        if known.wants(handle) {
            known.serving.retain(|(serving, _)| serving.name != handle.name);
            known.serving.push((handle.clone(), offers));
            self.rebuild(known);
        }
    }

    /// The source of `dataset` says that it has this schema now.
    pub(crate) fn adopt_schema(&self, dataset: &Dataset, schema: SchemaRef) {
        let mut known = self.known.lock();
        let serving = known.serving.iter_mut().find(|(handle, _)| handle.identity == dataset.source_identity);
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
        let catalog = Arc::new(Catalog::build(&known.serving, self.base, &previous));
        self.catalog.store(Arc::clone(&catalog));
        (self.listener)(&previous, &catalog);
    }
}

/// Asks a source until it has nothing more to say, or is not wanted any more. The sender goes with the
/// first answer.
fn ask_until_answered(registry: &Weak<Registry>, handle: &SourceHandle, answered: mpsc::Sender<()>) {
    let mut answered = Some(answered);
    let mut wait = RETRY.0;
    while let Some(registry) = registry.upgrade()
        && registry.known.lock().wants(handle)
    {
        let again = registry.ask(handle);
        drop(answered.take());
        drop(registry);
        if !again {
            return;
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(RETRY.1);
    }
}
