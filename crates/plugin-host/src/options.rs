//! What the host can be told: folders, the worker's command, bounds and times.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How the server can be reached, which decides how strictly the plugin folder is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// From this machine only: a group-writable folder or library is a warning.
    Loopback,
    /// From elsewhere too: a group-writable folder or library is refused.
    Network,
}

/// The program that runs one plugin. The control socket is its standard input.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program. The default is the running one, even if its file was replaced since.
    pub program: PathBuf,
    /// Its arguments; the instance's name follows them.
    pub args: Vec<OsString>,
    /// Variables beyond the few that every worker gets.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory; `None` for the server's.
    pub directory: Option<PathBuf>,
    /// A bound on its address space (`RLIMIT_AS`), a backstop against runaway memory.
    pub memory_limit: Option<u64>,
}

impl Default for WorkerCommand {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            args: vec!["plugin-host".into()],
            env: Vec::new(),
            directory: None,
            memory_limit: None,
        }
    }
}

/// Bounds and times of the calls to one worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a worker may take to load its library and open its instance.
    pub open_timeout: Duration,
    /// How long listing the datasets of a new library may take.
    pub probe_timeout: Duration,
    /// How long a cancelled call may take to stop before its worker is killed.
    pub cancel_grace: Duration,
    /// How long a worker may be told to leave before it is killed.
    pub exit_grace: Duration,
    /// A worker without calls for so long is let go.
    pub idle_after: Duration,
    /// How often a waiting call looks whether it was cancelled.
    pub tick: Duration,
    /// The largest message of a scan.
    pub max_message_bytes: u64,
    /// Calls to one worker at a time.
    pub max_calls: usize,
    /// Datasets that one source may offer.
    pub max_datasets: usize,
    /// Crashes within [`crash_window`](Self::crash_window) that quarantine an instance.
    pub max_crashes: usize,
    /// The window in which crashes are counted.
    pub crash_window: Duration,
    /// The wait before the second start after a crash; doubles with each further one.
    pub backoff_base: Duration,
    /// The longest such wait.
    pub backoff_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(10),
            cancel_grace: Duration::from_secs(2),
            exit_grace: Duration::from_secs(1),
            idle_after: Duration::from_secs(600),
            tick: Duration::from_millis(20),
            max_message_bytes: 256 << 20,
            max_calls: 64,
            max_datasets: 10_000,
            max_crashes: 3,
            crash_window: Duration::from_secs(60),
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// Says what is wrong with a policy, for people.
pub type CheckPolicy = fn(&toml::Table) -> std::result::Result<(), String>;

/// What a [`PluginHost`](crate::PluginHost) is made of.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The folder that libraries and sidecars are dropped into.
    pub plugins_dir: PathBuf,
    /// Where private copies are kept; belongs to this host alone.
    pub store_dir: PathBuf,
    /// What runs a plugin.
    pub worker: WorkerCommand,
    /// How strictly the folder is judged.
    pub exposure: Exposure,
    /// Configurations of instances whose sidecar has none, by instance name.
    pub defaults: HashMap<String, serde_json::Value>,
    /// How often the folder is looked at; `None` for only when [`reload`](crate::PluginHost::reload) is called.
    pub watch_every: Option<Duration>,
    /// Judges a sidecar's `[policy]` and each `[datasets.NAME]`; its error fails the `sidecar` step.
    pub check_policy: Option<CheckPolicy>,
    /// Libraries and sidecars that are looked at; further ones, by name, are
    /// listed as failed.
    pub max_plugins: usize,
    /// Bounds and times of calls.
    pub limits: Limits,
}

impl HostOptions {
    /// The defaults for these two folders: own executable as worker, loopback, a look every 250 ms.
    pub fn new(plugins_dir: impl Into<PathBuf>, store_dir: impl Into<PathBuf>) -> Self {
        Self {
            plugins_dir: plugins_dir.into(),
            store_dir: store_dir.into(),
            worker: WorkerCommand::default(),
            exposure: Exposure::Loopback,
            defaults: HashMap::new(),
            watch_every: Some(Duration::from_millis(250)),
            check_policy: None,
            max_plugins: 256,
            limits: Limits::default(),
        }
    }
}
