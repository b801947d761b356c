//! What the server is told: defaults, a file, the environment, flags, in that order of growing
//! strength.
//!
//! Every setting is one row of [`SETTINGS`]. [`Layers`] keeps the text of each with its [`Origin`],
//! and [`Config`] is made of them once, so that an error can say where a bad value came from and
//! `larder config` can print what is in force.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use pipeline::{Mode, Policy, PolicyOverrides};

/// One setting: its name in the file (`LARDER_<NAME>` in the environment, `--<name>` as a flag).
pub struct Setting {
    /// Name, in snake case.
    pub name: &'static str,
    /// Text of the default; `""` for none.
    pub default: &'static str,
    /// One line for people.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    setting("listen", "127.0.0.1:8080", "address and port to listen on"),
    setting("home", ".larder", "folder that the server writes to"),
    setting("plugins", "", "folder of plugin libraries; <home>/plugins when not set"),
    setting("data", "data", "root folder of the bundled files source"),
    setting("insecure", "false", "listen on an address that is not loopback, without keys and TLS"),
    setting("allowed_hosts", "", "further host names that requests may name, separated by commas"),
    setting("log", "info,actix_server=warn", "log filter, such as info or server=debug,info"),
    setting("log_format", "text", "text or json"),
    setting("workers", "0", "threads that serve requests; 0 = one a core"),
    setting("max_rows", "1000000", "the most rows of one answer"),
    setting("max_answer_bytes", "256 MiB", "the longest answer, before compression"),
    setting("max_body_bytes", "1 MiB", "the largest request body"),
    setting("max_connections", "10000", "connections served at a time by each worker"),
    setting("tables_max_bytes", "512 MiB", "memory for cached tables and results"),
    setting("bodies_max_bytes", "128 MiB", "memory for cached encoded bodies"),
    setting("ttl", "1h", "how long data is served before it is loaded again"),
    setting("load_timeout", "60s", "how long a load may take"),
    setting("max_bytes", "", "the largest table that is kept whole; a quarter of tables_max_bytes when not set"),
    setting("mode", "auto", "table, query or auto: what is kept of a dataset"),
    setting("concurrent_scans", "16", "scans of sources at a time"),
    setting("request_timeout", "60s", "how long a request may wait for its data"),
    setting("shutdown_timeout", "30s", "how long open requests may take after SIGTERM"),
];

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The configuration file.
    File,
    /// `LARDER_*`.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        })
    }
}

/// A configuration that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("parse the configuration file {path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why, with the line.
        message: String,
    },
    /// A name that is no setting.
    #[error("configure '{name}' ({origin}): there is no such setting{}", hint(.suggestion))]
    Unknown {
        /// The name.
        name: String,
        /// Where it stands.
        origin: Origin,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// A value that the setting cannot take.
    #[error("configure {name} = '{value}' ({origin}): {reason}")]
    Value {
        /// The setting.
        name: String,
        /// The value.
        value: String,
        /// Where it stands.
        origin: Origin,
        /// Why not.
        reason: String,
    },
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// The text of every setting and where it came from.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
    datasets: BTreeMap<String, PolicyOverrides>,
    unknown_environment: Vec<String>,
    file: Option<PathBuf>,
}

impl Layers {
    /// Defaults, then `file` (by default `larder.toml`, if it is there), then `environment`, then
    /// `flags`.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, or a name that is no setting.
    pub fn collect(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: impl Iterator<Item = (&'static str, String)>,
    ) -> Result<Self, ConfigError> {
        let values = SETTINGS.iter().map(|s| (s.name, (s.default.to_owned(), Origin::Default))).collect();
        let mut layers = Self { values, datasets: BTreeMap::new(), unknown_environment: Vec::new(), file: None };
        match file {
            Some(path) => layers.read(path)?,
            None if Path::new("larder.toml").exists() => layers.read(Path::new("larder.toml"))?,
            None => {}
        }
        for (name, value) in environment {
            let Some(name) = name.strip_prefix("LARDER_") else { continue };
            let name = name.to_ascii_lowercase();
            match SETTINGS.iter().any(|s| s.name == name) {
                true => layers.set(&name, value, Origin::Environment)?,
                // These two belong to the command line.
                false if matches!(name.as_str(), "url" | "config") => {}
                false => layers.unknown_environment.push(format!("LARDER_{}", name.to_ascii_uppercase())),
            }
        }
        for (name, value) in flags {
            layers.set(name, value, Origin::Flag)?;
        }
        Ok(layers)
    }

    fn read(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parse = |message: String| ConfigError::Parse { path: path.to_owned(), message };
        self.file = Some(path.to_owned());
        let table: toml::Table = toml::from_str(&text).map_err(|e| parse(e.to_string()))?;
        for (name, value) in table {
            match value {
                toml::Value::Table(datasets) if name == "datasets" => {
                    for (dataset, policy) in datasets {
                        let policy = policy
                            .try_into()
                            .map_err(|e: toml::de::Error| parse(format!("[datasets.{dataset}]: {}", e.message())))?;
                        self.datasets.insert(dataset, policy);
                    }
                }
                value => self.set(&name, text_of(value), Origin::File)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String, origin: Origin) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|s| s.name == name) else {
            let close = SETTINGS
                .iter()
                .map(|s| (strsim::jaro_winkler(s.name, name), s.name))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(score, _)| *score > 0.8);
            let suggestion = close.map(|(_, name)| name.to_owned());
            return Err(ConfigError::Unknown { name: name.to_owned(), origin, suggestion });
        };
        self.values.insert(setting.name, (value, origin));
        Ok(())
    }

