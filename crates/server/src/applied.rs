//! What was set while the server ran: settings and policies that take effect at once, outlive it, and win over the file, the
//! environment and the flags, until they are taken back.
//!
//! They are kept in `applied.json` in the home. A change is on disk before it is acknowledged, and in force before that: if
//! it cannot be written, what was before is in force again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use pipeline::PolicyOverrides;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const FILE: &str = "applied.json";

/// The settings that can be changed while the server runs.
pub const LIVE: [&str; 5] =
    ["tables_max_bytes", "bodies_max_bytes", "concurrent_scans", "scans_per_source", "scan_queue"];

/// What was applied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Settings, as they would stand in the file.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Policies of single datasets, as they would stand in the file.
    #[serde(default)]
    pub datasets: BTreeMap<String, Map<String, Value>>,
}

impl Changes {
    /// What the home of a server holds; nothing if there is no such file.
    ///
    /// # Errors
    /// It cannot be read, or is none of ours.
    pub fn read(home: &Path) -> io::Result<Self> {
        match fs::read(home.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// As [`read`](Self::read); a file that is none of ours is put aside, and nothing is applied.
    pub fn read_or_put_aside(home: &Path) -> Self {
        Self::read(home).unwrap_or_else(|error| {
            let aside = fs::rename(home.join(FILE), home.join(format!("{FILE}.bad")));
            let what = if aside.is_ok() { "put aside as applied.json.bad" } else { "left where it is" };
            tracing::error!(error = %error, "applied.json cannot be read, and is {what}: {error}");
            Self::default()
        })
    }

    /// The policies over those of the file.
    ///
    /// # Errors
    /// What makes no sense, in words.
    pub fn policies(
        &self,
        file: &BTreeMap<String, PolicyOverrides>,
    ) -> Result<BTreeMap<String, PolicyOverrides>, String> {
        let mut policies = file.clone();
        for (dataset, changes) in &self.datasets {
            let changes = overrides(changes)?;
            let policy = policies.entry(dataset.clone()).or_default();
            *policy = changes.or(policy);
        }
        Ok(policies)
    }
}

/// Reads a policy.
///
/// # Errors
/// What makes no sense, in words.
pub fn overrides(policy: &Map<String, Value>) -> Result<PolicyOverrides, String> {
    serde_json::from_value(Value::Object(policy.clone())).map_err(|error| error.to_string())
}

/// What was applied to this server, and the file that keeps it.
#[derive(Debug)]
pub struct Applied {
    path: PathBuf,
    changes: Mutex<Changes>,
    /// Held while something is changed, which takes its time.
    turn: tokio::sync::Mutex<()>,
}

impl Applied {
    /// What was read from a home.
    pub fn new(home: &Path, changes: Changes) -> Self {
        Self { path: home.join(FILE), changes: Mutex::new(changes), turn: tokio::sync::Mutex::default() }
    }

    /// What is applied now.
    pub fn look(&self) -> Changes {
        self.changes.lock().clone()
    }

    /// The turn to change something; one at a time.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps these changes from now on. Blocks.
    ///
    /// # Errors
    /// They cannot be written; then the old ones stay.
    pub fn keep(&self, changes: Changes) -> io::Result<()> {
        let beside = self.path.with_extension("json.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&changes)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The name is on disk only when its folder is.
        let synced = File::open(self.path.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        if let Err(error) = synced {
            // What is refused must not come back; if this fails too, the disk has failed for good.
            let before = serde_json::to_vec_pretty(&*self.changes.lock())?;
            fs::write(&self.path, before)?;
            return Err(error);
        }
        *self.changes.lock() = changes;
        Ok(())
    }
}

/// `changes` with the members of a merge patch (RFC 7396): null takes one back.
pub fn merged(mut changes: Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in patch {
        match value {
            Value::Null => {
                changes.remove(name);
            }
            value => {
                changes.insert(name.clone(), value.clone());
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_kept_is_read_again_and_wins_over_the_file() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Changes::read(home.path()).unwrap(), Changes::default());
        let mut changes = Changes::default();
        changes.settings.insert("scan_queue".into(), "7".into());
        changes.datasets.insert("sales".into(), map(json!({"ttl": "2h"})));
        Applied::new(home.path(), Changes::default()).keep(changes.clone()).unwrap();
        assert_eq!(Changes::read(home.path()).unwrap(), changes);
        let file =
            PolicyOverrides { ttl: Some(Duration::from_secs(1)), warm: Some(true), ..PolicyOverrides::default() };
        let policies = changes.policies(&BTreeMap::from([("sales".to_owned(), file)])).unwrap();
        assert_eq!((policies["sales"].ttl, policies["sales"].warm), (Some(Duration::from_secs(7200)), Some(true)));
    }

    #[test]
    fn a_patch_sets_and_takes_back() {
        let changes = merged(map(json!({"ttl": "2h", "warm": true})), &map(json!({"warm": null, "mode": "query"})));
        assert_eq!(Value::Object(changes), json!({"ttl": "2h", "mode": "query"}));
        assert!(overrides(&map(json!({"tll": "2h"}))).unwrap_err().contains("tll"));
        assert!(overrides(&map(json!({"ttl": "soon"}))).is_err());
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE), "{\"colour\": 1}").unwrap();
        assert!(Changes::read(home.path()).is_err());
    }
}
