//! A configuration that makes no sense, and where it was said.

use std::fmt;
use std::path::PathBuf;

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
    /// Changed while a server ran.
    Applied,
}

impl Origin {
    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Applied => "applied",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

impl ConfigError {
    /// The setting at fault, if it is one.
    pub fn name(&self) -> &str {
        match self {
            Self::Value { name, .. } | Self::Unknown { name, .. } => name,
            _ => "",
        }
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &str {
        match self {
            Self::Value { reason, .. } => reason,
            _ => "it makes no sense",
        }
    }

    /// Its value.
    pub fn value(&self) -> &str {
        match self {
            Self::Value { value, .. } => value,
            _ => "",
        }
    }
}
