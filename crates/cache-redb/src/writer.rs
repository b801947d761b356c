//! The writer: the one thread that changes the database.
//!
//! It does one thing after another, the most urgent first: make the file anew after everything was given up; open it
//! again, or make it anew, after a failure (see [`crate::recovery`]); compact when asked; then rounds (see
//! [`crate::round`]), each one transaction, as long as there is something waiting, to be removed or to be looked for. When the tier is being closed it writes what
//! waits, and no more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use crate::compact::{self, CompactReport};
use crate::error::Error;
use crate::fault::{Fault, guarded};
use crate::shared::{NOTE_EVERY, Service, Shared};

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
    /// Works until the tier is closed.
    pub(crate) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        loop {
            let (task, generation) = self.next();
            self.tell_watchers();
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
            self.tell_watchers();
        }
        self.take_leave();
    }

    fn tell_watchers(&self) {
        let degraded = self.shared.inner.lock().degraded();
        self.shared.watchers.tell(degraded);
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
                Service::Up if inner.has_work(now) || self.shared.is_note_due(&inner) => {
                    inner.idle = false;
                    return (Task::Round, generation);
                }
                Service::Up if inner.compact_wanted => return (Task::Compact, generation),
                Service::Up => Some(inner.expire_at.min(now + NOTE_EVERY)),
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
    pub(crate) fn give_back(&self, generation: u64, fault: Fault) {
        let mut inner = self.shared.inner.lock();
        if inner.generation == generation {
            inner.queue.fail();
            // The walk that was at work is lost; this one does the work of all.
            inner.sweeps.clear();
            inner.sweep_everything(&self.shared.log);
            // Under the same lock: whoever waits for the queue must not see it done, and the tier still in service.
            if inner.readable() {
                inner.go_down(fault);
            } else {
                // It was on its way back: it has to wait, or it would fail again at once and without end.
                inner.stay_down(fault);
            }
        } else {
            inner.queue.finish();
        }
        drop(inner);
        self.shared.progress.notify_all();
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
        let up = matches!(self.shared.inner.lock().service, Service::Up);
        let state = self.shared.state();
        if up && state.is_ahead_of(self.shared.noted_ms.load(Ordering::Relaxed)) {
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
