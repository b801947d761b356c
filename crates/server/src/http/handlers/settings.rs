//! Settings and policies, changed while the server runs.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde_json::{Map, Value, json};

use crate::http::changes;
use crate::http::dto::{PolicyDetail, PolicyPatch, SettingList, SettingsPatch};
use crate::problem::Problem;
use crate::state::AppState;

/// List the settings
#[utoipa::path(
    get,
    operation_id = "list_settings",
    path = "/api/v1/settings",
    tag = "settings",
    responses((status = 200, description = "All settings, and where each comes from", body = SettingList))
)]
pub async fn list(state: Data<AppState>) -> Json<SettingList> {
    Json(changes::settings(&state))
}

/// Change settings
///
/// They are in force at once, outlive the server, and win over its file, environment and flags. Null takes a change back.
#[utoipa::path(
    patch,
    operation_id = "change_settings",
    path = "/api/v1/settings",
    tag = "settings",
    request_body = SettingsPatch,
    responses(
        (status = 200, description = "All settings", body = SettingList),
        (status = 400, description = "A value makes no sense", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "They cannot be written down; nothing is changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn change(state: Data<AppState>, body: Json<Map<String, Value>>) -> Result<Json<SettingList>, Problem> {
    changes::patch_settings(&state, &body).await?;
    Ok(Json(changes::settings(&state)))
}

/// Take a change of a setting back
#[utoipa::path(
    delete,
    operation_id = "reset_setting",
    path = "/api/v1/settings/{name}",
    tag = "settings",
    params(("name" = String, Path, description = "The setting")),
    responses(
        (status = 204, description = "What the file, the environment or the flags say is in force again"),
        (status = 404, description = "No such setting was changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "That cannot be written down; nothing is changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn reset(state: Data<AppState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    if !changes::is_applied(&state, &name) {
        return Err(Problem::not_applied(&name));
    }
    let patch = json!({ name.as_str(): null });
    changes::patch_settings(&state, patch.as_object().unwrap_or(&Map::new())).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Describe the policy of a dataset
#[utoipa::path(
    get,
    operation_id = "describe_policy",
    path = "/api/v1/datasets/{name}/policy",
    tag = "settings",
    params(("name" = String, Path, description = "The dataset")),
    responses(
        (status = 200, description = "What is in force, and where each setting comes from", body = PolicyDetail),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn policy(state: Data<AppState>, name: Path<String>) -> Result<Json<PolicyDetail>, Problem> {
    super::when_ready(&state)?;
    Ok(Json(changes::policy(&state, &name)?))
}

/// Change the policy of a dataset
///
/// It is in force at once, outlives the server, and wins over its file. Null takes a change back. Where what is kept was
/// stored under the old policy, the dataset is loaded again behind the answer, and swapped then.
#[utoipa::path(
    patch,
    operation_id = "change_policy",
    path = "/api/v1/datasets/{name}/policy",
    tag = "settings",
    params(("name" = String, Path, description = "The dataset")),
    request_body = PolicyPatch,
    responses(
        (status = 200, description = "What is in force now", body = PolicyDetail),
        (status = 400, description = "A value makes no sense", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be written down; nothing is changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn change_policy(
    state: Data<AppState>,
    name: Path<String>,
    body: Json<Map<String, Value>>,
) -> Result<Json<PolicyDetail>, Problem> {
    super::when_ready(&state)?;
    Ok(Json(changes::patch_policy(&state, &name, &body).await?))
}

/// Take the changes of a policy back
#[utoipa::path(
    delete,
    operation_id = "reset_policy",
    path = "/api/v1/datasets/{name}/policy",
    tag = "settings",
    params(("name" = String, Path, description = "The dataset")),
    responses(
        (status = 204, description = "What the file says is in force again"),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "That cannot be written down; nothing is changed", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn reset_policy(state: Data<AppState>, name: Path<String>) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    changes::reset_policy(&state, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
