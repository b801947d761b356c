//! The set of plugins: what is in the folder, what is being tried, what serves.
//!
//! Invariants:
//! 1. What is published has answered a probe. A newer version takes its place at once; one that
//!    fails leaves it alone.
//! 2. Each file state is tried once, until a person asks again.
//! 3. Loads run on threads of their own: one that hangs delays no other.
//! 4. Subscribers are called on one thread of their own, with no lock held, after the change can be
//!    seen. They may call the host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use plugin_sdk::{CancelToken, DataSource, Dataset};

use crate::announce::{Announcer, Change, Subscriber};
use crate::discover::{Candidate, Eyes, look};
use crate::error::{Error, Result};
use crate::instance::WorkerSource;
use crate::loading::{Attempt, Loaded, Loader};
use crate::options::HostOptions;
use crate::slot::Slot;
use crate::status::{PluginStatus, Step};
use crate::store::Store;
use crate::watch;

/// How long a reload waits for files that are still being written.
const SETTLE: Duration = Duration::from_secs(2);

/// The time between two looks while files are waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How long the workers may take to leave at shutdown; their keepers kill them before.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Looks in a row that must miss a file before its plugin goes: a replacement may be a moment late.
const MISSES: u32 = 2;

/// A plugin's instance that serves.
pub struct Instance {
    /// Its name.
    pub name: Arc<str>,
    /// Hash of library and configuration, in hexadecimal: what is cached of one is not of another.
    pub identity: String,
    /// What it is, for people.
    pub description: String,
    /// File name of its library.
    pub library: String,
    /// The source.
    pub source: Arc<dyn DataSource>,
    /// What it offered when it was probed.
    pub datasets: Vec<Dataset>,
    /// The sidecar's policy for all its datasets, untouched.
    pub policy: toml::Table,
    /// The sidecar's policies by dataset, untouched.
    pub dataset_policies: BTreeMap<String, toml::Table>,
    /// How many versions of it were published, this one included.
    pub generation: u64,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The plugins of one folder.
#[derive(Debug)]
pub struct PluginHost {
    core: Arc<Core>,
    watcher: Mutex<Option<JoinHandle<()>>>,
}

pub(crate) struct Core {
    options: HostOptions,
    store: Store,
    eyes: Mutex<Eyes>,
    /// Why the last look failed.
    look_failure: Mutex<Option<String>>,
    state: Mutex<State>,
    /// A load ended, or the host is shutting down.
    changed: Condvar,
    published: RwLock<Arc<[Arc<Instance>]>>,
    announcer: Arc<Announcer>,
    cancel: CancelToken,
    next_attempt: AtomicU64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    /// Every source that may have a worker.
    sources: Vec<Weak<WorkerSource>>,
    is_shut_down: bool,
}

impl PluginHost {
    /// A host that has looked at its folder once and watches it from now on. What it found is still
    /// being tried; [`settle`](Self::settle) waits for it.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Thread`].
    pub fn new(options: HostOptions) -> Result<Self> {
        let store = Store::open(&options.store_dir).map_err(Error::Store)?;
        let watch_every = options.watch_every;
        let core = Arc::new(Core {
            options,
            store,
            eyes: Mutex::default(),
            look_failure: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            published: RwLock::new(Arc::new([])),
            announcer: Announcer::start()?,
            cancel: CancelToken::new(),
            next_attempt: AtomicU64::new(1),
        });
        core.look();
        let watcher = watch_every.map(|every| watch::start(&core, every)).transpose()?;
        Ok(Self { core, watcher: Mutex::new(watcher) })
    }

    /// The instances that serve, by name.
    pub fn sources(&self) -> Arc<[Arc<Instance>]> {
        self.core.published.read().clone()
    }

    /// Has `subscriber` called after changes of [`sources`](Self::sources), on a thread of its own:
    /// what changes during a call is told in the next one.
    pub fn subscribe(&self, subscriber: Subscriber) {
        self.core.announcer.subscribe(subscriber);
    }

    /// How each plugin stands, by name.
    pub fn statuses(&self) -> Vec<PluginStatus> {
        self.core.state.lock().slots.iter().map(|(name, slot)| slot.status(name)).collect()
    }

