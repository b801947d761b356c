//! Which tables an instance offers, and how it delays and fails.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plugin_sdk::{Dataset, Result, SourceError};
use serde::{Deserialize, Serialize};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// The tables that are offered when none are configured.
const DEMO: &str = include_str!("demo.json");

/// The most rows in a batch.
const MAX_BATCH_ROWS: usize = 1 << 20;

/// A configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The tables by name; the demo if none are given.
    pub(crate) datasets: Option<BTreeMap<String, TableConfig>>,
}

/// A table.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableConfig {
    /// What it holds, for people.
    #[serde(default)]
    pub(crate) description: String,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// Another seed gives another table.
    #[serde(default)]
    pub(crate) seed: u64,
    /// The most rows in a batch.
    #[serde(default = "default_batch_rows")]
    pub(crate) batch_rows: usize,
    /// The columns in their order.
    pub(crate) columns: Vec<ColumnConfig>,
    /// How long the first batch takes.
    #[serde(default)]
    pub(crate) latency_ms: u64,
    /// How long each batch takes.
    #[serde(default)]
    pub(crate) batch_latency_ms: u64,
    /// The share of scans that fail.
    #[serde(default)]
    pub(crate) failure_rate: f64,
    /// Another version is another fingerprint.
    #[serde(default)]
    pub(crate) version: serde_json::Value,
    /// Whether rows repeat after the first 65,536, so that making them costs nothing.
    #[serde(default)]
    pub(crate) repeat: bool,
    /// The folder by which the table is changed while it is served.
    pub(crate) control: Option<PathBuf>,
}

/// A column.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnConfig {
    /// Its name.
    pub(crate) name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// How many different values it has.
    pub(crate) cardinality: Option<u64>,
    /// The share of its values that are null.
    #[serde(default)]
    pub(crate) null_ratio: f64,
    /// The least value.
    pub(crate) min: Option<Bound>,
    /// The greatest value.
    pub(crate) max: Option<Bound>,
    /// Of a float: how many digits there are after the point.
    pub(crate) decimals: Option<u8>,
    /// Of a string: the values.
    pub(crate) values: Option<Vec<String>>,
    /// What it holds, for people.
    pub(crate) description: Option<String>,
    /// The unit of its values, for people.
    pub(crate) unit: Option<String>,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Integers one after the other.
    Sequence,
    /// Integers.
    Int,
    /// Floating-point numbers.
    Float,
    /// Texts.
    String,
    /// True or false.
    Bool,
    /// Days.
    Date,
    /// Moments without a time zone, in microseconds.
    Timestamp,
    /// The number in the control folder's `version`, the same in all rows of a scan.
    Version,
}

/// The end of a range: a number, or a date or time as text.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Bound {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A date or time.
    Text(String),
}

fn default_batch_rows() -> usize {
    65_536
}

impl Config {
    /// Reads a configuration from its JSON.
    pub(crate) fn parse(json: &str) -> Result<BTreeMap<String, TableConfig>> {
        let read = |json| -> Result<Config> {
            serde_json::from_str(json).map_err(|e| SourceError::invalid_config(e.to_string()))
        };
        let datasets = match read(json)?.datasets {
            Some(datasets) => datasets,
            None => read(DEMO)?.datasets.unwrap_or_default(),
        };
        for (name, table) in &datasets {
            table.check(name).map_err(|e| SourceError::invalid_config(format!("dataset '{name}': {e}")))?;
        }
        Ok(datasets)
    }
}

impl TableConfig {
    fn check(&self, name: &str) -> Result<(), String> {
        if !Dataset::is_valid_name(name) {
            return Err("a name has 1 to 64 of a-z, 0-9, '_' and '-'".into());
        }
        if self.columns.is_empty() {
            return Err("there are no columns".into());
        }
        if !(1..=MAX_BATCH_ROWS).contains(&self.batch_rows) {
            return Err(format!("batch_rows must be 1 to {MAX_BATCH_ROWS}"));
        }
        check_share("failure_rate", self.failure_rate)?;
        for (i, column) in self.columns.iter().enumerate() {
            if self.columns[..i].iter().any(|other| other.name == column.name) {
                return Err(format!("there are two columns '{}'", column.name));
            }
            column.check().map_err(|e| format!("column '{}': {e}", column.name))?;
        }
        if self.columns.iter().any(|column| column.kind == Kind::Version) && (self.control.is_none() || self.repeat) {
            return Err("a column of type version needs a control folder and rows that do not repeat".into());
        }
        Ok(())
    }
}

impl ColumnConfig {
    fn check(&self) -> Result<(), String> {
        check_share("null_ratio", self.null_ratio)?;
        let is_string = self.kind == Kind::String;
        if self.cardinality == Some(0) || self.values.as_ref().is_some_and(Vec::is_empty) {
            return Err("there must be at least one value".into());
        }
        if self.cardinality.is_some() && (self.kind == Kind::Sequence || self.kind == Kind::Bool) {
            return Err("a sequence or bool takes no cardinality".into());
        }
        if self.values.is_some() && (!is_string || self.cardinality.is_some()) {
            return Err("only a string without cardinality takes values".into());
        }
        if (is_string || self.kind == Kind::Bool) && (self.min.is_some() || self.max.is_some()) {
            return Err("a string or bool takes no min and max".into());
        }
        if self.kind == Kind::Version
            && (self.cardinality.is_some() || self.min.is_some() || self.max.is_some() || self.null_ratio > 0.0)
        {
            return Err("a version takes no cardinality, null_ratio, min and max".into());
        }
        if self.kind == Kind::Sequence && self.max.is_some() {
            return Err("a sequence takes no max".into());
        }
        if self.decimals.is_some_and(|digits| self.kind != Kind::Float || digits > 15) {
            return Err("decimals is for a float, up to 15".into());
        }
        Ok(())
    }
}

fn check_share(name: &str, share: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&share) { Ok(()) } else { Err(format!("{name} must be 0 to 1, not {share}")) }
}
