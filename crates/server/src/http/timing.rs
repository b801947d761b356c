//! `Server-Timing` (W3C) for clients that prefer it: what an answer took, part by part.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::prefer;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What rows took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timings {
    /// The table: looked up, or loaded.
    pub(super) table: Duration,
    /// The body: looked up, or made.
    pub(super) body: Duration,
}

/// What a request took without what its client chose to wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct TookAlone(pub(super) Duration);

/// What a request counts for that took so long.
pub(super) fn alone<B>(answer: &HttpResponse<B>, took: Duration) -> Duration {
    answer.extensions().get::<TookAlone>().map_or(took, |alone| alone.0)
}

/// Adds what the answer took, if the client wants to know.
pub(super) fn add(answer: &mut HttpResponse, request: &HeaderMap, total: impl FnOnce() -> Duration) {
    if !request.contains_key(prefer::PREFER) || !prefer::timing(request) {
        return;
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let parts = answer.extensions().get::<Timings>().copied();
    let parts = parts.map(|it| format!("table;dur={:.3}, body;dur={:.3}, ", ms(it.table), ms(it.body)));
    let text = format!("{}total;dur={:.3}", parts.unwrap_or_default(), ms(total()));
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers_mut().insert(SERVER_TIMING, value);
    }
}
