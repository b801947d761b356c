//! Runs the scans of a pipeline: breaker, gate, attempts.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pipeline::{Fetch, FetchError, FetchFuture, FetchJob, Stage};
use plugin_sdk::{ErrorCode, SourceError};
use tokio::time::Instant;

use crate::attempt::attempt;
use crate::breaker::{Breaker, BreakerSeen, Pass, Refused};
use crate::gate::{Gate, GateOptions, GateSeen, Permit, TRY_AGAIN};
use crate::observer::{AttemptEnd, Nobody, Observer};
use crate::options::FetchOptions;

/// The share of its usual time that an attempt must have had for its time-out to be held against the source.
const MOST_OF_IT: f64 = 0.8;

/// The [`Fetch`] of a pipeline. Cloning it gives another handle of the same one.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

struct Inner {
    options: FetchOptions,
    gate: Arc<Gate>,
    /// Of the sources that were ever called; [`Fetcher::retain`] lets go of those that left.
    breakers: Mutex<HashMap<Arc<str>, Arc<Breaker>>>,
    observer: Arc<dyn Observer>,
}

impl Fetcher {
    /// Calls sources as `options` say, and tells nobody.
    pub fn new(options: FetchOptions) -> Self {
        Self::with_observer(options, Arc::new(Nobody))
    }

    /// Calls sources as `options` say, and tells `observer`.
    pub fn with_observer(options: FetchOptions, observer: Arc<dyn Observer>) -> Self {
        let gate = Arc::new(Gate::new(options.gate));
        Self { inner: Arc::new(Inner { options, gate, breakers: Mutex::default(), observer }) }
    }

    /// Calls under way, and who waits.
    pub fn gate(&self) -> GateSeen {
        self.inner.gate.look()
    }

    /// Other bounds from now on; calls under way go on.
    pub fn set_gate(&self, options: GateOptions) {
        self.inner.gate.set_options(options);
    }

    /// How the breaker of a source stands; `None` for one that was never called.
    pub fn breaker(&self, source: &str) -> Option<BreakerSeen> {
        self.inner.breakers.lock().get(source).map(|breaker| breaker.look())
    }

    /// How the breakers of all sources stand, by name.
    pub fn breakers(&self) -> Vec<(Arc<str>, BreakerSeen)> {
        let mut seen: Vec<_> =
            self.inner.breakers.lock().iter().map(|(name, breaker)| (Arc::clone(name), breaker.look())).collect();
        seen.sort_by(|(a, _), (b, _)| a.cmp(b));
        seen
    }

    /// Closes the breaker of a source, so that it is called again.
    pub fn reset_breaker(&self, source: &str) {
        if let Some(breaker) = self.inner.breakers.lock().get(source) {
            breaker.reset();
        }
    }

    /// Forgets the sources that are not wanted any more, and what was held against new ones of their names.
    pub fn retain(&self, wanted: impl Fn(&str) -> bool) {
        self.inner.breakers.lock().retain(|name, _| wanted(name));
    }
}

impl Fetch for Fetcher {
    fn fetch(&self, job: FetchJob) -> FetchFuture {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.run(&job).await })
    }
}

