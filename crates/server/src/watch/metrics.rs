//! The figures in Prometheus's text format. Names, units and types keep to its conventions; labels are names of operations,
//! sources and caches, all of which are bounded in number.

use loader::BreakerState;
use monitor::OperationReport;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};
use prometheus::{Encoder, TextEncoder};

use super::ProcessFigures;
use crate::state::AppState;

/// All metrics.
pub fn text(state: &AppState) -> Result<Vec<u8>, prometheus::Error> {
    let mut families = Families::default();
    process(&mut families);
    server(&mut families, state);
    caches(&mut families, state);
    sources(&mut families, state);
    operations(&mut families, state);
    let mut out = Vec::new();
    TextEncoder::new().encode(&families.0, &mut out)?;
    Ok(out)
}

fn process(families: &mut Families) {
    let figures = ProcessFigures::now();
    families.counter("process_cpu_seconds_total", "CPU time of all threads.", [(vec![], figures.cpu.as_secs_f64())]);
    families.gauge("process_resident_memory_bytes", "Memory in use.", [(vec![], figures.resident_bytes as f64)]);
    families.gauge("process_virtual_memory_bytes", "Memory that is mapped.", [(vec![], figures.virtual_bytes as f64)]);
    families.gauge("process_open_fds", "Open file descriptors.", [(vec![], figures.open_fds as f64)]);
    families.gauge(
        "process_max_fds",
        "The most file descriptors that may be open.",
        [(vec![], figures.max_fds as f64)],
    );
    families.gauge("process_threads", "Threads.", [(vec![], figures.threads as f64)]);
    let help = "When the process began, in seconds since 1970.";
    families.gauge("process_start_time_seconds", help, [(vec![], figures.start_seconds)]);
}

fn server(families: &mut Families, state: &AppState) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    families.gauge("larder_build_info", "The version, as a label.", [(version, 1.0)]);
    families.gauge(
        "larder_ready",
        "Whether the plugins were loaded.",
        [(vec![], f64::from(u8::from(state.is_ready())))],
    );
    let datasets = state.pipeline.catalog().datasets().len();
    families.gauge("larder_datasets", "Datasets that can be served.", [(vec![], datasets as f64)]);
    let running = state.jobs.list().iter().filter(|job| job.state() == loader::JobState::Running).count();
    families.gauge("larder_loads_running", "Loads (POST /api/v1/loads) under way.", [(vec![], running as f64)]);
    families.gauge("larder_event_streams", "Clients that follow events.", [(vec![], state.streams.open() as f64)]);
    let mut by_kind: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for alert in state.watch.alerts().0 {
        *by_kind.entry(alert.kind.as_str()).or_default() += 1.0;
    }
    let alerts = by_kind.into_iter().map(|(kind, count)| (vec![("kind", kind.to_owned())], count));
    families.gauge("larder_alerts_active", "Alerts that are active, by kind.", alerts);
}

fn caches(families: &mut Families, state: &AppState) {
    let (tables, bodies) = (state.pipeline.table_stats(), state.bodies.stats());
    let both = [("tables", tables, state.pipeline.tables().max_bytes()), ("bodies", bodies, state.bodies.max_bytes())];
    let cache = |name: &str| ("cache", name.to_owned());
    let of = |figure: fn(&cache_core::Stats) -> u64| {
        both.iter().map(move |(name, stats, _)| (vec![cache(name)], figure(stats) as f64)).collect::<Vec<_>>()
    };
    let hits = both.iter().flat_map(|(name, stats, _)| {
        let tier = |tier: &str, hits: u64| (vec![cache(name), ("tier", tier.to_owned())], hits as f64);
        [tier("memory", stats.hits), tier("disk", stats.disk_hits)]
    });
    families.counter("larder_cache_hits_total", "Look-ups that a tier answered.", hits);
    families.counter("larder_cache_misses_total", "Look-ups that memory did not answer.", of(|stats| stats.misses));
    families.counter("larder_cache_loads_total", "Loads that ended.", of(|stats| stats.loads));
    families.counter("larder_cache_load_failures_total", "Loads that failed.", of(|stats| stats.load_failures));
    families.counter("larder_cache_stale_total", "Look-ups that were answered with old data.", {
        of(|stats| stats.stale_serves + stats.stale_on_error)
    });
    families.counter("larder_cache_evictions_total", "Entries that made room for others.", of(|stats| stats.evictions));
    families.gauge("larder_cache_entries", "Entries in memory.", of(|stats| stats.entries));
    families.gauge("larder_cache_bytes", "Bytes in memory.", of(|stats| stats.bytes));
    let budgets = both.iter().map(|(name, _, max_bytes)| (vec![cache(name)], *max_bytes as f64));
    families.gauge("larder_cache_max_bytes", "Bytes that memory may hold.", budgets);
    families.counter("larder_invalidations_total", "Invalidations.", [(vec![], tables.invalidations as f64)]);
    if let Some(disk) = state.disk.figures(state.config.disk_max_bytes) {
        families.gauge("larder_disk_bytes", "Bytes of the records on disk.", [(vec![], disk.bytes as f64)]);
        families.gauge("larder_disk_file_bytes", "Length of the file on disk.", [(vec![], disk.file_bytes as f64)]);
        families.gauge("larder_disk_entries", "Records on disk.", [(vec![], disk.entries as f64)]);
        families.counter(
            "larder_disk_dropped_total",
            "Records that were not written.",
            [(vec![], disk.dropped as f64)],
        );
        let degraded = f64::from(u8::from(disk.degraded.is_some()));
        families.gauge("larder_disk_degraded", "Whether the disk tier is out of service.", [(vec![], degraded)]);
    }
}

