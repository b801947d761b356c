//! A sidecar: `<name>.toml` beside the libraries, which names an instance and configures it.
//!
//! ```toml
//! name = "sales"              # of the instance; the file's name without it
//! library = "libfiles.so"     # several sidecars may use one library; lib<file>.so without it
//! [config]                    # for the plugin, as JSON
//! root = "/srv/sales"
//! [policy]                    # for all datasets of the instance
//! ttl = "5m"
//! [datasets.orders]           # for one dataset
//! ttl = "30s"
//! ```
//!
//! Policies are handed on as they are; they mean something to the pipeline only.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a sidecar says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sidecar {
    pub(crate) name: Option<String>,
    pub(crate) library: Option<String>,
    pub(crate) config: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    pub(crate) policy: toml::Table,
    #[serde(default)]
    pub(crate) datasets: BTreeMap<String, toml::Table>,
}

impl Sidecar {
    /// Parses a sidecar.
    ///
    /// # Errors
    /// What is wrong and where, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let sidecar: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
            format!("line {line}: {}", error.message())
        })?;
        if let Some(library) = &sidecar.library
            && (library.contains('/') || !library.ends_with(".so"))
        {
            return Err(format!("library = '{library}' is not the name of a .so file in this folder"));
        }
        Ok(sidecar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_names_configures_and_sets_policies() {
        let text = r#"
            name = "sales"
            library = "libfiles.so"
            [config]
            root = "/srv"
            depth = 3
            [policy]
            ttl = "5m"
            [datasets.orders]
            mode = "query"
        "#;
        let sidecar = Sidecar::parse(text).unwrap();
        assert_eq!(sidecar.name.as_deref(), Some("sales"));
        assert_eq!(serde_json::to_string(&sidecar.config).unwrap(), r#"{"depth":3,"root":"/srv"}"#);
        assert_eq!(sidecar.policy["ttl"].as_str(), Some("5m"));
        assert_eq!(sidecar.datasets["orders"]["mode"].as_str(), Some("query"));
        assert_eq!(Sidecar::parse("").unwrap(), Sidecar::default());
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = Sidecar::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_sidecar_is_named_with_its_line() {
        check_refused("name = \"a\"\nconfg = 1\n", "line 2: unknown field `confg`");
        check_refused("name = ", "line 1");
        check_refused("library = \"/usr/lib/libc.so\"", "not the name of a .so file");
        check_refused("library = \"../x.so\"", "not the name of a .so file");
        check_refused("library = \"files\"", "not the name of a .so file");
    }
}
