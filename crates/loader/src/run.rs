//! One load: its requests side by side, each told of as it goes.
//!
//! A worker is a permit of the load; requests get one in their order, and each runs as a task of its own, so that none
//! holds up another. A ticker tells of progress. Dropping the future ends all of it: the pipeline stops what nobody else
//! waits for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cache_core::Stale;
use parking_lot::Mutex;
use pipeline::{CallOptions, DataPipeline, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::estimate;
use crate::event::{Event, LoadEvent};
use crate::options::LoadOptions;
use crate::request::{LoadReport, LoadRequest, Outcome};
use crate::tracked::{Rows, Tracked};

/// What one load is made of.
pub(crate) struct Run {
    pub(crate) pipeline: DataPipeline,
    pub(crate) options: LoadOptions,
    /// Whose turns the source calls are: the load's.
    pub(crate) owner: Arc<str>,
    pub(crate) rows: Rows,
}

/// Takes what happens. Called from one place at a time, in order.
pub(crate) type Tell = Arc<dyn Fn(LoadEvent) + Send + Sync>;

impl Run {
    /// Loads all of them.
    pub(crate) async fn load(self, requests: Vec<LoadRequest>, tell: Tell) -> LoadReport {
        let (started, of) = (Instant::now(), requests.len());
        let order = Arc::new(Mutex::new(()));
        let tell: Arc<dyn Fn(Event) + Send + Sync> = Arc::new(move |event| {
            let _in_order = order.lock();
            tell(LoadEvent { at: started.elapsed(), event });
        });
        tell(Event::Began { requests: of });
        let tracked: Vec<Arc<Tracked>> = requests.into_iter().map(|it| Arc::new(Tracked::new(it))).collect();
        for request in &tracked {
            tell(Event::Queued { name: Arc::clone(&request.name) });
        }
        let deadline = self.options.deadline.map(|deadline| started + deadline);
        let workers = Arc::new(Semaphore::new(self.options.max_workers.max(1)));
        let under_way: Arc<Mutex<Vec<Arc<Tracked>>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let mut waiting: VecDeque<(usize, Arc<Tracked>)> = tracked.iter().cloned().enumerate().collect();
        let mut outcomes: Vec<Option<Arc<Outcome>>> = vec![None; of];
        let mut done = 0;
        let mut ticker = tokio::time::interval(self.options.progress_every.max(Duration::from_millis(10)));
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while done < of {
            tokio::select! {
                biased;
                // One after the other, in their order.
                worker = Arc::clone(&workers).acquire_owned(), if !waiting.is_empty() => {
                    let (Some((at, request)), Ok(permit)) = (waiting.pop_front(), worker) else { break };
                    let worker = Worker {
                        pipeline: self.pipeline.clone(),
                        call: self.call(&request.name, deadline),
                        deadline,
                        under_way: Arc::clone(&under_way),
                        tell: Arc::clone(&tell),
                        rows: self.rows,
                        _permit: permit,
                    };
                    tasks.spawn(async move { (at, worker.work(&request).await) });
                }
                () = at_deadline(deadline), if !waiting.is_empty() => {
                    for (at, request) in std::mem::take(&mut waiting) {
                        done += 1;
                        let late = failed(&request, Error::LoadDeadline { dataset: request.source().into() });
                        let outcome = Arc::new(late);
                        outcomes[at] = Some(Arc::clone(&outcome));
                        tell(Event::Finished { outcome, done, of, time_left: None });
                    }
                }
                ended = tasks.join_next(), if !tasks.is_empty() => {
                    let Some(ended) = ended else { continue };
                    done += 1;
                    let Ok((at, outcome)) = ended else { continue };
                    let outcome = Arc::new(outcome);
                    outcomes[at] = Some(Arc::clone(&outcome));
                    let time_left = estimate::of_load(started.elapsed(), done, of);
                    tell(Event::Finished { outcome, done, of, time_left });
                }
                _ = ticker.tick() => {
                    let requests = under_way.lock().clone();
                    requests.iter().flat_map(|request| request.news(&self.pipeline)).for_each(|event| tell(event));
                }
            }
        }
        for (outcome, request) in outcomes.iter_mut().zip(&tracked).filter(|(outcome, _)| outcome.is_none()) {
            let lost = Arc::new(lost(request));
            tell(Event::Finished { outcome: Arc::clone(&lost), done: of, of, time_left: None });
            *outcome = Some(lost);
        }
        let outcomes = outcomes.into_iter().flatten().map(Arc::unwrap_or_clone);
        let report = LoadReport { outcomes: outcomes.collect(), took: started.elapsed() };
        tell(Event::Ended { failed: report.failed(), cancelled: false });
        report
    }

    fn call(&self, name: &str, deadline: Option<Instant>) -> CallOptions {
        CallOptions {
            owner: Arc::clone(&self.owner),
            deadline: deadline.map(Instant::into_std),
            stale: Stale::Refresh,
            attempt_timeout: Some(self.options.timeout),
            retries: Some(self.options.retries),
            ..CallOptions::new(format!("{}/{name}", self.owner))
        }
    }
}

/// Ready at the deadline, if there is one.
async fn at_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct Worker {
    pipeline: DataPipeline,
    call: CallOptions,
    deadline: Option<Instant>,
    /// The worker is free again when the request is done with.
    _permit: OwnedSemaphorePermit,
    under_way: Arc<Mutex<Vec<Arc<Tracked>>>>,
    tell: Arc<dyn Fn(Event) + Send + Sync>,
    rows: Rows,
}

impl Worker {
    async fn work(self, request: &Arc<Tracked>) -> Outcome {
        let started = Instant::now();
        let outcome = match self.deadline {
            None => self.try_work(request).await,
            Some(deadline) => match tokio::time::timeout_at(deadline, self.try_work(request)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let late = failed(request, Error::LoadDeadline { dataset: request.source().into() });
                    Outcome { took: started.elapsed(), attempts: request.attempts(), ..late }
                }
            },
        };
        // What came since the last look, however quick it was; of progress one word alone, the last.
        let mut news = request.news(&self.pipeline);
        let all = request.all_of_it().filter(|_| outcome.result.is_ok());
        if let Some(seen) = all {
            news.retain(|event| !matches!(event, Event::Progress { .. }));
            news.push(Event::Progress { name: Arc::clone(&request.name), seen });
        }
        news.into_iter().for_each(|event| (self.tell)(event));
        self.under_way.lock().retain(|other| !Arc::ptr_eq(other, request));
        // What was asked for wrongly is told to whoever asked.
        if let Err(error) = outcome.result.as_ref()
            && !matches!(error, Error::UnknownDataset { .. } | Error::Query(_))
        {
            tracing::warn!(request_id = %self.call.request_id, dataset = request.source(), error = %error,
                "a load failed to read dataset '{}' (request {}): {error}", request.source(), self.call.request_id);
        }
        outcome
    }

    async fn try_work(&self, request: &Arc<Tracked>) -> Outcome {
        (self.tell)(Event::Started { name: Arc::clone(&request.name) });
        self.under_way.lock().push(Arc::clone(request));
        request.load(&self.pipeline, &self.call, self.rows).await
    }
}

fn failed(request: &Tracked, error: Error) -> Outcome {
    let (name, source) = (Arc::clone(&request.name), request.source().into());
    Outcome { name, source, result: Err(error), took: Duration::ZERO, attempts: 0 }
}

/// The outcome of a task that ended without one.
fn lost(request: &Tracked) -> Outcome {
    failed(request, Error::Internal("the work on the request panicked".into()))
}
