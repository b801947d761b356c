//! The writer: the one thread that changes the database.
//!
//! It does one thing after another, the most urgent first: make the file anew after everything was given up; open it
//! again, or make it anew, after a failure; compact when asked; then rounds (see [`crate::round`]), each one transaction,
//! as long as there is something waiting, to be removed or to be looked for.

use std::sync::Arc;
use std::time::Instant;

use crate::compact;
use crate::error::Error;
use crate::fault::{Fault, guarded};
use crate::opening::{self, Opened};
use crate::shared::{Service, Shared};
use crate::state::State;

/// Failures in a row, with nothing written between them, that are the file's own fault.
const MAX_FAILURES: u32 = 4;

/// The thread's own state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// The first id that no record has had.
    pub(crate) next_id: u64,
}

/// What is to be done next.
enum Task {
    Stop,
    MakeAnew { generation: u64 },
    Recover { generation: u64 },
    Probe { generation: u64 },
    Compact,
    Round { generation: u64 },
}

impl Writer {
    /// Works until the tier is closed.
    pub(crate) fn run(mut self) {
        loop {
            match self.next() {
                Task::Stop => break,
                Task::MakeAnew { generation } => self.make_anew(generation),
                Task::Recover { generation } => self.recover(generation),
                Task::Probe { generation } => self.probe(generation),
                Task::Compact => self.compact(),
                Task::Round { generation } => {
                    // A panic here would be a mistake of this crate: the tier then starts again with an empty file.
                    if let Err(fault) = guarded(|| self.round(generation)) {
                        self.give_back(generation, fault);
                    }
                }
            }
        }
        self.stop();
    }

    fn next(&self) -> Task {
        let mut inner = self.shared.inner.lock();
        loop {
            let generation = inner.generation;
            let now = Instant::now();
            let wake = match &inner.service {
                Service::Abandoned { ready: true } => return Task::MakeAnew { generation },
                Service::Down { until, .. } if *until <= now => return Task::Recover { generation },
                Service::ReadOnly { until, .. } if *until <= now => return Task::Probe { generation },
                Service::Down { until, .. } | Service::ReadOnly { until, .. } => Some(*until),
                Service::Up if !inner.compactions.is_empty() || inner.compact_now => return Task::Compact,
                Service::Up if inner.has_work(now) => {
                    inner.idle = false;
                    return Task::Round { generation };
                }
                Service::Up if inner.compact_wanted => return Task::Compact,
                Service::Up => Some(inner.expire_at),
                Service::Abandoned { .. } | Service::Closed => None,
            };
            if inner.closing {
                return Task::Stop;
            }
            inner.idle = true;
            self.shared.progress.notify_all();
            match wake {
                Some(wake) => drop(self.shared.work.wait_until(&mut inner, wake)),
                None => self.shared.work.wait(&mut inner),
            }
        }
    }

