//! From the plugins to the catalog: what the host runs, as the pipeline wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pipeline::{Ask, PolicyOverrides, SourceHandle};
use plugin_host::Instance;
use serde_json::json;

use crate::state::AppState;

/// Serves the plugins of now, and waits until each has said what it offers, for `patience` at most.
pub(crate) fn publish(state: &AppState, which: Ask, patience: Duration) {
    let asking = {
        // What was read first is also served first, so that an older list never follows a newer one.
        let _in_order = state.publishing.lock();
        let handles: Vec<SourceHandle> = state.plugins.sources().iter().map(handle).collect();
        state.fetcher.retain(|name| handles.iter().any(|handle| &*handle.name == name));
        state.pipeline.publish(&handles, which)
    };
    asking.wait(patience);
    state.memo.clear();
    let catalog = state.pipeline.catalog();
    let told = json!({ "what": "catalog", "generation": catalog.generation, "datasets": catalog.datasets().len() });
    state.watch.feed.tell("dataset", &told);
}

fn handle(instance: &Arc<Instance>) -> SourceHandle {
    let read = |table: &toml::Table| {
        policy(table).unwrap_or_else(|error| {
            tracing::warn!(source = %instance.name, error = %error, "a policy of the sidecar is not used: {error}");
            PolicyOverrides::default()
        })
    };
    let datasets: BTreeMap<_, _> =
        instance.dataset_policies.iter().map(|(name, table)| (name.clone(), read(table))).collect();
    SourceHandle {
        name: Arc::clone(&instance.name),
        // Two instances may have one library and one configuration, and are still two.
        identity: format!("{}@{}", instance.name, instance.identity).into(),
        source: Arc::clone(&instance.source),
        policy: read(&instance.policy),
        datasets,
    }
}

/// Reads a policy of a sidecar.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn policy(table: &toml::Table) -> Result<PolicyOverrides, String> {
    table.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}
