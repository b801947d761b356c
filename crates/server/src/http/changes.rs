//! Changing settings and policies while the server runs: checked, put in force, written down, acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::block;
use loader::GateOptions;
use pipeline::{Dataset, PolicyOverrides};
use serde_json::{Map, Value};

use super::dto::{PolicyDetail, PolicyDto, SettingDto, SettingList};
use crate::applied::{Changes, LIVE, merged, overrides};
use crate::config::{Config, Layers, Origin};
use crate::problem::Problem;
use crate::state::AppState;

/// Every setting of a policy.
const POLICY: [&str; 12] = [
    "ttl",
    "load_timeout",
    "max_bytes",
    "mode",
    "persist",
    "stale_while_revalidate",
    "stale_if_error",
    "check_interval",
    "client_max_age",
    "refresh_every",
    "warm",
    "tags",
];

/// All settings, with where each comes from.
pub(super) fn settings(state: &AppState) -> SettingList {
    let changes = state.applied.look();
    let layers = state.layers.with_applied(&changes.settings);
    let shown = layers.iter().map(|(setting, value, origin)| SettingDto {
        name: setting.name.to_owned(),
        value: match setting.name {
            // It may hold a secret.
            "alert_webhook" if !value.is_empty() => Some("(set)".to_owned()),
            _ => (!value.is_empty()).then(|| value.to_owned()),
        },
        origin: origin.to_string(),
        help: setting.help.to_owned(),
        live: LIVE.contains(&setting.name),
    });
    SettingList { settings: shown.collect() }
}

/// Changes settings as a merge patch says.
pub(super) async fn patch_settings(state: &Arc<AppState>, patch: &Map<String, Value>) -> Result<(), Problem> {
    let _turn = state.applied.turn().await;
    let mut changes = state.applied.look();
    for (name, value) in patch {
        if !LIVE.contains(&name.as_str()) {
            return Err(Problem::not_live(name, &LIVE));
        }
        match value {
            Value::Null => drop(changes.settings.remove(name)),
            Value::String(text) => drop(changes.settings.insert(name.clone(), text.clone())),
            Value::Number(number) => drop(changes.settings.insert(name.clone(), number.to_string())),
            other => return Err(Problem::bad_setting(name, &other.to_string(), "expected a text or a number")),
        }
    }
    let config = resolve(&state.layers, &changes)?;
    let before = resolve(&state.layers, &state.applied.look())?;
    put_settings_in_force(state, &config)?;
    if let Err(problem) = keep(state, changes).await {
        put_settings_in_force(state, &before)?;
        return Err(problem);
    }
    Ok(())
}

fn resolve(layers: &Layers, changes: &Changes) -> Result<Config, Problem> {
    Config::resolve(&layers.with_applied(&changes.settings))
        .map_err(|error| Problem::bad_setting(error.name(), error.value(), &error.to_string()))
}

fn put_settings_in_force(state: &AppState, config: &Config) -> Result<(), Problem> {
    let too_small =
        |name: &'static str| move |error: cache_core::Error| Problem::bad_setting(name, "", &error.to_string());
    state.pipeline.tables().set_max_bytes(config.tables_max_bytes).map_err(too_small("tables_max_bytes"))?;
    state.bodies.set_max_bytes(config.bodies_max_bytes).map_err(too_small("bodies_max_bytes"))?;
    state.watch.set_bodies_budget(config.bodies_max_bytes);
    let gate: GateOptions = config.fetch.gate;
    if gate != state.fetcher.gate().options {
        state.fetcher.set_gate(gate);
        state.watch.workers_changed();
    }
    Ok(())
}

