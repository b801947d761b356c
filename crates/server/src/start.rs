//! Puts the parts of a server together: caches, pipeline, plugin host.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cache_core::Cache;
use loader::{Fetcher, LoadOptions, Schedule};
use pipeline::eval::QueryMemory;
use pipeline::query::{Limits, Rules};
use pipeline::{Ask, DataPipeline, PipelineOptions, PolicyOverrides};
use plugin_host::{Exposure, HostOptions, PluginHost};
use serde_json::json;

use crate::applied::{Applied, Changes};
use crate::background::Background;
use crate::config::{Config, Layers};
use crate::disk::Disk;
use crate::home::Home;
use crate::http::body_layout::BodyLayout;
use crate::http::hosts::Hosts;
use crate::http::question::RESERVED;
use crate::sources;
use crate::state::{AppState, Parts};
use crate::watch::spans::Spans;
use crate::watch::{self, Watch};

/// How long a source may take to say what it offers: a first look at large text files reads them whole.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(300);

/// Bodies that are kept at most.
pub(crate) const MAX_BODIES: u64 = 1_000_000;
/// How long the start waits for what the sources offer; what comes later is served as it comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The parts of a server whose plugins are not loaded yet.
///
/// # Errors
/// Budgets that make no sense, or a folder that cannot be used.
pub fn prepare(layers: Layers, home: &Home, address: SocketAddr) -> anyhow::Result<Arc<AppState>> {
    // The caches are cut for the budgets of the file, so that what was applied can always be taken back.
    let base = Config::resolve(&layers)?;
    let (changes, mut config, policies) = applied(&layers, &base, home);
    config.persist |= policies.values().any(|policy| policy.persist == Some(true));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&config.plugins)
        .with_context(|| format!("use the plugin folder '{}'", config.plugins.display()))?;
    // Workers have a working directory of their own, so what they are told must not depend on it.
    config.data = std::path::absolute(&config.data).context("find the data folder")?;
    let disk = Disk::open(&config)?;
    let stamps = Arc::new(disk.stamps());
    let spans = config.otlp_endpoint.as_deref().map(Spans::to).transpose().context("export spans to otlp_endpoint")?;
    let watch = Arc::new(Watch::new(&config, spans.unwrap_or(Spans::off())));
    let fetcher = Fetcher::with_observer(config.fetch, watch.clone());
    let pipeline = DataPipeline::new(PipelineOptions {
        policy: base.policy,
        datasets: policies,
        tables_max_bytes: base.tables_max_bytes,
        tables_max_entries: 100_000,
        rules: Rules {
            limits: Limits { max_rows: config.max_rows, ..Limits::default() },
            reserved: RESERVED.map(str::to_owned).to_vec(),
        },
        describe_timeout: DESCRIBE_TIMEOUT,
        stamps: Arc::clone(&stamps),
        tier: disk.bytes(),
        compression: config.compression,
        refresh_workers: config.refresh_workers,
        runtime: None,
        query_memory: QueryMemory::new(config.query_max_bytes, config.queries_max_bytes),
        query_timeout: config.query_timeout,
        slow_query: config.slow_query,
        fetch: Arc::new(fetcher.clone()),
        observer: Some(watch.clone()),
    })
    .context("size the cache of tables")?;
    let mut bodies = Cache::builder("bodies")
        .max_bytes(base.bodies_max_bytes)
        .max_entries(MAX_BODIES)
        .ttl(config.policy.ttl)
        .load_timeout(config.policy.load_timeout)
        .refresh_workers(config.refresh_workers)
        .stamps(stamps);
    if let Some(tier) = disk.bytes() {
        bodies = bodies.persist(BodyLayout { max_rows: config.max_rows }).tier(tier).compression(config.compression);
    }
    let bodies = bodies.build().context("size the cache of bodies")?;
    // What was applied once and is not possible any more is no reason not to start.
    let applied =
        |error: cache_core::Error| tracing::warn!(error = %error, "a budget that was applied is not used: {error}");
    let max_bytes = config.policy.max_bytes;
    pipeline.set_tables_max_bytes(config.tables_max_bytes, max_bytes).unwrap_or_else(applied);
    bodies.set_max_bytes(config.bodies_max_bytes).unwrap_or_else(applied);
    let exposure = if address.ip().is_loopback() { Exposure::Loopback } else { Exposure::Network };
    let defaults = HashMap::from([("files".to_owned(), serde_json::json!({ "root": config.data }))]);
    let options = HostOptions {
        exposure,
        defaults,
        check_policy: Some(check_policy),
        ..HostOptions::new(&config.plugins, home.path().join("plugin-store"))
    };
    let plugins = PluginHost::new(options).context("start the plugin host")?;
    let hosts = Hosts::new(address, &config.allowed_hosts);
    let (plugins, background) = (Arc::new(plugins), Background::start().context("start threads")?);
    let applied = Applied::new(home.path(), changes);
    let parts = Parts { config, hosts, pipeline, bodies, disk, plugins, fetcher, background, watch, layers, applied };
    let state = Arc::new(AppState::new(parts));
    state.background.handle().spawn(watch::run(Arc::downgrade(&state)));
    Ok(state)
}

