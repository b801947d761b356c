//! What is known of each plugin, for people and programs that look from outside.
//!
//! Details never hold absolute paths: they are shown to whoever may read the list of plugins.

use plugin_sdk::Dataset;

/// How a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginState {
    /// It was found and is being tried.
    Starting,
    /// It serves.
    Loaded,
    /// Its newest version failed; the one before goes on serving.
    Outdated,
    /// It could not be loaded; `steps` says why.
    Failed,
    /// It crashed too often; it serves again once its file changes or a person resets it.
    Quarantined,
}

impl PluginState {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loaded => "loaded",
            Self::Outdated => "outdated",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
        }
    }
}

/// One thing that was tried on the way to a serving plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was tried: `sidecar`, `trust`, `copy`, `elf`, `load`, `open`, `datasets`.
    pub name: String,
    /// Whether it worked.
    pub ok: bool,
    /// What was found, or why it failed.
    pub detail: String,
}

impl Step {
    /// A step that worked.
    pub fn passed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, detail: detail.into() }
    }

    /// A step that failed.
    pub fn failed(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, detail: detail.into() }
    }
}

/// All that is known of one plugin.
#[derive(Debug, Clone)]
pub struct PluginStatus {
    /// Name of the instance.
    pub name: String,
    /// File name of the library.
    pub library: String,
    /// Version from the manifest of the serving library, else of the one that failed.
    pub version: String,
    /// Description from that manifest.
    pub description: String,
    /// SHA-256 of that library in hexadecimal; empty when it was never read.
    pub sha256: String,
    /// How it stands.
    pub state: PluginState,
    /// How many versions of it were published so far; 0 = none.
    pub generation: u64,
    /// What was tried with the newest file.
    pub steps: Vec<Step>,
    /// Process id of its worker, when one runs.
    pub worker_pid: Option<u32>,
    /// Workers started for the serving version.
    pub starts: u64,
    /// How many of them crashed.
    pub crashes: u64,
    /// The last failure, of the newest file or of a worker.
    pub last_error: Option<String>,
    /// What the serving version offers.
    pub datasets: Vec<Dataset>,
}
