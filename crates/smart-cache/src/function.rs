//! One cached function: its store, its flights, its counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Key, NotDurable, Peek, Scope};

use crate::call::Missed;
use crate::flight::{Flights, Want};
use crate::kept::Persistable;
use crate::key::KeyWriter;
use crate::persistence::{self, MEMORY};
use crate::registry::{self, Registered};
use crate::stats::{FunctionStats, Persistence};
use crate::store::Store;

/// What the attribute says, as generated code hands it over.
pub struct Settings {
    /// The path of the function.
    pub name: Arc<str>,
    /// How long a result is served.
    pub ttl: Duration,
    /// How many results are kept.
    pub max_entries: u64,
    /// How long a result is served while it is loaded again.
    pub stale: Duration,
    /// How long a result stands in for an error.
    pub stale_if_error: Duration,
    /// The version of what is persisted.
    pub version: u64,
    /// The fingerprint of the function: see [`source`](crate::source::source).
    pub source: u64,
}

impl Settings {
    /// The name of the cache in the tier.
    pub(crate) fn persisted_name(&self) -> String {
        format!("{}@{:016x}", self.name, self.source)
    }
}

/// One cached function. It lives as long as the process does.
pub struct Function<V: 'static> {
    name: Arc<str>,
    /// None if the cache could not be opened.
    pub(crate) store: Option<Store<V>>,
    pub(crate) flights: Flights<V>,
    pub(crate) counts: Counts,
    pub(crate) has_stale_if_error: bool,
    persistence: Persistence,
    problem: Option<String>,
}

