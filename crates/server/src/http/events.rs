//! Server-Sent Events (HTML Standard, 9.2): numbered, with a sign of life while nothing happens, ended when the server stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::problem::Problem;

/// A client that comes back says what it had seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// After so long without an event a comment is sent, so that nobody on the way takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Who follows events, and whether anybody may any more.
pub struct Streams {
    places: Arc<Semaphore>,
    most: usize,
    closing: watch::Sender<bool>,
}

/// The right to follow events.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    closing: watch::Receiver<bool>,
}

impl Streams {
    /// At most `most` clients at a time.
    pub fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), most, closing: watch::Sender::new(false) }
    }

    /// A place for one more.
    ///
    /// # Errors
    /// There is none.
    pub fn enter(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Problem::too_many_streams(self.most))?;
        Ok(Place { _permit: permit, closing: self.closing.subscribe() })
    }

    /// How many clients follow events.
    pub fn open(&self) -> usize {
        self.most - self.places.available_permits()
    }

    /// Ends all of them.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// The number of the last event that a client has seen; 0 if it has seen none.
pub fn last_seen(headers: &HeaderMap) -> u64 {
    let id = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    id.and_then(|id| id.trim().parse().ok()).unwrap_or(0)
}

/// One event as it is sent.
pub fn frame(id: Option<u64>, name: &str, data: &impl Serialize) -> String {
    // DTOs serialize without fail, and JSON has no line breaks outside of its strings, where they are escaped.
    let data = serde_json::to_string(data).unwrap_or_default();
    match id {
        Some(id) => format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
        None => format!("event: {name}\ndata: {data}\n\n"),
    }
}

/// An answer that goes on with whatever `next` brings: some frames, or `None` at the end.
pub fn respond<S, F>(place: Place, state: S, next: impl Fn(S) -> F + 'static) -> HttpResponse
where
    S: Clone + 'static,
    F: Future<Output = Option<(String, S)>> + 'static,
{
    headers().streaming(stream(place, state, next))
}

/// What HEAD is told of a stream, which takes no place.
pub fn head() -> HttpResponse {
    headers().streaming(futures_util::stream::empty::<Result<Bytes, Infallible>>())
}

fn headers() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .insert_header((HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")));
    answer
}

fn stream<S, F>(
    place: Place,
    state: S,
    next: impl Fn(S) -> F + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>>
where
    S: Clone + 'static,
    F: Future<Output = Option<(String, S)>> + 'static,
{
    unfold((place, state, next), |(mut place, state, next)| async move {
        let as_before = state.clone();
        let (bytes, state) = tokio::select! {
            biased;
            // First what there is to tell, so that nobody misses the end of what was followed.
            coming = next(state) => coming.map(|(frames, state)| (Bytes::from(frames), state))?,
            // The sender lives as long as the server does.
            _ = place.closing.wait_for(|closing| *closing) => return None,
            () = tokio::time::sleep(SIGN_OF_LIFE) => (Bytes::from_static(b": still here\n\n"), as_before),
        };
        Some((Ok(bytes), (place, state, next)))
    })
}
