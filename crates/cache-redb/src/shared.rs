//! What callers and the writer share, and the rules by which they do.
//!
//! Locks are taken in this order, and no input or output is done under any but the first two: `files` (giving up and
//! making anew), `store` (shared by reads and the writer's transactions; alone by whoever closes, opens or compacts),
//! `inner`, the ledger's.
//!
//! The *generation* counts how often everything was given up or opened again. Whatever was begun in an earlier one ends in
//! nothing, and its faults are not those of the file that is open now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use cache_core::{Meta, RecordKey, TierStats};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::backend::Home;
use crate::compact::CompactReport;
use crate::error::Error;
use crate::fault::Fault;
use crate::index::Index;
use crate::ledger::Covered;
use crate::lock::DirLock;
use crate::log::Log;
use crate::name;
use crate::options::TierOptions;
use crate::queue::Queue;
use crate::state::State;
use crate::store::{Store, Tables};
use crate::sweep::{Forget, Sweep, Sweeps};
use crate::watchers::Watchers;

/// The first wait before the file is tried again; it doubles up to [`MAX_BACKOFF`].
pub(crate) const MIN_BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait before the file is tried again.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How often the writer looks whether the time of day is to be noted, and how old the note is then. So the note is
/// never older than twice that, a minute.
pub(crate) const NOTE_EVERY: Duration = Duration::from_secs(30);

/// What callers and the writer share.
pub(crate) struct Shared {
    pub(crate) options: TierOptions,
    pub(crate) home: Box<dyn Home>,
    pub(crate) log: Log,
    pub(crate) files: Mutex<Files>,
    pub(crate) store: RwLock<Option<Store>>,
    pub(crate) inner: Mutex<Inner>,
    /// There is something for the writer.
    pub(crate) work: Condvar,
    /// The writer has done something.
    pub(crate) progress: Condvar,
    /// The latest time of day that was seen, in milliseconds since the Unix epoch.
    pub(crate) seen_ms: AtomicU64,
    /// The latest time of day that the database knows.
    pub(crate) noted_ms: AtomicU64,
    pub(crate) watchers: Watchers,
    /// Let go of last: by the writer, if it ends after the tier.
    pub(crate) _lock: Option<DirLock>,
}

/// What somebody waits for who wants everything to be written that came before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    position: u64,
    generation: u64,
}

/// What is known of the files.
#[derive(Debug)]
pub(crate) struct Files {
    /// What a database has to be followed by to be believed. `None`: the one that is there is none of ours, and is removed
    /// before there is another.
    pub(crate) expected: Option<State>,
}

/// What is in memory.
pub(crate) struct Inner {
    pub(crate) queue: Queue,
    pub(crate) index: Index,
    pub(crate) sweeps: Sweeps,
    pub(crate) service: Service,
    pub(crate) generation: u64,
    pub(crate) counters: Counters,
    /// Who waits for the next compaction.
    pub(crate) compaction: Option<SyncSender<Result<CompactReport, Error>>>,
    /// One that was asked for is under way.
    pub(crate) compacting: bool,
    /// When records are looked for next that are of no more use.
    pub(crate) expire_at: Instant,
    /// The file is longer than it may be.
    pub(crate) compact_wanted: bool,
    /// It is so by so much that nothing else comes first.
    pub(crate) compact_now: bool,
    /// The bytes that records may take: as the options say, or less if the file would become too long.
    pub(crate) budget: u64,
    /// How many records there may be.
    pub(crate) max_entries: usize,
    /// The wait after the next failure.
    pub(crate) backoff: Duration,
    /// Failures since something was written.
    pub(crate) failures: u32,
    pub(crate) closing: bool,
    /// The writer found nothing to do.
    pub(crate) idle: bool,
    pub(crate) file_bytes: u64,
    /// The longest that the file has been since it was opened or compacted.
    pub(crate) longest: u64,
}

/// Whether the tier can be used.
#[derive(Debug)]
pub(crate) enum Service {
    /// Yes.
    Up,
    /// What is stored can be read; writing failed, and is tried again then.
    ReadOnly { reason: String, until: Instant },
    /// No: the file is opened or made anew then.
    Down { fault: Fault, until: Instant },
    /// No: everything was given up, and the file is made anew.
    Abandoned { ready: bool },
    /// No more.
    Closed,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) writes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
    pub(crate) corrupt: u64,
    pub(crate) recoveries: u64,
}

impl Inner {
    /// Whether what is stored can be read.
    pub(crate) fn readable(&self) -> bool {
        matches!(self.service, Service::Up | Service::ReadOnly { .. })
    }

    /// What is stored under a name is to go, if anything is; says whether.
    pub(crate) fn take_out(&mut self, name: &[u8]) -> bool {
        let is_there = self.queue.knows(name) || self.index.find(name).is_some();
        if is_there {
            self.queue.remove(name.into());
            self.idle = false;
        }
        is_there
    }

