//! The OpenAPI document of the catalog of now, and Swagger UI to look at it.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::problem::Problem;
use crate::state::AppState;

/// Scripts and requests stay on this server; Swagger UI sets styles in the page and shows data: images.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "This API with every dataset, OpenAPI 3.1", body = serde_json::Value)))]
pub async fn openapi(state: Data<AppState>, request: HttpRequest) -> HttpResponse {
    let document = state.openapi.get(&state.pipeline.catalog(), state.pipeline.rules().limits.max_rows);
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == document.etag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, document.etag.clone()));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    if known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(document.bytes.clone())
}

/// The way to the documentation.
pub async fn index() -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, HeaderValue::from_static("/docs/"))).finish()
}

/// Swagger UI, from the copy inside the binary.
pub async fn file(name: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        Arc::new(
            Config::from("/openapi.json").try_it_out_enabled(true).display_request_duration(true).use_base_layout(),
        )
    });
    let name = if name.is_empty() { "index.html" } else { name.as_str() };
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => {
            let mut response = HttpResponse::Ok();
            response.insert_header((header::CONTENT_TYPE, file.content_type.as_str()));
            response.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
            response.insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
            Ok(response.body(file.bytes.into_owned()))
        }
        Ok(None) => Err(Problem::no_route(request.path())),
        Err(error) => Err(Problem::internal(error)),
    }
}
