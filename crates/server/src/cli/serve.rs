//! `larder serve`: from the settings to a running server, and what a person sees of it.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use cache_core::TierError;
use clap::ArgMatches;
use futures_util::future::join;
use plugin_host::{PluginState, PluginStatus};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::config::{Config, LogFormat, Origin};
use crate::home::{Home, reachable};
use crate::http::dto::DiskFigures;
use crate::start;
use crate::state::AppState;

/// Prints a line for whoever watches the start; nobody may, and that is no reason to stop.
macro_rules! say {
    ($($arg:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

/// The time that the cache has to reach the disk, however long the last requests took.
const LEAST_FLUSH: Duration = Duration::from_secs(2);
/// The time that the last spans have to reach their collector.
const MOST_FOR_SPANS: Duration = Duration::from_secs(5);
/// How often the plugins are looked at while they start.
const TICK: Duration = Duration::from_millis(20);

pub(super) fn serve(args: &ArgMatches) -> anyhow::Result<()> {
    let layers = super::layers(args)?;
    let config = Config::resolve(&layers)?;
    start_log(&config)?;
    for name in layers.unknown_environment() {
        tracing::warn!(variable = %name, "{name} is set, but there is no such setting");
    }
    let home = Home::open(&config.home).with_context(|| format!("use the home '{}'", config.home.display()))?;
    let listener = TcpListener::bind(config.listen).with_context(|| format!("listen on {}", config.listen))?;
    let address = listener.local_addr().context("listen")?;
    if !config.data.is_dir() && layers.origin("data") != Origin::Default {
        tracing::warn!(data = %config.data.display(), "there is no folder '{}' (setting data): no file of it is served", config.data.display());
    }
    if !address.ip().is_loopback() {
        tracing::warn!("listening on {address} without keys and TLS: whoever reaches it may read everything");
    }
    let state = start::prepare(layers, &home, address).context("start the server")?;
    actix_web::rt::System::new().block_on(async {
        let mut signals = Signals::listen().context("listen for signals")?;
        let hurrying = {
            // Before anything may be signalled, so that both hear the first one.
            let _entered = state.background.handle().enter();
            Signals::listen().context("listen for signals")?
        };
        state.background.handle().spawn(stop_at_second(hurrying));
        state.pipeline.start_checks();
        let starting = {
            let state = Arc::clone(&state);
            std::thread::Builder::new().name("start".into()).spawn(move || {
                start_plugins(&state);
                if let Err(error) = home.announce(address) {
                    tracing::warn!(error = %error, "the home does not say where the server is: {error}");
                }
                greet(&state, address);
                home
            })
        };
        let starting = starting.context("start a thread")?;
        let stopping = Arc::new(OnceLock::new());
        let told = Arc::clone(&stopping);
        let signals = async move {
            signals.next().await;
            let _ = told.set(Instant::now());
        };
        crate::run(listener, Arc::clone(&state), signals).await.context("serve")?;
        state.plugins.shutdown();
        let since = stopping.get().map_or(Duration::ZERO, Instant::elapsed);
        let patience = state.config.shutdown_timeout.saturating_sub(since).max(LEAST_FLUSH);
        join(flush(&state, patience), close_spans(&state, patience.min(MOST_FOR_SPANS))).await;
        // The home is let go only now, after the last of its users.
        drop(starting.join().map_err(|_| anyhow!("start the plugins: the thread panicked"))?);
        Ok(())
    })
}

/// Brings what is cached to disk. What does not get there in time is loaded again one day.
async fn flush(state: &AppState, patience: Duration) {
    let (tables, bodies) = (state.pipeline.tables().clone(), state.bodies.clone());
    let tier = state.disk.tier().cloned();
    let written = async {
        tables.close().await?;
        bodies.close().await?;
        // The files are closed in order, so that the next start has nothing to look through.
        let closed = actix_web::rt::task::spawn_blocking(move || tier.iter().for_each(|tier| tier.close())).await;
        closed.map_err(|error| TierError { what: "close the cache on disk".into(), source: Some(error.into()) })
    };
    match actix_web::rt::time::timeout(patience, written).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "the cache on disk lacks what was stored last: {error}"),
        Err(_) => {
            tracing::warn!("the cache on disk lacks what was stored last: writing it took longer than the shutdown may")
        }
    }
}

/// Exports the last spans.
async fn close_spans(state: &Arc<AppState>, patience: Duration) {
    if state.watch.spans.are_on() {
        let state = Arc::clone(state);
        // A panic there has been told already.
        let _ = actix_web::rt::task::spawn_blocking(move || state.watch.spans.close(patience)).await;
    }
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("configure log = '{}'", config.log))?;
    let builder: SubscriberBuilder<_, _, EnvFilter, _> =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    match config.log_format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
        }
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whoever asks twice does not want to wait. Nothing that was written is lost by it: the file on disk is good at any time.
async fn stop_at_second(mut signals: Signals) {
    signals.next().await;
    signals.next().await;
    tracing::warn!("stopping at once: open requests are cut off, and what was cached last may not be on disk");
    std::process::exit(1);
}

/// Loads the plugins, with a line for each as it is settled.
fn start_plugins(state: &Arc<AppState>) {
    say!("larder {}", env!("CARGO_PKG_VERSION"));
    let started = Instant::now();
    let (mut told, mut done) = (HashSet::new(), false);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| start::load_plugins(state));
        while !done {
            done = loading.is_finished();
            for status in state.plugins.statuses() {
                if status.state != PluginState::Starting && told.insert(status.name.clone()) {
                    say!("  {}", line(&status, started.elapsed()));
                }
            }
            if !done {
                std::thread::sleep(TICK);
            }
        }
    });
    if told.is_empty() {
        say!("  no plugins in {}: copy libraries into it at any time", state.config.plugins.display());
    }
}

fn line(status: &PluginStatus, after: Duration) -> String {
    let failure = status.steps.iter().find(|step| !step.ok);
    let outcome = match failure {
        Some(step) if status.state != PluginState::Loaded => format!("{}: {}", step.name, step.detail),
        _ if status.datasets.len() == 1 => "1 dataset".to_owned(),
        _ => format!("{} datasets", status.datasets.len()),
    };
    format!("plugin {:<14} {:<10} {outcome} ({:.1} s)", status.name, status.state.name(), after.as_secs_f64())
}

fn greet(state: &AppState, address: std::net::SocketAddr) {
    let url = format!("http://{}", reachable(address));
    say!("ready: {} datasets", state.pipeline.catalog().datasets().len());
    say!("  documentation  {url}/docs");
    say!("  datasets       {url}/api/v1/datasets");
    say!("  plugin folder  {}", state.config.plugins.display());
    let missing = if state.config.data.is_dir() { "" } else { " (is not there)" };
    say!("  data folder    {}{missing}", state.config.data.display());
    match state.disk.figures(state.config.disk_max_bytes) {
        Some(DiskFigures { degraded: Some(reason), .. }) => say!("  cache          in memory alone: {reason}"),
        Some(disk) => say!("  cache          {} entries in {}", disk.entries, state.config.cache_dir.display()),
        None => say!("  cache          in memory"),
    }
    say!("listening on {url}");
}
