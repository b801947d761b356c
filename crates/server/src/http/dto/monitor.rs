//! What the server says of itself. Times are milliseconds where the name says so, ages and windows seconds, rates 0 to 1,
//! sizes bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use monitor::alerts::Alert;
use monitor::recommend::{Recommendation, Statement};
use monitor::{Figures, OperationReport, Windows};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{CacheStats, PluginDto, rfc3339};
use crate::watch::{ProcessFigures, Watch};

/// The report.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportDto {
    /// Seconds since the server began.
    pub uptime_seconds: f64,
    /// Calls of all operations since then.
    pub total_operations: u64,
    /// Of these: those that failed.
    pub total_errors: u64,
    /// Timers that were never ended.
    pub abandoned_timers: u64,
    /// The time of a call on average, in seconds.
    pub avg_operation_time: f64,
    /// The slowest operation of the last hour, by the time that 99 of 100 of its calls keep; null before the first call.
    pub slowest_operation: Option<SlowestDto>,
    /// The operations, those that have taken the most time first.
    pub operations: Vec<OperationDto>,
    /// The caches.
    pub cache_performance: CacheStats,
    /// What other sizes of the cache of bodies would bring.
    pub miss_ratio_curve: Vec<CurvePointDto>,
    /// The datasets, those that have cost the most time first.
    pub datasets: Vec<DatasetCostDto>,
    /// The plugins.
    pub plugins: Vec<PluginDto>,
    /// How sources are called.
    pub scans: ScansDto,
    /// The process.
    pub process: ProcessDto,
    /// Alerts that are active.
    pub alerts: Vec<AlertDto>,
    /// Recommendations that hold now.
    pub recommendations: Vec<RecommendationDto>,
}

/// The slowest operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlowestDto {
    /// What it is called.
    pub name: String,
    /// 99 of 100 calls took no longer.
    pub p99_ms: f64,
    /// The longest call.
    pub max_ms: f64,
}

/// An operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationDto {
    /// What it is called.
    #[schema(example = "GET /api/v1/datasets/{name}/rows")]
    pub name: String,
    /// The last minute.
    pub minute: FiguresDto,
    /// The last hour.
    pub hour: FiguresDto,
    /// Since the start.
    pub total: FiguresDto,
}

/// The figures of one window.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresDto {
    /// Calls that ended.
    pub count: u64,
    /// Of these: those that failed.
    pub errors: u64,
    /// Timers that were never ended.
    pub abandoned: u64,
    /// Calls a second.
    pub rate: f64,
    /// The time of a call on average.
    pub mean_ms: f64,
    /// Half of the calls took no longer.
    pub p50_ms: f64,
    /// Nine of ten calls took no longer.
    pub p90_ms: f64,
    /// 99 of 100 calls took no longer.
    pub p99_ms: f64,
    /// The longest call.
    pub max_ms: f64,
}

/// What a cache would do at another size.
#[derive(Debug, Serialize, ToSchema)]
pub struct CurvePointDto {
    /// The size, in budgets.
    pub factor: f64,
    /// The size.
    pub bytes: u64,
    /// Reads that would be hits, of all.
    pub hit_ratio: f64,
    /// The reads that this rests on.
    pub reads: u64,
}

/// What a dataset has cost.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatasetCostDto {
    /// Its name.
    pub name: String,
    /// `table` or `query`.
    pub mode: &'static str,
    /// Loads that went well.
    pub loads: u64,
    /// Loads that failed.
    pub load_failures: u64,
    /// The time of all loads.
    pub load_seconds: f64,
    /// Bytes that they brought.
    pub loaded_bytes: u64,
    /// Questions that were evaluated: those that no kept body answered.
    pub questions: u64,
    /// Rows of the answers.
    pub rows_answered: u64,
    /// How often its source said whether the data has changed.
    pub checks: u64,
    /// How often it had.
    pub changes: u64,
}

/// How sources are called.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScansDto {
    /// Calls under way.
    pub running: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// How many may be under way.
    pub concurrent: usize,
    /// How many of one source may be.
    pub per_source: usize,
    /// Calls that were refused since the start.
    pub refused: u64,
}

/// What the process takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessDto {
    /// CPU time of all threads since it began.
    pub cpu_seconds: f64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// How many may be open.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
}

/// Something that is not as it should be, or was not.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertDto {
    /// Its kind and its subject.
    #[schema(example = "slow_operation:load sales")]
    pub id: String,
    /// `slow_operation`, `memory`, `hit_rate`, `failed_operations`, `plugin_crash`, `disk_degraded`, `queue_full`,
    /// `stale_too_long` or `breaker_open`.
    pub kind: &'static str,
    /// An operation, a cache, a dataset, a plugin.
    pub subject: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// When it began, RFC 3339.
    pub since: String,
    /// When it was last seen.
    pub last_seen: String,
    /// When it was over; null while it is active.
    pub cleared: Option<String>,
    /// How often it was seen, once a second; or has happened.
    pub count: u64,
    /// Numbers: durations in seconds, sizes in bytes, shares from 0 to 1.
    pub evidence: BTreeMap<&'static str, f64>,
}

