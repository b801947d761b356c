//! A server that is down: what it left behind, and how it is started again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use tempfile::TempDir;

use crate::artifacts;
use crate::options::Options;
use crate::server::Server;

/// A server that is down, with its home, plugins and configuration.
#[derive(Debug)]
pub struct Stopped {
    pub(crate) options: Options,
    pub(crate) folder: Arc<TempDir>,
}

impl Stopped {
    /// Starts it again and waits until it is ready; its port is another.
    #[track_caller]
    pub fn start(self) -> Server {
        Server::spawn(self.options, self.folder)
    }

    /// What its `larder.toml` says from now on.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.options = self.options.config(text);
        self
    }

    /// A further argument of `larder serve` from now on.
    #[must_use]
    pub fn with_arg(mut self, arg: &str) -> Self {
        self.options = self.options.arg(arg);
        self
    }

    /// The folder that it takes plugins from.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The folder that it writes to.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The files of its cache, in order of their names.
    pub fn cache_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.home().join("cache"), &mut files);
        files.sort();
        files
    }

    /// Runs the command line on its home.
    ///
    /// # Panics
    /// When the binary cannot be run.
    pub fn cli(&self, args: &[&str]) -> Output {
        Command::new(artifacts::larder())
            .args(args)
            .arg("--home")
            .arg(self.home())
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .expect("the binary runs")
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
