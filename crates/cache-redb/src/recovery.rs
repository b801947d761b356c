//! How the writer opens the file, for the first time or again, and when it makes another.
//!
//! A file is believed if what it says of itself is followed by what is expected ([`Files::expected`]). One that is not
//! expected is removed, one that is damaged is put aside, and in both cases another is made. One that cannot be written to
//! is read, and tried again later; one that cannot be opened is tried again later.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;
use crate::fault::Fault;
use crate::opening::{self, Opened};
use crate::shared::{Files, Inner, Service};
use crate::state::State;
use crate::store::Store;
use crate::writer::Writer;

/// Failures in a row, with nothing written between them, that are the file's own fault.
const MAX_FAILURES: u32 = 4;

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

    /// Makes the file anew after everything was given up.
    pub(crate) fn make_anew(&mut self, generation: u64) -> Result<(), Fault> {
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
    pub(crate) fn recover(&mut self, generation: u64) -> Result<(), Fault> {
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
        self.shared.log.mend().map_err(Fault::log)?;
        let state = self.shared.state();
        store.write(|tables| tables.set_state(&state))?;
        self.shared.noted(&state);
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
        let options = &self.shared.options;
        (inner.budget, inner.longest) = (options.record_limit(), 0);
        // What an earlier process was allowed may be more.
        inner.check_file(self.shared.home.allocated_bytes().unwrap_or(0), options);
        inner.compact_now = false;
        if opened.garbage {
            inner.sweep_everything(&self.shared.log);
        }
    }

    /// Tries whether the file can be written to again.
    pub(crate) fn probe(&self, generation: u64) -> Result<(), Fault> {
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
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
