//! How one dataset is kept: for how long, how large, and whether whole or query by query.

use std::sync::Arc;
use std::time::Duration;

use plugin_sdk::Dataset as Offer;
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
    /// Whether it is kept on disk too, where there is a disk tier.
    pub persist: bool,
    /// How long after its ttl it may be served while it is loaded again.
    pub stale_while_revalidate: Duration,
    /// How long after its ttl it may be served when loading it again fails.
    pub stale_if_error: Duration,
    /// How often the source is asked whether the data has changed; zero for never by itself.
    pub check_interval: Duration,
    /// How long clients may keep an answer without asking; the ttl when `None`.
    pub client_max_age: Option<Duration>,
    /// How often it is loaded again, asked for or not; not at all when `None`.
    pub refresh_every: Option<Duration>,
    /// Whether it is loaded when the server starts.
    pub warm: bool,
}

impl Policy {
    /// An hour of memory, and nothing out of the ordinary.
    pub const DEFAULT: Self = Self {
        ttl: Duration::from_secs(3600),
        load_timeout: Duration::from_secs(60),
        max_bytes: 128 << 20,
        mode: Mode::Auto,
        persist: true,
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::from_secs(3600),
        check_interval: Duration::from_secs(30),
        client_max_age: None,
        refresh_every: None,
        warm: false,
    };
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
    #[serde(default, deserialize_with = "size")]
    pub max_bytes: Option<bytesize::ByteSize>,
    /// As [`Policy::mode`]: `"table"`, `"query"`, `"auto"`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// As [`Policy::persist`].
    #[serde(default)]
    pub persist: Option<bool>,
    /// As [`Policy::stale_while_revalidate`]: `"30s"`, `"0s"`.
    #[serde(default, deserialize_with = "duration_or_zero")]
    pub stale_while_revalidate: Option<Duration>,
    /// As [`Policy::stale_if_error`]: `"1h"`, `"0s"`.
    #[serde(default, deserialize_with = "duration_or_zero")]
    pub stale_if_error: Option<Duration>,
    /// As [`Policy::check_interval`]: `"10s"`, `"0s"`.
    #[serde(default, deserialize_with = "duration_or_zero")]
    pub check_interval: Option<Duration>,
    /// As [`Policy::client_max_age`]: `"0s"` makes clients ask each time.
    #[serde(default, deserialize_with = "duration_or_zero")]
    pub client_max_age: Option<Duration>,
    /// As [`Policy::refresh_every`]: `"15m"`.
    #[serde(default, deserialize_with = "duration")]
    pub refresh_every: Option<Duration>,
    /// As [`Policy::warm`].
    #[serde(default)]
    pub warm: Option<bool>,
    /// Names under which datasets can be invalidated together.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Option<Vec<Arc<str>>>,
}

/// The longest duration: ten years. Beyond that, sums with the time of now would overflow one day.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// The most tags of one dataset.
const MAX_TAGS: usize = 16;