    /// Every setting: name, text in force, origin.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Setting, &str, Origin)> {
        SETTINGS.iter().filter_map(|setting| {
            let (value, origin) = self.values.get(setting.name)?;
            Some((setting, value.as_str(), *origin))
        })
    }

    /// The configuration file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Variables `LARDER_*` that are no setting. They may be somebody else's, so they are only told.
    pub fn unknown_environment(&self) -> &[String] {
        &self.unknown_environment
    }

    /// The text of a setting, `""` when it has none.
    pub fn text(&self, name: &'static str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value)
    }

    fn bad(&self, name: &'static str, reason: impl fmt::Display) -> ConfigError {
        let (value, origin) = self.values.get(name).cloned().unwrap_or((String::new(), Origin::Default));
        ConfigError::Value { name: name.to_owned(), value, origin, reason: reason.to_string() }
    }

    fn parse<T: FromStr>(&self, name: &'static str, what: &str) -> Result<T, ConfigError> {
        self.text(name).trim().parse().map_err(|_| self.bad(name, format!("expected {what}")))
    }

    fn duration(&self, name: &'static str) -> Result<Duration, ConfigError> {
        match humantime::parse_duration(self.text(name)) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(self.bad(name, "expected a duration above zero, such as 90s or 1h")),
        }
    }

    fn bytes(&self, name: &'static str) -> Result<u64, ConfigError> {
        match self.text(name).parse::<ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
            _ => Err(self.bad(name, "expected a size above zero, such as 64 MiB")),
        }
    }
}

/// A value of the file as the text that a flag would have. Lists are joined with commas.
fn text_of(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        toml::Value::Array(items) => items.into_iter().map(text_of).collect::<Vec<_>>().join(","),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(truth) => truth.to_string(),
        toml::Value::Datetime(time) => time.to_string(),
        // No setting takes a table, so its text is refused with the name of the setting.
        toml::Value::Table(_) => "a table".to_owned(),
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings of a server, ready to use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What the server writes.
    pub home: PathBuf,
    /// Plugin libraries.
    pub plugins: PathBuf,
    /// Root of the files source.
    pub data: PathBuf,
    /// Whether it was said that an open address is meant.
    pub insecure: bool,
    /// Host names that requests may name, beside those of the address.
    pub allowed_hosts: Vec<String>,
    /// Log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Threads that serve requests.
    pub workers: usize,
    /// The largest limit of a query.
    pub max_rows: u64,
    /// The longest answer, before compression.
    pub max_answer_bytes: usize,
    /// The largest request body.
    pub max_body_bytes: usize,
    /// Connections at a time, for each worker.
    pub max_connections: usize,
    /// Memory for tables and results.
    pub tables_max_bytes: u64,
    /// Memory for bodies.
    pub bodies_max_bytes: u64,
    /// The policy of a dataset that has none of its own.
    pub policy: Policy,
    /// Policies of single datasets.
    pub datasets: BTreeMap<String, PolicyOverrides>,
    /// Scans at a time.
    pub concurrent_scans: usize,
    /// How long a request may wait for its data.
    pub request_timeout: Duration,
    /// How long open requests may take after SIGTERM.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Makes sense of the layers.
    ///
    /// # Errors
    /// The first value that makes no sense, with its origin.
    pub fn resolve(layers: &Layers) -> Result<Self, ConfigError> {
        let home = PathBuf::from(layers.text("home"));
        let plugins = match layers.text("plugins") {
            "" => home.join("plugins"),
            given => PathBuf::from(given),
        };
        let listen = layers.text("listen");
        let listen = listen
            .to_socket_addrs()
            .map_err(|e| layers.bad("listen", format!("expected ADDRESS:PORT: {e}")))?
            .next()
            .ok_or_else(|| layers.bad("listen", "names no address"))?;
        let insecure: bool = layers.parse("insecure", "true or false")?;
        if !listen.ip().is_loopback() && !insecure {
            let reason = "this address can be reached from other machines, and nothing protects the server there; \
                          listen on 127.0.0.1, or say --insecure if the network is trusted";
            return Err(layers.bad("listen", reason));
        }
        let workers = match layers.parse("workers", "a number of threads")? {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            given => given,
        };
        let tables_max_bytes = layers.bytes("tables_max_bytes")?;
        for (dataset, policy) in &layers.datasets {
            if policy.max_bytes.is_some_and(|size| size.as_u64() > tables_max_bytes / 10 * 9) {
                return Err(ConfigError::Value {
                    name: format!("datasets.{dataset}.max_bytes"),
                    value: policy.max_bytes.map(|size| size.to_string()).unwrap_or_default(),
                    origin: Origin::File,
                    reason: "expected at most nine tenths of tables_max_bytes".into(),
                });
            }
        }
        Ok(Self {
            listen,
            home,
            plugins,
            data: PathBuf::from(layers.text("data")),
            insecure,
            allowed_hosts: list(layers.text("allowed_hosts")),
            log: layers.text("log").to_owned(),
            log_format: match layers.text("log_format") {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(layers.bad("log_format", "expected text or json")),
            },
            workers,
            max_rows: above_zero(layers, "max_rows")?,
            max_answer_bytes: layers.bytes("max_answer_bytes")? as usize,
            max_body_bytes: layers.bytes("max_body_bytes")? as usize,
            max_connections: above_zero(layers, "max_connections")? as usize,
            tables_max_bytes,
            bodies_max_bytes: layers.bytes("bodies_max_bytes")?,
            policy: policy(layers, tables_max_bytes)?,
            datasets: layers.datasets.clone(),
            concurrent_scans: above_zero(layers, "concurrent_scans")? as usize,
            request_timeout: layers.duration("request_timeout")?,
            shutdown_timeout: layers.duration("shutdown_timeout")?,
        })
    }
}

