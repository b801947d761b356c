//! Loads of many datasets at once: begun, watched, cancelled, and their results.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use loader::{Job, JobState};
use serde_json::{Map, Value, json};

use crate::http::dto::{LoadBody, LoadDto, LoadList};
use crate::http::timing::TookAlone;
use crate::http::{events, loads, prefer, rows};
use crate::problem::Problem;
use crate::state::AppState;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The longest time that a request waits for a load.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Events that are sent in one piece.
const EVENTS_AT_ONCE: usize = 64;

/// Load datasets
///
/// All requests are worked on side by side, through the cache; one that is slow or fails holds up no other. The answer
/// comes at once (202), or with `Prefer: wait=10` once the load is over, if that is within ten seconds.
#[utoipa::path(
    post,
    operation_id = "start_load",
    path = "/api/v1/loads",
    tag = "loads",
    params(("Prefer" = Option<String>, Header, description = "`wait=N`: wait N seconds at most for the load to be over (RFC 7240)")),
    request_body = LoadBody,
    responses(
        (status = 200, description = "The load is over", body = LoadDto),
        (status = 202, description = "The load is under way", body = LoadDto, headers(("Location" = String, description = "The load"))),
        (status = 400, description = "The body makes no sense", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "As many loads are under way as may be", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn start(
    state: Data<AppState>,
    request: HttpRequest,
    body: Json<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    let started = Instant::now();
    let (requests, options) = loads::read(&body, state.load_options())?;
    let job = state.jobs.start(requests, options).map_err(|many| Problem::too_many_loads(many.running))?;
    // What the client waits for is not what the request takes.
    let took = started.elapsed();
    tell(&state, &job, "began");
    let (ending, watched) = (Arc::clone(&job), Arc::clone(&state));
    state.background.handle().spawn(async move {
        ending.wait().await;
        tell(&watched, &ending, "ended");
    });
    let wait = prefer::wait(request.headers()).map(|wait| wait.min(MAX_WAIT));
    if let Some(wait) = wait {
        // It goes on if it takes longer.
        let _ = tokio::time::timeout(wait, job.wait()).await;
    }
    let is_over = job.look().state != JobState::Running;
    let mut answer = if is_over { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    answer.insert_header((header::LOCATION, format!("/api/v1/loads/{}", job.id)));
    if let Some(wait) = wait {
        answer.insert_header((PREFERENCE_APPLIED, format!("wait={}", wait.as_secs())));
    }
    let mut answer = answer.json(loads::document(&job));
    answer.extensions_mut().insert(TookAlone(took));
    Ok(answer)
}

/// Tells whoever follows the server.
fn tell(state: &AppState, job: &Job, what: &str) {
    let seen = job.look();
    let told = json!({ "what": what, "id": &*job.id, "state": seen.state.name(), "total": job.requests.len(), "failed": seen.failed() });
    state.watch.feed.tell("load", &told);
}

/// List the loads
///
/// Those that are under way, and for a while those that are over.
#[utoipa::path(
    get,
    operation_id = "list_loads",
    path = "/api/v1/loads",
    tag = "loads",
    responses((status = 200, description = "Those under way and those that were not long ago", body = LoadList))
)]
pub async fn list(state: Data<AppState>) -> Json<LoadList> {
    let loads = state.jobs.list().iter().map(|job| loads::summary(job, &job.look())).collect();
    Json(LoadList { loads })
}

/// Describe a load
#[utoipa::path(
    get,
    operation_id = "describe_load",
    path = "/api/v1/loads/{id}",
    tag = "loads",
    params(("id" = String, Path, description = "The load")),
    responses(
        (status = 200, description = "How it and each of its requests stand", body = LoadDto),
        (status = 404, description = "There is no such load", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show(state: Data<AppState>, id: Path<String>) -> Result<Json<LoadDto>, Problem> {
    Ok(Json(loads::document(&*find(&state, &id)?)))
}

/// Cancel a load
///
/// What nobody else waits for is stopped at its source.
#[utoipa::path(
    delete,
    operation_id = "cancel_load",
    path = "/api/v1/loads/{id}",
    tag = "loads",
    params(("id" = String, Path, description = "The load")),
    responses(
        (status = 200, description = "It is over: cancelled, or finished before", body = LoadDto),
        (status = 404, description = "There is no such load", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn cancel(state: Data<AppState>, id: Path<String>) -> Result<Json<LoadDto>, Problem> {
    let job = find(&state, &id)?;
    job.cancel();
    Ok(Json(loads::document(&job)))
}

/// Follow a load
///
/// Server-Sent Events, numbered from 1 on: `began`, `queued`, `started`, `progress` (at most ten a second for each
/// request), `retrying`, `finished`, `ended`. A client that comes back with `Last-Event-ID` goes on where it was; `gap` says
/// that events before are not kept any more.
#[utoipa::path(
    get,
    operation_id = "follow_load",
    path = "/api/v1/loads/{id}/events",
    tag = "loads",
    params(
        ("id" = String, Path, description = "The load"),
        ("Last-Event-ID" = Option<String>, Header, description = "The number of the last event that was seen"),
    ),
    responses(
        (status = 200, description = "The events", content_type = "text/event-stream"),
        (status = 404, description = "There is no such load", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "As many clients follow events as may", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn follow(state: Data<AppState>, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let job = find(&state, &id)?;
    if request.method() == Method::HEAD {
        return Ok(events::head());
    }
    let place = state.streams.enter()?;
    Ok(events::respond(place, events::last_seen(request.headers()), move |last| news(Arc::clone(&job), last)))
}

async fn news(job: Arc<Job>, last: u64) -> Option<(String, u64)> {
    let (news, has_gap) = job.events_after(last, EVENTS_AT_ONCE).await;
    let (newest, _) = news.last()?;
    let mut frames = if has_gap { events::frame(None, "gap", &json!({ "after": last })) } else { String::new() };
    for (number, happened) in &news {
        let (name, mut data) = loads::event(&job, &happened.event);
        if let Value::Object(data) = &mut data {
            data.insert("at_ms".to_owned(), json!(happened.at.as_millis() as u64));
        }
        frames.push_str(&events::frame(Some(*number), name, &data));
    }
    Some((frames, *newest))
}

/// Read the rows of a request
///
/// In the format that the request named, unless `format` or `Accept` ask for another. They are answered from the cache; what
/// had to leave it meanwhile is loaded again.
#[utoipa::path(
    get,
    operation_id = "read_load_result",
    path = "/api/v1/loads/{id}/results/{name}",
    tag = "loads",
    params(
        ("id" = String, Path, description = "The load"),
        ("name" = String, Path, description = "The request"),
        ("format" = Option<String>, Query, description = "How the rows are written; beats `Accept` and what the request named"),
    ),
    responses(
        (status = 200, description = "The rows", content_type = "application/json"),
        (status = 206, description = "A part of the rows: `Link` has the next page", content_type = "application/json"),
        (status = 304, description = "The client has them already"),
        (status = 400, description = "A parameter makes no sense", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such load or request", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 406, description = "No format is acceptable", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The request is not done with, or never will be", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 502, description = "The request failed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The request failed for the moment", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "The request did not finish in time", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn result(
    state: Data<AppState>,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    let (id, name) = path.into_inner();
    let job = find(&state, &id)?;
    let at =
        job.requests.iter().position(|request| request.name == name).ok_or_else(|| Problem::unknown_request(&name))?;
    let seen = job.look();
    match &seen.steps[at].outcome {
        None if seen.state == JobState::Cancelled => return Err(Problem::load_cancelled(&name)),
        None => return Err(Problem::not_loaded_yet(&name)),
        Some(outcome) => {
            if let Err(error) = &outcome.result {
                return Err(error.clone().into());
            }
        }
    }
    let wanted = &job.requests[at];
    let mut body = loads::query_body(wanted);
    if let Some(format) = format(request.query_string(), request.headers(), wanted.format.as_deref())? {
        body.insert("format".to_owned(), Value::String(format));
    }
    let call = state.call(&super::request_id(&request));
    let mut answer = rows::answer_kept(&state, &wanted.source, &body, request.headers(), &call).await?;
    // Links of rows are relative to the dataset.
    let link = answer.headers().get(header::LINK).and_then(|link| link.to_str().ok());
    if let Some(rest) = link.and_then(|link| link.strip_prefix("<rows?")) {
        let link = format!("</api/v1/datasets/{}/rows?{rest}", wanted.source);
        if let Ok(link) = HeaderValue::try_from(link) {
            answer.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(answer)
}

/// `format=` decides, then what `Accept` names, then the request of the load.
fn format(query: &str, headers: &HeaderMap, of_request: Option<&str>) -> Result<Option<String>, Problem> {
    let pairs = pipeline::query::params::decode(query).map_err(pipeline::Error::from)?;
    if let Some((name, value)) = pairs.iter().find(|(name, _)| name != "format") {
        return Err(Problem::unknown_parameter(name, &["format"]).value(value.clone()));
    }
    let is_named =
        headers.get(header::ACCEPT).map(HeaderValue::as_bytes).is_some_and(|accept| !accept.starts_with(b"*/*"));
    Ok(match pairs.into_iter().next() {
        Some((_, format)) => Some(format),
        None if is_named => None,
        None => of_request.map(str::to_owned),
    })
}

fn find(state: &AppState, id: &str) -> Result<Arc<Job>, Problem> {
    state.jobs.get(id).ok_or_else(|| Problem::unknown_load(id))
}