    /// A round failed: nobody knows what of it is in the file.
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
        }
        self.shared.fail(generation, fault);
    }

    fn make_anew(&mut self, generation: u64) {
        let shared = Arc::clone(&self.shared);
        let _files = shared.files.lock();
        *shared.store.write() = None;
        // The file may have been opened once more since it was removed.
        let opened = shared.home.remove().map_err(Fault::io).and_then(|()| self.make());
        self.install(generation, opened, None);
    }

    /// Opens the file again after a failure, or makes it anew if it is damaged or fails again and again.
    fn recover(&mut self, generation: u64) {
        let shared = Arc::clone(&self.shared);
        let _files = shared.files.lock();
        let (anew, reason) = {
            let inner = shared.inner.lock();
            let Service::Down { fault, .. } = &inner.service else { return };
            let hopeless = matches!(fault, Fault::Io(_)) && inner.failures > MAX_FAILURES;
            (hopeless || matches!(fault, Fault::Corrupt(_)), fault.reason())
        };
        *shared.store.write() = None;
        let opened = if anew { Err(Fault::corrupt("it failed before")) } else { self.reopen() };
        match opened {
            Err(Fault::Corrupt(cause)) => {
                tracing::warn!(%cause, "the cache file is put aside and made anew");
                let opened = self.put_aside().and_then(|()| self.make());
                self.install(generation, opened, None);
            }
            opened => self.install(generation, opened, Some(reason)),
        }
    }

    fn put_aside(&self) -> Result<(), Fault> {
        let home = &self.shared.home;
        if home.exists() {
            // Without room for both, the new one is worth more.
            home.quarantine().or_else(|_| home.remove()).map_err(Fault::io)?;
        }
        Ok(())
    }

    fn make(&self) -> Result<Opened, Fault> {
        let shared = &self.shared;
        let store = opening::open_store(shared.home.as_ref(), &shared.options)?;
        store.write(|tables| tables.set_state(&shared.log.state()))?;
        opening::load(store, &shared.log, shared.now_ms())
    }

    /// Opens the file without writing to it: when the disk is full, what is stored can still be read.
    fn reopen(&self) -> Result<Opened, Fault> {
        let shared = &self.shared;
        let store = opening::open_store(shared.home.as_ref(), &shared.options)?;
        let ours = |state: State| state.store_id == shared.log.store_id() && state.epoch == shared.log.epoch();
        if !store.state()?.is_some_and(ours) {
            return Err(Fault::corrupt("it is another file"));
        }
        opening::load(store, &shared.log, shared.now_ms())
    }

    /// Puts an opened file into service, for reading only until it has been written to, if there is a reason for that;
    /// or waits before the next attempt.
    fn install(&mut self, generation: u64, opened: Result<Opened, Fault>, reason: Option<String>) {
        let shared = Arc::clone(&self.shared);
        let mut store = shared.store.write();
        let mut inner = shared.inner.lock();
        if inner.generation != generation {
            return;
        }
        let until = Instant::now() + inner.backoff;
        match opened {
            Ok(opened) => {
                self.next_id = opened.next_id;
                *store = Some(opened.store);
                inner.index = opened.index;
                if opened.garbage {
                    inner.sweep_everything(&shared.log);
                }
                match reason {
                    Some(reason) => {
                        inner.service = Service::ReadOnly { reason, until };
                        inner.wait_longer();
                    }
                    None => inner.back(),
                }
            }
            Err(fault) => {
                tracing::warn!(reason = fault.reason(), "the disk tier stays out of service");
                inner.failures += 1;
                inner.service = Service::Down { fault, until };
                inner.wait_longer();
            }
        }
        shared.progress.notify_all();
    }

    /// Tries whether the file can be written to again.
    fn probe(&self, generation: u64) {
        let state = self.shared.log.state();
        let result = self.shared.write(|tables| tables.set_state(&state));
        match result {
            Ok(()) => {
                let mut inner = self.shared.inner.lock();
                if inner.generation == generation && inner.readable() {
                    inner.back();
                }
                self.shared.progress.notify_all();
            }
            Err(fault) => self.shared.fail(generation, fault),
        }
    }

    fn compact(&self) {
        let (generation, replies) = {
            let mut inner = self.shared.inner.lock();
            (inner.generation, std::mem::take(&mut inner.compactions))
        };
        let mut fault = None;
        let result = {
            let mut store = self.shared.store.write();
            match store.as_mut() {
                Some(store) => compact::compact_store(store, self.shared.home.as_ref()),
                None => Err(Fault::corrupt("it is closed")),
            }
        };
        let reply = match result {
            Ok(report) => {
                self.shared.inner.lock().compacted(report.file_bytes_after, &self.shared.options);
                Ok(report)
            }
            Err(error) => {
                let reason = error.reason();
                fault = Some(error);
                Err(reason)
            }
        };
        for waiting in replies {
            // Whoever asked may have gone.
            let _ = waiting.send(reply.clone().map_err(|reason| Error::OutOfService { reason }));
        }
        if let Some(fault) = fault {
            self.shared.fail(generation, fault);
        }
    }

    fn stop(&self) {
        let mut inner = self.shared.inner.lock();
        inner.service = Service::Closed;
        for reply in std::mem::take(&mut inner.compactions) {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Error::OutOfService { reason: "the tier is closed".to_owned() }));
        }
        drop(inner);
        *self.shared.store.write() = None;
        self.shared.progress.notify_all();
    }
}
