//! The server on itself: the report, alerts, recommendations, metrics, events, and timers of clients.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use actix_web::web::{Bytes, Data, Json, Path, block};
use monitor::{OperationName, Outcome, TimerId};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::http::dto::{
    ActionDto, AlertDto, AlertList, EndedDto, MeasuredBody, RecommendationList, ReportDto, TimerBody, TimerDto, ms,
};
use crate::http::{changes, events, report};
use crate::problem::Problem;
use crate::state::AppState;
use crate::watch::{self, News};

/// What Prometheus asks for.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The longest name of a client's operation.
const MAX_NAME: usize = 70;
/// The longest duration that is believed to a client.
const MAX_MEASURED_MS: f64 = 86_400_000.0;

/// Report how the server performs
///
/// Operations with their times, caches, datasets by cost, plugins, the process, alerts and recommendations. Operations
/// contain each other (a request its load, a load its scan), so their times do not add up.
#[utoipa::path(
    get,
    operation_id = "performance_report",
    path = "/api/v1/monitor/report",
    tag = "monitor",
    responses((status = 200, description = "The report", body = ReportDto))
)]
pub async fn report(state: Data<AppState>) -> Result<Json<ReportDto>, Problem> {
    let _turn = state.walks.begin().await?;
    let state = Arc::clone(&state);
    Ok(Json(block(move || report::performance_report(&state)).await.map_err(Problem::internal)?))
}

/// List the alerts
///
/// What is not as it should be, with the numbers that say so. An alert goes by itself when it has been well again for a while.
#[utoipa::path(
    get,
    operation_id = "list_alerts",
    path = "/api/v1/monitor/alerts",
    tag = "monitor",
    responses((status = 200, description = "Those that are active, and those that were", body = AlertList))
)]
pub async fn alerts(state: Data<AppState>) -> Json<AlertList> {
    let (active, past) = state.watch.alerts();
    let shown = |alerts: Vec<monitor::alerts::Alert>| alerts.iter().map(|it| AlertDto::of(&state.watch, it)).collect();
    Json(AlertList { alerts: shown(active), cleared: shown(past) })
}

/// List the recommendations
///
/// Each with what was seen, what to change, what that is expected to bring, and the request that changes it.
#[utoipa::path(
    get,
    operation_id = "list_recommendations",
    path = "/api/v1/monitor/recommendations",
    tag = "monitor",
    responses((status = 200, description = "Those that hold now", body = RecommendationList))
)]
pub async fn recommendations(state: Data<AppState>) -> Result<Json<RecommendationList>, Problem> {
    let state = Arc::clone(&state);
    let found = block(move || report::recommendations(&state)).await.map_err(Problem::internal)?;
    Ok(Json(RecommendationList { recommendations: found }))
}

/// Apply a recommendation
///
/// What it changes is in force at once, outlives the server, and can be taken back.
#[utoipa::path(
    post,
    operation_id = "apply_recommendation",
    path = "/api/v1/monitor/recommendations/{id}/apply",
    tag = "monitor",
    params(("id" = String, Path, description = "The recommendation")),
    responses(
        (status = 200, description = "The request that was carried out", body = ActionDto),
        (status = 404, description = "There is no such recommendation, or it holds no more", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be written down; nothing is changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn apply(state: Data<AppState>, id: Path<String>) -> Result<Json<ActionDto>, Problem> {
    super::when_ready(&state)?;
    let (state, id) = (Arc::clone(&state), id.into_inner());
    let looking = Arc::clone(&state);
    let wanted = id.clone();
    let found = block(move || report::find(&looking, &wanted)).await.map_err(Problem::internal)?;
    let action = report::action(&found.ok_or_else(|| Problem::unknown_recommendation(&id))?);
    let body = action.body.as_object().cloned().unwrap_or_default();
    let dataset = action.uri.strip_prefix("/api/v1/datasets/").and_then(|rest| rest.strip_suffix("/policy"));
    match dataset {
        Some(dataset) => drop(changes::patch_policy(&state, dataset, &body).await?),
        None => changes::patch_settings(&state, &body).await?,
    }
    tracing::info!(recommendation = %id, "recommendation '{id}' is applied: {}", action.body);
    Ok(Json(action))
}

/// Read the metrics
///
/// In Prometheus's text format.
#[utoipa::path(
    get,
    operation_id = "metrics",
    path = "/metrics",
    tag = "operations",
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
    )
)]
pub async fn metrics(state: Data<AppState>) -> Result<HttpResponse, Problem> {
    let state = Arc::clone(&state);
    let text = block(move || watch::metrics(&state)).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, METRICS)).body(Bytes::from(text)))
}

