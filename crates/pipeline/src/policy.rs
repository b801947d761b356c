//! How one dataset is kept: for how long, how large, and whether whole or query by query.

use std::time::Duration;

use serde::Deserialize;

/// What is kept of a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The whole dataset; every query is answered from it.
    Table,
    /// Each query's result; projection and filters are pushed to the source.
    Query,
    /// As [`Mode::Table`], until a scan passes `max_bytes`; then as [`Mode::Query`].
    #[default]
    Auto,
}

impl Mode {
    /// The name that configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Query => "query",
            Self::Auto => "auto",
        }
    }
}

/// How one dataset is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a table or result counts as fresh, from the start of its scan.
    pub ttl: Duration,
    /// How long a load may take before it is stopped.
    pub load_timeout: Duration,
    /// The most bytes that one table or result of the dataset may hold.
    pub max_bytes: u64,
    /// What is kept.
    pub mode: Mode,
}

/// Settings of a policy that someone gave; the others keep what they were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyOverrides {
    /// As [`Policy::ttl`]: `"90s"`, `"1h"`.
    #[serde(default, deserialize_with = "duration")]
    pub ttl: Option<Duration>,
    /// As [`Policy::load_timeout`]: `"30s"`.
    #[serde(default, deserialize_with = "duration")]
    pub load_timeout: Option<Duration>,
    /// As [`Policy::max_bytes`]: a number or `"64 MiB"`.
    #[serde(default)]
    pub max_bytes: Option<bytesize::ByteSize>,
    /// As [`Policy::mode`]: `"table"`, `"query"`, `"auto"`.
    #[serde(default)]
    pub mode: Option<Mode>,
}

impl PolicyOverrides {
    /// These settings, and where there is none those of `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            ttl: self.ttl.or(other.ttl),
            load_timeout: self.load_timeout.or(other.load_timeout),
            max_bytes: self.max_bytes.or(other.max_bytes),
            mode: self.mode.or(other.mode),
        }
    }

    /// `base` with these settings.
    pub fn over(&self, base: Policy) -> Policy {
        Policy {
            ttl: self.ttl.unwrap_or(base.ttl),
            load_timeout: self.load_timeout.unwrap_or(base.load_timeout),
            max_bytes: self.max_bytes.map_or(base.max_bytes, |size| size.as_u64()),
            mode: self.mode.unwrap_or(base.mode),
        }
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(Duration::ZERO) => Err(serde::de::Error::custom("a duration of zero makes no sense here")),
        Ok(duration) => Ok(Some(duration)),
        Err(e) => Err(serde::de::Error::custom(format!("'{text}' is no duration such as \"90s\" or \"1h\": {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Policy = Policy {
        ttl: Duration::from_secs(3600),
        load_timeout: Duration::from_secs(30),
        max_bytes: 1 << 20,
        mode: Mode::Auto,
    };

    #[test]
    fn overrides_change_what_they_name_and_nothing_else() {
        let given: PolicyOverrides =
            serde_json::from_str(r#"{"ttl": "90s", "max_bytes": "64 MiB", "mode": "query"}"#).unwrap();
        let policy = given.over(BASE);
        assert_eq!(policy.ttl, Duration::from_secs(90));
        assert_eq!(policy.max_bytes, 64 << 20);
        assert_eq!(policy.mode, Mode::Query);
        assert_eq!(policy.load_timeout, BASE.load_timeout);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [r#"{"ttl": "soon"}"#, r#"{"ttl": "0s"}"#, r#"{"tll": "1s"}"#, r#"{"mode": "both"}"#] {
            assert!(serde_json::from_str::<PolicyOverrides>(bad).is_err(), "{bad}");
        }
    }
}