fn sources(families: &mut Families, state: &AppState) {
    let gate = state.fetcher.gate();
    families.gauge("larder_scans_running", "Calls of sources under way.", [(vec![], gate.running as f64)]);
    families.gauge("larder_scans_waiting", "Calls of sources that wait.", [(vec![], gate.queued as f64)]);
    let refused = state.watch.refused() as f64;
    families.counter("larder_scans_refused_total", "Calls that were refused, as too many waited.", [(vec![], refused)]);
    let open = state.fetcher.breakers().into_iter().map(|(name, seen)| {
        let is_open = f64::from(u8::from(seen.state != BreakerState::Closed));
        (vec![("source", name.to_string())], is_open)
    });
    families.gauge("larder_breaker_open", "Whether the breaker of a source is open.", open);
    let statuses = state.plugins.statuses();
    let of_plugin = |count: fn(&plugin_host::PluginStatus) -> u64| {
        let of = |status: &plugin_host::PluginStatus| (vec![("plugin", status.name.clone())], count(status) as f64);
        statuses.iter().map(of).collect::<Vec<_>>()
    };
    families.counter("larder_plugin_crashes_total", "Workers that crashed.", of_plugin(|status| status.crashes));
    families.counter("larder_plugin_starts_total", "Workers that were started.", of_plugin(|status| status.starts));
}

fn operations(families: &mut Families, state: &AppState) {
    let report = state.watch.monitor.report();
    let label = |it: &OperationReport| vec![("operation", it.name.to_string())];
    let errors = report.operations.iter().map(|it| (label(it), it.windows.total.errors as f64));
    families.counter("larder_operation_errors_total", "Calls of an operation that failed.", errors.collect::<Vec<_>>());
    let metrics = report.operations.iter().map(|it| {
        let (recent, total) = (&it.windows.minute, &it.windows.total);
        let mut summary = Summary::default();
        summary.set_sample_count(total.count);
        summary.set_sample_sum(total.total.as_secs_f64());
        let quantile = |(at, time): (f64, std::time::Duration)| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(at);
            // Where nothing was called in the last minute there is no quantile.
            quantile.set_value(if recent.count == 0 { f64::NAN } else { time.as_secs_f64() });
            quantile
        };
        summary.set_quantile([(0.5, recent.p50), (0.9, recent.p90), (0.99, recent.p99)].map(quantile).into());
        let mut metric = Metric::from_label(pairs(label(it)));
        metric.set_summary(summary);
        metric
    });
    let help = "Time of an operation; the quantiles are those of the last minute.";
    families.add("larder_operation_duration_seconds", help, MetricType::SUMMARY, metrics.collect());
}

type Labels = Vec<(&'static str, String)>;

#[derive(Default)]
struct Families(Vec<MetricFamily>);

impl Families {
    fn counter(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let (mut metric, mut counter) = (Metric::from_label(pairs(labels)), Counter::default());
            counter.set_value(value);
            metric.set_counter(counter);
            metric
        });
        self.add(name, help, MetricType::COUNTER, metrics.collect());
    }

    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let (mut metric, mut gauge) = (Metric::from_label(pairs(labels)), Gauge::default());
            gauge.set_value(value);
            metric.set_gauge(gauge);
            metric
        });
        self.add(name, help, MetricType::GAUGE, metrics.collect());
    }

    /// A family without a metric is not written: the encoder takes none.
    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn pairs(labels: Labels) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    };
    labels.into_iter().map(pair).collect()
}
