//! From files in the folder to a source that has proved to work, step by step.
//!
//! Every step is written down, also the one that failed, so that whoever dropped the file can see
//! how far it came. Nothing is published here.

use std::sync::Arc;
use std::time::Instant;

use plugin_sdk::manifest::Manifest;
use plugin_sdk::{CancelToken, Context, DataSource, Dataset, ErrorCode};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::discover::{Candidate, open_trusted};
use crate::elf;
use crate::instance::{LibraryFile, SourceSpec, WorkerSource};
use crate::options::HostOptions;
use crate::sidecar::Sidecar;
use crate::status::Step;
use crate::store::{Store, StoredLibrary, hex};

/// What came of trying a candidate.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) steps: Vec<Step>,
    pub(crate) manifest: Manifest,
    pub(crate) sha256: String,
    pub(crate) loaded: Option<Loaded>,
}

impl Attempt {
    /// Why it failed.
    pub(crate) fn error(&self) -> Option<&str> {
        self.steps.iter().find(|step| !step.ok).map(|step| step.detail.as_str())
    }

    fn pass(&mut self, step: &str, detail: impl Into<String>) {
        self.steps.push(Step::passed(step, detail));
    }

    fn fail(&mut self, step: &str, detail: impl Into<String>) {
        self.steps.push(Step::failed(step, detail));
    }
}

/// A source that works.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// Hash of library and configuration.
    pub(crate) identity: String,
    pub(crate) source: Arc<WorkerSource>,
    pub(crate) datasets: Vec<Dataset>,
}

/// What is needed to try a candidate.
pub(crate) struct Loader<'a> {
    pub(crate) options: &'a HostOptions,
    pub(crate) store: &'a Store,
    pub(crate) cancel: &'a CancelToken,
    /// What serves now; goes on if library and configuration are the same.
    pub(crate) serving: Option<Loaded>,
    /// Told of a source before its first worker starts.
    pub(crate) on_source: &'a dyn Fn(&Arc<WorkerSource>),
}

impl Loader<'_> {
    /// Tries a candidate.
    pub(crate) fn load(&self, candidate: &Candidate) -> Attempt {
        let mut attempt = Attempt::default();
        if let Some((file, sidecar)) = &candidate.sidecar
            && candidate.problem.as_ref().is_none_or(|(step, _)| *step != "sidecar")
        {
            if let Err(reason) = self.check_policies(sidecar) {
                attempt.fail("sidecar", reason);
                return attempt;
            }
            attempt.pass("sidecar", format!("read {file}"));
        }
        if let Some((step, reason)) = &candidate.problem {
            attempt.fail(step, reason.clone());
            return attempt;
        }
        if let Some(stored) = self.copy(candidate, &mut attempt)
            && self.inspect(&stored, &mut attempt)
        {
            self.probe(candidate, stored, &mut attempt);
        }
        attempt
    }

    fn check_policies(&self, sidecar: &Sidecar) -> Result<(), String> {
        let Some(check) = self.options.check_policy else { return Ok(()) };
        check(&sidecar.policy).map_err(|reason| format!("[policy]: {reason}"))?;
        let of_dataset = |(name, policy)| check(policy).map_err(|reason| format!("[datasets.{name}]: {reason}"));
        sidecar.datasets.iter().try_for_each(of_dataset)
    }

    fn copy(&self, candidate: &Candidate, attempt: &mut Attempt) -> Option<Arc<StoredLibrary>> {
        let path = self.options.plugins_dir.join(&candidate.library);
        let mut file = match open_trusted(&path, "the library", self.options.exposure) {
            Ok((file, warning)) => {
                if let Some(warning) = &warning {
                    tracing::warn!(plugin = &*candidate.name, "'{}': {warning}", candidate.library);
                }
                attempt.pass("trust", warning.map_or("owner and mode are fine".into(), |w| format!("warning: {w}")));
                file
            }
            Err(reason) => {
                attempt.fail("trust", reason);
                return None;
            }
        };
        match self.store.put(&mut file, &candidate.library, candidate.stamps.last()) {
            Ok(stored) => {
                attempt.sha256 = stored.sha256().to_owned();
                attempt.pass("copy", format!("sha256 {}", stored.sha256()));
                Some(stored)
            }
            Err(error) => {
                attempt.fail("copy", format!("no private copy can be made: {error}"));
                None
            }
        }
    }

    fn inspect(&self, stored: &StoredLibrary, attempt: &mut Attempt) -> bool {
        match elf::inspect(stored.path()) {
            Ok(manifest) => {
                attempt.pass("elf", format!("plugin '{}' {}, ABI {}", manifest.name, manifest.version, manifest.abi));
                attempt.manifest = manifest;
                true
            }
            Err(reason) => {
                attempt.fail("elf", reason);
                false
            }
        }
    }

    fn probe(&self, candidate: &Candidate, stored: Arc<StoredLibrary>, attempt: &mut Attempt) {
        let config = self.config(candidate).to_string();
        let identity = identity(stored.sha256(), &config);
        if let Some(serving) = self.serving.as_ref().filter(|serving| serving.identity == identity) {
            serving.source.reset();
            attempt.pass("load", "library and configuration are as before; the worker goes on");
            attempt.loaded = Some(serving.clone());
            return;
        }
        let source = Arc::new(WorkerSource::new(SourceSpec {
            name: candidate.name.as_str().into(),
            library: LibraryFile::Stored(stored),
            config,
            command: self.options.worker.clone(),
            limits: self.options.limits,
        }));
        (self.on_source)(&source);
        let limits = &self.options.limits;
        let deadline = Instant::now() + limits.open_timeout + limits.probe_timeout;
        let ctx = Context::detached("probe", Some(deadline), self.cancel.clone());
        let listed = source.datasets(&ctx);
        attempt.steps.extend(source.steps());
        match listed {
            Ok(datasets) => {
                attempt.pass("datasets", format!("{} offered", datasets.len()));
                attempt.loaded = Some(Loaded { identity, source, datasets });
            }
            Err(error) => {
                if attempt.error().is_none() {
                    // What is known of a crash, without what the worker wrote.
                    let crash = source.vitals().last_error.filter(|_| error.code == ErrorCode::Crashed);
                    attempt.fail("datasets", crash.unwrap_or(error.message));
                }
                source.close();
            }
        }
    }

    /// The default configuration of the instance, overlaid with what the sidecar says.
    fn config(&self, candidate: &Candidate) -> Value {
        let mut config = match self.options.defaults.get(&candidate.name) {
            Some(Value::Object(defaults)) => defaults.clone(),
            _ => Map::new(),
        };
        if let Some(given) = candidate.sidecar.as_ref().and_then(|(_, sidecar)| sidecar.config.clone()) {
            config.extend(given);
        }
        Value::Object(config)
    }
}

fn identity(library: &str, config: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(library.as_bytes());
    hash.update([0]);
    hash.update(config.as_bytes());
    hex(&hash.finalize())
}
