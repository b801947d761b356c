//! Whether the data behind a dataset has changed: the source's fingerprint, asked for beside the requests.
//!
//! A fingerprint that differs from the one before is an invalidation ([`cache_core::Stamps`] remembers it, over restarts
//! too). It is looked at (1) before each scan, (2) at the dataset's `check_interval`, by [`DataPipeline::start_checks`],
//! (3) on demand, by [`DataPipeline::touch`], and (4) before the first thing that a process serves from disk: the data may
//! have changed while nobody was looking. In the last case a source that does not answer soon does not hold up the
//! answer; it is served as stale then.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use cache_core::{Noted, Scope};
use parking_lot::Mutex;
use plugin_sdk::{CancelToken, Context, ErrorCode, Fingerprint, SourceError};

use crate::answer::CallOptions;
use crate::data_pipeline::DataPipeline;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::relist::Lists;

/// How long an answer from disk waits for the source to say whether it still holds.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a source that did not answer in that time is not asked again by requests.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a check in the background may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After failures, a source is asked after twice the interval, four times, and so on, up to so much more.
const MOST_DOUBLINGS: u32 = 5;
/// How often it is looked which datasets are due.
const TICK: Duration = Duration::from_millis(250);

/// What a source said of a dataset's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// When it was asked.
    pub at: SystemTime,
    /// What it said.
    pub fingerprint: Fingerprint,
}

/// What is known of the checks of one dataset.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    last: Mutex<Last>,
    /// Held while a request waits for the source, so that one asks for all.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Last {
    answer: Option<Checked>,
    asked: Option<Instant>,
    /// Attempts in the background since the last answer.
    failures: u32,
    unanswered: Option<Instant>,
}

impl Checks {
    pub(crate) fn last(&self) -> Option<Checked> {
        self.last.lock().answer
    }

    /// Whether this process has heard from the source at all.
    pub(crate) fn any(&self) -> bool {
        self.last.lock().answer.is_some()
    }

    /// The source was asked just now, and said this. Gives whether that is something new; `None` if that cannot be told.
    pub(crate) fn answered(&self, fingerprint: Fingerprint) -> Option<bool> {
        let mut last = self.last.lock();
        let before = last.answer.map(|answer| answer.fingerprint).filter(Fingerprint::is_known);
        last.answer = Some(Checked { at: SystemTime::now(), fingerprint });
        last.asked = Some(Instant::now());
        last.failures = 0;
        before.filter(|_| fingerprint.is_known()).map(|before| before != fingerprint)
    }

    fn failed(&self) {
        let mut last = self.last.lock();
        last.asked = Some(Instant::now());
        last.failures = (last.failures + 1).min(MOST_DOUBLINGS);
    }

    /// For how long it has been time to ask again, if it is.
    fn overdue(&self, interval: Duration) -> Option<Duration> {
        let last = self.last.lock();
        // What was never loaded has nothing in the cache that could be out of date.
        if interval.is_zero() || (last.answer.is_none() && last.unanswered.is_none()) {
            return None;
        }
        match last.asked {
            Some(asked) => asked.elapsed().checked_sub(interval * 2_u32.pow(last.failures)),
            None => Some(Duration::MAX),
        }
    }
}

/// What became of a look at the source before something from disk is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The data is what it was, as far as the source can tell.
    Unchanged,
    /// The data has changed: what is in the cache is not valid any more.
    Changed,
    /// The source did not answer in time.
    Unanswered,
}

/// What a touch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Whether the data has changed; `None` for a source that cannot tell.
    pub changed: Option<bool>,
    /// Whether the cached data was invalidated.
    pub invalidated: bool,
    /// How long it took.
    pub took: Duration,
}

impl DataPipeline {
    /// Asks the source now whether the data has changed. If it has, or if the source cannot tell, all that is cached of
    /// the dataset is invalid when this returns.
    ///
    /// # Errors
    /// There is no such dataset; the source cannot be asked; the invalidation is not durable.
    pub async fn touch(&self, name: &str, call: &CallOptions) -> Result<Touched, Error> {
        let started = Instant::now();
        let dataset = Arc::clone(self.catalog().get(name)?);
        let failed = |source| Error::Source { dataset: dataset.name.clone(), source };
        let patience =
            call.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = dataset.policy.load_timeout.min(patience);
        // One at a time: each of them takes a thread as long as the source takes.
        let _one = match tokio::time::timeout(timeout, dataset.checks().asking.lock()).await {
            Ok(turn) => turn,
            Err(_) => return Err(Error::Timeout { dataset: dataset.name.clone() }),
        };
        let fingerprint = self.ask(&dataset, Arc::clone(&call.request_id), timeout).await.map_err(failed)?;
        let (changed, invalidated) = if fingerprint.is_known() {
            let noted = self.note(&dataset, fingerprint).await?;
            (Some(noted == Noted::Changed), noted != Noted::Same)
        } else {
            self.tables().invalidate(Scope::Namespace(dataset.namespace.clone())).await?;
            dataset.answered(fingerprint);
            (None, true)
        };
        Ok(Touched { changed, invalidated, took: started.elapsed() })
    }

