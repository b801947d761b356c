//! Whether the process lives, and whether it serves.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, Responder};

use crate::http::dto::Readiness;
use crate::state::AppState;

/// Whether the process lives
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "operations",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub async fn live() -> impl Responder {
    "ok\n"
}

/// Whether requests for data can be answered
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "operations",
    responses(
        (status = 200, description = "They can", body = Readiness),
        (status = 503, description = "The plugins are still being loaded", body = Readiness),
    ))]
pub async fn ready(state: Data<AppState>) -> HttpResponse {
    let mut plugins = BTreeMap::new();
    for status in state.plugins.statuses() {
        *plugins.entry(status.state.name().to_owned()).or_insert(0) += 1;
    }
    let (status, word) =
        if state.is_ready() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting") };
    let datasets = state.pipeline.catalog().datasets().len();
    HttpResponse::build(status).json(Json(Readiness { status: word.to_owned(), datasets, plugins }).into_inner())
}
