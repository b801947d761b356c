//! Processes under measurement: started, found by the line that they print, killed when dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, anyhow};

/// Threads that serve, in every process that is compared.
pub(crate) const WORKERS: usize = 2;

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// Its home, removed with it.
    home: Option<PathBuf>,
}

impl Server {
    /// The release build of larder with the bundled plugins, serving `data/`.
    pub(crate) fn larder() -> anyhow::Result<Self> {
        let root = workspace();
        let home = std::env::temp_dir().join(format!("larder-bench-{}", std::process::id()));
        let mut command = Command::new(root.join("target/larder/larder"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--workers", &WORKERS.to_string()])
            .arg("--home")
            .arg(&home)
            .arg("--plugins")
            .arg(root.join("target/larder/plugins"))
            .arg("--data")
            .arg(root.join("data"));
        Self::start(command, Some(home))
    }

    /// The handler of constant bytes.
    pub(crate) fn constant(body_bytes: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["constant-server", &WORKERS.to_string(), &body_bytes.to_string()]);
        Self::start(command, None)
    }

    fn start(mut command: Command, home: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("start {command:?}"))?;
        let out = child.stdout.take().ok_or_else(|| anyhow!("read what the server prints"))?;
        let mut server = Self { child, url: String::new(), home };
        let mut lines = BufReader::new(out).lines();
        for line in &mut lines {
            if let Some(url) = line?.strip_prefix("listening on ") {
                server.url = url.to_owned();
                break;
            }
        }
        if server.url.is_empty() {
            return Err(anyhow!("start a server: it ended without listening"));
        }
        Ok(server)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(home) = &self.home {
            let _ = std::fs::remove_dir_all(home);
        }
    }
}

/// The root of the repository.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
