//! All that handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cache_core::Cache;
use loader::{Fetcher, Jobs, LoadOptions};
use parking_lot::Mutex;
use pipeline::{CallOptions, DataPipeline};
use plugin_host::PluginHost;

use crate::applied::Applied;
use crate::background::Background;
use crate::config::{Config, Layers};
use crate::disk::Disk;
use crate::http::body::Body;
use crate::http::events::Streams;
use crate::http::hosts::Hosts;
use crate::http::memo::Memo;
use crate::http::walks::Walks;
use crate::http::worth::Worth;
use crate::invalidation::Sweeper;
use crate::openapi::LiveDocument;
use crate::watch::Watch;

/// The parts of a running server.
pub struct AppState {
    /// The settings in force.
    pub config: Config,
    /// Answers queries.
    pub pipeline: DataPipeline,
    /// Encoded, compressed results.
    pub bodies: Cache<Arc<Body>>,
    /// The disk tier of both caches.
    pub disk: Disk,
    /// Requests that were understood before.
    pub memo: Memo,
    /// The plugins.
    pub plugins: Arc<PluginHost>,
    /// How their sources are called.
    pub fetcher: Fetcher,
    /// What is known of all of it.
    pub watch: Arc<Watch>,
    /// The settings as text, without what was applied.
    pub layers: Layers,
    /// What was applied.
    pub applied: Applied,
    /// Loads in the background.
    pub jobs: Jobs,
    /// Where these run.
    pub background: Background,
    /// Who follows events.
    pub streams: Streams,
    /// The OpenAPI document of the catalog of now.
    pub openapi: LiveDocument,
    /// The names that the server answers to.
    pub hosts: Hosts,
    /// Held while the list of plugins goes from the host to the pipeline.
    pub publishing: Mutex<()>,
    /// Gives back what invalidations have left in memory.
    pub sweeper: Sweeper,
    /// What looks at every entry.
    pub walks: Walks,
    /// Which bodies go to disk.
    pub worth: Arc<Worth>,
    ready: AtomicBool,
}

/// What a state is made of.
pub struct Parts {
    /// The settings in force.
    pub config: Config,
    /// The names that the server answers to.
    pub hosts: Hosts,
    /// Answers queries.
    pub pipeline: DataPipeline,
    /// Encoded, compressed results.
    pub bodies: Cache<Arc<Body>>,
    /// The disk tier of both caches.
    pub disk: Disk,
    /// The plugins.
    pub plugins: Arc<PluginHost>,
    /// How their sources are called.
    pub fetcher: Fetcher,
    /// Where loads run.
    pub background: Background,
    /// What is known of all of it.
    pub watch: Arc<Watch>,
    /// The settings as text, without what was applied.
    pub layers: Layers,
    /// What was applied.
    pub applied: Applied,
}

impl AppState {
    /// State of a server that is not ready yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { config, hosts, pipeline, bodies, disk, plugins, fetcher, background, watch, layers, applied } =
            parts;
        Self {
            jobs: Jobs::new(pipeline.clone(), config.jobs, background.handle()),
            streams: Streams::new(config.event_streams),
            fetcher,
            background,
            watch,
            layers,
            applied,
            config,
            pipeline,
            bodies,
            disk,
            memo: Memo::new(),
            plugins,
            openapi: LiveDocument::new(),
            hosts,
            publishing: Mutex::new(()),
            sweeper: Sweeper::default(),
            walks: Walks::default(),
            worth: Arc::default(),
            ready: AtomicBool::new(false),
        }
    }

    /// Whether the plugins were loaded for the first time.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The plugins were loaded for the first time.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// How loads are run that say nothing else.
    pub fn load_options(&self) -> LoadOptions {
        let fetch = self.config.fetch;
        LoadOptions { timeout: fetch.attempt_timeout, retries: fetch.retries, ..LoadOptions::default() }
    }

    /// Options for calls that serve the request of this id.
    pub fn call(&self, request_id: &Arc<str>) -> CallOptions {
        CallOptions {
            deadline: Some(Instant::now() + self.config.request_timeout),
            ..CallOptions::new(Arc::clone(request_id))
        }
    }
}
