//! The text of every setting, layer over layer, and reading single values out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use pipeline::PolicyOverrides;

use super::error::{ConfigError, Origin};
use super::settings::{SETTINGS, Setting};

/// The longest duration of a setting: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The text of every setting and where it came from.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
    pub(super) datasets: BTreeMap<String, PolicyOverrides>,
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

    /// These settings, with those that were applied while a server ran on top.
    pub fn with_applied(&self, applied: &BTreeMap<String, String>) -> Self {
        let mut layers = self.clone();
        for (name, value) in applied {
            // A name that is a setting no more was one of another version.
            if layers.set(name, value.clone(), Origin::Applied).is_err() {
                tracing::warn!(setting = %name, "'{name}' was applied once, but there is no such setting");
            }
        }
        layers
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

    /// Which layer the text of a setting is from.
    pub fn origin(&self, name: &'static str) -> Origin {
        self.values.get(name).map_or(Origin::Default, |(_, origin)| *origin)
    }

    pub(super) fn bad(&self, name: &'static str, reason: impl fmt::Display) -> ConfigError {
        let (value, origin) = self.values.get(name).cloned().unwrap_or((String::new(), Origin::Default));
        ConfigError::Value { name: name.to_owned(), value, origin, reason: reason.to_string() }
    }

    /// As [`bad`](Self::bad), of a value that may be a secret.
    pub(super) fn secret(&self, name: &'static str, reason: impl fmt::Display) -> ConfigError {
        match self.bad(name, reason) {
            ConfigError::Value { name, origin, reason, .. } => {
                ConfigError::Value { name, value: "(not shown)".to_owned(), origin, reason }
            }
            other => other,
        }
    }

    pub(super) fn parse<T: FromStr>(&self, name: &'static str, what: &str) -> Result<T, ConfigError> {
        self.text(name).trim().parse().map_err(|_| self.bad(name, format!("expected {what}")))
    }

    pub(super) fn duration(&self, name: &'static str) -> Result<Duration, ConfigError> {
        match humantime::parse_duration(self.text(name)) {
            Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(duration),
            _ => Err(self.bad(name, "expected a duration above zero, such as 90s or 1h")),
        }
    }

    /// A duration that may be zero, which stands for never or not at all.
    pub(super) fn duration_or_zero(&self, name: &'static str) -> Result<Duration, ConfigError> {
        match humantime::parse_duration(self.text(name)) {
            Ok(duration) if duration <= LONGEST => Ok(duration),
            _ => Err(self.bad(name, "expected a duration such as 0s, 90s or 1h")),
        }
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<u64, ConfigError> {
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
