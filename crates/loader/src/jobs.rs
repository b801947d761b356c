//! Loads in the background: begun, found by their ids, cancelled, and forgotten after a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pipeline::DataPipeline;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::async_data_loader::fresh_id;
use crate::job::Job;
use crate::options::LoadOptions;
use crate::request::LoadRequest;
use crate::run::Run;
use crate::tracked::Rows;

/// How many jobs, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsOptions {
    /// Jobs under way at a time.
    pub max_running: usize,
    /// Jobs that are over and can still be looked at.
    pub max_kept: usize,
    /// How long they can.
    pub keep_for: Duration,
}

impl Default for JobsOptions {
    fn default() -> Self {
        Self { max_running: 32, max_kept: 200, keep_for: Duration::from_secs(3600) }
    }
}

/// Requests of all jobs that can be looked at: large jobs are forgotten sooner.
const MAX_REQUESTS_KEPT: usize = 100_000;

/// As many jobs are under way as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{running} loads are under way, and no more may")]
pub struct TooManyJobs {
    /// How many.
    pub running: usize,
}

/// Loads in the background.
pub struct Jobs {
    pipeline: DataPipeline,
    options: JobsOptions,
    /// Where they run: not on threads that serve requests.
    runtime: Handle,
    /// The oldest first.
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

/// Ends a task with whoever watches it.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Jobs {
    /// No jobs yet; they will run on `runtime`.
    pub fn new(pipeline: DataPipeline, options: JobsOptions, runtime: Handle) -> Self {
        Self { pipeline, options, runtime, jobs: Mutex::default() }
    }

    /// Begins a job.
    ///
    /// # Errors
    /// As many are under way as may be.
    pub fn start(&self, requests: Vec<LoadRequest>, options: LoadOptions) -> Result<Arc<Job>, TooManyJobs> {
        let job = {
            let mut jobs = self.jobs.lock();
            self.forget_old(&mut jobs);
            let running = jobs.iter().filter(|job| job.is_running()).count();
            if running >= self.options.max_running {
                return Err(TooManyJobs { running });
            }
            let job = Arc::new(Job::new(fresh_id(), requests, options));
            jobs.push_back(Arc::clone(&job));
            job
        };
        let (owner, pipeline) = (Arc::clone(&job.id), self.pipeline.clone());
        // The rows stay in the cache, where there is a bound on them.
        let run = Run { pipeline, options, owner, rows: Rows::Counted };
        let (requests, noting) = (job.requests.clone(), Arc::clone(&job));
        let (runtime, ending) = (self.runtime.clone(), Arc::clone(&job));
        let task = self.runtime.spawn(async move {
            let told = Arc::clone(&noting);
            let running = runtime.spawn(run.load(requests, Arc::new(move |event| told.note(event))));
            let _stop = AbortOnDrop(running.abort_handle());
            if running.await.is_err() {
                // However it ended, nobody waits for it for ever.
                ending.end_without_a_word();
            }
        });
        job.set_task(task.abort_handle());
        Ok(job)
    }

    /// The job of an id.
    pub fn get(&self, id: &str) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        self.forget_old(&mut jobs);
        jobs.iter().find(|job| &*job.id == id).cloned()
    }

    /// All jobs that are under way or were not long ago, the newest first.
    pub fn list(&self) -> Vec<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        self.forget_old(&mut jobs);
        jobs.iter().rev().cloned().collect()
    }

    /// Cancels all that is under way.
    pub fn cancel_all(&self) {
        let jobs = self.jobs.lock().clone();
        for job in &jobs {
            job.cancel();
        }
    }

    fn forget_old(&self, jobs: &mut VecDeque<Arc<Job>>) {
        jobs.retain(|job| job.over_for().is_none_or(|time| time < self.options.keep_for));
        let mut over = jobs.iter().filter(|job| !job.is_running()).count();
        let requests = |jobs: &VecDeque<Arc<Job>>| jobs.iter().map(|job| job.requests.len()).sum::<usize>();
        while (over > self.options.max_kept || requests(jobs) > MAX_REQUESTS_KEPT)
            && let Some(oldest) = jobs.iter().position(|job| !job.is_running())
        {
            jobs.remove(oldest);
            over -= 1;
        }
    }
}
