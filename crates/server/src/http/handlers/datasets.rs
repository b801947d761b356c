//! The datasets: what there is, its rows, and loading it again.

use actix_web::http::Method;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use pipeline::{Dataset, TableInfo};

use crate::http::dto::{
    DatasetDetail, DatasetList, DatasetSummary, FieldDto, Links, RefreshDto, SchemaDto, SourceRef, TouchDto, rfc3339,
};
use crate::http::rows;
use crate::invalidation;
use crate::problem::Problem;
use crate::state::AppState;

/// List the datasets
#[utoipa::path(
    get,
    operation_id = "list_datasets",
    path = "/api/v1/datasets",
    tag = "datasets",
    responses((status = 200, description = "All datasets, by name", body = DatasetList))
)]
pub async fn list(state: Data<AppState>) -> Result<Json<DatasetList>, Problem> {
    super::when_ready(&state)?;
    let catalog = state.pipeline.catalog();
    let mut datasets: Vec<_> = catalog.datasets().map(|d| summary(d, state.pipeline.table_info(d))).collect();
    datasets.extend(catalog.broken().map(|broken| DatasetSummary {
        name: broken.name.to_string(),
        description: String::new(),
        source: broken.source_name.to_string(),
        columns: 0,
        rows: None,
        bytes: None,
        age_seconds: None,
        error: Some(broken.error.code.name().to_owned()),
        links: Links::of(&broken.name),
    }));
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(DatasetList { datasets, generation: catalog.generation }))
}

fn summary(dataset: &Dataset, table: Option<TableInfo>) -> DatasetSummary {
    DatasetSummary {
        name: dataset.name.to_string(),
        description: dataset.description.clone(),
        source: dataset.source_name.to_string(),
        columns: dataset.schema.fields().len(),
        rows: table.as_ref().map(|t| t.rows),
        bytes: table.as_ref().map(|t| t.bytes),
        age_seconds: table.as_ref().map(|t| t.age.as_secs_f64()),
        error: None,
        links: Links::of(&dataset.name),
    }
}

