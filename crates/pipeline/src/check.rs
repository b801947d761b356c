//! Whether the data behind a dataset has changed: the source's fingerprint, asked for beside the requests.
//!
//! A fingerprint that differs from the one before is an invalidation ([`cache_core::Stamps`] remembers it, over restarts
//! too). It is looked at (1) before each scan, (2) at the dataset's `check_interval`, by [`DataPipeline::start_checks`],
//! (3) on demand, by [`DataPipeline::touch`], and (4) before the first thing that a process serves from disk: the data may
//! have changed while nobody was looking. In the last case a source that does not answer soon does not hold up the
//! answer; it is served as stale then.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cache_core::{Noted, Scope};
use parking_lot::Mutex;
use plugin_sdk::{CancelToken, Context, ErrorCode, Fingerprint, SourceError};
use tokio::sync::Semaphore;

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
const TIMEOUT: Duration = Duration::from_secs(30);
/// Checks in the background at a time.
const AT_A_TIME: usize = 4;
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
    under_way: bool,
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

    /// The source was asked just now, and said this.
    pub(crate) fn answered(&self, fingerprint: Fingerprint) {
        let mut last = self.last.lock();
        last.answer = Some(Checked { at: SystemTime::now(), fingerprint });
        last.asked = Some(Instant::now());
    }

    /// Whether it is time to ask again; then it counts as asked.
    fn is_due(&self, interval: Duration) -> bool {
        let mut last = self.last.lock();
        // What was never loaded has nothing in the cache that could be out of date.
        let due = (last.answer.is_some() || last.unanswered.is_some())
            && !last.under_way
            && last.asked.is_none_or(|asked| asked.elapsed() >= interval);
        if due {
            last.asked = Some(Instant::now());
            last.under_way = true;
        }
        due
    }

    fn ended(&self) {
        self.last.lock().under_way = false;
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
        let timeout = dataset.policy.load_timeout;
        let fingerprint = self.ask(&dataset, Arc::clone(&call.request_id), timeout).await.map_err(failed)?;
        let (changed, invalidated) = if fingerprint.is_known() {
            let noted = self.note(&dataset, fingerprint).await?;
            (Some(noted == Noted::Changed), noted != Noted::Same)
        } else {
            self.tables().invalidate(Scope::Namespace(dataset.namespace.clone())).await?;
            dataset.checks().answered(fingerprint);
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
        let _one = checks.asking.lock().await;
        if checks.any() {
            // Somebody else has asked meanwhile; whoever looks into the cache again sees what came of it.
            return Ok(Verified::Changed);
        }
        if checks.last.lock().unanswered.is_some_and(|when| when.elapsed() < PAUSE) {
            return Ok(Verified::Unanswered);
        }
        match self.ask(dataset, "check".into(), PATIENCE).await {
            Ok(fingerprint) => match self.note(dataset, fingerprint).await? {
                Noted::Same => Ok(Verified::Unchanged),
                Noted::First | Noted::Changed => Ok(Verified::Changed),
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
            let slots = Arc::new(Semaphore::new(AT_A_TIME));
            let mut lists = Lists::default();
            loop {
                tokio::time::sleep(TICK).await;
                let Some(pipeline) = weak.upgrade() else { return };
                lists.look(&pipeline, &slots);
                for dataset in pipeline.catalog().datasets() {
                    let interval = dataset.policy.check_interval;
                    if interval.is_zero() {
                        continue;
                    }
                    // With none free, the dataset stays due.
                    let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
                    if dataset.checks().is_due(interval) {
                        let (pipeline, dataset) = (pipeline.clone(), Arc::clone(dataset));
                        tokio::spawn(async move {
                            pipeline.check(&dataset).await;
                            dataset.checks().ended();
                            drop(slot);
                        });
                    }
                }
            }
        });
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
        let asking = tokio::task::spawn_blocking(move || source.fingerprint(&context, &name));
        match tokio::time::timeout(timeout, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                Err(SourceError::new(ErrorCode::Panic, format!("asking ended without an answer: {error}")))
            }
            Err(_) => Err(SourceError::new(ErrorCode::Timeout, "no answer in time")),
        }
    }

    async fn note(&self, dataset: &Arc<Dataset>, fingerprint: Fingerprint) -> Result<Noted, Error> {
        let (tables, namespace) = (self.tables().clone(), dataset.namespace.clone());
        let noting = move || tables.note_fingerprint(&namespace, fingerprint.as_bytes());
        let noted = tokio::task::spawn_blocking(noting).await.map_err(|e| Error::Internal(e.to_string().into()))?;
        dataset.checks().answered(fingerprint);
        Ok(noted?)
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