    /// Whether a round has something to do, but for noting the time of day.
    pub(crate) fn has_work(&self, now: Instant) -> bool {
        let full = self.index.bytes() > self.budget || self.index.len() > self.max_entries;
        !self.queue.is_empty() || !self.sweeps.is_empty() || full || self.expire_at <= now
    }

    /// Looks at the length of the file. Before it is as long as it may be, records have to go although they are within
    /// their budget: what they leave is written to again, so that the file grows no more. Where there is much room again,
    /// there may be more of them.
    pub(crate) fn check_file(&mut self, file_bytes: u64, options: &TierOptions) {
        let (limit, most) = (options.file_limit(), options.record_limit());
        let high = limit - limit / 16;
        // A long file of few records is one to be compacted: after much has been removed, a smaller budget would stay small.
        let is_sparse = self.index.bytes() < file_bytes / 2;
        if file_bytes > high && file_bytes > self.longest && !is_sparse {
            self.budget = self.budget.min(share(self.index.bytes(), high, file_bytes));
        } else if file_bytes < limit / 4 * 3 && self.index.bytes() >= self.budget - self.budget / 16 {
            self.budget = most.min(self.budget + self.budget / 64 + 1);
        }
        self.file_bytes = file_bytes;
        self.longest = self.longest.max(file_bytes);
        self.compact_wanted = file_bytes > limit || (file_bytes > high && is_sparse);
        self.compact_now = file_bytes > limit.saturating_add(limit / 16);
    }

    /// Compacting was enough, or was not.
    pub(crate) fn compacted(&mut self, file_bytes: u64, options: &TierOptions) {
        let limit = options.file_limit();
        self.budget = if file_bytes > limit {
            // A tenth less, so that the next leap of the file does not bring it back here at once.
            share(self.index.bytes(), limit, file_bytes) / 10 * 9
        } else {
            options.record_limit()
        };
        (self.file_bytes, self.longest) = (file_bytes, file_bytes);
        (self.compact_wanted, self.compact_now) = (false, false);
    }

    /// Walks through all rows, and so does what every other walk would do.
    pub(crate) fn sweep_everything(&mut self, log: &Log) {
        let last_tombstone = log.ledger().last_order();
        let position = self.queue.position();
        self.sweeps.push(Sweep::of_everything(position, Forget::UpTo(last_tombstone)), last_tombstone);
    }

    /// The file can be written to again.
    pub(crate) fn back(&mut self) {
        self.service = Service::Up;
        self.counters.recoveries += 1;
        tracing::info!(entries = self.index.len(), "the disk tier is back in service");
    }

    /// The file failed. One that is damaged is put aside at once; nothing is gained by waiting.
    pub(crate) fn go_down(&mut self, fault: Fault) {
        tracing::warn!(reason = fault.reason(), "the disk tier is out of service");
        self.failures += 1;
        self.service = Service::Down { fault, until: Instant::now() };
    }

    /// The file could not be opened: it is tried again later.
    pub(crate) fn stay_down(&mut self, fault: Fault) {
        tracing::warn!(reason = fault.reason(), "the disk tier stays out of service");
        self.failures += 1;
        self.service = Service::Down { fault, until: Instant::now() + self.backoff };
        self.wait_longer();
    }

    /// The next failure is waited for twice as long.
    pub(crate) fn wait_longer(&mut self) {
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
    }

    /// Records were written: whatever failed before is over.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.backoff = MIN_BACKOFF;
    }

    /// Why the tier is out of service.
    pub(crate) fn degraded(&self) -> Option<String> {
        match &self.service {
            Service::Up => None,
            Service::ReadOnly { reason, .. } => Some(reason.clone()),
            Service::Down { fault, .. } => Some(fault.reason()),
            Service::Abandoned { .. } => Some("all records were given up".to_owned()),
            Service::Closed => Some("the tier is closed".to_owned()),
        }
    }

    pub(crate) fn stats(&self) -> TierStats {
        // The struct may grow: it cannot be written down whole outside its crate.
        let mut stats = TierStats::default();
        stats.entries = self.index.len() as u64;
        stats.bytes = self.index.bytes();
        stats.file_bytes = self.file_bytes;
        stats.queued = self.queue.puts() as u64;
        stats.writes = self.counters.writes;
        stats.written_bytes = self.counters.written_bytes;
        stats.dropped = self.counters.dropped;
        stats.evictions = self.counters.evictions;
        stats.expirations = self.counters.expirations;
        stats.corrupt = self.counters.corrupt;
        stats.recoveries = self.counters.recoveries;
        stats.degraded = self.degraded();
        stats
    }
}

/// What records may take, of which so many bytes make a file of this length, so that it has that one.
fn share(records: u64, wanted: u64, file_bytes: u64) -> u64 {
    (u128::from(records) * u128::from(wanted) / u128::from(file_bytes.max(1))) as u64
}

