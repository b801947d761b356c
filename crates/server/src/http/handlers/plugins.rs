//! The plugins: what was found in the folder, and what became of it.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path, block};

use pipeline::Ask;
use plugin_host::{PluginState, PluginStatus};

use crate::http::dto::{BreakerDto, PluginDto, PluginList};
use crate::problem::Problem;
use crate::start::PATIENCE;
use crate::state::AppState;

/// List the plugins
#[utoipa::path(
    get,
    operation_id = "list_plugins",
    path = "/api/v1/plugins",
    tag = "plugins",
    responses((status = 200, description = "All plugins, with what was tried to load each", body = PluginList))
)]
pub async fn list(state: Data<AppState>) -> Json<PluginList> {
    Json(shown(&state, state.plugins.statuses()))
}

/// Look at the plugin folder now
///
/// Libraries that failed are tried again, and every source is asked anew what it offers.
#[utoipa::path(
    post,
    operation_id = "reload_plugins",
    path = "/api/v1/plugins/reload",
    tag = "plugins",
    responses((status = 200, description = "All plugins, after the look", body = PluginList))
)]
pub async fn reload(state: Data<AppState>) -> Result<Json<PluginList>, Problem> {
    let state = Arc::clone(&state);
    let list = block(move || {
        let statuses = state.plugins.reload()?;
        crate::sources::publish(&state, Ask::All, PATIENCE);
        Ok::<_, plugin_host::Error>(shown(&state, statuses))
    });
    match list.await {
        Ok(Ok(list)) => Ok(Json(list)),
        Ok(Err(error)) => Err(Problem::internal(error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// Give a source another chance
///
/// Its circuit breaker is closed, its crashes are forgotten, and it is called again.
#[utoipa::path(
    post,
    operation_id = "reset_plugin",
    path = "/api/v1/plugins/{name}/reset",
    tag = "plugins",
    params(("name" = String, Path, description = "Name of the instance")),
    responses(
        (status = 200, description = "All plugins", body = PluginList),
        (status = 404, description = "There is no such plugin", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn reset(state: Data<AppState>, name: Path<String>) -> Result<Json<PluginList>, Problem> {
    super::when_ready(&state)?;
    if !state.plugins.statuses().iter().any(|status| status.name == *name) {
        return Err(Problem::unknown_plugin(&name));
    }
    state.fetcher.reset_breaker(&name);
    let resetting = Arc::clone(&state);
    match block(move || resetting.plugins.reset(&name)).await {
        Ok(Ok(())) => Ok(Json(shown(&state, state.plugins.statuses()))),
        Ok(Err(error)) => Err(Problem::internal(error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// The plugins as clients see them: one counts as loaded once its datasets are served.
pub(crate) fn shown(state: &AppState, mut statuses: Vec<PluginStatus>) -> PluginList {
    let catalog = state.pipeline.catalog();
    for status in &mut statuses {
        // What it offers now, which may be more than when it was loaded.
        let offered = catalog.datasets().filter(|dataset| *dataset.source_name == *status.name);
        let offered: Vec<_> =
            offered.map(|d| plugin_sdk::Dataset::new(d.source_dataset.clone(), d.description.clone())).collect();
        if !offered.is_empty() {
            status.datasets = offered;
        }
        if status.state == PluginState::Loaded && !state.pipeline.serves(&status.name) {
            status.state = PluginState::Starting;
        }
    }
    let with_breaker = |status: PluginStatus| {
        let breaker = state.fetcher.breaker(&status.name).map(BreakerDto::from);
        PluginDto { breaker, ..status.into() }
    };
    PluginList { plugins: statuses.into_iter().map(with_breaker).collect() }
}
