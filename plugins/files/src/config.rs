//! What a person may say about an instance: where the files are, and what is special about some.
//!
//! The JSON is parsed into raw structs that refuse unknown fields, then resolved once; nothing later
//! looks at strings again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::DataType;
use plugin_sdk::{Dataset, Result, SourceError};
use serde::Deserialize;

use crate::declared_type;
use crate::format::{self, Format};

/// JSON Schema of the configuration.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// A resolved configuration.
pub(crate) struct Config {
    /// The folder that holds the data.
    pub(crate) root: PathBuf,
    /// Datasets that were declared by hand, by name.
    pub(crate) datasets: BTreeMap<String, Declared>,
}

/// A dataset that was declared by hand.
pub(crate) struct Declared {
    /// The file or folder, relative to the root, with `/` between its parts.
    pub(crate) path: String,
    /// The format, if it is not to be told by the extension.
    pub(crate) format: Option<&'static dyn Format>,
    /// What the dataset holds, for people.
    pub(crate) description: Option<String>,
    /// How its files are to be read.
    pub(crate) options: Arc<Options>,
}

/// How the files of a dataset are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    /// Types that win over inferred ones, by column.
    pub(crate) types: BTreeMap<String, DataType>,
    /// What columns hold, for people.
    pub(crate) columns: BTreeMap<String, About>,
    /// What separates the fields of a delimited text, if not the format's own.
    pub(crate) delimiter: Option<u8>,
    /// Whether the first record of a delimited text holds the names of the columns.
    pub(crate) header: bool,
}

/// What a column holds, for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// In words.
    pub(crate) description: Option<String>,
    /// The unit of its values.
    pub(crate) unit: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { types: BTreeMap::new(), columns: BTreeMap::new(), delimiter: None, header: true }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default = "default_root")]
    root: PathBuf,
    #[serde(default)]
    datasets: BTreeMap<String, RawDeclared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDeclared {
    path: String,
    format: Option<String>,
    description: Option<String>,
    #[serde(default, alias = "schema")]
    types: BTreeMap<String, String>,
    #[serde(default)]
    columns: BTreeMap<String, About>,
    delimiter: Option<String>,
    #[serde(default = "default_header")]
    header: bool,
}

fn default_root() -> PathBuf {
    PathBuf::from("data")
}

fn default_header() -> bool {
    true
}

impl Config {
    /// Reads a configuration from its JSON.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let raw: RawConfig = serde_json::from_str(json).map_err(|e| SourceError::invalid_config(e.to_string()))?;
        let datasets = raw
            .datasets
            .into_iter()
            .map(|(name, declared)| match declared.resolve(&name) {
                Ok(declared) => Ok((name, declared)),
                Err(reason) => Err(SourceError::invalid_config(format!("dataset '{name}': {reason}"))),
            })
            .collect::<Result<_>>()?;
        Ok(Self { root: raw.root, datasets })
    }
}

impl RawDeclared {
    fn resolve(self, name: &str) -> Result<Declared, String> {
        if !Dataset::is_valid_name(name) {
            return Err("a name has 1 to 64 of a-z, 0-9, '_' and '-'".into());
        }
        let format = match &self.format {
            None => None,
            Some(wanted) => Some(format::named(wanted).ok_or_else(|| {
                let known: Vec<_> = format::FORMATS.iter().map(|f| f.name()).collect();
                format!("unknown format '{wanted}', expected one of {}", known.join(", "))
            })?),
        };
        let mut types = BTreeMap::new();
        for (column, text) in self.types {
            let data_type = declared_type::parse(&text).map_err(|e| format!("column '{column}': {e}"))?;
            types.insert(column, data_type);
        }
        let delimiter = self.delimiter.map(delimiter).transpose()?;
        let options = Options { types, columns: self.columns, delimiter, header: self.header };
        let path = inner_path(&self.path)?;
        Ok(Declared { path, format, description: self.description, options: Arc::new(options) })
    }
}

fn delimiter(text: String) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err(format!("the delimiter must be one ASCII character, not '{text}'")),
    }
}

/// A path that stays below the root, with `/` between its parts.
fn inner_path(path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if path.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
        return Err(format!("path '{path}' must name a file or folder below the root"));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_required() {
        let config = Config::parse("{}").unwrap();
        assert_eq!(config.root, PathBuf::from("data"));
        assert!(config.datasets.is_empty());
    }

    #[test]
    fn a_declared_dataset_is_resolved() {
        let json = r#"{"root": "x", "datasets": {"sales": {"path": "./a//b.txt", "format": "csv", "delimiter": ";",
            "header": false, "types": {"zip": "utf8", "price": "decimal(10,2)"}}}}"#;
        let config = Config::parse(json).unwrap();
        let sales = &config.datasets["sales"];
        assert_eq!(sales.path, "a/b.txt");
        assert_eq!(sales.format.unwrap().name(), "csv");
        assert_eq!((sales.options.delimiter, sales.options.header), (Some(b';'), false));
        assert_eq!(sales.options.types["price"], DataType::Decimal128(10, 2));
    }

    #[track_caller]
    fn check_refused(json: &str, part: &str) {
        let error = Config::parse(json).err().expect("refused");
        assert_eq!(error.code, plugin_sdk::ErrorCode::InvalidConfig);
        assert!(error.message.contains(part), "{}", error.message);
    }

    #[test]
    fn mistakes_are_named() {
        check_refused(r#"{"rot": "x"}"#, "unknown field `rot`");
        check_refused(r#"{"datasets": {"a": {"path": "x", "sep": 1}}}"#, "unknown field `sep`");
        check_refused(
            r#"{"datasets": {"a": {"path": "x", "columns": {"c": {"units": "m"}}}}}"#,
            "unknown field `units`",
        );
        check_refused(r#"{"datasets": {"A": {"path": "x"}}}"#, "dataset 'A'");
        check_refused(r#"{"datasets": {"a": {"path": "../x"}}}"#, "below the root");
        check_refused(r#"{"datasets": {"a": {"path": "/etc/passwd"}}}"#, "below the root");
        check_refused(r#"{"datasets": {"a": {"path": "x", "format": "xls"}}}"#, "unknown format 'xls'");
        check_refused(r#"{"datasets": {"a": {"path": "x", "types": {"c": "int65"}}}}"#, "column 'c'");
        check_refused(r#"{"datasets": {"a": {"path": "x", "delimiter": "||"}}}"#, "delimiter");
    }

    #[test]
    fn the_schema_is_json() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["additionalProperties"], false);
    }
}
