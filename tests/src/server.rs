//! The server under test: the real binary, in a home of its own, on a port of its own.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::http::{Answer, Client};
use crate::options::Options;
use crate::poll::{self, PATIENCE};
use crate::stopped::Stopped;

/// A running server; it is asked to leave, then killed, when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    client: Client,
    url: String,
    log: Log,
    ready_in: Duration,
    options: Options,
    folder: Arc<TempDir>,
}

/// What the server wrote, both streams, line by line.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn follow(&self, stream: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let mut text = log.0.lock().expect("the log");
                writeln!(text, "{}", String::from_utf8_lossy(&line)).expect("a string takes all");
            }
        });
    }

    fn text(&self) -> String {
        self.0.lock().expect("the log").clone()
    }
}

impl Server {
    /// What a server is to be like.
    pub fn options() -> Options {
        Options::default()
    }

    /// The bundled plugins over the repository's `data/`.
    #[track_caller]
    pub fn bundled() -> Self {
        Self::options().plugin("files").plugin("synthetic").start()
    }

    /// The files source over a folder.
    #[track_caller]
    pub fn over(data: &Path) -> Self {
        Self::options().plugin("files").data(data).start()
    }

    #[track_caller]
    pub(crate) fn spawn(options: Options, folder: Arc<TempDir>) -> Self {
        let start = Instant::now();
        let mut child = options
            .command(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let log = Log::default();
        log.follow(child.stdout.take().expect("a pipe"));
        log.follow(child.stderr.take().expect("a pipe"));
        let url = loop {
            let text = log.text();
            if let Some(url) = text.lines().find_map(|line| line.trim().strip_prefix("listening on ")) {
                break url.split_whitespace().next().expect("an address").to_owned();
            }
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("the server left ({status}) before it listened:\n{}", log.text());
            }
            if start.elapsed() > PATIENCE {
                child.kill().ok();
                panic!("the server does not listen after {PATIENCE:?}:\n{text}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let ready_in = Duration::ZERO;
        let mut server = Self { child, client: Client::new(&url), url, log, ready_in, options, folder };
        poll::until_true("the server is ready", PATIENCE, || {
            server.client.try_send("GET", "/readyz", &[], None).is_ok_and(|answer| answer.status == 200)
        });
        server.ready_in = start.elapsed();
        server
    }

    /// How long it took from its start until it was ready.
    pub fn ready_in(&self) -> Duration {
        self.ready_in
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A client for another thread.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The folder that it takes plugins from.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The folder that it writes to.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// All that it wrote so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The process.
    ///
    /// # Panics
    /// Never: a child has a process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The rows of a dataset.
    ///
    /// # Panics
    /// When the answer is no list of rows.
    #[track_caller]
    pub fn rows(&self, dataset: &str, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/datasets/{dataset}/rows?{query}")).expect(200);
        match answer.json() {
            Value::Array(rows) => rows,
            other => panic!("{} gave {other}", answer.asked),
        }
    }

    /// The names of all datasets.
    ///
    /// # Panics
    /// When the answer is no list of datasets.
    #[track_caller]
    pub fn datasets(&self) -> Vec<String> {
        let listing = self.get("/api/v1/datasets").expect(200).json();
        let datasets = listing["datasets"].as_array().expect("a list of datasets");
        datasets.iter().map(|dataset| dataset["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// What GET /api/v1/plugins says of a plugin, `Null` when it is not listed.
    ///
    /// # Panics
    /// When the answer is no list of plugins.
    #[track_caller]
    pub fn plugin(&self, name: &str) -> Value {
        let listing = self.get("/api/v1/plugins").expect(200).json();
        let plugins = listing["plugins"].as_array().expect("a list of plugins");
        plugins.iter().find(|plugin| plugin["name"] == name).cloned().unwrap_or_default()
    }

    /// Waits until a plugin is in a state, and gives what is said of it.
    #[track_caller]
    pub fn plugin_until(&self, name: &str, state: &str) -> Value {
        let start = Instant::now();
        loop {
            let plugin = self.plugin(name);
            if plugin["state"] == state {
                return plugin;
            }
            assert!(start.elapsed() < PATIENCE, "{name} is not {state} but {plugin:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// POST .../refresh.
    #[track_caller]
    pub fn refresh(&self, dataset: &str) -> Answer {
        self.send("POST", &format!("/api/v1/datasets/{dataset}/refresh"), &[], Some(b""))
    }

    /// Asks it to leave and waits until it has.
    ///
    /// # Panics
    /// When it stays.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).ok();
        self.wait()
    }

    /// Waits until it has left.
    ///
    /// # Panics
    /// When it stays.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        poll::until("the server leaves", PATIENCE, || child.try_wait().expect("a child"))
    }

    /// Asks it to leave, as an operator does.
    ///
    /// # Panics
    /// When it does not leave well.
    #[track_caller]
    pub fn stop(mut self) -> Stopped {
        let status = self.terminate();
        assert_eq!(status.code(), Some(0), "the server left with {status}");
        self.stopped()
    }

    /// Kills it without a warning.
    #[track_caller]
    pub fn kill(mut self) -> Stopped {
        kill_process(self.pid(), Signal::KILL).ok();
        self.wait();
        self.stopped()
    }

    fn stopped(&self) -> Stopped {
        Stopped { options: self.options.clone(), folder: Arc::clone(&self.folder) }
    }

    /// Runs the command line against this server.
    ///
    /// # Panics
    /// When the binary cannot be run.
    pub fn cli(&self, args: &[&str]) -> std::process::Output {
        Command::new(artifacts::larder())
            .args(args)
            .args(["--url", &self.url])
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .expect("the binary runs")
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log.text();
            let from = log.len().saturating_sub(16_000);
            let from = (from..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(0);
            eprintln!("--- log of the server at {} ---\n{}--- end of the log ---", self.url, &log[from..]);
        }
        if self.child.try_wait().ok().flatten().is_none() {
            kill_process(self.pid(), Signal::TERM).ok();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(10) && self.child.try_wait().ok().flatten().is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
