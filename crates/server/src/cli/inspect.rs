//! `larder plugins`, `larder openapi`, `larder config`: looking at a server and its settings.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::ArgMatches;
use pipeline::PolicyOverrides;
use serde_json::Value;

use super::client::Client;
use crate::applied::{Changes, overrides};
use crate::config::Config;
use crate::openapi;

pub(super) fn plugins(args: &ArgMatches) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let body = Client::new(args)?.get("/api/v1/plugins", "application/json")?.body;
    let list: Value = serde_json::from_slice(&body).context("read the answer")?;
    let plugins = list["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    if plugins.is_empty() {
        writeln!(out, "no plugins: copy a library into the plugin folder of the server")?;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for plugin in plugins {
        let datasets: Vec<String> = plugin["datasets"].as_array().into_iter().flatten().map(text).collect();
        writeln!(
            out,
            "{:<16} {:<12} {:<10} {}",
            text(&plugin["name"]),
            text(&plugin["state"]),
            text(&plugin["version"]),
            text(&plugin["description"])
        )?;
        if !datasets.is_empty() {
            writeln!(out, "{:<16} datasets: {}", "", datasets.join(", "))?;
        }
        let failed = plugin["steps"].as_array().into_iter().flatten().any(|step| step["ok"] == false);
        for step in plugin["steps"].as_array().into_iter().flatten().filter(|_| failed) {
            let mark = if step["ok"] == true { "ok    " } else { "FAILED" };
            writeln!(out, "{:<16} {mark} {:<10} {}", "", text(&step["name"]), text(&step["detail"]))?;
        }
        if let Some(error) = plugin["last_error"].as_str() {
            writeln!(out, "{:<16} last error: {error}", "")?;
        }
    }
    Ok(())
}

pub(super) fn openapi(args: &ArgMatches) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let document: Value = if args.get_flag("fixed") {
        openapi::fixed()
    } else {
        let body = Client::new(args)?.get("/openapi.json", "application/json")?.body;
        serde_json::from_slice(&body).context("read the answer")?
    };
    writeln!(out, "{}", serde_json::to_string_pretty(&document)?)?;
    Ok(())
}

pub(super) fn config(args: &ArgMatches) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let layers = super::layers(args)?;
    let changes = Changes::read(Path::new(layers.text("home"))).context("read what was applied in the home")?;
    let layers = layers.with_applied(&changes.settings);
    // What does not work is said here as it would be by `serve`.
    let config = Config::resolve(&layers)?;
    if let Some(file) = layers.file() {
        writeln!(out, "# file: {}", file.display())?;
    }
    for (setting, text, origin) in layers.iter() {
        // What follows from other settings or from the machine is shown as it came out.
        let value = match setting.name {
            "plugins" => config.plugins.display().to_string(),
            "cache_dir" => config.cache_dir.display().to_string(),
            "workers" => config.workers.to_string(),
            "max_bytes" => ByteSize(config.policy.max_bytes).to_string(),
            // It may hold a secret.
            "alert_webhook" | "otlp_endpoint" if !text.is_empty() => "(set)".to_owned(),
            "client_max_age" if text.is_empty() => humantime::format_duration(config.policy.ttl).to_string(),
            _ if text.is_empty() => "-".to_owned(),
            _ => text.to_owned(),
        };
        writeln!(out, "{:<22} {value:<24} {:<12} {}", setting.name, origin.to_string(), setting.help)?;
    }
    for (dataset, policy) in &config.datasets {
        line(&mut out, dataset, policy, "file")?;
    }
    for (dataset, policy) in &changes.datasets {
        let policy = overrides(policy).map_err(|reason| anyhow!("use the policy that was applied: {reason}"))?;
        line(&mut out, dataset, &policy, "applied")?;
    }
    Ok(())
}

/// What somebody has set of a dataset's policy.
fn line(out: &mut impl Write, dataset: &str, policy: &PolicyOverrides, origin: &str) -> std::io::Result<()> {
    let ttl = policy.ttl.map(|ttl| format!("ttl={} ", humantime::format_duration(ttl)));
    let timeout = policy.load_timeout.map(|t| format!("load_timeout={} ", humantime::format_duration(t)));
    let bytes = policy.max_bytes.map(|size| format!("max_bytes={size} "));
    let mode = policy.mode.map(|mode| format!("mode={} ", mode.name()));
    let persist = policy.persist.map(|persist| format!("persist={persist} "));
    let windows = [
        ("stale_while_revalidate", policy.stale_while_revalidate),
        ("stale_if_error", policy.stale_if_error),
        ("check_interval", policy.check_interval),
        ("client_max_age", policy.client_max_age),
        ("refresh_every", policy.refresh_every),
    ];
    let windows = windows.map(|(name, time)| Some(format!("{name}={} ", humantime::format_duration(time?))));
    let warm = policy.warm.map(|warm| format!("warm={warm} "));
    let tags = policy.tags.as_ref().map(|tags| format!("tags={}", tags.join(",")));
    let parts = [ttl, timeout, bytes, mode, persist].into_iter().chain(windows).chain([warm, tags]);
    let parts: String = parts.flatten().collect();
    writeln!(out, "{:<47} {origin:<12} {}", format!("datasets.{dataset}"), parts.trim_end())
}
