//! Changing settings and policies while the server runs: checked, put in force, written down, acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::Scope;
use loader::GateOptions;
use pipeline::{Dataset, PolicyOverrides};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use super::dto::{PolicyDetail, PolicyDto, SettingDto, SettingList};
use crate::applied::{Changes, LIVE, merged, overrides};
use crate::config::{Config, Layers, Origin, SETTINGS};
use crate::problem::Problem;
use crate::state::AppState;

/// A cache of less would hold next to nothing.
const LEAST_BUDGET: u64 = 64 << 10;
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
            "alert_webhook" | "otlp_endpoint" if !value.is_empty() => Some("(set)".to_owned()),
            _ => (!value.is_empty()).then(|| value.to_owned()),
        },
        origin: origin.to_string(),
        help: setting.help.to_owned(),
        live: LIVE.contains(&setting.name),
    });
    SettingList { settings: shown.collect() }
}

/// Runs a change to its end, whether its client waits or not.
async fn detached<T: Send + 'static>(
    state: &AppState,
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    state.background.handle().spawn(change).await.map_err(Problem::internal)?
}

/// Changes settings as a merge patch says.
pub(super) async fn patch_settings(state: &Arc<AppState>, patch: &Map<String, Value>) -> Result<(), Problem> {
    let (changing, patch) = (Arc::clone(state), patch.clone());
    detached(state, async move { do_patch_settings(&changing, &patch).await }).await
}

async fn do_patch_settings(state: &Arc<AppState>, patch: &Map<String, Value>) -> Result<(), Problem> {
    let _turn = state.applied.turn().await;
    let mut changes = state.applied.look();
    for (name, value) in patch {
        if !SETTINGS.iter().any(|setting| setting.name == name) {
            return Err(Problem::unknown_setting(name, &LIVE));
        }
        if !LIVE.contains(&name.as_str()) {
            return Err(Problem::not_live(name, &LIVE));
        }
        match value {
            Value::Null => drop(changes.settings.remove(name)),
            Value::String(text) => drop(changes.settings.insert(name.clone(), text.clone())),
            Value::Number(number) => drop(changes.settings.insert(name.clone(), plain(number))),
            other => return Err(Problem::bad_setting(name, &other.to_string(), "expected a text or a number")),
        }
    }
    let config = resolve(&state.layers, &changes)?;
    for (name, bytes) in [("tables_max_bytes", config.tables_max_bytes), ("bodies_max_bytes", config.bodies_max_bytes)]
    {
        if bytes < LEAST_BUDGET && patch.contains_key(name) {
            return Err(Problem::bad_setting(
                name,
                &bytes.to_string(),
                &format!("at least {LEAST_BUDGET} bytes are needed"),
            ));
        }
    }
    let before = resolve(&state.layers, &state.applied.look())?;
    let changed = match put_in_force(state, &config).await {
        Ok(()) => keep(state, changes).await,
        Err(problem) => Err(problem),
    };
    if changed.is_err() {
        put_in_force(state, &before).await?;
    }
    changed
}

/// A budget is kept by a look at every entry.
async fn put_in_force(state: &Arc<AppState>, config: &Config) -> Result<(), Problem> {
    let (state, config) = (Arc::clone(state), config.clone());
    spawn_blocking(move || put_settings_in_force(&state, &config)).await.map_err(Problem::internal)?
}

/// A number as its setting reads it: JSON may write 47 as 47.0.
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

fn resolve(layers: &Layers, changes: &Changes) -> Result<Config, Problem> {
    Config::resolve(&layers.with_applied(&changes.settings))
        .map_err(|error| Problem::bad_setting(error.name(), error.value(), error.reason()))
}

fn put_settings_in_force(state: &AppState, config: &Config) -> Result<(), Problem> {
    let (tables, bodies, max_bytes) = (config.tables_max_bytes, config.bodies_max_bytes, config.policy.max_bytes);
    state.bodies.set_max_bytes(bodies).map_err(too_small("bodies_max_bytes", bodies))?;
    state.pipeline.set_tables_max_bytes(tables, max_bytes).map_err(too_small("tables_max_bytes", tables))?;
    state.memo.clear();
    state.watch.set_bodies_budget(config.bodies_max_bytes);
    let gate: GateOptions = config.fetch.gate;
    if gate != state.fetcher.gate().options {
        state.fetcher.set_gate(gate);
        state.watch.workers_changed();
    }
    Ok(())
}

fn too_small(name: &'static str, bytes: u64) -> impl Fn(cache_core::Error) -> Problem {
    move |error| match error {
        cache_core::Error::BudgetTooSmall { least, .. } => {
            Problem::bad_setting(name, &bytes.to_string(), &format!("at least {least} bytes are needed"))
        }
        other => Problem::bad_setting(name, &bytes.to_string(), &other.to_string()),
    }
}

