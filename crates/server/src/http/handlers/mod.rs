//! One function an endpoint: it takes the request apart, makes one library call and gives its answer
//! a shape.

use std::sync::Arc;

use actix_web::error::JsonPayloadError;
use actix_web::{HttpMessage, HttpRequest};

use super::request_id::RequestId;
use crate::problem::Problem;
use crate::state::AppState;

pub mod cache;
pub mod datasets;
pub mod docs;
pub mod health;
pub mod loads;
pub mod monitor;
pub mod plugins;
pub mod settings;

/// What the plugins offer is looked up only once they were loaded for the first time.
fn when_ready(state: &AppState) -> Result<(), Problem> {
    if state.is_ready() { Ok(()) } else { Err(Problem::starting()) }
}

/// The id that the guard gave the request.
fn request_id(request: &HttpRequest) -> Arc<str> {
    request.extensions().get::<RequestId>().map_or_else(|| "-".into(), |id| Arc::clone(&id.0))
}

/// The problem of a JSON body that cannot be read.
pub fn bad_json(error: &JsonPayloadError) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { limit, .. } | JsonPayloadError::Overflow { limit } => {
            Problem::body_too_large(*limit)
        }
        JsonPayloadError::ContentType => Problem::not_json(),
        JsonPayloadError::Deserialize(reason) => Problem::bad_body(format!("the body cannot be read: {reason}"))
            .hint("send a JSON object; /docs shows what goes into it"),
        _ => Problem::bad_body("the body did not arrive whole"),
    }
}