/// Describe a dataset
#[utoipa::path(
    get,
    operation_id = "describe_dataset",
    path = "/api/v1/datasets/{name}",
    tag = "datasets",
    params(("name" = String, Path, description = "The dataset")),
    responses(
        (status = 200, description = "Its columns, what is cached of it and how it is kept", body = DatasetDetail),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show(state: Data<AppState>, name: Path<String>) -> Result<Json<DatasetDetail>, Problem> {
    super::when_ready(&state)?;
    let catalog = state.pipeline.catalog();
    let dataset = catalog.get(&name)?;
    let table = state.pipeline.table_info(dataset);
    let plugin = state.plugins.statuses().into_iter().find(|status| *status.name == *dataset.source_name);
    let (plugin, version) = plugin.map(|p| (p.library, p.version)).unwrap_or_default();
    let checked = dataset.checked();
    Ok(Json(DatasetDetail {
        name: dataset.name.to_string(),
        description: dataset.description.clone(),
        source: SourceRef { name: dataset.source_name.to_string(), plugin, version },
        schema: SchemaDto { fields: dataset.schema.fields().iter().map(|f| FieldDto::of(f)).collect() },
        rows: table.as_ref().map(|t| t.rows),
        bytes: table.as_ref().map(|t| t.bytes),
        loaded_at: table.as_ref().map(|t| rfc3339(t.loaded_at)),
        age_seconds: table.as_ref().map(|t| t.age.as_secs_f64()),
        mode: dataset.mode().name().to_owned(),
        policy: (&dataset.policy).into(),
        tags: dataset.tags.iter().map(ToString::to_string).collect(),
        last_checked_at: checked.as_ref().map(|checked| rfc3339(checked.at)),
        fingerprint: checked.map(|checked| hex(checked.fingerprint.as_bytes())).filter(|text| !text.is_empty()),
        links: Links::of(&dataset.name),
    }))
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Read rows
///
/// PostgREST's syntax. Every column is a parameter: `column=operator.value`, with the operators eq, neq, gt, gte, lt,
/// lte, like, ilike, match, imatch, in, is and isdistinct, each with `not.` in front if need be, and with `(any)` or
/// `(all)` for several values; or `column__op=value`, as Datasette has it. All conditions must hold; `and=(...)` and
/// `or=(...)` make others. An answer that is cut at the server's maximum is 206, and `Link` has the next page.
#[utoipa::path(get, operation_id = "read_rows", path = "/api/v1/datasets/{name}/rows", tag = "datasets")]
pub async fn rows(state: Data<AppState>, name: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    let target = rows::target_of(request.head());
    let call = state.call(&super::request_id(&request));
    let answer = rows::answer(&state, &name, target, request.query_string(), request.headers(), &call).await?;
    Ok(if request.method() == Method::HEAD { rows::headers_alone(answer) } else { answer })
}

/// Count values
///
/// For each of the columns: its most frequent values among the rows that fulfil the filters, how many values there are,
/// and how many rows have none.
#[utoipa::path(get, operation_id = "read_facets", path = "/api/v1/datasets/{name}/facets", tag = "datasets")]
pub async fn facets(state: Data<AppState>, name: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    let target = rows::target_of(request.head());
    let call = state.call(&super::request_id(&request));
    rows::answer_facets(&state, &name, target, request.query_string(), request.headers(), &call).await
}

/// Read rows by a query in JSON
///
/// What the URL of the rows says, for long filters. With `filters`, a dashboard's short form
/// (`{"year_min": 2020, "year_max": 2025, "sectors": ["Technology"]}`), filters that name no column are skipped and listed
/// beside the rows, so that one set of filters can go to many datasets.
#[utoipa::path(post, operation_id = "query_rows", path = "/api/v1/datasets/{name}/query", tag = "datasets")]
pub async fn query(
    state: Data<AppState>,
    name: Path<String>,
    request: HttpRequest,
    body: Json<serde_json::Map<String, serde_json::Value>>,
) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    // What stands in the URL would be passed over in silence.
    if let Some(parameter) = request.query_string().split('&').find(|parameter| !parameter.is_empty()) {
        return Err(Problem::parameter_beside_body(parameter.split('=').next().unwrap_or_default()));
    }
    rows::answer_json(&state, &name, &body, request.headers(), &state.call(&super::request_id(&request))).await
}

/// Load a dataset again
///
/// The old data goes on being served until the new data is there.
#[utoipa::path(
    post,
    operation_id = "refresh_dataset",
    path = "/api/v1/datasets/{name}/refresh",
    tag = "datasets",
    params(("name" = String, Path, description = "The dataset")),
    responses(
        (status = 200, description = "What was loaded", body = RefreshDto),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 502, description = "The source failed; the old data stays", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "The source did not answer in time; the old data stays", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The source cannot be reached now; the old data stays", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn refresh(
    state: Data<AppState>,
    name: Path<String>,
    request: HttpRequest,
) -> Result<Json<RefreshDto>, Problem> {
    super::when_ready(&state)?;
    let refreshed = state.pipeline.refresh(&name, &state.call(&super::request_id(&request))).await?;
    Ok(Json(RefreshDto {
        name: name.into_inner(),
        rows: refreshed.table.as_ref().map(|t| t.rows),
        bytes: refreshed.table.as_ref().map(|t| t.bytes),
        loaded_at: refreshed.table.as_ref().map(|t| rfc3339(t.loaded_at)),
        duration_ms: refreshed.took.as_secs_f64() * 1e3,
    }))
}

/// Look whether the data of a dataset has changed
///
/// The source is asked for its change token. If that is a new one, what is kept of the dataset is dropped; so it is when
/// the source cannot tell.
#[utoipa::path(
    post,
    operation_id = "touch_dataset",
    path = "/api/v1/datasets/{name}/touch",
    tag = "datasets",
    params(("name" = String, Path, description = "The dataset")),
    responses(
        (status = 200, description = "Whether it has", body = TouchDto),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 502, description = "The source failed; nothing is dropped", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The source cannot be reached now, and nothing is dropped; or what is dropped might come back after a restart", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 504, description = "The source did not answer in time; nothing is dropped", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn touch(state: Data<AppState>, name: Path<String>, request: HttpRequest) -> Result<Json<TouchDto>, Problem> {
    super::when_ready(&state)?;
    let touched = state.pipeline.touch(&name, &state.call(&super::request_id(&request))).await?;
    if touched.invalidated {
        invalidation::outlives(&state)?;
    }
    Ok(Json(TouchDto {
        name: name.into_inner(),
        changed: touched.changed,
        invalidated: touched.invalidated,
        checked_ms: touched.took.as_secs_f64() * 1e3,
    }))
}