impl Shared {
    pub(crate) fn now_ms(&self) -> u64 {
        (self.options.clock)()
    }

    /// Whether a record may be kept and shown.
    pub(crate) fn is_covered(&self, key: &RecordKey, name: &[u8], meta: &Meta, began: u64) -> bool {
        self.log.ledger().covers(key, name, meta, began)
    }

    /// What the database is to know of the log and the clock.
    pub(crate) fn state(&self) -> State {
        let now_ms = self.now_ms();
        let seen_ms = self.seen_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms);
        self.log.state(seen_ms)
    }

    /// Whether the database is to be told the time of day, though nothing else is: a later process whose clock was set
    /// back since must not take what is here for younger than it is.
    pub(crate) fn is_note_due(&self, inner: &Inner) -> bool {
        let noted_ms = self.noted_ms.load(Ordering::Relaxed);
        inner.index.len() > 0 && self.now_ms() >= noted_ms.saturating_add(NOTE_EVERY.as_millis() as u64)
    }

    /// The database knows this state.
    pub(crate) fn noted(&self, state: &State) {
        self.noted_ms.fetch_max(state.seen_ms, Ordering::Relaxed);
    }

    /// What came so far.
    pub(crate) fn mark(&self) -> Mark {
        let inner = self.inner.lock();
        Mark { position: inner.queue.position(), generation: inner.generation }
    }

    /// Waits until all that came by then is durable.
    ///
    /// # Errors
    /// It may not be, and why.
    pub(crate) fn wait_for(&self, mark: Mark) -> Result<(), String> {
        let is_up = |inner: &Inner| matches!(inner.service, Service::Up) && inner.generation == mark.generation;
        let inner = self.wait_until(|inner| !is_up(inner) || inner.queue.is_done(mark.position));
        match inner.degraded() {
            Some(reason) => Err(reason),
            // It has failed, and is back: what waited then was not written.
            None if !is_up(&inner) => Err("the cache file failed meanwhile, and was opened again".to_owned()),
            None => Ok(()),
        }
    }

    /// Does work in the database in one transaction.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        match &*self.store.read() {
            Some(store) => store.write(work),
            None => Err(Fault::corrupt("it is closed")),
        }
    }

    /// The database failed under a caller or the writer, in this generation.
    pub(crate) fn fail(&self, generation: u64, fault: Fault) {
        let mut inner = self.inner.lock();
        if inner.generation != generation || !inner.readable() {
            return;
        }
        inner.go_down(fault);
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Begins to remove what a change covers.
    pub(crate) fn sweep_for(&self, covered: Covered) {
        if covered == Covered::Nothing {
            return;
        }
        let last_tombstone = self.log.ledger().last_order();
        let mut inner = self.inner.lock();
        let position = inner.queue.position();
        let sweeps: Vec<Sweep> = match covered {
            Covered::Nothing => Vec::new(),
            Covered::Names { begin, order } => vec![Sweep::new(begin, position, Forget::One(order))],
            // What is still on its way in may be of caches that have nothing in the namespace yet.
            // While the database is not open, the index may be an earlier one's.
            Covered::Namespace(_) if !inner.queue.is_done(position) || !inner.readable() => {
                vec![Sweep::of_everything(position, Forget::Nothing)]
            }
            Covered::Namespace(namespace) => {
                let caches = inner.index.caches_of(&namespace);
                let begins = caches.iter().map(|cache| name::of_namespace(cache, &namespace));
                begins.map(|begin| Sweep::new(begin.into(), position, Forget::Nothing)).collect()
            }
            Covered::Anything => vec![Sweep::of_everything(position, Forget::UpTo(last_tombstone))],
        };
        for sweep in sweeps {
            inner.sweeps.push(sweep, last_tombstone);
        }
        inner.idle = false;
        self.work.notify_all();
    }

    /// Gives up all records: first in memory, then on the disk.
    pub(crate) fn abandon(&self) {
        let mut files = self.files.lock();
        {
            let mut inner = self.inner.lock();
            if matches!(inner.service, Service::Closed) {
                return;
            }
            inner.generation += 1;
            inner.queue.clear();
            inner.index = Index::new(self.now_ms());
            inner.sweeps.clear();
            inner.service = Service::Abandoned { ready: false };
            inner.idle = false;
        }
        files.expected = None;
        if let Err(error) = self.home.remove() {
            // A database without its log, or beside another's, is not believed by the next process.
            let removed = self.log.disown().is_ok();
            tracing::error!(%error, log_removed = removed, "the cache file cannot be removed");
        }
        let mut inner = self.inner.lock();
        if matches!(inner.service, Service::Abandoned { .. }) {
            inner.service = Service::Abandoned { ready: true };
        }
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Waits until this is so.
    pub(crate) fn wait_until(&self, mut is_so: impl FnMut(&Inner) -> bool) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        while !is_so(&inner) {
            self.progress.wait(&mut inner);
        }
        inner
    }
}