fn policy(layers: &Layers, tables_max_bytes: u64) -> Result<Policy, ConfigError> {
    let max_bytes = match layers.text("max_bytes") {
        "" => tables_max_bytes / 4,
        _ => layers.bytes("max_bytes")?,
    };
    if max_bytes > tables_max_bytes / 10 * 9 {
        return Err(layers.bad("max_bytes", "expected at most nine tenths of tables_max_bytes"));
    }
    let mode = match layers.text("mode") {
        "auto" => Mode::Auto,
        "table" => Mode::Table,
        "query" => Mode::Query,
        _ => return Err(layers.bad("mode", "expected table, query or auto")),
    };
    Ok(Policy { ttl: layers.duration("ttl")?, load_timeout: layers.duration("load_timeout")?, max_bytes, mode })
}

fn above_zero(layers: &Layers, name: &'static str) -> Result<u64, ConfigError> {
    match layers.parse(name, "a number above zero")? {
        0 => Err(layers.bad(name, "expected a number above zero")),
        number => Ok(number),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Layers, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("larder.toml");
        std::fs::write(&path, file).unwrap();
        Layers::collect(
            Some(&path),
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
            flags.iter().map(|(k, v)| (*k, (*v).to_owned())),
        )
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
        let layers = layers(
            "ttl = \"1m\"\nmax_rows = 5\nlog = \"debug\"",
            &[("LARDER_TTL", "2m"), ("LARDER_MAX_ROWS", "6"), ("PATH", "/bin")],
            &[("ttl", "3m")],
        )
        .unwrap();
        let seen: Vec<_> = layers.iter().map(|(s, value, origin)| (s.name, value.to_owned(), origin)).collect();
        for (name, value, origin) in [
            ("ttl", "3m", Origin::Flag),
            ("max_rows", "6", Origin::Environment),
            ("log", "debug", Origin::File),
            ("mode", "auto", Origin::Default),
        ] {
            assert!(seen.contains(&(name, value.to_owned(), origin)), "{name} in {seen:?}");
        }
        let config = Config::resolve(&layers).unwrap();
        assert_eq!((config.policy.ttl, config.max_rows), (Duration::from_secs(180), 6));
        assert_eq!(config.plugins, Path::new(".larder/plugins"));
        assert_eq!(config.policy.max_bytes, 128 << 20);
    }

    #[test]
    fn a_dataset_may_have_a_policy_in_the_file() {
        let layers = layers("[datasets.sales]\nttl = \"5s\"\nmode = \"query\"", &[], &[]).unwrap();
        let config = Config::resolve(&layers).unwrap();
        assert_eq!(config.datasets["sales"].ttl, Some(Duration::from_secs(5)));
        assert_eq!(config.datasets["sales"].mode, Some(Mode::Query));
    }

    #[track_caller]
    fn check_error(file: &str, flags: &[(&'static str, &str)], expected: &str) {
        let error = layers(file, &[], flags).and_then(|layers| Config::resolve(&layers)).unwrap_err();
        assert!(error.to_string().contains(expected), "'{error}' should contain '{expected}'");
    }

    #[test]
    fn nonsense_is_refused_with_its_origin_and_a_hint() {
        check_error("max_row = 5", &[], "did you mean 'max_rows'?");
        check_error("ttl = \"soon\"", &[], "configure ttl = 'soon' (file): expected a duration");
        check_error("", &[("ttl", "0s")], "configure ttl = '0s' (flag)");
        check_error("", &[("listen", "0.0.0.0:8080")], "--insecure");
        check_error("", &[("listen", "nowhere")], "configure listen");
        check_error("", &[("log_format", "xml")], "text or json");
        check_error("", &[("max_bytes", "1 TiB")], "nine tenths");
        check_error("[datasets.t]\nmax_bytes = \"1 TiB\"", &[], "datasets.t.max_bytes");
        check_error("[datasets.t]\nttl = \"5s\"\nmood = 1", &[], "[datasets.t]");
        check_error("ttl = ", &[], "parse the configuration file");
    }
}
