//! `larder plugins`, `larder openapi`, `larder config`: looking at a server and its settings.

use anyhow::Context;
use clap::ArgMatches;
use serde_json::Value;

use super::client::Client;
use crate::config::Config;
use crate::openapi;

pub(super) fn plugins(args: &ArgMatches) -> anyhow::Result<()> {
    let body = Client::new(args)?.get("/api/v1/plugins", "application/json")?;
    let list: Value = serde_json::from_slice(&body).context("read the answer")?;
    let plugins = list["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    if plugins.is_empty() {
        println!("no plugins: copy a library into the plugin folder of the server");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for plugin in plugins {
        let datasets: Vec<String> = plugin["datasets"].as_array().into_iter().flatten().map(text).collect();
        println!(
            "{:<16} {:<12} {:<10} {}",
            text(&plugin["name"]),
            text(&plugin["state"]),
            text(&plugin["version"]),
            text(&plugin["description"])
        );
        if !datasets.is_empty() {
            println!("{:<16} datasets: {}", "", datasets.join(", "));
        }
        let failed = plugin["steps"].as_array().into_iter().flatten().any(|step| step["ok"] == false);
        for step in plugin["steps"].as_array().into_iter().flatten().filter(|_| failed) {
            let mark = if step["ok"] == true { "ok    " } else { "FAILED" };
            println!("{:<16} {mark} {:<10} {}", "", text(&step["name"]), text(&step["detail"]));
        }
        if let Some(error) = plugin["last_error"].as_str() {
            println!("{:<16} last error: {error}", "");
        }
    }
    Ok(())
}

pub(super) fn openapi(args: &ArgMatches) -> anyhow::Result<()> {
    let document: Value = if args.get_flag("fixed") {
        openapi::fixed()
    } else {
        let body = Client::new(args)?.get("/openapi.json", "application/json")?;
        serde_json::from_slice(&body).context("read the answer")?
    };
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

pub(super) fn config(args: &ArgMatches) -> anyhow::Result<()> {
    let layers = super::layers(args)?;
    for (setting, value, origin) in layers.iter() {
        let value = if value.is_empty() { "-" } else { value };
        println!("{:<18} {value:<24} {:<12} {}", setting.name, origin.to_string(), setting.help);
    }
    // What does not work is said here as it would be by `serve`.
    let config = Config::resolve(&layers)?;
    for (dataset, policy) in &config.datasets {
        println!("datasets.{dataset:<9} {policy:?}");
    }
    Ok(())
}