/// The policy of a dataset, with where each setting comes from.
pub(super) fn policy(state: &AppState, name: &str) -> Result<PolicyDetail, Problem> {
    let catalog = state.pipeline.catalog();
    let dataset = catalog.get(name)?;
    let applied = state.applied.look().datasets.get(name).cloned().unwrap_or_default();
    let in_file = state.config.datasets.get(name);
    let layers = state.layers.with_applied(&state.applied.look().settings);
    let origins = POLICY.iter().map(|setting| {
        let origin = match setting {
            _ if applied.contains_key(*setting) => "applied",
            _ if in_file.is_some_and(|policy| policy.sets(setting)) => "file",
            // Of the server's own settings, which hold where its source says nothing else.
            _ => {
                layers.iter().find(|(known, ..)| known.name == *setting).map_or("default", |(.., origin)| origin.name())
            }
        };
        ((*setting).to_owned(), origin)
    });
    Ok(PolicyDetail {
        policy: PolicyDto::from(&dataset.policy),
        needs_restart: needs_restart(state, dataset),
        tags: dataset.tags.iter().map(ToString::to_string).collect(),
        origins: origins.collect(),
        applied,
    })
}

/// What the policy asks for and this process cannot do.
fn needs_restart(state: &AppState, dataset: &Dataset) -> Vec<String> {
    let without_disk = dataset.policy.persist && state.disk.tier().is_none();
    without_disk.then(|| "persist".to_owned()).into_iter().collect()
}

/// Takes all changes of a policy back, also of a dataset that is not served now.
pub(super) async fn reset_policy(state: &Arc<AppState>, name: &str) -> Result<(), Problem> {
    let (changing, name) = (Arc::clone(state), name.to_owned());
    detached(state, async move { do_reset_policy(&changing, &name).await }).await
}

async fn do_reset_policy(state: &Arc<AppState>, name: &str) -> Result<(), Problem> {
    let _turn = state.applied.turn().await;
    let before = state.pipeline.catalog().get(name).cloned();
    let mut changes = state.applied.look();
    if changes.datasets.remove(name).is_none() {
        // There is nothing to take back, unless there is no such dataset.
        return Ok(before.map(drop)?);
    }
    let policies =
        |changes: &Changes| changes.policies(&state.config.datasets).map_err(|it| Problem::bad_policy(name, &it));
    let (new, old) = (policies(&changes)?, policies(&state.applied.look())?);
    put_policies_in_force(state, changes, new, old).await?;
    if let Ok(before) = before {
        adopt(state, &before, name);
    }
    Ok(())
}

/// Changes the policy of a dataset as a merge patch says.
pub(super) async fn patch_policy(
    state: &Arc<AppState>,
    name: &str,
    patch: &Map<String, Value>,
) -> Result<PolicyDetail, Problem> {
    let (changing, name, patch) = (Arc::clone(state), name.to_owned(), patch.clone());
    detached(state, async move { do_patch_policy(&changing, &name, &patch).await }).await
}

async fn do_patch_policy(
    state: &Arc<AppState>,
    name: &str,
    patch: &Map<String, Value>,
) -> Result<PolicyDetail, Problem> {
    let _turn = state.applied.turn().await;
    let before = Arc::clone(state.pipeline.catalog().get(name)?);
    let mut changes = state.applied.look();
    let policy = merged(changes.datasets.remove(name).unwrap_or_default(), patch);
    let read = overrides(&policy).map_err(|reason| Problem::bad_policy(name, &reason))?;
    let most = state.pipeline.tables().max_entry_bytes();
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
    put_policies_in_force(state, changes, new, old).await?;
    adopt(state, &before, name);
    self::policy(state, name)
}

async fn put_policies_in_force(
    state: &Arc<AppState>,
    changes: Changes,
    new: BTreeMap<String, PolicyOverrides>,
    old: BTreeMap<String, PolicyOverrides>,
) -> Result<(), Problem> {
    publish(state, new).await?;
    let kept = keep(state, changes).await;
    if kept.is_err() {
        publish(state, old).await?;
    }
    kept
}

async fn publish(state: &Arc<AppState>, policies: BTreeMap<String, PolicyOverrides>) -> Result<(), Problem> {
    let state = Arc::clone(state);
    let publishing = move || {
        state.pipeline.set_policies(policies);
        state.memo.clear();
    };
    spawn_blocking(publishing).await.map_err(Problem::internal)
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
    if kept(before) == kept(now) {
        return;
    }
    let (pipeline, name) = (state.pipeline.clone(), name.to_owned());
    let is_there = pipeline.table_info(now).is_some();
    let namespace = now.namespace.clone();
    state.background.handle().spawn(async move {
        let adopted = match is_there {
            true => pipeline.refresh(&name, &pipeline::CallOptions::new("policy")).await.map(drop),
            // What is on disk alone, or single results, is read again when somebody asks.
            false => pipeline.tables().invalidate(Scope::Namespace(namespace)).await.map(drop).map_err(Into::into),
        };
        if let Err(error) = adopted {
            tracing::warn!(dataset = %name, error = %error,
                "what is kept of dataset '{name}' does not follow its new policy yet: {error}");
        }
    });
}

async fn keep(state: &Arc<AppState>, changes: Changes) -> Result<(), Problem> {
    let keeping = Arc::clone(state);
    match spawn_blocking(move || keeping.applied.keep(changes)).await {
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
