//! The caches: what is in them, dropping from them, and looking after what is on disk.

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::{Data, Json, Path, block};
use actix_web::{HttpRequest, HttpResponse};
use cache_redb::RedbTier;

use crate::http::dto::{CacheStats, CompactDto, EntryDto, EntryList, InvalidateBody, InvalidatedDto, VerifyDto};
use crate::http::{entries, figures};
use crate::invalidation::{self, Target};
use crate::problem::Problem;
use crate::state::AppState;

/// Figures of the caches
///
/// Together, by tier, by cache and by dataset.
#[utoipa::path(
    get,
    operation_id = "cache_stats",
    path = "/api/v1/cache/stats",
    tag = "cache",
    responses((status = 200, description = "The figures", body = CacheStats))
)]
pub async fn stats(state: Data<AppState>) -> Result<Json<CacheStats>, Problem> {
    let _turn = state.walks.begin().await?;
    let state = Arc::clone(&state);
    Ok(Json(block(move || figures::all(&state)).await.map_err(Problem::internal)?))
}

/// List the entries
///
/// Of both caches, in the order of datasets and keys, with age, what is left of the time to live, bytes, tier and hits.
#[utoipa::path(
    get,
    operation_id = "list_entries",
    path = "/api/v1/cache/entries",
    tag = "cache",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many [default: 100]"),
        ("after" = Option<String>, Query, description = "Those after this key: `next` of the page before"),
        ("dataset" = Option<String>, Query, description = "Of this dataset alone"),
    ),
    responses(
        (status = 200, description = "A page of entries", body = EntryList),
        (status = 400, description = "A parameter makes no sense", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list(state: Data<AppState>, request: HttpRequest) -> Result<Json<EntryList>, Problem> {
    super::when_ready(&state)?;
    let page = entries::Page::read(request.query_string())?;
    let _turn = state.walks.begin().await?;
    let state = Arc::clone(&state);
    Ok(Json(block(move || entries::list(&state, &page)).await.map_err(Problem::internal)??))
}

/// Describe an entry
#[utoipa::path(
    get,
    operation_id = "describe_entry",
    path = "/api/v1/cache/entries/{key}",
    tag = "cache",
    params(("key" = String, Path, description = "The key as the list shows it, percent-encoded")),
    responses(
        (status = 200, description = "The entry", body = EntryDto),
        (status = 404, description = "There is no such entry", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show(state: Data<AppState>, key: Path<String>) -> Result<Json<EntryDto>, Problem> {
    super::when_ready(&state)?;
    let state = Arc::clone(&state);
    let found = block(move || entries::find(&state, &key)).await.map_err(Problem::internal)??;
    Ok(Json(found.1))
}

/// Drop an entry
///
/// It is loaded again when somebody asks for it. With the table of a dataset go the bodies that are made of it.
#[utoipa::path(
    delete,
    operation_id = "drop_entry",
    path = "/api/v1/cache/entries/{key}",
    tag = "cache",
    params(("key" = String, Path, description = "The key as the list shows it, percent-encoded")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such entry", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It is gone, but a restart might bring it back", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn remove(state: Data<AppState>, key: Path<String>) -> Result<HttpResponse, Problem> {
    super::when_ready(&state)?;
    let finder = Arc::clone(&state);
    let found = block(move || entries::find(&finder, &key)).await.map_err(Problem::internal)??;
    invalidation::drop_entry(&state, found.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Drop what a dataset, tag, prefix or key names
///
/// When the answer is there, nothing that began to load before is served any more, and not after a restart either.
#[utoipa::path(
    post,
    operation_id = "invalidate",
    path = "/api/v1/cache/invalidate",
    tag = "cache",
    request_body = InvalidateBody,
    responses(
        (status = 200, description = "What was dropped", body = InvalidatedDto),
        (status = 400, description = "The body names nothing, or too much", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such dataset", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It is dropped, but a restart might bring it back", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn invalidate(
    state: Data<AppState>,
    body: Json<serde_json::Map<String, serde_json::Value>>,
) -> Result<Json<InvalidatedDto>, Problem> {
    super::when_ready(&state)?;
    drop_target(&state, InvalidateBody::read(body.into_inner())?.target()?).await
}

/// Drop everything
#[utoipa::path(
    delete,
    operation_id = "clear_cache",
    path = "/api/v1/cache",
    tag = "cache",
    responses(
        (status = 200, description = "All is dropped", body = InvalidatedDto),
        (status = 400, description = "A parameter, where there is none", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "It is dropped, but a restart might bring it back", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn clear(state: Data<AppState>, request: HttpRequest) -> Result<Json<InvalidatedDto>, Problem> {
    // Whoever meant a part of it must not lose all of it.
    let given = pipeline::query::params::decode(request.query_string()).map_err(pipeline::Error::from)?;
    if let Some((name, _)) = given.first() {
        return Err(Problem::unknown_parameter(name, &[]));
    }
    drop_target(&state, Target::All).await
}

async fn drop_target(state: &Arc<AppState>, target: Target) -> Result<Json<InvalidatedDto>, Problem> {
    let done = invalidation::invalidate(state, &target).await?;
    let (scope, name) = target.parts();
    Ok(Json(InvalidatedDto {
        scope: scope.to_owned(),
        target: name.map(str::to_owned),
        stamp: done.stamp,
        durable: state.disk.not_durable().is_none(),
        datasets: done.datasets,
    }))
}

/// Read every record on disk
///
/// A record that cannot be read back exactly is a miss and does no harm; this says whether there are any.
#[utoipa::path(
    post,
    operation_id = "verify_cache",
    path = "/api/v1/cache/verify",
    tag = "cache",
    responses(
        (status = 200, description = "What was found", body = VerifyDto),
        (status = 409, description = "Nothing is kept on disk", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The disk cannot be read", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn verify(state: Data<AppState>) -> Result<Json<VerifyDto>, Problem> {
    let started = Instant::now();
    let report = on_disk(&state, |tier| tier.verify()).await?;
    Ok(Json(VerifyDto::new(report, started.elapsed())))
}

/// Make the file on disk as small as it can be
#[utoipa::path(
    post,
    operation_id = "compact_cache",
    path = "/api/v1/cache/compact",
    tag = "cache",
    responses(
        (status = 200, description = "What it brought", body = CompactDto),
        (status = 409, description = "Nothing is kept on disk", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The disk cannot be written", body = crate::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn compact(state: Data<AppState>) -> Result<Json<CompactDto>, Problem> {
    let started = Instant::now();
    let report = on_disk(&state, |tier| tier.compact()).await?;
    Ok(Json(CompactDto::new(report, started.elapsed())))
}

/// Has the disk tier do something that takes its time.
async fn on_disk<T: Send + 'static>(
    state: &AppState,
    task: impl FnOnce(&RedbTier) -> Result<T, cache_redb::Error> + Send + 'static,
) -> Result<T, Problem> {
    let tier = Arc::clone(state.disk.tier().ok_or_else(Problem::no_disk_tier)?);
    let _turn = state.walks.begin().await?;
    let done = block(move || task(&tier)).await.map_err(Problem::internal)?;
    done.map_err(|error| Problem::disk_tier_failed(&error))
}
