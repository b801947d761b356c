//! The performance report, put together from all parts of the server.

use std::sync::Arc;

use monitor::recommend::{Change, Recommendation, TableOrQuery};
use serde_json::json;

use super::dto::{
    ActionDto, AlertDto, CurvePointDto, DatasetCostDto, OperationDto, RecommendationDto, ReportDto, ScansDto,
    SlowestDto, ms,
};
use super::figures;
use super::handlers::plugins;
use crate::state::AppState;
use crate::watch::{self, ProcessFigures};

/// The report of now. It looks at every entry in memory, so it blocks for a moment.
pub(super) fn performance_report(state: &AppState) -> ReportDto {
    let report = state.watch.monitor.report();
    let slowest = report.slowest_operation.as_ref();
    ReportDto {
        uptime_seconds: report.uptime.as_secs_f64(),
        total_operations: report.calls,
        total_errors: report.errors,
        abandoned_timers: report.abandoned,
        avg_operation_time: report.average_operation_time.as_secs_f64(),
        slowest_operation: slowest.map(|slowest| SlowestDto {
            name: slowest.name.to_string(),
            p99_ms: ms(slowest.p99),
            max_ms: ms(slowest.max),
        }),
        operations: report.operations.iter().map(OperationDto::from).collect(),
        cache_performance: figures::all(state),
        miss_ratio_curve: state.watch.curve.curve().iter().map(point).collect(),
        datasets: datasets(state),
        plugins: plugins::shown(state, state.plugins.statuses()).plugins,
        scans: scans(state),
        process: ProcessFigures::now().into(),
        alerts: state.watch.alerts().0.iter().map(|alert| AlertDto::of(&state.watch, alert)).collect(),
        recommendations: recommendations(state),
    }
}

fn point(point: &monitor::mrc::Point) -> CurvePointDto {
    CurvePointDto { factor: point.factor, bytes: point.capacity_bytes, hit_ratio: point.hit_ratio, reads: point.reads }
}

fn datasets(state: &AppState) -> Vec<DatasetCostDto> {
    let catalog = state.pipeline.catalog();
    let mut datasets: Vec<DatasetCostDto> = catalog
        .datasets()
        .map(|dataset| {
            let used = dataset.used();
            let (tables, results) = (used.table_loads, used.result_loads);
            DatasetCostDto {
                name: dataset.name.to_string(),
                mode: dataset.mode().name(),
                loads: tables.loaded + results.loaded,
                load_failures: tables.failed + results.failed,
                load_seconds: (tables.time + results.time).as_secs_f64(),
                loaded_bytes: tables.bytes + results.bytes,
                questions: used.questions,
                rows_answered: used.rows_answered,
                checks: used.checks,
                changes: used.changes,
            }
        })
        .collect();
    datasets.sort_by(|a, b| b.load_seconds.total_cmp(&a.load_seconds).then_with(|| a.name.cmp(&b.name)));
    datasets
}

fn scans(state: &AppState) -> ScansDto {
    let gate = state.fetcher.gate();
    ScansDto {
        running: gate.running,
        waiting: gate.queued,
        concurrent: gate.options.concurrent,
        per_source: gate.options.per_source,
        refused: state.watch.refused(),
    }
}

/// The recommendations of now, with the requests that apply them.
pub(super) fn recommendations(state: &AppState) -> Vec<RecommendationDto> {
    watch::recommendations(state).iter().map(|it| RecommendationDto::of(it, action(it))).collect()
}

/// The request that applies a recommendation.
pub(super) fn action(recommendation: &Recommendation) -> ActionDto {
    let policy = |dataset: &str| format!("/api/v1/datasets/{dataset}/policy");
    let settings = || "/api/v1/settings".to_owned();
    let (uri, body) = match &recommendation.change {
        Change::CacheBytes { cache, bytes } => {
            let mut body = serde_json::Map::new();
            body.insert(format!("{cache}_max_bytes"), json!(format!("{bytes} B")));
            (settings(), body.into())
        }
        Change::Ttl { dataset, ttl } => {
            // Whole milliseconds are exact enough, and short to read.
            let ttl = std::time::Duration::from_millis(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            (policy(dataset), json!({ "ttl": humantime::format_duration(ttl).to_string() }))
        }
        Change::Persist { dataset, persist } => (policy(dataset), json!({ "persist": persist })),
        Change::Mode { dataset, mode } => {
            let mode = if *mode == TableOrQuery::Table { "table" } else { "query" };
            (policy(dataset), json!({ "mode": mode }))
        }
        Change::Workers { workers } => (settings(), json!({ "concurrent_scans": workers })),
        _ => (settings(), json!({})),
    };
    ActionDto { method: "PATCH", uri, body }
}

/// The recommendation of an id, if it still holds.
pub(super) fn find(state: &Arc<AppState>, id: &str) -> Option<Recommendation> {
    watch::recommendations(state).into_iter().find(|recommendation| recommendation.id == id)
}