impl Inner {
    fn breaker_of(&self, source: &Arc<str>) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock();
        let made = || Arc::new(Breaker::new(self.options.breaker));
        Arc::clone(breakers.entry(Arc::clone(source)).or_insert_with(made))
    }

    async fn run(&self, job: &FetchJob) -> Result<(), FetchError> {
        let deadline = Instant::now() + job.timeout;
        let breaker = self.breaker_of(&job.source_name);
        let refused = |Refused { failures, retry_after }| FetchError::BreakerOpen {
            source_name: Arc::clone(&job.source_name),
            failures,
            retry_after,
        };
        let retries = job.retries.unwrap_or(self.options.retries);
        let attempt_timeout = job.attempt_timeout.unwrap_or(self.options.attempt_timeout);
        let mut failures = 0;
        loop {
            // Before the queue: nobody waits for a call that will not be made.
            breaker.check().map_err(refused)?;
            let permit = self.permit(job, deadline).await?;
            let pass = breaker.admit().map_err(refused)?;
            let started = Instant::now();
            let until = deadline.min(started + attempt_timeout);
            let ended = attempt(job, permit, until).await;
            // An attempt that had much less time than sources are given says nothing of the source.
            let usual = self.options.attempt_timeout.min(job.timeout);
            let had_its_time = until - started >= usual.mul_f64(MOST_OF_IT);
            self.tell_breaker(&job.source_name, pass, ended.as_ref().err(), had_its_time);
            let Err(error) = ended else {
                self.tell(job, started, AttemptEnd::Read);
                return Ok(());
            };
            failures += 1;
            let wait = self.options.backoff.wait(failures, error.retry_after);
            // What cannot be tried in time is not waited for, nor is a source that is left alone now.
            let again = is_worth_another_try(&error)
                && failures <= retries
                && Instant::now() + wait < deadline
                && breaker.check().is_ok();
            let end = match error.code {
                ErrorCode::Cancelled => AttemptEnd::Stopped,
                code if again => AttemptEnd::Retried(code, wait),
                code => AttemptEnd::Failed(code),
            };
            self.tell(job, started, end);
            if !again {
                return Err(error.into());
            }
            tracing::debug!(source = %job.source_name, dataset = %job.dataset, request_id = %job.request_id,
                code = error.code.name(), wait_ms = wait.as_millis() as u64,
                "attempt {failures} to read dataset '{}' failed and is made again: {error}", job.dataset);
            job.progress.fail_attempt(error.code);
            tokio::time::sleep(wait).await;
        }
    }

    async fn permit(&self, job: &FetchJob, deadline: Instant) -> Result<Permit, FetchError> {
        job.progress.set_stage(Stage::Queued);
        let started = Instant::now();
        let ticket = self.gate.enter(&job.owner, &job.source_name).map_err(|full| {
            self.observer.refused(&job.source_name);
            FetchError::QueueFull { queued: full.queued, retry_after: TRY_AGAIN }
        })?;
        match tokio::time::timeout_at(deadline, ticket.wait()).await {
            Ok(permit) => {
                self.observer.admitted(&job.source_name, started.elapsed());
                Ok(permit)
            }
            Err(_) => {
                Err(SourceError::new(ErrorCode::Timeout, "no source call became free before the deadline").into())
            }
        }
    }

    fn tell(&self, job: &FetchJob, started: Instant, end: AttemptEnd) {
        let (source, dataset) = (&job.source_name, &job.dataset);
        self.observer.attempted(source, dataset, &job.request_id, started.elapsed(), end);
    }

    fn tell_breaker(&self, source: &str, pass: Pass, error: Option<&SourceError>, had_its_time: bool) {
        let changed = match error {
            None => pass.succeeded(),
            Some(error) if error.code == ErrorCode::Timeout && !had_its_time => None,
            Some(error) if is_the_sources_fault(error.code) => pass.failed(),
            // It was stopped from here: that says nothing.
            Some(error) if error.code == ErrorCode::Cancelled => None,
            // It has answered, if not well.
            Some(_) => pass.succeeded(),
        };
        if let Some(state) = changed {
            tracing::info!(source, state = state.name(), "the breaker of source '{source}' is {}", state.name());
            self.observer.breaker(source, state);
        }
    }
}

/// Whether the same call may bring more. A crash is not provoked again: it takes all of the source's datasets with it, and a
/// few of them end in quarantine.
fn is_worth_another_try(error: &SourceError) -> bool {
    error.retryable && !matches!(error.code, ErrorCode::Crashed | ErrorCode::Panic)
}

/// Whether an error says that the source as a whole is unwell, and not that one of its datasets is. Crashes are counted where
/// workers are started anew.
fn is_the_sources_fault(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::ResourceExhausted)
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("gate", &self.gate()).finish_non_exhaustive()
    }
}
