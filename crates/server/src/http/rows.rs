//! A query's rows over HTTP: the hit that needs no parsing, the miss, and the answer that both give.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use cache_core::{Hit, Key};
use pipeline::format::Format;
use pipeline::query::{
    BoundQuery,
    dashboard::{self, Strictness},
};
use pipeline::{Answer, CallOptions, Dataset, Error};

use super::body::Body;
use super::cache_headers::{self, Detail};
use super::dto::QueryBody;
use super::found::load;
use super::memo::{Asked, Remembered};
use super::negotiate::{self, Coding};
use crate::problem::Problem;
use crate::state::AppState;

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const VARY: HeaderValue = HeaderValue::from_static("accept, accept-encoding");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// The parameter of a rows request that is not part of the query.
pub const FORMAT: &str = "format";
/// The beginning of every path that may be answered from the memo.
const PREFIX: &str = "/api/v1/datasets/";

/// What a client asked for, bound and negotiated.
pub(super) struct Wanted {
    pub(super) dataset: Arc<Dataset>,
    generation: u64,
    pub(super) query: BoundQuery,
    pub(super) format: Format,
    pub(super) coding: Coding,
    /// Filters that were skipped, of a request that is told of them beside its rows.
    ignored: Option<Vec<String>>,
}

impl Wanted {
    /// The key of the body, at no version.
    fn key(&self) -> Key {
        let shape = match &self.ignored {
            // As JSON, with spaces escaped: keys of entries are written in URLs.
            Some(ignored) => format!("told{}", serde_json::json!(ignored).to_string().replace(' ', "\\u0020")),
            None => self.format.name().to_owned(),
        };
        let text = format!("{shape}+{}?{}", self.coding.name(), self.query.canonical());
        Key::new(&self.dataset.namespace, text.into_bytes())
    }