    /// Before something from disk is served for the first time: whether the data is still what it was.
    ///
    /// # Errors
    /// The data has changed, and that could not be made durable.
    pub async fn verify(&self, dataset: &Arc<Dataset>) -> Result<Verified, Error> {
        let checks = dataset.checks();
        if checks.any() {
            return Ok(Verified::Unchanged);
        }
        // Whoever has the turn may wait for longer than this call would.
        let Ok(_one) = tokio::time::timeout(PATIENCE, checks.asking.lock()).await else {
            return Ok(Verified::Unanswered);
        };
        if checks.any() {
            // Somebody else has asked meanwhile; whoever looks into the cache again sees what came of it.
            return Ok(Verified::Changed);
        }
        if checks.last.lock().unanswered.is_some_and(|when| when.elapsed() < PAUSE) {
            return Ok(Verified::Unanswered);
        }
        match self.ask(dataset, "check".into(), PATIENCE).await {
            Ok(fingerprint) => match self.note(dataset, fingerprint).await {
                Ok(Noted::Same) => Ok(Verified::Unchanged),
                Ok(Noted::First | Noted::Changed) => Ok(Verified::Changed),
                Err(Error::NotDurable(error)) => {
                    // This process obeys, and there is nothing on disk any more that could be too old.
                    tracing::error!(dataset = %dataset.name, error = %error,
                        "the data of dataset '{}' has changed, but: failed to {error}", dataset.name);
                    Ok(Verified::Changed)
                }
                Err(error) => Err(error),
            },
            Err(error) => {
                checks.last.lock().unanswered = Some(Instant::now());
                tracing::warn!(dataset = %dataset.name, error = %error,
                    "dataset '{}' is served from disk as stale: its source did not say whether it has changed: {error}",
                    dataset.name);
                Ok(Verified::Unanswered)
            }
        }
    }

    /// From now on, sources are asked at each dataset's `check_interval` whether the data has changed, and at their own
    /// whether they offer other datasets. Ends with the pipeline. Must be called within a runtime.
    pub fn start_checks(&self) {
        let weak = self.downgrade();
        tokio::spawn(async move {
            let (mut lists, mut busy) = (Lists::default(), HashMap::new());
            loop {
                tokio::time::sleep(TICK).await;
                let Some(pipeline) = weak.upgrade() else { return };
                lists.look(&pipeline);
                pipeline.check_what_is_due(&mut busy);
            }
        });
    }

    /// Begins to ask each source about its datasets that are due, one after the other: a source that hangs holds up no
    /// other.
    fn check_what_is_due(&self, busy: &mut HashMap<Arc<str>, Weak<()>>) {
        busy.retain(|_, task| task.strong_count() > 0);
        let mut due: HashMap<Arc<str>, Vec<(Duration, Arc<Dataset>)>> = HashMap::new();
        for dataset in self.catalog().datasets().filter(|dataset| !busy.contains_key(&dataset.source_identity)) {
            if let Some(overdue) = dataset.checks().overdue(dataset.policy.check_interval) {
                due.entry(dataset.source_identity.clone()).or_default().push((overdue, Arc::clone(dataset)));
            }
        }
        for (source, mut datasets) in due {
            datasets.sort_by_key(|(overdue, _)| std::cmp::Reverse(*overdue));
            let (task, pipeline) = (Arc::new(()), self.downgrade());
            busy.insert(source, Arc::downgrade(&task));
            tokio::spawn(async move {
                for (_, dataset) in datasets {
                    let Some(pipeline) = pipeline.upgrade() else { break };
                    pipeline.check(&dataset).await;
                }
                drop(task);
            });
        }
    }

    async fn check(&self, dataset: &Arc<Dataset>) {
        match self.ask(dataset, "check".into(), TIMEOUT).await {
            Ok(fingerprint) => match self.note(dataset, fingerprint).await {
                Ok(Noted::Changed) => {
                    tracing::info!(dataset = %dataset.name, "the data of dataset '{}' has changed", dataset.name);
                }
                Ok(Noted::Same | Noted::First) => {}
                Err(error) => {
                    tracing::error!(dataset = %dataset.name, error = %error,
                        "the data of dataset '{}' has changed, but: failed to {error}", dataset.name);
                }
            },
            Err(error) => {
                dataset.checks().failed();
                tracing::debug!(dataset = %dataset.name, error = %error,
                    "the source of dataset '{}' did not say whether it has changed: {error}", dataset.name);
            }
        }
    }

    /// The source's fingerprint of the data of now.
    async fn ask(&self, dataset: &Arc<Dataset>, id: Arc<str>, timeout: Duration) -> Result<Fingerprint, SourceError> {
        let cancel = CancelOnDrop(CancelToken::new());
        let context = Context::detached(id, Some(Instant::now() + timeout), cancel.0.clone());
        let (source, name) = (Arc::clone(&dataset.source), dataset.source_dataset.clone());
        let started = Instant::now();
        let asking = tokio::task::spawn_blocking(move || source.fingerprint(&context, &name));
        let answer = match tokio::time::timeout(timeout, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                Err(SourceError::new(ErrorCode::Panic, format!("asking ended without an answer: {error}")))
            }
            Err(_) => Err(SourceError::new(ErrorCode::Timeout, "no answer in time")),
        };
        let before = dataset.checked().map(|checked| checked.fingerprint).filter(Fingerprint::is_known);
        let changed = answer.as_ref().map(|now| before.filter(|_| now.is_known()).map(|before| before != *now));
        self.inner.observer.checked(dataset, started.elapsed(), changed.map_err(|_| ()));
        answer
    }

    async fn note(&self, dataset: &Arc<Dataset>, fingerprint: Fingerprint) -> Result<Noted, Error> {
        let (tables, namespace) = (self.tables().clone(), dataset.namespace.clone());
        let noting = move || tables.note_fingerprint(&namespace, fingerprint.as_bytes());
        let noted = tokio::task::spawn_blocking(noting).await.map_err(|e| Error::Internal(e.to_string().into()))?;
        dataset.answered(fingerprint);
        Ok(noted?)
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
