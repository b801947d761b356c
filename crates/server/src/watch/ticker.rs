//! Once a second: readings, alerts, and a tick for whoever follows. Recommendations are made when somebody asks.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use monitor::alerts::{AlertChange, Severity};
use monitor::recommend::{Recommendation, recommend};
use serde_json::json;

use super::{evidence, readings};
use crate::http::dto::AlertDto;
use crate::state::AppState;

const TICK: Duration = Duration::from_secs(1);

/// Watches until the server is gone.
pub async fn run(state: Weak<AppState>) {
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = Totals::default();
    loop {
        ticker.tick().await;
        let Some(state) = state.upgrade() else { return };
        let looking = tokio::task::spawn_blocking(move || {
            look(&state);
            // Nothing is added up that nobody is told of.
            if !state.watch.feed.is_followed() {
                return Totals::default();
            }
            let now = Totals::of(&state);
            tell(&state, &before, &now);
            now
        });
        match looking.await {
            Ok(now) => before = now,
            Err(error) => tracing::error!(error = %error, "the server cannot watch itself: {error}"),
        }
    }
}

/// Compares with the thresholds, and tells what has changed.
fn look(state: &Arc<AppState>) {
    let gate = state.fetcher.gate();
    state.watch.utilisation.look(gate.running, gate.options.concurrent, gate.queued);
    let readings = readings::read(state);
    let changes = state.watch.book.lock().evaluate(state.watch.monitor.now(), &readings);
    for change in changes {
        let alert = change.alert();
        let what = match &change {
            AlertChange::Raised(_) => "raised",
            AlertChange::Updated(_) => "updated",
            AlertChange::Cleared(_) => "cleared",
        };
        if !matches!(change, AlertChange::Updated(_)) {
            let (id, severity) = (alert.id.as_str(), alert.severity.as_str());
            match alert.severity {
                _ if what == "cleared" => tracing::info!(alert = id, "alert cleared: {}", alert.message),
                Severity::Info => tracing::info!(alert = id, severity, "alert: {}", alert.message),
                Severity::Warning => tracing::warn!(alert = id, severity, "alert: {}", alert.message),
                Severity::Critical => tracing::error!(alert = id, severity, "alert: {}", alert.message),
            }
        }
        let told = json!({ "what": what, "alert": AlertDto::of(&state.watch, alert) });
        state.watch.feed.tell("alert", &told);
        if let Some(webhook) = state.watch.webhook.as_ref().filter(|_| what != "updated") {
            webhook.send(told);
        }
    }
}

/// The recommendations of now.
pub fn recommendations(state: &AppState) -> Vec<Recommendation> {
    let (evidence, limits) = evidence::gather(state);
    recommend(&evidence, &limits)
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    at: Option<Instant>,
    requests: u64,
    hits: u64,
    reads: u64,
    loads: u64,
}

impl Totals {
    fn of(state: &AppState) -> Self {
        let report = state.watch.monitor.report();
        let is_route = |name: &str| name.split_once(' ').is_some_and(|(_, path)| path.starts_with('/'));
        let requests = report.operations.iter().filter(|it| is_route(&it.name)).map(|it| it.windows.total.count).sum();
        let (tables, bodies) = (state.pipeline.table_stats(), state.bodies.stats());
        Self {
            at: Some(Instant::now()),
            requests,
            hits: bodies.hits + bodies.disk_hits,
            reads: bodies.hits + bodies.misses,
            loads: tables.loads,
        }
    }
}

/// A tick for whoever follows.
fn tell(state: &AppState, before: &Totals, now: &Totals) {
    let (Some(since), Some(at)) = (before.at, now.at) else { return };
    let seconds = (at - since).as_secs_f64().max(1e-3);
    let rate = |before: u64, now: u64| (now.saturating_sub(before)) as f64 / seconds;
    let reads = now.reads.saturating_sub(before.reads);
    let hit_ratio = (reads > 0).then(|| now.hits.saturating_sub(before.hits) as f64 / reads as f64);
    let (gate, bodies, tables) = (state.fetcher.gate(), state.bodies.stats(), state.pipeline.table_stats());
    state.watch.feed.tell(
        "tick",
        &json!({
            "requests_per_second": rate(before.requests, now.requests),
            "loads_per_second": rate(before.loads, now.loads),
            "hit_ratio": hit_ratio,
            "hit_ratio_minute": bodies.window.hit_rate(),
            "cache_bytes": bodies.bytes + tables.bytes,
            "scans_running": gate.running,
            "scans_waiting": gate.queued,
            "alerts": state.watch.book.lock().active().count(),
        }),
    );
}