/// What was applied, and what follows from it. What does not make sense (any more) is told and left out: no start fails of it.
fn applied(layers: &Layers, base: &Config, home: &Home) -> (Changes, Config, BTreeMap<String, PolicyOverrides>) {
    let read = Changes::read_or_put_aside(home.path());
    let usable = Config::resolve(&layers.with_applied(&read.settings)).map_err(|error| error.to_string());
    let usable = usable.and_then(|config| Ok((config, read.policies(&base.datasets)?)));
    match usable {
        Ok((config, policies)) => (read, config, policies),
        Err(reason) => {
            tracing::error!("what was applied (applied.json in the home) is not used: {reason}");
            (read, base.clone(), base.datasets.clone())
        }
    }
}

fn check_policy(table: &toml::Table) -> Result<(), String> {
    sources::policy(table).map(drop)
}

/// Loads the plugins for the first time and serves what they offer; from then on, whatever changes in
/// the plugin folder is served as it comes. Blocks until the first load is done.
pub fn load_plugins(state: &Arc<AppState>) {
    let weak = Arc::downgrade(state);
    // Before the first look, so that nothing that changes meanwhile is missed.
    state.plugins.subscribe(Box::new(move |change| {
        if let Some(state) = weak.upgrade() {
            // What was held against the library before is not held against the new one.
            change.replaced.iter().for_each(|name| state.fetcher.reset_breaker(name));
            let changed = [("added", &change.added), ("replaced", &change.replaced), ("removed", &change.removed)];
            for (what, names) in changed {
                names.iter().for_each(|name| state.watch.feed.tell("plugin", &json!({ "name": name, "what": what })));
            }
            sources::publish(&state, Ask::New, Duration::ZERO);
        }
    }));
    if let Err(error) = state.plugins.reload() {
        tracing::error!(error = %error, "failed to load the plugins: {error}");
    }
    sources::publish(state, Ask::New, PATIENCE);
    warn_of_unknown_datasets(state);
    state.set_ready();
    start_schedule(state);
}

/// Loads what is to be warm, and from now on what is due.
fn start_schedule(state: &AppState) {
    let schedule = Schedule::new(state.pipeline.clone(), state.config.refresh_workers);
    let warm = schedule.warm_requests();
    if !warm.is_empty() {
        tracing::info!("{} datasets are loaded for the start", warm.len());
        let options = LoadOptions { max_workers: state.config.refresh_workers, ..state.load_options() };
        if let Err(error) = state.jobs.start(warm, options) {
            tracing::warn!(error = %error, "failed to load datasets for the start: {error}");
        }
    }
    state.background.handle().spawn(schedule.run());
}

/// Settings of a dataset that nobody offers are most likely a slip of the pen; or its source is late.
fn warn_of_unknown_datasets(state: &AppState) {
    let catalog = state.pipeline.catalog();
    for name in state.config.datasets.keys() {
        if let Err(pipeline::Error::UnknownDataset { suggestion, .. }) = catalog.get(name) {
            let hint = suggestion.map(|close| format!("; did you mean '{close}'?")).unwrap_or_default();
            tracing::warn!(dataset = %name, "[datasets.{name}] is configured, but no source offers '{name}' now{hint}");
        }
    }
}