    /// Waits until every file in the folder has been tried, or until `timeout` is over; says
    /// whether it is so.
    pub fn settle(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        self.core.settle(until) && self.core.wait_loaded(until)
    }

    /// Looks at the folder now, tries again what failed or is quarantined, and waits for the outcome.
    ///
    /// # Errors
    /// [`Error::ShutDown`].
    pub fn reload(&self) -> Result<Vec<PluginStatus>> {
        let core = &self.core;
        core.reconcile(true);
        core.settle(Instant::now() + SETTLE);
        let limits = &core.options.limits;
        core.wait_loaded(Instant::now() + limits.open_timeout + limits.probe_timeout + limits.exit_grace);
        if core.state.lock().is_shut_down { Err(Error::ShutDown) } else { Ok(self.statuses()) }
    }

    /// Forgets the crashes of a plugin, so that it is no longer quarantined.
    ///
    /// # Errors
    /// [`Error::UnknownPlugin`].
    pub fn reset(&self, name: &str) -> Result<()> {
        let state = self.core.state.lock();
        let slot = state.slots.get(name).ok_or_else(|| Error::UnknownPlugin(name.to_owned()))?;
        if let Some(serving) = &slot.serving {
            serving.loaded.source.reset();
        }
        Ok(())
    }

    /// Stops watching and ends all workers, within two seconds. Calls fail from here on.
    pub fn shutdown(&self) {
        let core = &self.core;
        core.cancel.cancel();
        let sources: Vec<_> = {
            let mut state = core.state.lock();
            state.is_shut_down = true;
            state.sources.iter().filter_map(Weak::upgrade).collect()
        };
        core.changed.notify_all();
        core.announcer.end();
        let until = Instant::now() + SHUTDOWN;
        sources.iter().for_each(|source| source.close());
        if let Some(watcher) = self.watcher.lock().take() {
            // It only sleeps and looks; a panic in it has been reported where it happened.
            let _ = watcher.join();
        }
        let gone = sources.iter().filter(|source| source.wait_closed(until)).count();
        if gone < sources.len() {
            tracing::error!("{} workers did not leave", sources.len() - gone);
        }
    }
}

impl Drop for PluginHost {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.announcer.end();
    }
}

