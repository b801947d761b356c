//! Who is told when the tier goes out of service and when it is back: by the writer, who sees all of it, one after the
//! other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use cache_core::TierWatcher;
use parking_lot::Mutex;

/// Who is told, and what they were told last.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<State>);

#[derive(Default)]
struct State {
    watchers: Vec<Weak<dyn TierWatcher>>,
    told: Option<String>,
}

impl Watchers {
    /// Another one, who is told at once if there is something to tell.
    pub(crate) fn add(&self, watcher: Weak<dyn TierWatcher>) {
        let told = {
            let mut state = self.0.lock();
            state.watchers.retain(|watcher| watcher.strong_count() > 0);
            state.watchers.push(Weak::clone(&watcher));
            state.told.clone()
        };
        if let (Some(watcher), Some(reason)) = (watcher.upgrade(), told) {
            watcher.service(Some(&reason));
        }
    }

    /// Tells why the tier is out of service, or that it is not, unless they know.
    pub(crate) fn tell(&self, degraded: Option<String>) {
        let watchers: Vec<Arc<dyn TierWatcher>> = {
            let mut state = self.0.lock();
            if state.told == degraded {
                return;
            }
            state.told.clone_from(&degraded);
            state.watchers.iter().filter_map(Weak::upgrade).collect()
        };
        for watcher in watchers {
            // Who panics over it harms nobody else, the writer least of all.
            if catch_unwind(AssertUnwindSafe(|| watcher.service(degraded.as_deref()))).is_err() {
                tracing::error!("who watches the disk tier panicked");
            }
        }
    }
}
