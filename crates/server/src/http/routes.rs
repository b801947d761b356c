//! Every route of the server.

use std::future::ready;
use std::sync::Arc;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::{App, Error, HttpRequest, Resource, Route, guard, web};

use super::guard::Guard;
use super::handlers::{cache, datasets, docs, health, loads, monitor, plugins, settings};
use crate::problem::Problem;
use crate::state::AppState;

/// The application of one worker: the same for the server and its tests.
pub fn create_app(
    state: Arc<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<actix_web::body::BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let json = web::JsonConfig::default()
        .limit(state.config.max_body_bytes)
        .content_type_required(true)
        .error_handler(|error, _| super::handlers::bad_json(&error).into());
    App::new()
        .app_data(web::Data::from(Arc::clone(&state)))
        .app_data(json)
        .service(read("/api/v1/datasets", web::route().to(datasets::list)))
        .service(read("/api/v1/datasets/{name}", web::route().to(datasets::show)))
        .service(read("/api/v1/datasets/{name}/rows", web::route().to(datasets::rows)))
        .service(read("/api/v1/datasets/{name}/facets", web::route().to(datasets::facets)))
        .service(write("/api/v1/datasets/{name}/query", web::post().to(datasets::query)))
        .service(write("/api/v1/datasets/{name}/refresh", web::post().to(datasets::refresh)))
        .service(write("/api/v1/datasets/{name}/touch", web::post().to(datasets::touch)))
        .service(
            read("/api/v1/datasets/{name}/policy", web::route().to(settings::policy))
                .route(web::patch().to(settings::change_policy))
                .route(web::delete().to(settings::reset_policy))
                .default_service(refuse("GET, HEAD, PATCH, DELETE")),
        )
        .service(
            read("/api/v1/settings", web::route().to(settings::list))
                .route(web::patch().to(settings::change))
                .default_service(refuse("GET, HEAD, PATCH")),
        )
        .service(drop("/api/v1/settings/{name}", web::delete().to(settings::reset)))
        .service(read("/api/v1/monitor/report", web::route().to(monitor::report)))
        .service(read("/api/v1/monitor/alerts", web::route().to(monitor::alerts)))
        .service(read("/api/v1/monitor/recommendations", web::route().to(monitor::recommendations)))
        .service(write("/api/v1/monitor/recommendations/{id}/apply", web::post().to(monitor::apply)))
        .service(read("/api/v1/monitor/events", web::route().to(monitor::follow)))
        .service(write("/api/v1/monitor/timers", web::post().to(monitor::begin_timer)))
        .service(drop("/api/v1/monitor/timers/{id}", web::delete().to(monitor::end_timer)))
        .service(write("/api/v1/monitor/operations", web::post().to(monitor::record)))
        .service(read("/metrics", web::route().to(monitor::metrics)))
        .service(read("/api/v1/plugins", web::route().to(plugins::list)))
        .service(write("/api/v1/plugins/reload", web::post().to(plugins::reload)))
        .service(write("/api/v1/plugins/{name}/reset", web::post().to(plugins::reset)))
        .service(
            read("/api/v1/loads", web::route().to(loads::list))
                .route(web::post().to(loads::start))
                .default_service(refuse("GET, HEAD, POST")),
        )
        .service(
            read("/api/v1/loads/{id}", web::route().to(loads::show))
                .route(web::delete().to(loads::cancel))
                .default_service(refuse("GET, HEAD, DELETE")),
        )
        .service(read("/api/v1/loads/{id}/events", web::route().to(loads::follow)))
        .service(read("/api/v1/loads/{id}/results/{name}", web::route().to(loads::result)))
        .service(drop("/api/v1/cache", web::delete().to(cache::clear)))
        .service(read("/api/v1/cache/stats", web::route().to(cache::stats)))
        .service(read("/api/v1/cache/entries", web::route().to(cache::list)))
        .service(
            read("/api/v1/cache/entries/{key:.*}", web::route().to(cache::show))
                .route(web::delete().to(cache::remove))
                .default_service(refuse("GET, HEAD, DELETE")),
        )
        .service(write("/api/v1/cache/invalidate", web::post().to(cache::invalidate)))
        .service(write("/api/v1/cache/verify", web::post().to(cache::verify)))
        .service(write("/api/v1/cache/compact", web::post().to(cache::compact)))
        .service(read("/livez", web::route().to(health::live)))
        .service(read("/readyz", web::route().to(health::ready)))
        .service(read("/openapi.json", web::route().to(docs::openapi)))
        .service(read("/", web::route().to(docs::index)))
        .service(read("/docs", web::route().to(docs::index)))
        .service(read("/docs/{file:.*}", web::route().to(docs::file)))
        .default_service(web::to(async |request: HttpRequest| Err::<&str, _>(Problem::no_route(request.path()))))
        .wrap(Guard(state))
}

/// A resource that is read: GET, HEAD with the same headers, anything else is 405.
fn read(path: &str, route: Route) -> Resource {
    let route = route.guard(guard::Any(guard::Get()).or(guard::Head()));
    web::resource(path).route(route).default_service(refuse("GET, HEAD"))
}

/// A resource that is written to: POST, anything else is 405.
fn write(path: &str, post: Route) -> Resource {
    web::resource(path).route(post).default_service(refuse("POST"))
}

/// A resource that can only be dropped: DELETE, anything else is 405.
fn drop(path: &str, delete: Route) -> Resource {
    web::resource(path).route(delete).default_service(refuse("DELETE"))
}

fn refuse(allow: &'static str) -> Route {
    web::to(move |method: Method| ready(Err::<&str, _>(Problem::method_not_allowed(method.as_str(), allow))))
}
