//! The caches in numbers, as the statistics show them.

use std::collections::HashMap;

use cache_core::{Cache, Namespace, Stats, TierStats, Window};

use super::dto::{CacheFigures, CacheStats, DatasetUse, DiskFigures, MemoryFigures, WindowDto};
use crate::state::AppState;

/// Everything. It looks at every entry in memory, so it blocks for a moment.
pub fn all(state: &AppState) -> CacheStats {
    let (tables, bodies) = (state.pipeline.tables().stats(), state.bodies.stats());
    let memory = MemoryFigures {
        entries: tables.entries + bodies.entries,
        bytes: tables.bytes + bodies.bytes,
        max_bytes: state.pipeline.tables().max_bytes() + state.bodies.max_bytes(),
        hits: tables.hits + bodies.hits,
        misses: tables.misses + bodies.misses,
        evictions: tables.evictions + bodies.evictions,
    };
    let disk = state.disk.figures(state.config.disk_max_bytes).map(|disk| DiskFigures {
        hits: tables.disk_hits + bodies.disk_hits,
        misses: tables.disk_misses + bodies.disk_misses,
        ..disk
    });
    CacheStats {
        entries: memory.entries,
        total_size_mb: mib(memory.bytes),
        hit_rate: rate(memory.hits + tables.disk_hits + bodies.disk_hits, memory.hits + memory.misses),
        memory,
        tables: of_cache(state.pipeline.tables(), &tables),
        bodies: of_cache(&state.bodies, &bodies),
        durable: state.disk.not_durable().is_none(),
        disk,
        // The two share their stamps, and with them the count.
        invalidations: tables.invalidations,
        datasets: datasets(state),
    }
}

fn of_cache<V: Send + Sync + 'static>(cache: &Cache<V>, stats: &Stats) -> CacheFigures {
    CacheFigures {
        entries: stats.entries,
        bytes: stats.bytes,
        max_bytes: cache.max_bytes(),
        hits: stats.hits,
        misses: stats.misses,
        disk_hits: stats.disk_hits,
        disk_misses: stats.disk_misses,
        stale_serves: stats.stale_serves,
        stale_on_error: stats.stale_on_error,
        hit_rate: stats.hit_rate(),
        window: window(&stats.window),
        loads: stats.loads,
        load_failures: stats.load_failures,
        joined: stats.joined,
        refreshes_skipped: stats.refreshes_skipped,
        load_seconds: stats.load_time.as_secs_f64(),
        load_seconds_saved: stats.load_time_saved.as_secs_f64(),
        evictions: stats.evictions,
        expirations: stats.expirations,
        invalidations: stats.invalidated,
        refusals: stats.refusals,
        oldest_age_seconds: stats.oldest.map(|age| age.as_secs_f64()),
    }
}

fn window(window: &Window) -> WindowDto {
    WindowDto {
        seconds: window.span.as_secs_f64(),
        hits: window.hits,
        misses: window.reads.saturating_sub(window.hits),
        hit_rate: window.hit_rate(),
    }
}

/// The figures of a tier that may hold `max_bytes`.
pub fn of_tier(stats: TierStats, max_bytes: u64) -> DiskFigures {
    DiskFigures {
        entries: stats.entries,
        bytes: stats.bytes,
        max_bytes,
        file_bytes: stats.file_bytes,
        queued: stats.queued,
        writes: stats.writes,
        written_bytes: stats.written_bytes,
        dropped: stats.dropped,
        evictions: stats.evictions,
        expirations: stats.expirations,
        corrupt: stats.corrupt,
        recoveries: stats.recoveries,
        degraded: stats.degraded,
        ..DiskFigures::default()
    }
}

fn datasets(state: &AppState) -> Vec<DatasetUse> {
    let mut memory: HashMap<Namespace, (u64, u64, u64)> = HashMap::new();
    for of_namespace in state.pipeline.tables().usage().into_iter().chain(state.bodies.usage()) {
        let sum = memory.entry(of_namespace.namespace).or_default();
        *sum = (sum.0 + of_namespace.entries, sum.1 + of_namespace.bytes, sum.2 + of_namespace.hits);
    }
    let mut disk: HashMap<String, (u64, u64)> = HashMap::new();
    for of_namespace in state.disk.usage() {
        let sum = disk.entry(of_namespace.namespace.to_string()).or_default();
        *sum = (sum.0 + of_namespace.entries, sum.1 + of_namespace.bytes);
    }
    let catalog = state.pipeline.catalog();
    let shown = catalog.datasets().map(|dataset| {
        let (memory_entries, memory_bytes, hits) = memory.get(&dataset.namespace).copied().unwrap_or_default();
        let (disk_entries, disk_bytes) = disk.get(dataset.namespace.as_str()).copied().unwrap_or_default();
        let table = state.pipeline.table_info(dataset);
        DatasetUse {
            memory_entries,
            memory_bytes,
            disk_entries,
            disk_bytes,
            hits,
            rows: table.as_ref().map(|table| table.rows),
            age_seconds: table.as_ref().map(|table| table.age.as_secs_f64()),
            ..DatasetUse::named(&dataset.name)
        }
    });
    shown.collect()
}

/// Bytes as mebibytes.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn rate(hits: u64, reads: u64) -> Option<f64> {
    (reads > 0).then(|| hits as f64 / reads as f64)
}
