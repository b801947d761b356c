//! Telling subscribers what changed, on a thread of its own.
//!
//! A subscriber may take its time, or call the host: nothing that loads plugins waits for it.
//! Changes that come meanwhile are put together, and told at once when it is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// What changed in the list of instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Names that are new.
    pub added: Vec<String>,
    /// Names whose library, configuration or policies are others now.
    pub replaced: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Makes this the change that `self` and then `later` amount to.
    fn add(&mut self, later: Self) {
        for name in later.added {
            let was_removed = take(&mut self.removed, &name);
            if was_removed { self.replaced.push(name) } else { self.added.push(name) }
        }
        for name in later.replaced {
            if !self.added.contains(&name) && !self.replaced.contains(&name) {
                self.replaced.push(name);
            }
        }
        for name in later.removed {
            take(&mut self.replaced, &name);
            if !take(&mut self.added, &name) {
                self.removed.push(name);
            }
        }
    }
}

/// Whether `name` was in `names`, where it is no more.
fn take(names: &mut Vec<String>, name: &str) -> bool {
    let before = names.len();
    names.retain(|other| other != name);
    names.len() < before
}

/// Called after a change; takes [`PluginHost::sources`](crate::PluginHost::sources) for what is there now.
pub type Subscriber = Box<dyn Fn(&Change) + Send + Sync>;

/// Changes on their way to subscribers.
#[derive(Default)]
pub(crate) struct Announcer {
    pending: Mutex<Pending>,
    woken: Condvar,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

#[derive(Default)]
struct Pending {
    change: Change,
    is_over: bool,
}

impl Announcer {
    /// Starts the thread; it ends after [`end`](Self::end).
    pub(crate) fn start() -> Result<Arc<Self>> {
        let announcer = Arc::<Self>::default();
        let name = "plugin-announce";
        let of_thread = Arc::clone(&announcer);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || of_thread.run())
            .map_err(|source| Error::Thread { name, source })?;
        Ok(announcer)
    }

    pub(crate) fn subscribe(&self, subscriber: Subscriber) {
        self.subscribers.lock().push(Arc::new(subscriber));
    }

    /// Has the subscribers told of a change that can be seen already.
    pub(crate) fn tell(&self, change: Change) {
        if !change.is_empty() {
            self.pending.lock().change.add(change);
            self.woken.notify_one();
        }
    }

    /// Nothing more is told. Does not wait for a subscriber that is being called.
    pub(crate) fn end(&self) {
        self.pending.lock().is_over = true;
        self.woken.notify_one();
    }

    fn run(&self) {
        while let Some(change) = self.next() {
            let subscribers = self.subscribers.lock().clone();
            for subscriber in subscribers {
                // Its defect is not that of the next one.
                if catch_unwind(AssertUnwindSafe(|| subscriber(&change))).is_err() {
                    tracing::error!("a subscriber to changes of plugins panicked");
                }
            }
        }
    }

    fn next(&self) -> Option<Change> {
        let mut pending = self.pending.lock();
        loop {
            if pending.is_over {
                return None;
            }
            if !pending.change.is_empty() {
                return Some(std::mem::take(&mut pending.change));
            }
            self.woken.wait(&mut pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn change(added: &[&str], replaced: &[&str], removed: &[&str]) -> Change {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Change { added: owned(added), replaced: owned(replaced), removed: owned(removed) }
    }

    #[track_caller]
    fn check(first: Change, later: Change, expected: Change) {
        let mut both = first;
        both.add(later);
        assert_eq!(both, expected);
    }

    #[test]
    fn two_changes_make_one() {
        check(change(&["a"], &[], &[]), change(&["b"], &["a"], &[]), change(&["a", "b"], &[], &[]));
        check(change(&["a"], &[], &[]), change(&[], &[], &["a"]), change(&[], &[], &[]));
        check(change(&[], &["a"], &[]), change(&[], &["a", "b"], &[]), change(&[], &["a", "b"], &[]));
        check(change(&[], &["a"], &[]), change(&[], &[], &["a"]), change(&[], &[], &["a"]));
        check(change(&[], &[], &["a"]), change(&["a"], &[], &[]), change(&[], &["a"], &[]));
    }

    #[test]
    fn changes_during_a_slow_subscriber_are_told_together_and_delay_nobody() {
        let announcer = Announcer::start().unwrap();
        let (told, heard) = channel();
        let (go, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        announcer.subscribe(Box::new(move |change| {
            told.send(change.clone()).unwrap();
            wait.lock().recv().unwrap();
            assert!(change.removed.is_empty(), "a subscriber that panics");
        }));
        let next = || heard.recv_timeout(Duration::from_secs(60)).unwrap();
        announcer.tell(change(&["a"], &[], &[]));
        assert_eq!(next(), change(&["a"], &[], &[]));
        announcer.tell(change(&["b"], &[], &[]));
        announcer.tell(change(&["c"], &[], &["a"]));
        go.send(()).unwrap();
        assert_eq!(next(), change(&["b", "c"], &[], &["a"]));
        announcer.tell(change(&[], &["b"], &[]));
        go.send(()).unwrap();
        assert_eq!(next(), change(&[], &["b"], &[]));
        go.send(()).unwrap();
        announcer.end();
    }
}