/// The policy of a dataset, with where each setting comes from.
pub(super) fn policy(state: &AppState, name: &str) -> Result<PolicyDetail, Problem> {
    let catalog = state.pipeline.catalog();
    let dataset = catalog.get(name)?;
    let applied = state.applied.look().datasets.get(name).cloned().unwrap_or_default();
    let in_file = state.config.datasets.get(name);
    let origins = POLICY.iter().map(|setting| {
        let origin = match setting {
            _ if applied.contains_key(*setting) => "applied",
            _ if in_file.is_some_and(|policy| policy.sets(setting)) => "file",
            _ => "default",
        };
        ((*setting).to_owned(), origin)
    });
    Ok(PolicyDetail {
        policy: PolicyDto::from(&dataset.policy),
        needs_restart: needs_restart(state, dataset),
        origins: origins.collect(),
        applied,
    })
}

/// What the policy asks for and this process cannot do.
fn needs_restart(state: &AppState, dataset: &Dataset) -> Vec<String> {
    let without_disk = dataset.policy.persist && state.disk.tier().is_none();
    without_disk.then(|| "persist".to_owned()).into_iter().collect()
}

/// Changes the policy of a dataset as a merge patch says; without one, takes all changes back.
pub(super) async fn patch_policy(
    state: &Arc<AppState>,
    name: &str,
    patch: Option<&Map<String, Value>>,
) -> Result<PolicyDetail, Problem> {
    let _turn = state.applied.turn().await;
    let before = Arc::clone(state.pipeline.catalog().get(name)?);
    let mut changes = state.applied.look();
    let policy = match patch {
        Some(patch) => merged(changes.datasets.remove(name).unwrap_or_default(), patch),
        None => {
            changes.datasets.remove(name);
            Map::new()
        }
    };
    let read = overrides(&policy).map_err(|reason| Problem::bad_policy(name, &reason))?;
    let most = state.pipeline.tables().config().max_entry_bytes;
    if let Some(size) = read.max_bytes.filter(|size| size.as_u64() > most) {
        let reason = format!("max_bytes of {size} is more than the {most} bytes that one table may take");
        return Err(Problem::bad_policy(name, &reason));
    }
    if !policy.is_empty() {
        changes.datasets.insert(name.to_owned(), policy);
    }
    let policies =
        |changes: &Changes| changes.policies(&state.config.datasets).map_err(|it| Problem::bad_policy(name, &it));
    let (new, old) = (policies(&changes)?, policies(&state.applied.look())?);
    publish(state, new);
    if let Err(problem) = keep(state, changes).await {
        publish(state, old);
        return Err(problem);
    }
    adopt(state, &before, name);
    self::policy(state, name)
}

fn publish(state: &AppState, policies: BTreeMap<String, PolicyOverrides>) {
    state.pipeline.set_policies(policies);
    state.memo.clear();
}

/// What is kept was stored under the old policy. Where that matters, the dataset is loaded again, and swapped then.
fn adopt(state: &Arc<AppState>, before: &Dataset, name: &str) {
    let catalog = state.pipeline.catalog();
    let Ok(now) = catalog.get(name) else { return };
    let kept = |dataset: &Dataset| {
        let policy = &dataset.policy;
        (
            policy.ttl,
            policy.stale_while_revalidate,
            policy.stale_if_error,
            policy.persist,
            policy.mode,
            dataset.tags.clone(),
        )
    };
    let is_kept = before.used().table_loads.loaded + before.used().result_loads.loaded > 0;
    if kept(before) == kept(now) || !is_kept {
        return;
    }
    let (pipeline, name) = (state.pipeline.clone(), name.to_owned());
    state.background.handle().spawn(async move {
        if let Err(error) = pipeline.refresh(&name, &pipeline::CallOptions::new("policy")).await {
            tracing::warn!(dataset = %name, error = %error,
                "failed to load dataset '{name}' again under its new policy: {error}");
        }
    });
}

async fn keep(state: &Arc<AppState>, changes: Changes) -> Result<(), Problem> {
    let keeping = Arc::clone(state);
    match block(move || keeping.applied.keep(changes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Problem::change_not_durable(&error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// Whether a setting was applied.
pub(super) fn is_applied(state: &AppState, name: &str) -> bool {
    let layers = state.layers.with_applied(&state.applied.look().settings);
    layers.iter().any(|(setting, _, origin)| setting.name == name && origin == Origin::Applied)
}
