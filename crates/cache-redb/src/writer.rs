//! The writer: the one thread that changes the database.
//!
//! It does one thing after another, the most urgent first: make the file anew after everything was given up; open it
//! again, or make it anew, after a failure; compact when asked; then rounds (see [`crate::round`]), each one transaction,
//! as long as there is something waiting, to be removed or to be looked for. When the tier is being closed it writes what
//! waits, and no more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use crate::compact::{self, CompactReport};
use crate::error::Error;
use crate::fault::{Fault, guarded};
use crate::opening::{self, Opened};
use crate::shared::{Files, Inner, Service, Shared};
use crate::state::State;
use crate::store::Store;

/// Failures in a row, with nothing written between them, that are the file's own fault.
const MAX_FAILURES: u32 = 4;

/// The thread's own state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// The first id that no record has had.
    pub(crate) next_id: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Stop,
    MakeAnew,
    Recover,
    Probe,
    Compact,
    Round,
}

/// Closes the tier when the thread ends, however it ends.
struct End(Arc<Shared>);

impl Writer {
    /// Opens the file for the first time. What is in the way is left to the thread, unless it is for good.
    pub(crate) fn begin(&mut self, store: Option<Store>) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let mut files = shared.files.lock();
        let opened = match store {
            Some(store) => opening::load(store, &shared.log, shared.now_ms()),
            None if files.expected.is_some() => self.reopen(&files),
            None => self.make(&mut files),
        };
        let announced = opened.and_then(|opened| {
            self.announce(&opened.store, &mut files)?;
            Ok(opened)
        });
        let opened = match announced {
            Err(Fault::Corrupt(cause)) => self.replace(&mut files, &*cause),
            result => result,
        };
        let mut store = shared.store.write();
        let mut inner = shared.inner.lock();
        match opened {
            Ok(opened) => {
                self.adopt(&mut inner, &mut store, opened);
                inner.service = Service::Up;
            }
            Err(fault) if fault.is_refusal() => return Err(opening::database("open the cache file")(fault)),
            Err(fault) => {
                tracing::warn!(reason = fault.reason(), "the disk tier begins out of service");
                inner.failures += 1;
                inner.service = Service::Down { fault, until: Instant::now() };
            }
        }
        Ok(())
    }

    /// Works until the tier is closed.
    pub(crate) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        loop {
            let (task, generation) = self.next();
            let work = || match task {
                Task::Stop => Ok(()),
                Task::MakeAnew => self.make_anew(generation),
                Task::Recover => self.recover(generation),
                Task::Probe => self.probe(generation),
                Task::Compact => self.compact(),
                Task::Round => self.round(generation),
            };
            // A panic here would be a mistake of this crate: the tier then starts again with an empty file.
            let result = guarded(work);
            if task == Task::Stop {
                break;
            }
            if let Err(fault) = result {
                self.give_back(generation, fault);
            }
        }
        self.take_leave();
    }

    fn next(&self) -> (Task, u64) {
        let mut inner = self.shared.inner.lock();
        loop {
            let now = Instant::now();
            let generation = inner.generation;
            if inner.closing {
                let waiting = matches!(inner.service, Service::Up) && !inner.queue.is_empty();
                return (if waiting { Task::Round } else { Task::Stop }, generation);
            }
            let wake = match &inner.service {
                Service::Abandoned { ready: true } => return (Task::MakeAnew, generation),
                Service::Down { until, .. } if *until <= now => return (Task::Recover, generation),
                Service::ReadOnly { until, .. } if *until <= now => return (Task::Probe, generation),
                Service::Down { until, .. } | Service::ReadOnly { until, .. } => Some(*until),
                Service::Up if inner.compaction.is_some() || inner.compact_now => return (Task::Compact, generation),
                Service::Up if inner.has_work(now) => {
                    inner.idle = false;
                    return (Task::Round, generation);
                }
                Service::Up if inner.compact_wanted => return (Task::Compact, generation),
                Service::Up => Some(inner.expire_at),
                Service::Abandoned { .. } | Service::Closed => None,
            };
            inner.idle = true;
            self.shared.progress.notify_all();
            match wake {
                Some(wake) => drop(self.shared.work.wait_until(&mut inner, wake)),
                None => self.shared.work.wait(&mut inner),
            }
        }
    }

    /// A task failed: nobody knows what of it is in the file.
    fn give_back(&self, generation: u64, fault: Fault) {
        {
            let mut inner = self.shared.inner.lock();
            if inner.generation == generation {
                inner.queue.fail();
                // The walk that was at work is lost; this one does the work of all.
                inner.sweeps.clear();
                inner.sweep_everything(&self.shared.log);
            } else {
                inner.queue.finish();
            }
            if inner.generation == generation && !inner.readable() {
                // It was on its way back: it has to wait, or it would fail again at once and without end.
                inner.stay_down(fault);
                self.shared.progress.notify_all();
                return;
            }
        }
        self.shared.fail(generation, fault);
    }

    fn make_anew(&mut self, generation: u64) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let mut files = shared.files.lock();
        *shared.store.write() = None;
        // The file may have been opened once more since it was removed.
        files.expected = None;
        let opened = self.make(&mut files)?;
        self.install(generation, opened, None);
        Ok(())
    }

    /// Opens the file again after a failure, or makes it anew if it is damaged or fails again and again.
    fn recover(&mut self, generation: u64) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let mut files = shared.files.lock();
        let (anew, reason) = {
            let inner = shared.inner.lock();
            let Service::Down { fault, .. } = &inner.service else { return Ok(()) };
            let hopeless = matches!(fault, Fault::Io(_)) && inner.failures > MAX_FAILURES;
            (hopeless || matches!(fault, Fault::Corrupt(_)), fault.reason())
        };
        *shared.store.write() = None;
        let (opened, reason) = match files.expected {
            None => (self.make(&mut files)?, None),
            Some(_) => match if anew { Err(Fault::corrupt("it failed before")) } else { self.reopen(&files) } {
                Err(Fault::Corrupt(cause)) => (self.replace(&mut files, &*cause)?, None),
                opened => (opened?, Some(reason)),
            },
        };
        self.install(generation, opened, reason);
        Ok(())
    }

    /// Puts the file aside, and makes another.
    fn replace(&self, files: &mut Files, cause: &dyn std::error::Error) -> Result<Opened, Fault> {
        tracing::warn!(%cause, "the cache file is damaged: it is put aside and the cache starts empty");
        files.expected = None;
        let home = &self.shared.home;
        if home.exists() {
            // Without room for both, the new one is worth more.
            home.quarantine().or_else(|_| home.remove()).map_err(Fault::io)?;
        }
        self.make(files)
    }

    /// Makes a file. What is in its place is not believed, so it goes first.
    fn make(&self, files: &mut Files) -> Result<Opened, Fault> {
        let shared = &self.shared;
        shared.home.remove().map_err(Fault::io)?;
        let store = opening::open_store(shared.home.as_ref(), &shared.options)?;
        self.announce(&store, files)?;
        opening::load(store, &shared.log, shared.now_ms())
    }

    /// Opens the file without writing to it: when the disk is full, what is stored can still be read.
    fn reopen(&self, files: &Files) -> Result<Opened, Fault> {
        let shared = &self.shared;
        let Some(expected) = files.expected.filter(|_| shared.home.exists()) else {
            return Err(Fault::corrupt("it is gone"));
        };
        let store = opening::open_store(shared.home.as_ref(), &shared.options)?;
        let state = store.state()?.filter(|state| state.is_followed_by(&expected));
        let Some(state) = state else { return Err(Fault::corrupt("it does not go with its invalidation log")) };
        // In a file that this process has written to, times are believed: the clock was watched.
        if state.epoch != shared.log.epoch() && state.is_ahead_of(shared.now_ms()) {
            return Err(Fault::corrupt("the clock has been set back since"));
        }
        opening::load(store, &shared.log, shared.now_ms())
    }

    /// Tells the database where the log is, which has to be in its place for that.
    fn announce(&self, store: &Store, files: &mut Files) -> Result<(), Fault> {
        self.shared.log.mend().map_err(Fault::io)?;
        let state = self.shared.state();
        store.write(|tables| tables.set_state(&state))?;
        // It knows this log from now on, which may have grown when it is opened again.
        files.expected = Some(State { log_seq: u64::MAX, ..state });
        Ok(())
    }

    /// Puts an opened file into service, for reading only until it has been written to if there is a reason for that.
    fn install(&mut self, generation: u64, opened: Opened, reason: Option<String>) {
        let shared = Arc::clone(&self.shared);
        let mut store = shared.store.write();
        let mut inner = shared.inner.lock();
        if inner.generation != generation {
            return;
        }
        self.adopt(&mut inner, &mut store, opened);
        match reason {
            Some(reason) => {
                let until = Instant::now() + inner.backoff;
                inner.service = Service::ReadOnly { reason, until };
                inner.wait_longer();
            }
            None => inner.back(),
        }
        shared.progress.notify_all();
    }

    fn adopt(&mut self, inner: &mut Inner, store: &mut Option<Store>, opened: Opened) {
        self.next_id = opened.next_id;
        *store = Some(opened.store);
        inner.generation += 1;
        inner.index = opened.index;
        inner.file_bytes = self.shared.home.allocated_bytes().unwrap_or(0);
        if opened.garbage {
            inner.sweep_everything(&self.shared.log);
        }
    }

    /// Tries whether the file can be written to again.
    fn probe(&self, generation: u64) -> Result<(), Fault> {
        let mut files = self.shared.files.lock();
        if self.shared.inner.lock().generation != generation {
            return Ok(());
        }
        match &*self.shared.store.read() {
            Some(store) => self.announce(store, &mut files)?,
            None => return Err(Fault::corrupt("it is closed")),
        }
        let mut inner = self.shared.inner.lock();
        if inner.generation == generation && inner.readable() {
            inner.back();
        }
        self.shared.progress.notify_all();
        Ok(())
    }

    fn compact(&self) -> Result<(), Fault> {
        let reply = {
            let mut inner = self.shared.inner.lock();
            inner.compacting = inner.compaction.is_some();
            inner.compaction.take()
        };
        let result = guarded(|| {
            let mut store = self.shared.store.write();
            let store = store.as_mut().ok_or_else(|| Fault::corrupt("it is closed"))?;
            compact::compact_store(store, self.shared.home.as_ref())
        });
        {
            let mut inner = self.shared.inner.lock();
            inner.compacting = false;
            if let Ok(report) = &result {
                inner.compacted(report.file_bytes_after, &self.shared.options);
            }
        }
        answer(reply, result.as_ref().map(Clone::clone).map_err(Fault::reason));
        result.map(drop)
    }

    /// Notes the time of day for the next start, if much has gone by since it was noted last.
    fn take_leave(&self) {
        let (up, seen_ms) = {
            let inner = self.shared.inner.lock();
            (matches!(inner.service, Service::Up), self.shared.seen_ms.load(Ordering::Relaxed))
        };
        let state = self.shared.state();
        if up && state.is_ahead_of(seen_ms) {
            // The file is whole without it too.
            let _ = self.shared.write(|tables| tables.set_state(&state));
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let reply = {
            let mut inner = self.0.inner.lock();
            inner.service = Service::Closed;
            inner.compaction.take()
        };
        answer(reply, Err("the tier is closed".to_owned()));
        *self.0.store.write() = None;
        self.0.progress.notify_all();
    }
}

fn answer(reply: Option<SyncSender<Result<CompactReport, Error>>>, result: Result<CompactReport, String>) {
    if let Some(reply) = reply {
        // Whoever asked may have gone.
        let _ = reply.send(result.map_err(|reason| Error::OutOfService { reason }));
    }
}
