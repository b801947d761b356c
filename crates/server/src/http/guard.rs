//! What every request passes, in this order: its host, its origin, its size; then, if it was made
//! before, the ready answer; else the routes. Every answer leaves with its request id, and every
//! [`Problem`] with the id inside.
//!
//! The order is the rule that nothing is looked up for a request that may not ask. A hit is answered
//! here, before routing, because routing costs more than the look-up; and other rows too, because it costs a fifth of a
//! small query.

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage, HttpResponse};
use futures_util::future::{Either, LocalBoxFuture};

use super::request_id::{self, RequestId};
use super::trace_parent::TraceParent;
use super::{rows, timing};
use crate::problem::Problem;
use crate::state::AppState;
use crate::watch::ROWS;
use crate::watch::spans::Asked;

/// The longest path and query that is read.
pub const MAX_TARGET_BYTES: usize = 16 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Makes the guard of each worker.
pub struct Guard(pub Arc<AppState>);

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = GuardService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(GuardService { service: Rc::new(service), state: Arc::clone(&self.0) }))
    }
}

/// The guard in front of one worker's routes.
pub struct GuardService<S> {
    service: Rc<S>,
    state: Arc<AppState>,
}

impl<S, B> Service<ServiceRequest> for GuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Either<
        Ready<Result<ServiceResponse<BoxBody>, Error>>,
        LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>,
    >;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        if let Err(problem) = admit(&self.state, &request) {
            let id = id_of(&request);
            let answer = finish(problem.respond(as_text(&id)), id);
            return Either::Left(ready(Ok(request.into_response(answer))));
        }
        if let Some(mut answer) = rows::from_memo(&self.state, request.head(), started) {
            timing::add(&mut answer, request.headers(), || started.elapsed());
            let id = id_of(&request);
            if self.state.watch.spans.are_on() {
                tell_of_hit(&self.state, &request, answer.status().as_u16(), &id, started);
            }
            return Either::Left(ready(Ok(request.into_response(finish(answer, id)))));
        }
        let (service, id) = (Rc::clone(&self.service), id_of(&request));
        let request_id: Arc<str> = as_text(&id).into();
        request.extensions_mut().insert(RequestId(Arc::clone(&request_id)));
        let (state, parent) = (Arc::clone(&self.state), TraceParent::of(request.headers()));
        Either::Right(Box::pin(async move {
            let (method, path) = (request.method().clone(), request.path().to_owned());
            let asked = Asked { method: &method, path: &path, request_id: &request_id, parent, started };
            let span = state.watch.spans.begin(&asked);
            let trace_id = parent.map(|parent| parent.trace_id).or(span.trace_id());
            let told = |problem: &Problem| {
                problem.log(as_text(&id), trace_id, &format!("{method} {path}"));
                problem.respond(as_text(&id))
            };
            let of_rows = rows::dataset_of(&method, &path).filter(|_| state.is_ready());
            let is_rows = of_rows.is_some();
            let mut answer = match of_rows {
                Some(name) => {
                    let (call, target) = (state.call(&request_id), rows::target_of(request.head()));
                    let answer = rows::answer(&state, name, target, request.query_string(), request.headers(), &call);
                    let answer = answer.await.unwrap_or_else(|problem| told(&problem));
                    request.into_response(answer)
                }
                None => {
                    let answer = service.call(request).await?.map_into_boxed_body();
                    match answer.response().error().and_then(|e| e.as_error::<Problem>()).cloned() {
                        Some(problem) => answer.into_response(told(&problem)),
                        None => answer,
                    }
                }
            };
            let (status, took) = (answer.status().as_u16(), timing::alone(answer.response(), started.elapsed()));
            let operation = operation_of(&answer, &method, is_rows);
            state.watch.request(&operation, took, status);
            span.end(&operation, status);
            let ms = took.as_secs_f64() * 1e3;
            tracing::debug!(
                request_id = as_text(&id),
                trace_id = trace_id.map(tracing::field::display),
                status,
                duration_ms = ms,
                "{method} {path} {status} in {ms:.1} ms"
            );
            answer.headers_mut().insert(REQUEST_ID, id);
            let (request, mut answer) = answer.into_parts();
            timing::add(&mut answer, request.headers(), || took);
            Ok(ServiceResponse::new(request, answer))
        }))
    }
}

/// A hit is worth a span only to those who follow the request that it answers.
fn tell_of_hit(state: &AppState, request: &ServiceRequest, status: u16, id: &HeaderValue, started: Instant) {
    let parent = TraceParent::of(request.headers()).filter(|parent| parent.sampled);
    if parent.is_some() {
        let request_id = &as_text(id).into();
        let asked = Asked { method: request.method(), path: request.path(), request_id, parent, started };
        state.watch.spans.begin(&asked).end(ROWS, status);
    }
}

/// What a request counts as: its method and its route, of which there are only so many.
fn operation_of(answer: &ServiceResponse<BoxBody>, method: &Method, is_rows: bool) -> Cow<'static, str> {
    if is_rows {
        return ROWS.into();
    }
    let is_known = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE].contains(method);
    match answer.request().match_pattern().filter(|_| is_known) {
        Some(pattern) => format!("{method} {}", pattern.replace(":.*", "")).into(),
        None => "a route that is none".into(),
    }
}

/// Puts the id on an answer that needs nothing else.
fn finish(mut answer: HttpResponse, id: HeaderValue) -> HttpResponse {
    answer.headers_mut().insert(REQUEST_ID, id);
    answer
}

/// The client's id, if it is plain; else a new one.
fn id_of(request: &ServiceRequest) -> HeaderValue {
    match request.headers().get(REQUEST_ID) {
        Some(id) if id.to_str().is_ok_and(request_id::is_plain) => id.clone(),
        // Hexadecimal digits are always a valid header value.
        _ => HeaderValue::from_bytes(&request_id::fresh()).unwrap_or(HeaderValue::from_static("-")),
    }
}

fn as_text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// Whether the request may ask at all.
fn admit(state: &AppState, request: &ServiceRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let authority = authority(request);
    if !state.hosts.allow(authority) {
        return Err(Problem::foreign_host(authority));
    }
    let target_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > MAX_TARGET_BYTES {
        return Err(Problem::uri_too_long(target_bytes, MAX_TARGET_BYTES));
    }
    if *request.method() != Method::GET && *request.method() != Method::HEAD {
        admit_write(state, headers, authority)?;
    }
    Ok(())
}

fn admit_write(state: &AppState, headers: &HeaderMap, authority: &str) -> Result<(), Problem> {
    let origin = headers.get(header::ORIGIN);
    let foreign = origin.is_some_and(|origin| !origin.to_str().is_ok_and(|o| state.hosts.same_origin(o, authority)));
    let cross_site = headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
    if foreign || cross_site {
        return Err(Problem::foreign_origin(origin.and_then(|o| o.to_str().ok()).unwrap_or_default()));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Problem::compressed_request());
    }
    Ok(())
}

/// The host that the request names: of its target, if that is absolute, else of its `Host` header.
fn authority(request: &ServiceRequest) -> &str {
    match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    }
}