/// What the store does not count.
#[derive(Default)]
pub(crate) struct Counts {
    /// Runs of the body.
    pub(crate) runs: AtomicU64,
    /// Of these: with a result that is not stored.
    pub(crate) not_stored: AtomicU64,
    /// Runs that ended without a result: panics and cancelled futures.
    pub(crate) unfinished: AtomicU64,
    /// Calls that took the result of another one's run.
    pub(crate) joined: AtomicU64,
    pub(crate) stale_serves: AtomicU64,
    pub(crate) stale_on_error: AtomicU64,
    pub(crate) refreshes_skipped: AtomicU64,
    /// Looks into the tier, each of which the store counts as a read of its own.
    pub(crate) looks_on_disk: AtomicU64,
    /// The time that the runs took, in nanoseconds.
    pub(crate) run_nanos: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl<V: Clone + Send + Sync + 'static> Function<V> {
    /// Opens the cache of a function.
    pub fn open(settings: Settings) -> &'static Self {
        let store = Store::open(&settings, &MEMORY);
        Self::registered(settings, store, Persistence::Off, None)
    }

    /// Opens the cache of a function whose results are persisted.
    pub fn open_persisted(settings: Settings) -> &'static Self
    where
        V: Persistable,
    {
        let in_memory = |settings: Settings, persistence, problem| {
            let store = Store::open(&settings, &MEMORY);
            Self::registered(settings, store, persistence, Some(problem))
        };
        let base = match persistence::asked_by(&settings.name) {
            Ok(base) => base,
            Err(reason) => return in_memory(settings, Persistence::NoTier, reason.to_string()),
        };
        if !base.take(&settings.persisted_name()) {
            let why = "persist results: a function of the same path and the same source persists its own already";
            return in_memory(settings, Persistence::NameTaken, why.to_owned());
        }
        let store = Store::open_persisted(&settings, &base);
        Self::registered(settings, store, Persistence::Tier, None)
    }

    fn registered(
        settings: Settings,
        store: Result<Store<V>, cache_core::Error>,
        persistence: Persistence,
        problem: Option<String>,
    ) -> &'static Self {
        let (store, problem) = match store {
            Ok(store) => (Some(store), problem),
            Err(error) => (None, Some(error.to_string())),
        };
        // Generated code keeps it in a static; a leak is what gives the flights and the registry the same lifetime.
        let function: &'static Self = Box::leak(Box::new(Self {
            name: settings.name,
            store,
            flights: Flights::new(),
            counts: Counts::default(),
            has_stale_if_error: !settings.stale_if_error.is_zero(),
            persistence,
            problem,
        }));
        registry::register(function);
        function
    }

    /// The stored result of a call, or what is needed to come by one.
    ///
    /// # Errors
    /// There is no fresh result in memory.
    #[inline]
    pub fn hit(&'static self, write: impl FnOnce(&mut KeyWriter)) -> Result<V, Missed<V>> {
        let Some(store) = &self.store else { return Err(Missed::new(self, None, Want::Result)) };
        let found = KeyWriter::written(write, |bytes| match store.get(bytes) {
            Some(hit) => Ok(hit.into_value()),
            None => Err(store.key(bytes)),
        });
        match found {
            Some(Ok(value)) => Ok(value),
            Some(Err(key)) => Err(Missed::new(self, Some(key), Want::Result)),
            None => Err(Missed::new(self, None, Want::Result)),
        }
    }

    /// The key of a call. `None` if it has none, and so no result.
    pub fn key(&self, write: impl FnOnce(&mut KeyWriter)) -> Option<Key> {
        let store = self.store.as_ref()?;
        KeyWriter::written(write, |bytes| store.key(bytes))
    }

    /// A call that runs the body in any case.
    pub fn refresh(&'static self, key: Option<Key>) -> Missed<V> {
        Missed::new(self, key, Want::Anew)
    }

    /// What is stored, with its age.
    pub fn peek(&self, key: Option<Key>) -> Option<Peek<V>> {
        self.store.as_ref()?.peek(&key?)
    }

    /// Forgets one result. Blocks while that is made durable.
    ///
    /// # Errors
    /// It is forgotten in this process, but may not be in the next one.
    pub fn invalidate(&self, key: Option<Key>) -> Result<(), NotDurable> {
        let (Some(store), Some(key)) = (&self.store, key) else { return Ok(()) };
        let scope = Scope::Key(key.clone());
        let outcome = store.invalidate_blocking(&scope);
        self.flights.detach(&key);
        outcome
    }

    /// As [`Function::invalidate`], without blocking an async thread.
    ///
    /// # Errors
    /// As there.
    pub async fn invalidate_async(&self, key: Option<Key>) -> Result<(), NotDurable> {
        let (Some(store), Some(key)) = (&self.store, key) else { return Ok(()) };
        let outcome = store.invalidate(Scope::Key(key.clone())).await;
        self.flights.detach(&key);
        outcome
    }

    /// Forgets all results. Blocks while that is made durable.
    ///
    /// # Errors
    /// They are forgotten in this process, but may not be in the next one.
    pub fn clear(&self) -> Result<(), NotDurable> {
        let Some(store) = &self.store else { return Ok(()) };
        let outcome = store.invalidate_blocking(&store.all());
        self.forget(None);
        outcome
    }

    /// As [`Function::clear`], without blocking an async thread.
    ///
    /// # Errors
    /// As there.
    pub async fn clear_async(&self) -> Result<(), NotDurable> {
        let Some(store) = &self.store else { return Ok(()) };
        let outcome = store.invalidate(store.all()).await;
        self.forget(None);
        outcome
    }

    /// What it has done and what it holds.
    pub fn stats(&self) -> FunctionStats {
        let store = self.store.as_ref().map(Store::stats).unwrap_or_default();
        FunctionStats::new(Arc::clone(&self.name), self.persistence, self.problem.clone(), &store, &self.counts)
            .with_running(self.flights.len())
    }
}

impl<V: Clone + Send + Sync + 'static> Registered for Function<V> {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn stats(&self) -> FunctionStats {
        Function::stats(self)
    }

    fn forget(&self, tag: Option<&str>) {
        match tag {
            Some(tag) => self.flights.detach_tag(tag),
            None => self.flights.detach_all(),
        }
        if let Some(store) = &self.store {
            store.sweep();
        }
    }
}
