//! Processes under measurement: started, found by the line that they print, killed when dropped.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::recording::Recording;

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
        Self::with_plugins(fresh_home(), &target_dir().join("larder/plugins"))
    }

    /// The same with instances of the synthetic source alone, one for each of these sidecars: name and text.
    pub(crate) fn of_synthetic(sidecars: &[(String, String)]) -> anyhow::Result<Self> {
        let home = fresh_home();
        let (plugins, library) = (home.join("plugins"), "libsynthetic.so");
        fs::create_dir_all(&plugins).context("make a plugin folder")?;
        fs::copy(target_dir().join("larder/plugins").join(library), plugins.join(library)).context("copy a plugin")?;
        for (name, text) in sidecars {
            let text = format!("library = \"{library}\"\n{text}");
            fs::write(plugins.join(format!("{name}.toml")), text).context("write a sidecar")?;
        }
        Self::with_plugins(home, &plugins)
    }

    fn with_plugins(home: PathBuf, plugins: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(target_dir().join("larder/larder"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--workers", &WORKERS.to_string()])
            .arg("--home")
            .arg(&home)
            .arg("--plugins")
            .arg(plugins)
            .arg("--data")
            .arg(workspace().join("data"));
        Self::start(command, Some(home), &[])
    }

    /// The handler of constant bytes, which gives `answer` at a path.
    pub(crate) fn constant(answer: &Recording, path: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["constant-server", &WORKERS.to_string(), path]);
        Self::start(command, None, &answer.to_bytes())
    }

    fn start(mut command: Command, home: Option<PathBuf>, input: &[u8]) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let mut server = Self { child, url: String::new(), home };
        let mut stdin = server.child.stdin.take().ok_or_else(|| anyhow!("write to a server"))?;
        stdin.write_all(input).context("write to a server")?;
        drop(stdin);
        let out = server.child.stdout.take().ok_or_else(|| anyhow!("read what the server prints"))?;
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

    /// Waits until it has nothing left to do.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut before = self.processor_ticks()?;
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = self.processor_ticks()?;
            // A tick is 10 ms on Linux.
            if now - before <= 1 {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("wait for a server to come to rest");
            }
            before = now;
        }
    }

    fn processor_ticks(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).context("read the process's times")?;
        // The name, which may hold spaces, ends with the last parenthesis; user and system time come 12th and 13th after it.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: Vec<u64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("read the process's times")?;
        Ok(ticks.iter().sum())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(home) = &self.home {
            let _ = fs::remove_dir_all(home);
        }
    }
}

/// The home of a server of this process; there is one at a time.
fn fresh_home() -> PathBuf {
    std::env::temp_dir().join(format!("larder-bench-{}", std::process::id()))
}

/// The root of the repository.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |dir| workspace().join(dir))
}
