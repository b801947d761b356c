//! From the plugins to the catalog: what the host runs, as the pipeline wants it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipeline::{Ask, PolicyOverrides, SourceHandle};
use plugin_host::Instance;

use crate::state::AppState;

/// Asks every source what it offers and serves it from now on. Blocks: sources are called.
pub(crate) fn publish(state: &AppState, which: Ask) {
    let handles: Vec<SourceHandle> =
        state.plugins.sources().iter().map(|i| handle(i, &state.config.datasets)).collect();
    let catalog = state.pipeline.publish(&handles, which);
    state.memo.clear();
    tracing::info!(
        generation = catalog.generation,
        datasets = catalog.datasets().len(),
        "serving {} datasets of {} sources",
        catalog.datasets().len(),
        handles.len()
    );
}

/// A source with its policies: of its sidecar, and over these the ones of the server's configuration.
fn handle(instance: &Arc<Instance>, configured: &BTreeMap<String, PolicyOverrides>) -> SourceHandle {
    let read = |table: &toml::Table, of: &str| -> PolicyOverrides {
        table.clone().try_into().unwrap_or_else(|error| {
            tracing::warn!(source = %instance.name, error = %error, "policy of {of} in the sidecar is not used: {error}");
            PolicyOverrides::default()
        })
    };
    let mut datasets: BTreeMap<String, PolicyOverrides> =
        instance.dataset_policies.iter().map(|(name, policy)| (name.clone(), read(policy, name))).collect();
    datasets.extend(configured.iter().map(|(name, policy)| (name.clone(), policy.clone())));
    SourceHandle {
        name: Arc::clone(&instance.name),
        identity: Arc::from(instance.identity.as_str()),
        source: Arc::clone(&instance.source),
        policy: read(&instance.policy, "the source"),
        datasets,
    }
}