impl PolicyOverrides {
    /// These settings, and where there is none those of `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            ttl: self.ttl.or(other.ttl),
            load_timeout: self.load_timeout.or(other.load_timeout),
            max_bytes: self.max_bytes.or(other.max_bytes),
            mode: self.mode.or(other.mode),
            persist: self.persist.or(other.persist),
            stale_while_revalidate: self.stale_while_revalidate.or(other.stale_while_revalidate),
            stale_if_error: self.stale_if_error.or(other.stale_if_error),
            check_interval: self.check_interval.or(other.check_interval),
            client_max_age: self.client_max_age.or(other.client_max_age),
            refresh_every: self.refresh_every.or(other.refresh_every),
            warm: self.warm.or(other.warm),
            tags: self.tags.clone().or_else(|| other.tags.clone()),
        }
    }

    /// Whether the setting of this name is given.
    pub fn sets(&self, name: &str) -> bool {
        match name {
            "ttl" => self.ttl.is_some(),
            "load_timeout" => self.load_timeout.is_some(),
            "max_bytes" => self.max_bytes.is_some(),
            "mode" => self.mode.is_some(),
            "persist" => self.persist.is_some(),
            "stale_while_revalidate" => self.stale_while_revalidate.is_some(),
            "stale_if_error" => self.stale_if_error.is_some(),
            "check_interval" => self.check_interval.is_some(),
            "client_max_age" => self.client_max_age.is_some(),
            "refresh_every" => self.refresh_every.is_some(),
            "warm" => self.warm.is_some(),
            "tags" => self.tags.is_some(),
            _ => false,
        }
    }

    /// `base` with these settings.
    pub fn over(&self, base: Policy) -> Policy {
        Policy {
            ttl: self.ttl.unwrap_or(base.ttl),
            load_timeout: self.load_timeout.unwrap_or(base.load_timeout),
            max_bytes: self.max_bytes.map_or(base.max_bytes, |size| size.as_u64()),
            mode: self.mode.unwrap_or(base.mode),
            persist: self.persist.unwrap_or(base.persist),
            stale_while_revalidate: self.stale_while_revalidate.unwrap_or(base.stale_while_revalidate),
            stale_if_error: self.stale_if_error.unwrap_or(base.stale_if_error),
            check_interval: self.check_interval.unwrap_or(base.check_interval),
            client_max_age: self.client_max_age.or(base.client_max_age),
            refresh_every: self.refresh_every.or(base.refresh_every),
            warm: self.warm.unwrap_or(base.warm),
        }
    }
}

fn size<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<bytesize::ByteSize>, D::Error> {
    match bytesize::ByteSize::deserialize(input)? {
        bytesize::ByteSize(0) => Err(serde::de::Error::custom("a size of zero makes no sense here")),
        size => Ok(Some(size)),
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    match duration_or_zero(input)? {
        Some(Duration::ZERO) => Err(serde::de::Error::custom("a duration of zero makes no sense here")),
        duration => Ok(duration),
    }
}

fn duration_or_zero<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(input)?;
    match humantime::parse_duration(&text) {
        Ok(duration) if duration <= LONGEST => Ok(Some(duration)),
        Ok(_) => Err(serde::de::Error::custom(format!("'{text}' is longer than ten years"))),
        Err(e) => Err(serde::de::Error::custom(format!("'{text}' is no duration such as \"90s\" or \"1h\": {e}"))),
    }
}

fn tags<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Vec<Arc<str>>>, D::Error> {
    let tags = Vec::<Arc<str>>::deserialize(input)?;
    if tags.len() > MAX_TAGS {
        return Err(serde::de::Error::custom(format!("{} tags are more than the {MAX_TAGS} allowed", tags.len())));
    }
    match tags.iter().find(|tag| !Offer::is_valid_name(tag)) {
        Some(tag) => Err(serde::de::Error::custom(format!(
            "'{tag}' is no tag: use up to 64 lower-case letters, digits, '_' and '-'"
        ))),
        None => Ok(Some(tags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Policy = Policy::DEFAULT;

    #[test]
    fn overrides_change_what_they_name_and_nothing_else() {
        let given: PolicyOverrides =
            serde_json::from_str(
            r#"{"ttl": "90s", "max_bytes": "64 MiB", "mode": "query", "stale_if_error": "0s", "tags": ["sales", "eu"]}"#,
        )
        .unwrap();
        let policy = given.over(BASE);
        assert_eq!(policy.ttl, Duration::from_secs(90));
        assert_eq!(policy.max_bytes, 64 << 20);
        assert_eq!(policy.mode, Mode::Query);
        assert_eq!(policy.stale_if_error, Duration::ZERO);
        assert_eq!(given.tags.as_deref(), Some(&["sales".into(), "eu".into()][..]));
        assert_eq!(policy.load_timeout, BASE.load_timeout);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            r#"{"ttl": "soon"}"#,
            r#"{"ttl": "0s"}"#,
            r#"{"max_bytes": 0}"#,
            r#"{"load_timeout": "10000000000000000000s"}"#,
            r#"{"tll": "1s"}"#,
            r#"{"mode": "both"}"#,
            r#"{"tags": ["Not a tag"]}"#,
            r#"{"check_interval": "often"}"#,
        ] {
            assert!(serde_json::from_str::<PolicyOverrides>(bad).is_err(), "{bad}");
        }
    }
}
