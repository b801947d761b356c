//! The plugins: what was found in the folder, and what became of it.

use std::sync::Arc;

use actix_web::web::{Data, Json, block};

use pipeline::Ask;

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
    Json(PluginList { plugins: state.plugins.statuses().into_iter().map(Into::into).collect() })
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
        Ok::<_, plugin_host::Error>(PluginList { plugins: statuses.into_iter().map(Into::into).collect() })
    });
    match list.await {
        Ok(Ok(list)) => Ok(Json(list)),
        Ok(Err(error)) => Err(Problem::internal(error)),
        Err(error) => Err(Problem::internal(error)),
    }
}
