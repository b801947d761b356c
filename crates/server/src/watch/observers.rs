//! What the libraries tell, noted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use loader::{AttemptEnd, BreakerState};
use monitor::Outcome;
use pipeline::{Brought, Dataset, Error};
use serde_json::json;

use super::Watch;
use super::recent::Remedy;
use super::spans::Done;

/// How long jobs wait until their sources may be called.
pub(super) const WAIT: &str = "wait for a source";

impl pipeline::Observer for Watch {
    fn loaded(&self, dataset: &Dataset, request_id: &str, took: Duration, brought: Result<Brought, &Error>) {
        let ok = match brought {
            Ok(_) => true,
            // A schema that is new is read again at once, and a dataset that is too large goes query by query.
            Err(Error::SchemaChanged { .. } | Error::TooLarge { .. }) => return,
            Err(error) => {
                if matches!(error, Error::BreakerOpen { .. }) {
                    self.recent.note(&dataset.name, Remedy::BreakerOpen);
                }
                false
            }
        };
        self.dataset("load", &dataset.name, took, ok);
        self.spans.tell(request_id, &Done { what: "load", dataset: &dataset.name, source: None, took, ok });
        if ok {
            self.recent.fresh(&dataset.name);
        }
    }

    fn answered(&self, dataset: &Dataset, took: Duration, ok: bool) {
        self.dataset("evaluate", &dataset.name, took, ok);
    }

    fn checked(&self, dataset: &Dataset, took: Duration, changed: Result<Option<bool>, ()>) {
        self.dataset("check", &dataset.name, took, changed.is_ok());
        if changed == Ok(Some(true)) {
            self.feed.tell("dataset", &json!({ "name": &*dataset.name, "what": "changed" }));
        }
    }

    fn stale(&self, dataset: &Dataset, load_failed: bool) {
        self.recent.stale(&dataset.name);
        if load_failed {
            self.recent.note(&dataset.name, Remedy::ServedStale);
        }
    }
}

impl loader::Observer for Watch {
    fn admitted(&self, _: &str, waited: Duration) {
        self.monitor.record(WAIT, waited, Outcome::Ok);
    }

    fn refused(&self, _: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn attempted(&self, source: &str, dataset: &str, request_id: &str, took: Duration, end: AttemptEnd) {
        let ok = matches!(end, AttemptEnd::Read | AttemptEnd::Stopped);
        self.dataset("scan", dataset, took, ok);
        self.dataset("plugin", source, took, ok);
        self.spans.tell(request_id, &Done { what: "scan", dataset, source: Some(source), took, ok });
        if matches!(end, AttemptEnd::Retried(..)) {
            self.recent.note(dataset, Remedy::Retried);
        }
    }

    fn breaker(&self, source: &str, state: BreakerState) {
        self.feed.tell("plugin", &json!({ "name": source, "what": format!("breaker {}", state.name()) }));
    }
}
