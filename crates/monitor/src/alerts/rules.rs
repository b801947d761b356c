//! The rules: what the readings say against the thresholds, one function a kind.

use super::alert::{AlertKind, Severity};
use super::finding::{Finding, Level, Seen};
use super::growth::Growth;
use super::readings::{
    BreakerReading, BreakerState, CacheReading, DatasetReading, DiskReading, OperationReading, PluginReading,
    QueueReading, Readings, Recovery,
};
use super::thresholds::Thresholds;
use crate::amount::{bytes, percent, time};

/// All that is found in these readings.
pub(super) fn find(readings: &Readings, thresholds: &Thresholds, growth: &mut Growth) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &readings.operations {
        findings.extend(slow_operation(operation, thresholds));
        findings.extend(failed_operations(operation, thresholds));
    }
    for cache in &readings.caches {
        findings.extend(memory(cache, thresholds));
        findings.extend(hit_rate(cache, thresholds));
    }
    findings.extend(readings.plugins.iter().filter_map(|plugin| plugin_crash(plugin, growth)));
    findings.extend(readings.disks.iter().filter_map(disk_degraded));
    findings.extend(readings.queues.iter().filter_map(|queue| queue_full(queue, growth)));
    findings.extend(readings.datasets.iter().filter_map(|dataset| stale_too_long(dataset, thresholds)));
    findings.extend(readings.breakers.iter().filter_map(breaker_open));
    growth.next_evaluation();
    findings
}

fn slow_operation(operation: &OperationReading, thresholds: &Thresholds) -> Option<Finding> {
    let figures = &operation.last_minute;
    let slowest = figures.p99.max(figures.mean);
    let level = Level::of(slowest.as_secs_f64(), thresholds.slow_operation.as_secs_f64(), thresholds.clear_share);
    level.finding(AlertKind::SlowOperation, &operation.name, || Seen {
        severity: worse_if(slowest > thresholds.slow_operation_critical),
        times: 1,
        evidence: vec![
            ("p99", figures.p99.as_secs_f64()),
            ("mean", figures.mean.as_secs_f64()),
            ("max", figures.max.as_secs_f64()),
            ("count", figures.count as f64),
            ("threshold", thresholds.slow_operation.as_secs_f64()),
        ],
        message: format!(
            "{} takes {} on average and up to {} in 99 of 100 calls ({} in the last minute); more than {} is slow",
            operation.name,
            time(figures.mean),
            time(figures.p99),
            figures.count,
            time(thresholds.slow_operation)
        ),
    })
}

fn failed_operations(operation: &OperationReading, thresholds: &Thresholds) -> Option<Finding> {
    let (figures, recovery) = (&operation.last_minute, operation.recovery);
    let share = figures.error_share();
    let by_share = Level::of(share, thresholds.error_share, thresholds.clear_share);
    let enough = figures.errors >= thresholds.min_errors;
    let nearly_enough = figures.errors as f64 >= thresholds.min_errors as f64 * thresholds.clear_share;
    let level = match by_share {
        Level::Above if enough => Level::Above,
        Level::Above | Level::Near if nearly_enough => Level::Near,
        _ => Level::Below,
    };
    level.finding(AlertKind::FailedOperations, &operation.name, || Seen {
        severity: worse_if(share > thresholds.error_share_critical),
        times: 1,
        evidence: vec![
            ("errors", figures.errors as f64),
            ("count", figures.count as f64),
            ("error_share", share),
            ("threshold", thresholds.error_share),
            ("retried", recovery.retried as f64),
            ("served_stale", recovery.served_stale as f64),
            ("breaker_open", recovery.breaker_open as f64),
        ],
        message: format!(
            "{} of {} calls of {} failed in the last minute{}",
            figures.errors,
            figures.count,
            operation.name,
            in_words(&operation.recovery)
        ),
    })
}

/// What was done about failures, if anything was.
fn in_words(recovery: &Recovery) -> String {
    if *recovery == Recovery::default() {
        return String::new();
    }
    let Recovery { retried, served_stale, breaker_open } = recovery;
    format!(
        "; {retried} were retried, {served_stale} answered with old data, {breaker_open} held back by an open breaker"
    )
}

fn memory(cache: &CacheReading, thresholds: &Thresholds) -> Option<Finding> {
    let threshold = cache.max_bytes.map_or(thresholds.memory_bytes as f64, |max| max as f64 * thresholds.memory_share);
    let level = Level::of(cache.bytes as f64, threshold, thresholds.clear_share);
    level.finding(AlertKind::Memory, &cache.name, || {
        let mut evidence = vec![("bytes", cache.bytes as f64), ("threshold", threshold)];
        evidence.extend(cache.max_bytes.map(|max| ("max_bytes", max as f64)));
        let of = cache.max_bytes.map_or_else(
            || format!("{} with no limit set", bytes(cache.bytes)),
            |max| format!("{} of {}", bytes(cache.bytes), bytes(max)),
        );
        Seen {
            severity: Severity::Warning,
            times: 1,
            evidence,
            message: format!("the cache {} takes {of}", cache.name),
        }
    })
}

