//! What the alerts look at, read from the parts of the server.

use monitor::alerts::{
    BreakerReading, BreakerState, CacheReading, DatasetReading, DiskReading, OperationReading, PluginReading,
    QueueReading, Readings, Recovery,
};
use plugin_host::PluginState;

use crate::state::AppState;

/// The readings of now.
pub(super) fn read(state: &AppState) -> Readings {
    let watch = &state.watch;
    let operations = watch.monitor.last_minute().into_iter().map(|(name, last_minute)| OperationReading {
        recovery: match name.split_once(' ') {
            Some(("load" | "scan", dataset)) => watch.recent.recovery(dataset),
            _ => Recovery::default(),
        },
        name,
        last_minute,
    });
    let (tables, bodies) = (state.pipeline.table_stats(), state.bodies.stats());
    let cache = |name: &str, stats: &cache_core::Stats, max_bytes: u64| CacheReading {
        name: name.to_owned(),
        bytes: stats.bytes,
        max_bytes: Some(max_bytes),
        hits: stats.window.hits,
        reads: stats.window.reads,
    };
    let plugins = state.plugins.statuses().into_iter().map(|status| PluginReading {
        quarantined: status.state == PluginState::Quarantined,
        crashes: status.crashes,
        name: status.name,
    });
    let disk = state.disk.figures(state.config.disk_max_bytes).map(|disk| DiskReading {
        name: "cache".to_owned(),
        degraded: disk.degraded.is_some(),
        failed_writes: disk.dropped,
    });
    let gate = state.fetcher.gate();
    let breaker = |(name, seen): (std::sync::Arc<str>, loader::BreakerSeen)| BreakerReading {
        name: name.to_string(),
        state: match seen.state {
            loader::BreakerState::Closed => BreakerState::Closed,
            loader::BreakerState::HalfOpen => BreakerState::HalfOpen,
            loader::BreakerState::Open => BreakerState::Open,
        },
        failures: u64::from(seen.failures),
    };
    let stale = watch.recent.stale_for().into_iter();
    Readings {
        operations: operations.collect(),
        caches: vec![
            cache("tables", &tables, state.pipeline.tables().max_bytes()),
            cache("bodies", &bodies, state.bodies.max_bytes()),
        ],
        plugins: plugins.collect(),
        disks: disk.into_iter().collect(),
        queues: vec![QueueReading {
            name: "scans".to_owned(),
            rejections: watch.refused(),
            waiting: gate.queued as u64,
            limit: gate.options.max_queued as u64,
        }],
        datasets: stale.map(|(name, time)| DatasetReading { name: name.to_string(), stale_for: Some(time) }).collect(),
        breakers: state.fetcher.breakers().into_iter().map(breaker).collect(),
    }
}