/// Follow the server
///
/// Server-Sent Events, each with a JSON object: `tick` once a second (`requests_per_second`, `loads_per_second`, `hit_ratio`,
/// `cache_bytes`, `scans_running`, `scans_waiting`, `alerts`), and as they happen `alert` (`what`: raised, updated or cleared;
/// `alert`), `load` (`what`: began or ended; `id`, `state`), `plugin` (`name`, `what`) and `dataset` (`what`: changed or
/// catalog). `gap` says that the client was too slow for some.
#[utoipa::path(
    get,
    operation_id = "follow_server",
    path = "/api/v1/monitor/events",
    tag = "monitor",
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream"),
        (status = 503, description = "As many clients follow events as may", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn follow(state: Data<AppState>, method: Method) -> Result<HttpResponse, Problem> {
    if method == Method::HEAD {
        return Ok(events::head());
    }
    let place = state.streams.enter()?;
    let feed = Arc::new(Mutex::new(state.watch.feed.follow()));
    Ok(events::respond(place, feed, next))
}

async fn next(feed: Arc<Mutex<Receiver<News>>>) -> Option<(String, Arc<Mutex<Receiver<News>>>)> {
    let news = feed.lock().await.recv().await;
    let frame = match news {
        Ok(News { name, data }) => events::frame(None, name, &*data),
        Err(RecvError::Lagged(missed)) => events::frame(None, "gap", &json!({ "missed": missed })),
        Err(RecvError::Closed) => return None,
    };
    Some((frame, feed))
}

/// Begin a timer
///
/// For dashboards that time themselves. It is ended by DELETE; one that never is counts as abandoned after an hour.
#[utoipa::path(
    post,
    operation_id = "begin_timer",
    path = "/api/v1/monitor/timers",
    tag = "monitor",
    request_body = TimerBody,
    responses(
        (status = 201, description = "The timer", body = TimerDto),
        (status = 400, description = "The name cannot be one", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "As many timers run as may", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn begin_timer(state: Data<AppState>, body: Json<Map<String, Value>>) -> Result<HttpResponse, Problem> {
    let operation = operation(&body, &["operation"])?;
    let id = state.watch.monitor.begin(&operation).map_err(|error| Problem::too_many_timers(&error.to_string()))?;
    let end = format!("/api/v1/monitor/timers/{id}");
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, end.clone()))
        .json(TimerDto { id: id.to_string(), end }))
}

/// End a timer
#[utoipa::path(
    delete,
    operation_id = "end_timer",
    path = "/api/v1/monitor/timers/{id}",
    tag = "monitor",
    params(("id" = String, Path, description = "The timer")),
    responses(
        (status = 200, description = "How long it ran", body = EndedDto),
        (status = 404, description = "There is no such timer", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn end_timer(state: Data<AppState>, id: Path<String>) -> Result<Json<EndedDto>, Problem> {
    let timer: Option<TimerId> = id.parse().ok();
    let took = timer.and_then(|timer| state.watch.monitor.end_timer(timer));
    let took = took.ok_or_else(|| Problem::unknown_timer(&id))?;
    Ok(Json(EndedDto { duration_ms: ms(took) }))
}

/// Tell a duration
///
/// One that was measured elsewhere.
#[utoipa::path(
    post,
    operation_id = "record_operation",
    path = "/api/v1/monitor/operations",
    tag = "monitor",
    request_body = MeasuredBody,
    responses(
        (status = 204, description = "It is counted"),
        (status = 400, description = "The name or the duration cannot be one", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn record(state: Data<AppState>, body: Json<Map<String, Value>>) -> Result<HttpResponse, Problem> {
    let operation = operation(&body, &["operation", "duration_ms", "ok"])?;
    let bad = |name: &str, expected: &str| {
        let value = body.get(name).unwrap_or(&Value::Null).to_string();
        Problem::bad_value(name, &value, expected)
    };
    let took = body.get("duration_ms").and_then(Value::as_f64).filter(|ms| (0.0..=MAX_MEASURED_MS).contains(ms));
    let took = took.ok_or_else(|| bad("duration_ms", "milliseconds from 0 to a day"))?;
    let outcome = match body.get("ok") {
        None | Some(Value::Null | Value::Bool(true)) => Outcome::Ok,
        Some(Value::Bool(false)) => Outcome::Error,
        Some(_) => return Err(bad("ok", "true or false")),
    };
    state.watch.monitor.client_operation(&operation).record(Duration::from_secs_f64(took / 1e3), outcome);
    Ok(HttpResponse::NoContent().finish())
}

/// The operation that a body names; it may have no other members than these.
fn operation(body: &Map<String, Value>, known: &[&str]) -> Result<OperationName, Problem> {
    if let Some(unknown) = body.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Problem::unknown_parameter(unknown, known));
    }
    let name = body.get("operation").unwrap_or(&Value::Null);
    // Under a prefix of their own: nobody outside counts as an operation of the server.
    let named = name.as_str().filter(|name| (1..=MAX_NAME).contains(&name.len()));
    let read = named.and_then(|name| OperationName::new(&format!("client {name}")).ok());
    read.ok_or_else(|| {
        let expected = "1 to 70 letters, digits, spaces and _ . : / -";
        Problem::bad_value("operation", &name.to_string(), expected)
    })
}