fn hit_rate(cache: &CacheReading, thresholds: &Thresholds) -> Option<Finding> {
    if cache.reads < thresholds.hit_rate_min_reads.max(1) {
        return None;
    }
    let rate = cache.hits as f64 / cache.reads as f64;
    let level = Level::of(1.0 - rate, 1.0 - thresholds.hit_rate, thresholds.clear_share);
    level.finding(AlertKind::HitRate, &cache.name, || Seen {
        severity: Severity::Warning,
        times: 1,
        evidence: vec![
            ("hit_rate", rate),
            ("hits", cache.hits as f64),
            ("reads", cache.reads as f64),
            ("threshold", thresholds.hit_rate),
        ],
        message: format!(
            "{} of {} reads of the cache {} were hits in the last minute; less than {} is low",
            percent(rate),
            cache.reads,
            cache.name,
            percent(thresholds.hit_rate)
        ),
    })
}

fn plugin_crash(plugin: &PluginReading, growth: &mut Growth) -> Option<Finding> {
    let times = growth.of(AlertKind::PluginCrash, &plugin.name, plugin.crashes);
    if times == 0 && !plugin.quarantined {
        return None;
    }
    let what = if plugin.quarantined { "has crashed too often and is not started again" } else { "has crashed" };
    let seen = Seen {
        severity: worse_if(plugin.quarantined),
        times,
        evidence: vec![
            ("crashes", plugin.crashes as f64),
            ("new_crashes", times as f64),
            ("quarantined", f64::from(u8::from(plugin.quarantined))),
        ],
        message: format!("the plugin {} {what} ({} crashes since the start)", plugin.name, plugin.crashes),
    };
    Level::Above.finding(AlertKind::PluginCrash, &plugin.name, || seen)
}

fn queue_full(queue: &QueueReading, growth: &mut Growth) -> Option<Finding> {
    let times = growth.of(AlertKind::QueueFull, &queue.name, queue.rejections);
    let level = if times > 0 { Level::Above } else { Level::Below };
    level.finding(AlertKind::QueueFull, &queue.name, || Seen {
        severity: Severity::Warning,
        times,
        evidence: vec![
            ("rejections", queue.rejections as f64),
            ("new_rejections", times as f64),
            ("waiting", queue.waiting as f64),
            ("limit", queue.limit as f64),
        ],
        message: format!("the queue of {} was full: {times} were turned away, {} may wait", queue.name, queue.limit),
    })
}

fn disk_degraded(disk: &DiskReading) -> Option<Finding> {
    let level = if disk.degraded { Level::Above } else { Level::Below };
    level.finding(AlertKind::DiskDegraded, &disk.name, || Seen {
        severity: Severity::Critical,
        times: 1,
        evidence: vec![("failed_writes", disk.failed_writes as f64)],
        message: format!("the disk tier {} does not keep what it is given; memory serves meanwhile", disk.name),
    })
}

fn stale_too_long(dataset: &DatasetReading, thresholds: &Thresholds) -> Option<Finding> {
    let stale_for = dataset.stale_for?;
    let level = Level::of(stale_for.as_secs_f64(), thresholds.stale_for.as_secs_f64(), thresholds.clear_share);
    level.finding(AlertKind::StaleTooLong, &dataset.name, || Seen {
        severity: Severity::Warning,
        times: 1,
        evidence: vec![("stale_for", stale_for.as_secs_f64()), ("threshold", thresholds.stale_for.as_secs_f64())],
        message: format!("{} has been answered with old data for {}", dataset.name, time(stale_for)),
    })
}

fn breaker_open(breaker: &BreakerReading) -> Option<Finding> {
    let level = match breaker.state {
        BreakerState::Open => Level::Above,
        BreakerState::HalfOpen => Level::Near,
        BreakerState::Closed => Level::Below,
    };
    level.finding(AlertKind::BreakerOpen, &breaker.name, || Seen {
        severity: Severity::Warning,
        times: 1,
        evidence: vec![("failures", breaker.failures as f64)],
        message: format!("{} is not called for now: {} calls failed one after another", breaker.name, breaker.failures),
    })
}

fn worse_if(critical: bool) -> Severity {
    if critical { Severity::Critical } else { Severity::Warning }
}
