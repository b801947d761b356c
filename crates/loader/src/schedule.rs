//! Loads datasets again at their `refresh_every`, before anybody asks; and the `warm` ones at the start.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pipeline::{CallOptions, DataPipeline, Mode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::request::LoadRequest;

/// How often it is looked which datasets are due.
const TICK: Duration = Duration::from_millis(250);
/// The owner of what it loads.
const OWNER: &str = "schedule";

/// Refreshes at intervals. A dataset whose refresh is still under way, or that finds no worker free, is left out until the
/// next look; so there is never a queue of them.
#[derive(Clone)]
pub struct Schedule {
    pipeline: DataPipeline,
    workers: Arc<Semaphore>,
}

/// The last refresh of a dataset.
struct Last {
    began: Instant,
    /// Gone once it is over.
    task: Weak<()>,
}

impl Default for Last {
    fn default() -> Self {
        Self { began: Instant::now(), task: Weak::new() }
    }
}

impl Schedule {
    /// A schedule of so many refreshes at a time.
    pub fn new(pipeline: DataPipeline, workers: usize) -> Self {
        Self { pipeline, workers: Arc::new(Semaphore::new(workers.max(1))) }
    }

    /// The requests of the datasets that are to be loaded at the start.
    pub fn warm_requests(&self) -> Vec<LoadRequest> {
        let catalog = self.pipeline.catalog();
        catalog
            .datasets()
            .filter(|dataset| dataset.policy.warm)
            .map(|dataset| LoadRequest::new(&*dataset.name))
            .collect()
    }

    /// Refreshes what is due, for ever. An interval counts from the last refresh's begin, at first from when the dataset
    /// is first seen.
    pub async fn run(self) {
        let mut last: HashMap<Arc<str>, Last> = HashMap::new();
        loop {
            tokio::time::sleep(TICK).await;
            let catalog = self.pipeline.catalog();
            last.retain(|name, _| catalog.get(name).is_ok());
            for dataset in catalog.datasets() {
                // Of a dataset that goes query by query there is nothing to be loaded before somebody asks.
                let every = dataset.policy.refresh_every.filter(|_| dataset.mode() == Mode::Table);
                let Some(every) = every else {
                    last.remove(&dataset.name);
                    continue;
                };
                let last = last.entry(Arc::clone(&dataset.name)).or_default();
                if last.began.elapsed() < every || last.task.strong_count() > 0 {
                    continue;
                }
                let Ok(worker) = Arc::clone(&self.workers).try_acquire_owned() else { continue };
                let task = Arc::new(());
                *last = Last { began: Instant::now(), task: Arc::downgrade(&task) };
                let (pipeline, name) = (self.pipeline.clone(), Arc::clone(&dataset.name));
                tokio::spawn(async move {
                    let _held = (worker, task);
                    let call = CallOptions { owner: OWNER.into(), ..CallOptions::new(format!("{OWNER}/{name}")) };
                    match pipeline.refresh(&name, &call).await {
                        Ok(refreshed) => tracing::debug!(dataset = %name,
                            "dataset '{name}' was refreshed on schedule in {:.1} s", refreshed.took.as_secs_f64()),
                        Err(error) => tracing::warn!(dataset = %name, error = %error,
                            "failed to refresh dataset '{name}' on schedule: {error}"),
                    }
                });
            }
        }
    }
}
