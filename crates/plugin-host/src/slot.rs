//! All that the host knows of one name: the files that were tried, what came of it, what serves.

use std::sync::Arc;

use crate::discover::Candidate;
use crate::host::Instance;
use crate::loading::{Attempt, Loaded};
use crate::status::{PluginState, PluginStatus};

/// All about one name.
pub(crate) struct Slot {
    pub(crate) candidate: Candidate,
    /// Number of the attempt under way.
    pub(crate) loading: Option<u64>,
    /// What came of the last one.
    pub(crate) attempt: Attempt,
    pub(crate) serving: Option<Serving>,
    pub(crate) generation: u64,
    pub(crate) misses: u32,
}

pub(crate) struct Serving {
    pub(crate) instance: Arc<Instance>,
    pub(crate) loaded: Loaded,
    pub(crate) version: String,
    pub(crate) sha256: String,
}

impl Slot {
    pub(crate) fn new(candidate: Candidate) -> Self {
        Self { candidate, loading: None, attempt: Attempt::default(), serving: None, generation: 0, misses: 0 }
    }

    pub(crate) fn is_in_trouble(&self) -> bool {
        self.attempt.error().is_some()
            || self.serving.as_ref().is_some_and(|serving| serving.loaded.source.vitals().quarantined)
    }

    /// Puts a loaded source in the place of what served.
    pub(crate) fn serve(&mut self, candidate: &Candidate, attempt: &Attempt, loaded: Loaded) {
        self.generation += 1;
        let sidecar = candidate.sidecar.as_ref().map(|(_, sidecar)| sidecar.clone()).unwrap_or_default();
        let instance = Arc::new(Instance {
            name: candidate.name.as_str().into(),
            identity: loaded.identity.clone(),
            description: attempt.manifest.description.clone(),
            library: candidate.library.clone(),
            source: loaded.source.clone(),
            datasets: loaded.datasets.clone(),
            policy: sidecar.policy,
            dataset_policies: sidecar.datasets,
            generation: self.generation,
        });
        let (version, sha256) = (attempt.manifest.version.clone(), attempt.sha256.clone());
        let before = self.serving.replace(Serving { instance, loaded, version, sha256 });
        let now = self.serving.as_ref().map(|serving| &serving.loaded.source);
        if let (Some(before), Some(now)) = (before, now)
            && !Arc::ptr_eq(&before.loaded.source, now)
        {
            before.loaded.source.retire();
        }
    }

    pub(crate) fn status(&self, name: &str) -> PluginStatus {
        let vitals = self.serving.as_ref().map(|serving| serving.loaded.source.vitals()).unwrap_or_default();
        let failure = self.attempt.error();
        let state = match &self.serving {
            None if self.loading.is_some() => PluginState::Starting,
            None => PluginState::Failed,
            Some(_) if vitals.quarantined => PluginState::Quarantined,
            Some(_) if failure.is_some() => PluginState::Outdated,
            Some(_) => PluginState::Loaded,
        };
        let (version, description, sha256) = match &self.serving {
            Some(serving) => (&serving.version, &serving.instance.description, &serving.sha256),
            None => (&self.attempt.manifest.version, &self.attempt.manifest.description, &self.attempt.sha256),
        };
        PluginStatus {
            name: name.to_owned(),
            library: self.candidate.library.clone(),
            version: version.clone(),
            description: description.clone(),
            sha256: sha256.clone(),
            state,
            generation: self.generation,
            steps: self.attempt.steps.clone(),
            worker_pid: vitals.pid,
            starts: vitals.starts,
            crashes: vitals.crashes,
            last_error: failure.map(str::to_owned).or(vitals.last_error),
            datasets: self.serving.as_ref().map(|serving| serving.loaded.datasets.clone()).unwrap_or_default(),
        }
    }
}