impl Core {
    /// Sleeps; false when the host was shut down.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while !state.is_shut_down {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return !state.is_shut_down;
            }
        }
        false
    }

    /// Looks until no file is being written; false when that was not before `until`.
    fn settle(self: &Arc<Self>, until: Instant) -> bool {
        loop {
            if self.reconcile(false) {
                return true;
            }
            if Instant::now() >= until || !self.sleep(BETWEEN_LOOKS) {
                return false;
            }
        }
    }

    fn wait_loaded(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.is_shut_down && state.slots.values().any(|slot| slot.loading.is_some()) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return state.slots.values().all(|slot| slot.loading.is_none());
            }
        }
        true
    }

    /// One look at the folder, and what follows from it.
    pub(crate) fn look(self: &Arc<Self>) {
        self.reconcile(false);
    }

    /// Looks, starts what is new, retires what is gone; with `again` also tries what failed. Says
    /// whether no file is being written.
    fn reconcile(self: &Arc<Self>, again: bool) -> bool {
        let (candidates, change) = {
            let mut eyes = self.eyes.lock();
            let (folder, exposure) = (&self.options.plugins_dir, self.options.exposure);
            let found = match look(folder, exposure, self.options.max_plugins) {
                Ok(found) => found,
                Err(error) => {
                    // What serves goes on; the next look may work.
                    self.note_look(Some(error.to_string()));
                    return true;
                }
            };
            self.note_look(None);
            let candidates = eyes.candidates(found, folder, exposure);
            let change = self.forget_missing(&candidates);
            (candidates, change)
        };
        self.announcer.tell(change);
        let is_settled = candidates.iter().all(|candidate| candidate.is_settled);
        for candidate in candidates {
            self.consider(candidate, again);
        }
        is_settled
    }

    /// Looks are many: their failure is told when it begins, changes or ends.
    fn note_look(&self, failure: Option<String>) {
        let mut last = self.look_failure.lock();
        if *last == failure {
            return;
        }
        match &failure {
            Some(error) => tracing::warn!("cannot look at the plugin folder: {error}"),
            None => tracing::info!("the plugin folder can be looked at again"),
        }
        *last = failure;
    }

    fn forget_missing(&self, candidates: &[Candidate]) -> Change {
        let mut state = self.state.lock();
        let mut change = Change::default();
        state.slots.retain(|name, slot| {
            let is_there = candidates.iter().any(|candidate| candidate.name == *name);
            slot.misses = if is_there { 0 } else { slot.misses + 1 };
            if slot.misses < MISSES {
                return true;
            }
            tracing::info!(plugin = &**name, "plugin '{name}' was removed");
            if let Some(serving) = &slot.serving {
                serving.loaded.source.retire();
                change.removed.push(name.clone());
            }
            false
        });
        self.publish(&state, &change);
        change
    }

    /// Starts an attempt if the candidate's files are another state than the one that was tried.
    fn consider(self: &Arc<Self>, candidate: Candidate, again: bool) {
        let mut state = self.state.lock();
        if state.is_shut_down || !candidate.is_settled {
            return;
        }
        if let Some(slot) = state.slots.get(&candidate.name) {
            let is_worth_it = slot.candidate != candidate || (again && slot.is_in_trouble());
            if slot.loading.is_some() || !is_worth_it {
                return;
            }
        }
        let number = self.next_attempt.fetch_add(1, Ordering::Relaxed);
        let name = candidate.name.clone();
        let slot = state.slots.entry(name.clone()).or_insert_with(|| Slot::new(candidate.clone()));
        slot.candidate = candidate.clone();
        slot.loading = Some(number);
        let serving = slot.serving.as_ref().map(|serving| serving.loaded.clone());
        drop(state);
        let core = Arc::clone(self);
        let spawned = std::thread::Builder::new().name(format!("load-{name}")).spawn(move || {
            let attempt = core.attempt(&candidate, serving);
            core.conclude(&candidate, number, attempt);
        });
        if let Err(error) = spawned {
            let steps = vec![Step::failed("load", format!("no thread can be started: {error}"))];
            let mut state = self.state.lock();
            if let Some(slot) = state.slots.get_mut(&name) {
                slot.attempt = Attempt { steps, ..Attempt::default() };
                slot.loading = None;
            }
        }
    }

    fn attempt(&self, candidate: &Candidate, serving: Option<Loaded>) -> Attempt {
        let on_source = |source: &Arc<WorkerSource>| {
            let mut state = self.state.lock();
            state.sources.retain(|source| source.strong_count() > 0);
            state.sources.push(Arc::downgrade(source));
            if state.is_shut_down {
                source.close();
            }
        };
        let (options, store, cancel) = (&self.options, &self.store, &self.cancel);
        Loader { options, store, cancel, serving, on_source: &on_source }.load(candidate)
    }

    /// Puts the outcome of an attempt in its place.
    fn conclude(&self, candidate: &Candidate, number: u64, mut attempt: Attempt) {
        let name = &candidate.name;
        match attempt.error() {
            Some(error) => tracing::warn!(plugin = &**name, "plugin '{name}' failed: {error}"),
            None => tracing::info!(plugin = &**name, "plugin '{name}' {} is loaded", attempt.manifest.version),
        }
        let mut state = self.state.lock();
        let mut change = Change::default();
        let loaded = attempt.loaded.take();
        match state.slots.get_mut(name).filter(|slot| slot.loading == Some(number)) {
            Some(slot) => {
                slot.loading = None;
                if let Some(loaded) = loaded {
                    let list = if slot.serving.is_some() { &mut change.replaced } else { &mut change.added };
                    list.push(name.clone());
                    slot.serve(candidate, &attempt, loaded);
                }
                slot.attempt = attempt;
            }
            // The file went while it was tried.
            None => drop(loaded),
        }
        self.publish(&state, &change);
        drop(state);
        self.announcer.tell(change);
        self.changed.notify_all();
    }

    fn publish(&self, state: &State, change: &Change) {
        if !change.is_empty() {
            let serving = state.slots.values().filter_map(|slot| slot.serving.as_ref());
            *self.published.write() = serving.map(|serving| Arc::clone(&serving.instance)).collect();
        }
    }
}
