//! The caches.

use actix_web::web::{Data, Json};
use cache_core::Stats;

use crate::http::dto::{CacheFigures, CacheStats};
use crate::state::AppState;

/// Figures of the caches
#[utoipa::path(
    get,
    operation_id = "cache_stats",
    path = "/api/v1/cache/stats",
    tag = "cache",
    responses((status = 200, description = "Figures of the tables and of the bodies", body = CacheStats))
)]
pub async fn stats(state: Data<AppState>) -> Json<CacheStats> {
    Json(CacheStats {
        tables: figures(&state.pipeline.table_stats(), state.pipeline.tables_max_bytes()),
        bodies: figures(&state.bodies.stats(), state.bodies.config().max_bytes),
    })
}

fn figures(stats: &Stats, max_bytes: u64) -> CacheFigures {
    CacheFigures {
        entries: stats.entries,
        bytes: stats.bytes,
        max_bytes,
        hits: stats.hits,
        misses: stats.misses,
        hit_rate: stats.hit_rate(),
        loads: stats.loads,
        load_failures: stats.load_failures,
        joined: stats.joined,
        load_seconds: stats.load_time.as_secs_f64(),
        evictions: stats.evictions,
        expirations: stats.expirations,
        invalidations: stats.invalidated,
        refusals: stats.refusals,
    }
}
