//! A folder by which a table is changed, slowed and switched off while it is served, and by which its
//! calls are counted: what a test of caches needs of a source.
//!
//! | file | meaning |
//! |---|---|
//! | `version` | a number: the value of columns of type `version`, and part of the fingerprint; 0 if there is none |
//! | `delay_ms` | how long a scan waits for its first batch, on top of the configured latency |
//! | `hang_scan` | while it is there, the first batches of scans wait |
//! | `hang_fingerprint` | while it is there, fingerprints wait |
//! | `down` | while it is there, fingerprints and scans fail as of a source that is away |
//! | `mute` | while it is there, fingerprints are unknown |
//! | `calls` | is written: a line for each call, `scan orders 7` or `fingerprint orders 7`, with the version |
//!
//! A scan reads the version once, when it begins: all its rows are of that version, however long they
//! take.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_sdk::{Context, ErrorCode, Result, SourceError};

/// How long a wait goes on without a look at the folder and at the caller.
const NAP: Duration = Duration::from_millis(2);

/// The folder of a table.
#[derive(Debug)]
pub(crate) struct Control(PathBuf);

impl Control {
    /// The control that a folder has.
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_path_buf())
    }

    /// Notes a call and gives the version that it is answered from.
    ///
    /// # Errors
    /// While the source is to be down, and when a file cannot be read or written.
    pub(crate) fn begin(&self, call: &str, dataset: &str) -> Result<i64> {
        let version = self.number("version")?;
        // Opened for each call, so that a test may take the file away; a line is one write.
        let calls = File::options().create(true).append(true).open(self.0.join("calls"));
        calls.and_then(|mut calls| calls.write_all(format!("{call} {dataset} {version}\n").as_bytes()))?;
        if self.has("down") {
            return Err(SourceError::new(ErrorCode::Unavailable, "the source is down, as its control folder says"));
        }
        Ok(version)
    }

    /// Waits while calls of this kind are to hang; fails soon after the caller gave up.
    pub(crate) fn wait(&self, call: &str, ctx: &Context) -> Result<()> {
        let switch = format!("hang_{call}");
        while self.has(&switch) {
            ctx.check()?;
            std::thread::sleep(NAP);
        }
        Ok(())
    }

    /// Whether fingerprints are to be unknown.
    pub(crate) fn is_mute(&self) -> bool {
        self.has("mute")
    }

    /// How long a scan is to wait.
    pub(crate) fn delay(&self) -> Result<Duration> {
        Ok(Duration::from_millis(self.number("delay_ms")?.unsigned_abs()))
    }

    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// The number in a file; 0 if there is no such file.
    fn number(&self, name: &str) -> Result<i64> {
        let text = match fs::read_to_string(self.0.join(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        text.trim()
            .parse()
            .map_err(|_| SourceError::invalid_data(format!("'{name}' in the control folder is no number")))
    }
}
