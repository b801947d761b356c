//! The plugin boundary: how fast record batches come out of a worker process, validated, and how long
//! a scan of nine rows takes there and back.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use plugin_host::{Limits, WorkerCommand, WorkerSource};
use plugin_sdk::{CancelToken, Context, DataSource, ScanRequest, SourceError};
use serde_json::{Value, json};

use crate::report::{line, median};
use crate::server::target_dir;

const RUNS: usize = 7;
const SMALL_SCANS: usize = 5_000;

/// Prints the rates.
pub(crate) fn run() -> anyhow::Result<()> {
    let numbers = json!([
        { "name": "a", "type": "int" }, { "name": "b", "type": "float" },
        { "name": "c", "type": "int" }, { "name": "d", "type": "float" },
    ]);
    let strings = json!([{ "name": "a", "type": "string", "cardinality": 1000 }, { "name": "b", "type": "string", "cardinality": 1000 }]);
    // 32 bytes a row; the strings' rows are measured.
    scan_rate("1 GB of fixed-width columns", dataset(numbers, 33_554_432), ">= 2.5 GB/s")?;
    scan_rate("1 GB of strings", dataset(strings, 40_000_000), ">= 1 GB/s")?;
    let nine = dataset(json!([{ "name": "a", "type": "int" }, { "name": "s", "type": "string" }]), 9);
    small_scan(nine)
}

fn dataset(columns: Value, rows: u64) -> Value {
    json!({ "datasets": { "t": { "rows": rows, "seed": 1, "batch_rows": 65_536, "repeat": true, "columns": columns } } })
}

fn source(config: &Value) -> WorkerSource {
    let built = target_dir().join("larder");
    let command = WorkerCommand { program: built.join("larder"), ..WorkerCommand::default() };
    let library: PathBuf = built.join("plugins/libsynthetic.so");
    WorkerSource::of_library("synthetic", library, config, command, Limits::default())
}

fn scan_rate(what: &str, config: Value, goal: &str) -> anyhow::Result<()> {
    let source = source(&config);
    let mut rates = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        let bytes = scan(&source).context("scan")?.1;
        rates.push(bytes as f64 / 1e9 / started.elapsed().as_secs_f64());
    }
    line(what, format!("{:.2} GB/s", median(&mut rates)), goal);
    Ok(())
}

fn small_scan(config: Value) -> anyhow::Result<()> {
    let source = source(&config);
    let mut times = Vec::with_capacity(SMALL_SCANS);
    for _ in 0..SMALL_SCANS {
        let started = Instant::now();
        let (rows, _) = scan(&source).context("scan")?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
        if rows != 9 {
            return Err(anyhow!("scan nine rows: {rows} came"));
        }
    }
    line("scan of nine rows, there and back", format!("{:.0} us", median(&mut times)), "< 150 us");
    Ok(())
}

/// Rows and bytes of the whole dataset.
fn scan(source: &WorkerSource) -> Result<(usize, usize), SourceError> {
    let ctx = Context::detached("bench", None, CancelToken::new());
    let mut sum = (0, 0);
    for batch in source.scan(&ctx, &ScanRequest::all("t"))?.batches {
        let batch = batch?;
        sum.0 += batch.num_rows();
        sum.1 += pipeline::eval::batch_bytes(&batch);
    }
    Ok(sum)
}