/// The alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertList {
    /// Those that are active.
    pub alerts: Vec<AlertDto>,
    /// Those that are over, the latest first.
    pub cleared: Vec<AlertDto>,
}

/// What was seen or is expected.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatementDto {
    /// For people.
    pub text: String,
    /// Numbers: durations in seconds, sizes in bytes, shares from 0 to 1.
    pub numbers: BTreeMap<&'static str, f64>,
}

/// A setting to change.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecommendationDto {
    /// Its rule and its subject.
    #[schema(example = "cache_size:bodies")]
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What was seen.
    pub observed: StatementDto,
    /// What to change.
    pub change: String,
    /// What that is expected to bring.
    pub expected: StatementDto,
    /// The request that changes it.
    pub action: ActionDto,
    /// Applies it: POST.
    pub apply: String,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ActionDto {
    /// Its method.
    #[schema(example = "PATCH")]
    pub method: &'static str,
    /// Where it goes.
    pub uri: String,
    /// Its body.
    #[schema(value_type = Object)]
    pub body: Value,
}

/// The recommendations that hold now.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecommendationList {
    /// The recommendations.
    pub recommendations: Vec<RecommendationDto>,
}

/// A timer to be begun.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler reads")]
pub struct TimerBody {
    /// The operation: up to 70 letters, digits, spaces and `_ . : / -`; it is reported as `client NAME`.
    #[schema(example = "render overview", pattern = r"^[A-Za-z0-9_.:/ -]{1,70}$")]
    operation: String,
}

/// A timer that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimerDto {
    /// Its id.
    pub id: String,
    /// Ends it: DELETE.
    pub end: String,
}

/// A timer that was ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedDto {
    /// How long it ran.
    pub duration_ms: f64,
}

/// A duration that was measured elsewhere.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body that the handler reads")]
pub struct MeasuredBody {
    /// The operation: up to 70 letters, digits, spaces and `_ . : / -`; it is reported as `client NAME`.
    #[schema(example = "render overview", pattern = r"^[A-Za-z0-9_.:/ -]{1,70}$")]
    operation: String,
    /// How long it took.
    #[schema(minimum = 0, maximum = 86_400_000, example = 12.5)]
    duration_ms: f64,
    /// Whether it went well.
    #[schema(default = true)]
    ok: Option<bool>,
}

impl From<&OperationReport> for OperationDto {
    fn from(report: &OperationReport) -> Self {
        let Windows { minute, hour, total, .. } = &report.windows;
        Self { name: report.name.to_string(), minute: minute.into(), hour: hour.into(), total: total.into() }
    }
}

impl From<&Figures> for FiguresDto {
    fn from(figures: &Figures) -> Self {
        Self {
            count: figures.count,
            errors: figures.errors,
            abandoned: figures.abandoned,
            rate: figures.rate,
            mean_ms: ms(figures.mean),
            p50_ms: ms(figures.p50),
            p90_ms: ms(figures.p90),
            p99_ms: ms(figures.p99),
            max_ms: ms(figures.max),
        }
    }
}

impl From<ProcessFigures> for ProcessDto {
    fn from(figures: ProcessFigures) -> Self {
        Self {
            cpu_seconds: figures.cpu.as_secs_f64(),
            resident_bytes: figures.resident_bytes,
            open_fds: figures.open_fds,
            max_fds: figures.max_fds,
            threads: figures.threads,
        }
    }
}

impl AlertDto {
    /// An alert of a server.
    pub fn of(watch: &Watch, alert: &Alert) -> Self {
        Self {
            id: alert.id.clone(),
            kind: alert.kind.as_str(),
            subject: alert.subject.clone(),
            severity: alert.severity.as_str(),
            message: alert.message.clone(),
            since: rfc3339(watch.wall(alert.since)),
            last_seen: rfc3339(watch.wall(alert.last_seen)),
            cleared: alert.cleared.map(|moment| rfc3339(watch.wall(moment))),
            count: alert.count,
            evidence: alert.evidence.iter().copied().collect(),
        }
    }
}

impl From<&Statement> for StatementDto {
    fn from(statement: &Statement) -> Self {
        Self { text: statement.sentence.clone(), numbers: statement.numbers.iter().copied().collect() }
    }
}

impl RecommendationDto {
    /// A recommendation with the request that applies it.
    pub fn of(recommendation: &Recommendation, action: ActionDto) -> Self {
        let id = recommendation.id.clone();
        Self {
            apply: format!("/api/v1/monitor/recommendations/{id}/apply"),
            id,
            title: recommendation.title.clone(),
            observed: (&recommendation.observed).into(),
            change: recommendation.advice.clone(),
            expected: (&recommendation.expected).into(),
            action,
        }
    }
}

/// A duration in milliseconds, to the nanosecond.
pub fn ms(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}
