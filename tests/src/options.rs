//! How a server under test is set up: its data, plugins, sidecars, arguments and configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::artifacts;
use crate::server::Server;

/// How a server is to be started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    program: Option<PathBuf>,
    data: Option<PathBuf>,
    plugins: Vec<String>,
    files: Vec<(String, String)>,
    args: Vec<String>,
    config: Option<String>,
    env: Vec<(String, String)>,
}

impl Options {
    /// Another build of the server.
    #[must_use]
    pub fn program(mut self, larder: &Path) -> Self {
        self.program = Some(larder.to_path_buf());
        self
    }

    /// The root of the files source; the repository's `data/` unless set.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_path_buf());
        self
    }

    /// Puts a built plugin into the plugin folder.
    #[must_use]
    pub fn plugin(mut self, name: &str) -> Self {
        self.plugins.push(name.to_owned());
        self
    }

    /// Puts a text file, for example a sidecar, into the plugin folder.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// A further argument of `larder serve`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// The text of `larder.toml`.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; the log is in the message.
    #[track_caller]
    pub fn start(self) -> Server {
        let folder = TempDir::new().expect("a temporary folder");
        self.place(folder.path());
        Server::spawn(self, Arc::new(folder))
    }

    /// Puts plugins and files where the server looks for them.
    fn place(&self, folder: &Path) {
        let plugins = folder.join("plugins");
        fs::create_dir(&plugins).expect("a plugin folder");
        for name in &self.plugins {
            let library = artifacts::plugin(name);
            fs::copy(&library, plugins.join(library.file_name().expect("a name"))).expect("a plugin is copied");
        }
        for (name, text) in &self.files {
            fs::write(plugins.join(name), text).expect("a file is written");
        }
    }

    /// The command that starts the server in a folder.
    pub(crate) fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.program.clone().unwrap_or_else(artifacts::larder));
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .arg("--home")
            .arg(folder.join("home"))
            .arg("--plugins")
            .arg(folder.join("plugins"))
            .arg("--data")
            .arg(self.data.clone().unwrap_or_else(|| artifacts::root().join("data")));
        if let Some(text) = &self.config {
            let path = folder.join("larder.toml");
            fs::write(&path, text).expect("a configuration is written");
            command.arg("--config").arg(path);
        }
        command.args(&self.args).current_dir(folder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}
