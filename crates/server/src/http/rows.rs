//! A query's rows over HTTP: the hit that needs no parsing, the miss, and the answer that both give.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use cache_core::{Hit, How, Item, Key, LoadContext, LoadError, LoadOptions, Loaded, Stale, Stored};
use pipeline::format::Format;
use pipeline::query::{
    BoundQuery,
    dashboard::{self, Strictness},
};
use pipeline::{Answer, AnswerFrom, CallOptions, Dataset, Error, Prepared, Verified, compute};

use super::body::Body;
use super::cache_headers::{self, Detail};
use super::dto::QueryBody;
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
struct Wanted {
    dataset: Arc<Dataset>,
    generation: u64,
    query: BoundQuery,
    format: Format,
    coding: Coding,
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
    fn encode(&self, answer: &Answer, max_bytes: usize) -> Result<Vec<u8>, Error> {
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
    Some(respond(&hit, status, remembered.cache_control.clone(), &head.headers))
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
        let cache_control = cache_headers::control(&wanted.dataset.policy);
        if found.lasting {
            let (generation, dataset) = (wanted.generation, Arc::clone(&wanted.dataset));
            let remembered = Remembered { generation, dataset, key, cache_control: cache_control.clone() };
            state.memo.insert(&asked(target, headers), remembered);
        }
        Ok(respond(&found.hit, found.status, cache_control, headers))
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
        let (key, cache_control) = (wanted.key(), cache_headers::control(&wanted.dataset.policy));
        let found = load(state, &Arc::new(wanted), &key, call).await?;
        Ok(respond(&found.hit, found.status, cache_control, headers))
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

/// A body that was found or made.
struct Found {
    hit: Hit<Arc<Body>>,
    status: HeaderValue,
    /// Whether it may be served without a further look for as long as it is fresh and valid. A body from before a restart
    /// is not, until its source has said that the data is still the same.
    lasting: bool,
}

/// The body from its cache, or made of the dataset's table: once for all who wait.
async fn load(state: &AppState, wanted: &Arc<Wanted>, key: &Key, call: &CallOptions) -> Result<Found, Problem> {
    let dataset = &wanted.dataset;
    loop {
        let prepared = state.pipeline.prepare(dataset, call).await?;
        let (key, table) = (key.at_version(prepared.version()), prepared.from());
        let options = options(dataset, table, call);
        let load = loader(state, prepared, Arc::clone(wanted), call);
        let loaded = state.bodies.try_get_or_load(&key, options, load).await;
        let loaded = loaded.map_err(|error| load_problem(dataset, error))?;
        let was_there = !matches!(loaded.how(), How::Led | How::Joined);
        let lasting = match table {
            Some(table) => table != AnswerFrom::Stale,
            // No table was looked at that would have told whether the data has changed since the body was stored.
            None if was_there => match state.pipeline.verify(dataset).await? {
                Verified::Unchanged => true,
                Verified::Changed => continue,
                Verified::Unanswered => false,
            },
            None => loaded.value().made_from() != AnswerFrom::Stale,
        };
        return Ok(Found { hit: loaded.hit().clone(), status: cache_status(&loaded, table), lasting });
    }
}

/// How a body is looked up and kept, of a dataset whose table was come by so, if it is kept whole.
fn options(dataset: &Dataset, table: Option<AnswerFrom>, call: &CallOptions) -> LoadOptions {
    let policy = &dataset.policy;
    LoadOptions {
        ttl: Some(policy.ttl),
        timeout: Some(policy.load_timeout + Duration::from_secs(1)),
        deadline: call.deadline,
        stale_while_revalidate: Some(policy.stale_while_revalidate),
        stale_if_error: Some(policy.stale_if_error),
        // A body of a table is as good as the table, which was looked at a moment ago.
        stale: if table.is_some() { Stale::Accept } else { Stale::Refresh },
        persist: Some(policy.persist),
    }
}

/// Makes a body: the answer to its query, encoded and compressed.
fn loader(
    state: &AppState,
    prepared: Prepared,
    wanted: Arc<Wanted>,
    call: &CallOptions,
) -> impl FnOnce(LoadContext) -> BoxedLoad + Send + use<> {
    let pipeline = state.pipeline.clone();
    // The load is everybody's who waits for it: this caller's deadline is not in it.
    let call = CallOptions { deadline: None, ..call.clone() };
    let (max_rows, max_bytes) = (state.config.max_rows, state.config.max_answer_bytes);
    move |context| {
        Box::pin(async move {
            // What replaces a stale body is not made of a stale result.
            let stale = if context.is_refresh() { Stale::Refuse } else { call.stale };
            let answer = pipeline.answer(&prepared, &wanted.query, &CallOptions { stale, ..call }).await?;
            if answer.rows > max_rows {
                return Err(Error::TooManyRows { rows: answer.rows, max_rows });
            }
            let origin = answer.origin;
            let tags: Vec<Arc<str>> = wanted.dataset.tags.to_vec();
            let body = compute(answer.bytes, move || {
                let bytes = wanted.encode(&answer, max_bytes)?;
                Ok::<_, Error>(Body::new(bytes, wanted.format, wanted.coding, answer.from))
            })
            .await??;
            let weight = body.weight();
            Ok(Item::new(Arc::new(body), weight).with_origin(origin).with_tags(tags))
        })
    }
}

type BoxedLoad = Pin<Box<dyn Future<Output = Result<Item<Arc<Body>>, Error>> + Send>>;

fn load_problem(dataset: &Dataset, error: LoadError<Error>) -> Problem {
    let error = match error {
        LoadError::Failed(error) => (*error).clone(),
        LoadError::TimedOut { .. } | LoadError::Deadline => Error::Timeout { dataset: dataset.name.clone() },
        other => Error::Internal(other.to_string().into()),
    };
    error.into()
}

/// How a body was come by, of a dataset whose table was come by so, if it is kept whole.
fn cache_status(loaded: &Loaded<Arc<Body>>, table: Option<AnswerFrom>) -> HeaderValue {
    let freshness_ms = loaded.hit().freshness_ms();
    let made_from = loaded.value().made_from();
    match loaded.how() {
        How::StaleOnError => cache_headers::hit(freshness_ms, Detail::StaleIfError),
        How::Hit | How::Stale | How::Restored if table == Some(AnswerFrom::StaleOnError) => {
            cache_headers::hit(freshness_ms, Detail::StaleIfError)
        }
        How::Hit | How::Stale => cache_headers::hit(freshness_ms, Detail::Memory),
        How::Restored => cache_headers::hit(freshness_ms, Detail::Disk),
        How::Joined => cache_headers::joined(),
        How::Led => cache_headers::miss(freshness_ms, loaded.stored() == Stored::Yes, made_from),
    }
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