    /// The answer as bytes.
    pub(super) fn encode(&self, answer: &Answer, max_bytes: usize) -> Result<Vec<u8>, Error> {
        let rows = self.format.encode(&answer.schema, &answer.batches, max_bytes)?;
        let Some(ignored) = &self.ignored else { return Ok(rows) };
        let ignored = serde_json::to_string(ignored).unwrap_or_else(|_| "[]".into());
        let mut told = format!(r#"{{"row_count":{},"ignored_filters":{ignored},"rows":"#, answer.rows).into_bytes();
        told.extend_from_slice(&rows);
        told.push(b'}');
        Ok(told)
    }
}

/// The answer to a request that was made before and whose body is there. Nothing is parsed,
/// serialized or compressed.
pub fn from_memo(state: &AppState, head: &RequestHead) -> Option<HttpResponse> {
    let target = head.uri.path_and_query()?.as_str();
    if head.method != Method::GET || !target.starts_with(PREFIX) {
        return None;
    }
    let remembered = state.memo.get(&asked(target, &head.headers), state.pipeline.generation())?;
    let hit = state.bodies.get(&remembered.key.at_version(remembered.dataset.version()))?;
    let status = cache_headers::hit(hit.freshness_ms(), Detail::Memory);
    let cache_control = remembered.for_clients.value(hit.age(), hit.freshness_ms());
    Some(respond(&hit, status, cache_control, &head.headers))
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
    let once = async || -> Result<HttpResponse, Problem> {
        let wanted = Arc::new(read(state, name, params, headers)?);
        let key = wanted.key();
        let found = load(state, &wanted, &key, call).await?;
        if found.lasting {
            let (generation, dataset) = (wanted.generation, Arc::clone(&wanted.dataset));
            let for_clients = found.for_clients.clone();
            state.memo.insert(&asked(target, headers), Remembered { generation, dataset, key, for_clients });
        }
        Ok(respond(&found.hit, found.status, found.control, headers))
    };
    match once().await {
        // The catalog has the new schema already: the query is bound to it once more.
        Err(problem) if problem.is_schema_change() => once().await,
        outcome => outcome,
    }
}

/// The answer to a dashboard's filters: the rows, and which filters were skipped.
pub async fn answer_filters(
    state: &AppState,
    name: &str,
    body: &QueryBody,
    headers: &HeaderMap,
    call: &CallOptions,
) -> Result<HttpResponse, Problem> {
    let strictness = if body.strict { Strictness::Strict } else { Strictness::Lenient };
    let once = async || -> Result<HttpResponse, Problem> {
        let accept = text(headers, &header::ACCEPT);
        if !negotiate::accepts(accept, Format::Json) {
            return Err(Problem::not_acceptable(accept, &[Format::Json]));
        }
        let catalog = state.pipeline.catalog();
        let dataset = Arc::clone(catalog.get(name)?);
        let limits = &state.pipeline.rules().limits;
        let (query, ignored) =
            dashboard::from_filters_within(&body.filters, &dataset.schema, strictness, limits).map_err(Error::from)?;
        let coding = negotiate::coding(text(headers, &header::ACCEPT_ENCODING));
        let generation = catalog.generation;
        let wanted = Wanted { dataset, generation, query, format: Format::Json, coding, ignored: Some(ignored) };
        let key = wanted.key();
        let found = load(state, &Arc::new(wanted), &key, call).await?;
        Ok(respond(&found.hit, found.status, found.control, headers))
    };
    match once().await {
        Err(problem) if problem.is_schema_change() => once().await,
        outcome => outcome,
    }
}

fn asked<'a>(target: &'a str, headers: &'a HeaderMap) -> Asked<'a> {
    let bytes = |name: &HeaderName| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    Asked { target, accept: bytes(&header::ACCEPT), accept_encoding: bytes(&header::ACCEPT_ENCODING) }
}

/// Binds the query to the dataset and negotiates format and coding.
fn read(state: &AppState, name: &str, params: &str, headers: &HeaderMap) -> Result<Wanted, Problem> {
    let catalog = state.pipeline.catalog();
    let dataset = Arc::clone(catalog.get(name)?);
    let params = pipeline::query::params::decode(params).map_err(Error::from)?;
    let given = params.iter().filter(|(name, _)| name == FORMAT).map(|(_, value)| value.as_str());
    let format = choose_format(given, headers)?;
    let query = pipeline::query::parse_pairs(params, &dataset.schema, state.pipeline.rules()).map_err(Error::from)?;
    let coding = negotiate::coding(text(headers, &header::ACCEPT_ENCODING));
    Ok(Wanted { dataset, generation: catalog.generation, query, format, coding, ignored: None })
}

/// `format=` decides; without it, `Accept`.
fn choose_format<'a>(mut given: impl Iterator<Item = &'a str>, headers: &HeaderMap) -> Result<Format, Problem> {
    match (given.next(), given.next()) {
        (Some(name), None) => Format::from_name(name).ok_or_else(|| Problem::unknown_format(name)),
        (Some(_), Some(second)) => Err(Problem::format_twice(second)),
        (None, _) => {
            let accept = text(headers, &header::ACCEPT);
            negotiate::format(accept).ok_or_else(|| Problem::not_acceptable(accept, &Format::ALL))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// 200 with the body, or 304 when the client has it.
fn respond(
    hit: &Hit<Arc<Body>>,
    cache_status: HeaderValue,
    cache_control: HeaderValue,
    request: &HeaderMap,
) -> HttpResponse {
    let body = hit.value();
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|tags| body.matches(tags));
    let mut response = if known {
        HttpResponse::with_body(StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        HttpResponse::with_body(StatusCode::OK, body.bytes.clone())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, body.etag.clone());
    headers.insert(header::CACHE_CONTROL, cache_control);
    headers.insert(header::AGE, HeaderValue::from(hit.age().as_secs()));
    headers.insert(CACHE_STATUS, cache_status);
    headers.insert(header::VARY, VARY);
    if !known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(body.format.media_type()));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Some(coding) = body.content_encoding() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
    }
    response.map_into_boxed_body()
}
