//! `larder report`: what the server says of itself, as tables.

use std::io::{self, Write};

use bytesize::ByteSize;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::client::Client;
use super::columns::{self, Lean};

/// Operations that are shown unless all are asked for.
const MOST: usize = 20;

pub(super) fn command() -> Command {
    Command::new("report")
        .about("Show how the server performs: operations, caches, datasets, alerts, recommendations")
        .arg(
            Arg::new("all").long("all").action(ArgAction::SetTrue).help("Show all operations, not the costliest alone"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the report as JSON"))
}

pub(super) fn report(args: &ArgMatches) -> anyhow::Result<()> {
    let report = Client::new(args)?.json("GET", "/api/v1/monitor/report", None)?;
    let mut out = io::stdout().lock();
    if args.get_flag("json") {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(());
    }
    summary(&mut out, &report)?;
    operations(&mut out, &report, args.get_flag("all"))?;
    datasets(&mut out, &report)?;
    alerts(&mut out, &report)?;
    recommendations(&mut out, &report)?;
    Ok(())
}

fn summary(out: &mut impl Write, report: &Value) -> io::Result<()> {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let (cache, process) = (&report["cache_performance"], &report["process"]);
    writeln!(out, "up for          {}", duration(number(&report["uptime_seconds"])))?;
    let (calls, errors) = (&report["total_operations"], &report["total_errors"]);
    writeln!(
        out,
        "operations      {calls}, {errors} failed, {:.3} ms each",
        number(&report["avg_operation_time"]) * 1e3
    )?;
    if let Some(slowest) = report["slowest_operation"]["name"].as_str() {
        let (p99, max) =
            (number(&report["slowest_operation"]["p99_ms"]), number(&report["slowest_operation"]["max_ms"]));
        writeln!(out, "slowest         {slowest}: p99 {p99:.1} ms, at most {max:.1} ms")?;
    }
    let rate = cache["hit_rate"].as_f64().map_or("no reads yet".to_owned(), |rate| format!("{:.1} % hits", rate * 1e2));
    writeln!(out, "cache           {rate}, {} entries, {:.1} MiB", cache["entries"], number(&cache["total_size_mb"]))?;
    let points = report["miss_ratio_curve"].as_array().cloned().unwrap_or_default();
    let curve: Vec<String> = points
        .iter()
        .filter(|point| point["reads"].as_u64().is_some_and(|reads| reads > 0))
        .map(|point| format!("{}x: {:.1} %", point["factor"], number(&point["hit_ratio"]) * 1e2))
        .collect();
    if !curve.is_empty() {
        writeln!(out, "other sizes     {} hits", curve.join(", "))?;
    }
    writeln!(
        out,
        "process         {:.1} s CPU, {}, {} files of {}, {} threads",
        number(&process["cpu_seconds"]),
        ByteSize(process["resident_bytes"].as_u64().unwrap_or(0)),
        process["open_fds"],
        process["max_fds"],
        process["threads"]
    )
}

fn operations(out: &mut impl Write, report: &Value, all: bool) -> io::Result<()> {
    let list = report["operations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = &list[..if all { list.len() } else { list.len().min(MOST) }];
    let ms = |value: &Value| format!("{:.3}", value.as_f64().unwrap_or(0.0));
    let row = |operation: &Value| {
        let (hour, total) = (&operation["hour"], &operation["total"]);
        [
            operation["name"].as_str().unwrap_or_default().to_owned(),
            total["count"].to_string(),
            total["errors"].to_string(),
            ms(&hour["mean_ms"]),
            ms(&hour["p50_ms"]),
            ms(&hour["p99_ms"]),
            ms(&total["max_ms"]),
        ]
    };
    let heading = [
        ("operation (ms)", Lean::Left),
        ("calls", Lean::Right),
        ("failed", Lean::Right),
        ("mean", Lean::Right),
        ("p50", Lean::Right),
        ("p99", Lean::Right),
        ("max", Lean::Right),
    ];
    writeln!(out)?;
    columns::write(out, heading, &shown.iter().map(row).collect::<Vec<_>>())?;
    if shown.len() < list.len() {
        writeln!(out, "and {} others: --all shows them", list.len() - shown.len())?;
    }
    Ok(())
}

fn datasets(out: &mut impl Write, report: &Value) -> io::Result<()> {
    let list = report["datasets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |dataset: &Value| {
        [
            dataset["name"].as_str().unwrap_or_default().to_owned(),
            dataset["mode"].as_str().unwrap_or_default().to_owned(),
            dataset["loads"].to_string(),
            dataset["load_failures"].to_string(),
            format!("{:.2}", dataset["load_seconds"].as_f64().unwrap_or(0.0)),
            ByteSize(dataset["loaded_bytes"].as_u64().unwrap_or(0)).to_string(),
            dataset["questions"].to_string(),
            dataset["changes"].to_string(),
        ]
    };
    let used = |dataset: &&Value| dataset["loads"] != 0 || dataset["load_failures"] != 0 || dataset["questions"] != 0;
    let rows: Vec<[String; 8]> = list.iter().filter(used).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let heading = [
        ("dataset", Lean::Left),
        ("mode", Lean::Left),
        ("loads", Lean::Right),
        ("failed", Lean::Right),
        ("seconds", Lean::Right),
        ("loaded", Lean::Right),
        ("questions", Lean::Right),
        ("changes", Lean::Right),
    ];
    writeln!(out)?;
    columns::write(out, heading, &rows)
}

fn alerts(out: &mut impl Write, report: &Value) -> io::Result<()> {
    let list = report["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    writeln!(out, "\n{}", if list.is_empty() { "no alerts" } else { "alerts" })?;
    for alert in list {
        let text = |name: &str| alert[name].as_str().unwrap_or_default();
        writeln!(out, "  {:<8} {} (since {})", text("severity"), text("message"), text("since"))?;
    }
    Ok(())
}

fn recommendations(out: &mut impl Write, report: &Value) -> io::Result<()> {
    let list = report["recommendations"].as_array().map(Vec::as_slice).unwrap_or_default();
    writeln!(out, "\n{}", if list.is_empty() { "no recommendations" } else { "recommendations" })?;
    for it in list {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        writeln!(out, "  {}: {}", text(&it["id"]), text(&it["title"]))?;
        writeln!(out, "    seen      {}", text(&it["observed"]["text"]))?;
        writeln!(out, "    change    {}", text(&it["change"]))?;
        writeln!(out, "    expected  {}", text(&it["expected"]["text"]))?;
        writeln!(out, "    apply     POST {}", text(&it["apply"]))?;
    }
    Ok(())
}

fn duration(seconds: f64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds as u64)).to_string()
}
