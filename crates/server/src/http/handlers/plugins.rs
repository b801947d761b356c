//! The plugins: what was found in the folder, and what became of it.

use std::sync::Arc;

use actix_web::web::{Data, Json, block};

use pipeline::Ask;
use plugin_host::{PluginState, PluginStatus};

use crate::http::dto::PluginList;
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

/// The plugins as clients see them: one counts as loaded once its datasets are served.
fn shown(state: &AppState, mut statuses: Vec<PluginStatus>) -> PluginList {
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
    PluginList { plugins: statuses.into_iter().map(Into::into).collect() }
}
