//! A query's rows over HTTP: the hit that needs no parsing, the miss, and the answer that both give.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BodyStream, MessageBody};
use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use cache_core::Hit;
use futures_util::stream::empty;
use pipeline::CallOptions;
use serde_json::{Map, Value};

use super::body::{Body, Content};
use super::cache_headers::{self, Detail};
use super::explain;
use super::found::load;
use super::memo::{Asked, Remembered};
use super::prefer::PREFER;
use super::question::{self, Asking, Wanted};
use crate::problem::Problem;
use crate::state::AppState;

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding, prefer");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// The beginning of every path that may be answered from the memo.
const PREFIX: &str = "/api/v1/datasets/";

/// The answer to a request that was made before and whose body is there. Nothing is parsed,
/// serialized or compressed.
pub fn from_memo(state: &AppState, head: &RequestHead, started: Instant) -> Option<HttpResponse> {
    let target = head.uri.path_and_query()?.as_str();
    if head.method != Method::GET || !target.starts_with(PREFIX) {
        return None;
    }
    let remembered = state.memo.get(&asked(target, &head.headers)?, state.pipeline.generation())?;
    let key = remembered.key.at_version(remembered.dataset.version());
    let hit = state.bodies.get(&key)?;
    let status = cache_headers::hit(hit.freshness_ms(), Detail::Memory);
    let cache_control = remembered.for_clients.value(hit.age(), hit.freshness_ms());
    let answer = respond(state, &hit, status, cache_control, Some(&head.headers));
    state.watch.hit(head.uri.path().ends_with("/rows"), key.sample_hash(), hit.bytes(), started.elapsed());
    Some(answer)
}

/// Path and query of a request, as sent.
pub fn target_of(head: &RequestHead) -> &str {
    head.uri.path_and_query().map_or("", |target| target.as_str())
}

/// The dataset whose rows a request reads, if that shows without decoding anything.
pub fn dataset_of<'a>(method: &Method, path: &'a str) -> Option<&'a str> {
    let name = path.strip_prefix(PREFIX)?.strip_suffix("/rows")?;
    (*method == Method::GET && !name.is_empty() && !name.contains(['/', '%'])).then_some(name)
}

/// The answer to any request for rows.
pub async fn answer(
    state: &AppState,
    name: &str,
    target: &str,
    params: &str,
    headers: &HeaderMap,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let read = || question::of_url(&state.pipeline.catalog(), name, params, state.pipeline.rules(), headers);
    twice(async || {
        let Asking { wanted, explain } = read()?;
        if explain {
            return explain::answer(state, &wanted, call).await;
        }
        rows(state, wanted, Some(target), Some(headers), call).await
    })
    .await
}

/// The answer to a query that was sent as JSON.
pub async fn answer_json(
    state: &AppState,
    name: &str,
    body: &Map<String, Value>,
    headers: &HeaderMap,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let read = || question::of_json(&state.pipeline.catalog(), name, body, state.pipeline.rules(), headers);
    twice(async || {
        let Asking { wanted, explain } = read()?;
        if explain {
            return explain::answer(state, &wanted, call).await;
        }
        rows(state, wanted, None, None, call).await
    })
    .await
}

/// The answer to a request that reads what a query as JSON asks for, which was sent before.
pub async fn answer_kept(
    state: &AppState,
    name: &str,
    body: &Map<String, Value>,
    headers: &HeaderMap,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let read = || question::of_json(&state.pipeline.catalog(), name, body, state.pipeline.rules(), headers);
    twice(async || rows(state, read()?.wanted, None, Some(headers), call).await).await
}

/// The answer to a request for facets.
pub async fn answer_facets(
    state: &AppState,
    name: &str,
    target: &str,
    params: &str,
    headers: &HeaderMap,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let read = || question::of_facets(&state.pipeline.catalog(), name, params, state.pipeline.rules(), headers);
    twice(async || rows(state, read()?, Some(target), Some(headers), call).await).await
}

/// Asks again if the schema has changed meanwhile: the catalog has the new one already, and the question is bound to it
/// once more.
async fn twice(once: impl AsyncFn() -> Result<HttpResponse, Problem>) -> Result<HttpResponse, Problem> {
    match once().await {
        Err(problem) if problem.is_schema_change() => once().await,
        outcome => outcome,
    }
}

/// The answer to a question. A `target` may be answered from the memo next time; `readers` are the headers of a request
/// that reads, as only what is read by GET and HEAD can be known to a client already.
async fn rows(
    state: &AppState,
    wanted: Wanted,
    target: Option<&str>,
    readers: Option<&HeaderMap>,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let wanted = Arc::new(wanted);
    let key = wanted.key();
    let found = load(state, &wanted, &key, call).await?;
    let asked = target.zip(readers).and_then(|(target, headers)| asked(target, headers));
    if let Some(asked) = asked.filter(|_| found.lasting) {
        let (generation, dataset) = (wanted.generation, Arc::clone(&wanted.dataset));
        let for_clients = found.for_clients.clone();
        state.memo.insert(&asked, Remembered { generation, dataset, key, for_clients });
    }
    let mut answer = respond(state, &found.hit, found.status, found.control, readers);
    answer.extensions_mut().insert(found.timings);
    Ok(answer)
}

/// What of a request decides its body; `None` if a header comes in several lines, which is not remembered.
fn asked<'a>(target: &'a str, headers: &'a HeaderMap) -> Option<Asked<'a>> {
    let line = |name: &HeaderName| {
        let mut lines = headers.get_all(name);
        let line = lines.next().map_or(&b""[..], HeaderValue::as_bytes);
        lines.next().is_none().then_some(line)
    };
    Some(Asked {
        target,
        accept: line(&header::ACCEPT)?,
        accept_encoding: line(&header::ACCEPT_ENCODING)?,
        prefer: line(&PREFER)?,
    })
}

/// What HEAD gets of an answer to GET: nothing is written for a body that would be streamed.
pub fn headers_alone(answer: HttpResponse) -> HttpResponse {
    match answer.body().size() {
        BodySize::Stream => {
            answer.set_body(BodyStream::new(empty::<Result<Bytes, Infallible>>())).map_into_boxed_body()
        }
        _ => answer,
    }
}

/// The body, or 304 when the client has it, as `conditions` say.
fn respond(
    state: &AppState,
    hit: &Hit<Arc<Body>>,
    cache_status: HeaderValue,
    cache_control: HeaderValue,
    conditions: Option<&HeaderMap>,
) -> HttpResponse {
    let body = hit.value();
    let known = conditions.is_some_and(|headers| headers.get_all(header::IF_NONE_MATCH).any(|tags| body.matches(tags)));
    let mut response = match &body.content {
        _ if known => HttpResponse::with_body(StatusCode::NOT_MODIFIED, Bytes::new()).map_into_boxed_body(),
        Content::Ready(bytes) => HttpResponse::with_body(body.page.status(), bytes.clone()).map_into_boxed_body(),
        Content::Streamed(rows) => {
            let stream = rows.body(body.format, body.coding, state.config.stall_timeout);
            HttpResponse::with_body(body.page.status(), stream)
        }
    };
    // There are none yet, and to append takes half the time that to insert does.
    let headers = response.headers_mut();
    headers.append(header::ETAG, body.etag.clone());
    headers.append(header::CACHE_CONTROL, cache_control);
    headers.append(header::AGE, HeaderValue::from(hit.age().as_secs()));
    headers.append(CACHE_STATUS, cache_status);
    headers.append(header::VARY, VARY);
    body.page.write(headers);
    if !known {
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static(body.format.media_type()));
        headers.append(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(coding) = body.content_encoding() {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    response
}
