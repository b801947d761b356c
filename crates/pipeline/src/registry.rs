//! The sources of a pipeline, what each offers, and the catalog that follows from both.
//!
//! Sources are asked each in a thread of its own, and a new catalog is published as each answers: one
//! that hangs delays its own datasets and no others.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use plugin_sdk::{CancelToken, Context};

use crate::catalog::{Catalog, Offers, SourceHandle, ask};
use crate::dataset::Dataset;
use crate::policy::Policy;

/// How long [`Registry::publish`] waits for answers; later ones are published as they come.
const PATIENCE: Duration = Duration::from_secs(10);

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
    handles: Vec<SourceHandle>,
    /// By identity of the source.
    offers: HashMap<Arc<str>, Offers>,
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
            known.handles = handles.to_vec();
            known.offers.retain(|identity, _| handles.iter().any(|handle| handle.identity == *identity));
            self.rebuild(&known);
            let unknown = |handle: &&SourceHandle| which == Ask::All || !known.offers.contains_key(&handle.identity);
            handles.iter().filter(unknown).cloned().collect()
        };
        let (send, answered) = mpsc::channel();
        for handle in to_ask {
            let (this, send) = (Arc::clone(self), send.clone());
            let name = format!("ask-{}", handle.name);
            let asking = std::thread::Builder::new().name(name).spawn(move || {
                this.ask(&handle);
                // The publisher may have stopped waiting.
                let _ = send.send(());
            });
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

    fn ask(&self, handle: &SourceHandle) {
        let context = || Context::detached("catalog", Some(Instant::now() + self.describe_timeout), CancelToken::new());
        let offers = ask(handle, &context);
        let mut known = self.known.lock();
        if known.handles.iter().any(|present| present.identity == handle.identity) {
            known.offers.insert(handle.identity.clone(), offers);
            self.rebuild(&known);
        }
    }

    /// The source of `dataset` says that it has this schema now.
    pub(crate) fn adopt_schema(&self, dataset: &Dataset, schema: SchemaRef) {
        let mut known = self.known.lock();
        let offers = known.offers.get_mut(&dataset.source_identity);
        let offered = offers.into_iter().flatten().find(|offered| offered.name == dataset.source_dataset);
        // Another load may have seen the change first, or the dataset may be gone.
        if let Some(offered) = offered.filter(|offered| offered.schema.as_ref().is_ok_and(|old| *old != schema)) {
            offered.schema = Ok(schema);
            self.rebuild(&known);
        }
    }

    fn rebuild(&self, known: &Known) {
        let previous = self.catalog.load_full();
        let catalog = Arc::new(Catalog::build(&known.handles, &known.offers, self.base, &previous));
        self.catalog.store(Arc::clone(&catalog));
        (self.listener)(&previous, &catalog);
    }
}
