//! What the recommendations go by, read from the parts of the server.

use std::time::Duration;

use monitor::recommend::{CacheEvidence, DatasetEvidence, Evidence, Limits, TableOrQuery, WorkerEvidence};
use pipeline::{Dataset, Mode};

use super::observers::WAIT;
use crate::state::AppState;

/// The part of the machine's free memory that caches may be recommended to take.
const SHARE_OF_FREE: u64 = 2;

/// The evidence of now.
pub(super) fn gather(state: &AppState) -> (Evidence, Limits) {
    let bodies = state.bodies.stats();
    let cache = CacheEvidence {
        name: "bodies".to_owned(),
        max_bytes: state.bodies.max_bytes(),
        bytes: bodies.bytes,
        curve: state.watch.curve.curve(),
    };
    let catalog = state.pipeline.catalog();
    let evidence = Evidence {
        caches: vec![cache],
        datasets: catalog.datasets().map(|dataset| of_dataset(dataset)).collect(),
        workers: workers(state),
    };
    let disk = state.disk.figures(state.config.disk_max_bytes);
    let limits = Limits {
        memory_available: memory_available() / SHARE_OF_FREE,
        disk_available: disk
            .filter(|disk| disk.degraded.is_none())
            .map_or(0, |disk| disk.max_bytes.saturating_sub(disk.bytes)),
        ..Limits::default()
    };
    (evidence, limits)
}

fn of_dataset(dataset: &Dataset) -> DatasetEvidence {
    let (used, policy) = (dataset.used(), &dataset.policy);
    let loads = used.table_loads.loaded + used.result_loads.loaded;
    let full_load = used.table_loads.time.checked_div(u32::try_from(used.table_loads.loaded).unwrap_or(u32::MAX));
    DatasetEvidence {
        name: dataset.name.to_string(),
        span: used.span,
        ttl: policy.ttl,
        check_interval: (!policy.check_interval.is_zero()).then_some(policy.check_interval),
        checks: used.checks,
        changes: used.changes,
        loads,
        load_time: used.table_loads.time + used.result_loads.time,
        persist: policy.persist,
        mode: if dataset.mode() == Mode::Query { TableOrQuery::Query } else { TableOrQuery::Table },
        max_bytes: policy.max_bytes,
        table_bytes: used.table.map(|(_, bytes)| bytes).or(used.whole_scan.map(|scan| scan.bytes)),
        table_rows: used.table.map(|(rows, _)| rows).or(used.whole_scan.map(|scan| scan.rows)),
        full_load_time: full_load.or(used.whole_scan.map(|scan| scan.took)),
        queries: used.questions,
        distinct_queries: used.result_loads.loaded,
        rows_returned: used.rows_answered,
    }
}

fn workers(state: &AppState) -> Option<WorkerEvidence> {
    let (gate, seen) = (state.fetcher.gate(), state.watch.utilisation.seen());
    let report = state.watch.monitor.report();
    let hour = |name: &str| report.operations.iter().find(|it| &*it.name == name).map(|it| it.windows.hour);
    let waits = hour(WAIT)?;
    let calls: Vec<_> = report.operations.iter().filter(|it| it.name.starts_with("plugin ")).collect();
    let count: u64 = calls.iter().map(|it| it.windows.hour.count).sum();
    let time: Duration = calls.iter().map(|it| it.windows.hour.total).sum();
    Some(WorkerEvidence {
        workers: gate.options.concurrent,
        calls: count,
        mean_call: time.div_f64(count.max(1) as f64),
        p90_wait: waits.p90,
        utilisation: seen.busy,
        saturated_share: seen.saturated,
    })
}

/// What the kernel thinks could be taken without swapping.
fn memory_available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0) * 1024
}
