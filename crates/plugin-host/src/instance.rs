//! A source whose calls are made by a worker process.
//!
//! [`WorkerSource`] is what the rest of the program sees of a plugin: a `DataSource` like any other.
//! It starts a worker when one is needed, keeps it warm, replaces it after a crash with growing
//! waits, and gives up after too many. It believes nothing that a worker says before it has looked.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use plugin_sdk::{
    Applied, Context, DataSource, Dataset, ErrorCode, Filter, FilterOp, Fingerprint, Result, Scan, ScanRequest,
    SourceError,
};

use crate::backoff::Breaker;
use crate::batches::Batches;
use crate::call::Call;
use crate::handle::{CallError, Cause, Phase, WorkerHandle};
use crate::ipc::{Decoder, same_columns, schema_from_bytes, values_to_bytes};
use crate::keeper::{Event, Order, keep};
use crate::options::{Limits, WorkerCommand};
use crate::protocol::{Answer, Blob, Body, WireFilter};
use crate::status::{Step, public_text};
use crate::store::StoredLibrary;

/// A worker of a source that was replaced is let go so soon after its last call.
const IDLE_WHEN_RETIRED: Duration = Duration::from_secs(1);

/// A plugin's instance, run by a worker process.
#[derive(Debug)]
pub struct WorkerSource {
    shared: Arc<Shared>,
}

/// What a source is made of.
#[derive(Debug)]
pub(crate) struct SourceSpec {
    pub(crate) name: Arc<str>,
    pub(crate) library: LibraryFile,
    /// The configuration, a JSON object.
    pub(crate) config: String,
    pub(crate) command: WorkerCommand,
    pub(crate) limits: Limits,
}

/// The file that workers load.
#[derive(Debug)]
pub(crate) enum LibraryFile {
    /// A private copy, which goes when nobody needs it.
    Stored(Arc<StoredLibrary>),
    /// A file that someone else takes care of.
    Given(PathBuf),
}

#[derive(Debug)]
struct Shared {
    spec: SourceSpec,
    slot: Mutex<Slot>,
    /// What the source declared last, by dataset.
    declared: Mutex<HashMap<String, SchemaRef>>,
}

#[derive(Debug)]
struct Slot {
    /// The one that takes calls, or the last one that did.
    newest: Option<Arc<WorkerHandle>>,
    /// Those before it that are not gone yet.
    older: Vec<Arc<WorkerHandle>>,
    breaker: Breaker,
    idle_after: Duration,
    is_closed: bool,
    starts: u64,
    crashes: u64,
    last_error: Option<String>,
    /// Why no worker could be opened; given to all calls until the next attempt is due.
    not_opened: Option<SourceError>,
}

/// Numbers of a source for its status.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vitals {
    pub(crate) pid: Option<u32>,
    pub(crate) starts: u64,
    pub(crate) crashes: u64,
    pub(crate) quarantined: bool,
    pub(crate) last_error: Option<String>,
}

impl WorkerSource {
    /// A source that runs the library at `path`, which its owner keeps where it is, in workers of
    /// its own. For programs that do without a plugin folder.
    pub fn of_library(
        name: &str,
        path: impl Into<PathBuf>,
        config: &serde_json::Value,
        command: WorkerCommand,
        limits: Limits,
    ) -> Self {
        let (library, config) = (LibraryFile::Given(path.into()), config.to_string());
        Self::new(SourceSpec { name: name.into(), library, config, command, limits })
    }

    pub(crate) fn new(spec: SourceSpec) -> Self {
        let slot = Slot {
            newest: None,
            older: Vec::new(),
            breaker: Breaker::default(),
            idle_after: spec.limits.idle_after,
            is_closed: false,
            starts: 0,
            crashes: 0,
            last_error: None,
            not_opened: None,
        };
        Self { shared: Arc::new(Shared { spec, slot: Mutex::new(slot), declared: Mutex::default() }) }
    }

    /// Process id of the worker that takes calls, when one runs.
    pub fn worker_pid(&self) -> Option<u32> {
        self.vitals().pid
    }

    /// Forgets crashes, so that a quarantined source is tried again.
    pub fn reset(&self) {
        let mut slot = self.shared.slot.lock();
        slot.breaker = Breaker::default();
        slot.not_opened = None;
    }

    /// Refuses further calls and ends the workers; [`wait_closed`](Self::wait_closed) waits for it.
    pub fn close(&self) {
        let mut slot = self.shared.slot.lock();
        slot.is_closed = true;
        slot.workers().for_each(|worker| worker.stop());
    }

    /// Whether the workers of a closed source are gone by `until`.
    pub fn wait_closed(&self, until: Instant) -> bool {
        let workers: Vec<_> = self.shared.slot.lock().workers().cloned().collect();
        workers.iter().all(|worker| worker.wait_gone(until))
    }

    /// Another source takes over: calls under way and calls of those who still hold this one are
    /// served, but no worker is kept warm for them.
    pub(crate) fn retire(&self) {
        let mut slot = self.shared.slot.lock();
        slot.idle_after = IDLE_WHEN_RETIRED;
        slot.workers().for_each(|worker| worker.set_idle_after(IDLE_WHEN_RETIRED));
    }

    pub(crate) fn vitals(&self) -> Vitals {
        let slot = self.shared.slot.lock();
        Vitals {
            pid: slot.newest.as_ref().and_then(|worker| worker.state.lock().pid),
            starts: slot.starts,
            crashes: slot.crashes,
            quarantined: slot.breaker.is_quarantined(),
            last_error: slot.last_error.clone(),
        }
    }

    /// The steps that the newest worker took, and the one that failed.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let slot = self.shared.slot.lock();
        let Some(worker) = &slot.newest else { return Vec::new() };
        let state = worker.state.lock();
        let mut steps = state.steps.clone();
        if let Phase::Gone(cause) = &state.phase {
            match &**cause {
                Cause::NotOpened { step, error } => steps.push(Step::failed(step, error.message.clone())),
                Cause::NotStarted(_) => steps.push(Step::failed("load", cause.summary())),
                Cause::Crashed { during: "being loaded", .. } => steps.push(Step::failed("load", cause.summary())),
                Cause::Crashed { during: "being opened", .. } => steps.push(Step::failed("open", cause.summary())),
                _ => {}
            }
        }
        steps
    }

    /// Makes a call, starting a worker if none runs; once more if it was lost without being to blame.
    fn call(&self, ctx: &Context, body: &Body) -> Result<Answer> {
        self.retrying(ctx, body, Call::answer)
    }

    fn retrying<T>(&self, ctx: &Context, body: &Body, read: impl Fn(Call) -> Result<T, CallError>) -> Result<T> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.begin(ctx, body).and_then(&read) {
                Err(failed) if failed.is_lost && attempt < 2 && !self.shared.slot.lock().is_closed => {}
                other => return other.map_err(|failed| failed.error),
            }
        }
    }

    fn begin(&self, ctx: &Context, body: &Body) -> Result<Call, CallError> {
        loop {
            ctx.check()?;
            let worker = match self.shared.next(Instant::now())? {
                Next::Worker(worker) => worker,
                Next::Wait(wait) => {
                    std::thread::sleep(wait.min(self.shared.spec.limits.tick));
                    continue;
                }
            };
            // A worker that began to leave meanwhile takes no call; the next round finds another.
            if let Some(call) = Call::begin(&worker, ctx, body)? {
                return Ok(call);
            }
        }
    }

    /// The declared schema of a dataset, as last heard or as asked for now.
    fn declared(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef> {
        if let Some(schema) = self.shared.declared.lock().get(dataset) {
            return Ok(schema.clone());
        }
        self.schema(ctx, dataset)
    }

    /// The schema that the batches of a scan are given in; refuses a stream of other columns.
    fn agreed(&self, ctx: &Context, request: &ScanRequest, found: &SchemaRef) -> Result<SchemaRef> {
        let expected = request.projected(&self.declared(ctx, &request.dataset)?)?;
        if same_columns(&expected, found).is_ok() {
            return Ok(expected);
        }
        // The data may have changed its shape since it was last asked.
        let expected = request.projected(&self.schema(ctx, &request.dataset)?)?;
        same_columns(&expected, found).map(|()| expected).map_err(|difference| {
            SourceError::invalid_data(format!("the scan does not have the declared schema: {difference}"))
        })
    }
}

enum Next {
    Worker(Arc<WorkerHandle>),
    Wait(Duration),
}

impl Shared {
    /// The worker to call, started if there is none.
    fn next(self: &Arc<Self>, now: Instant) -> Result<Next> {
        let mut slot = self.slot.lock();
        if slot.is_closed {
            return Err(final_error(format!("source '{}' was shut down", self.spec.name)));
        }
        if slot.breaker.is_quarantined() {
            let last = slot.last_error.as_ref().map_or_else(String::new, |error| format!("; last: {error}"));
            let message = format!("source '{}' is quarantined: its worker crashed too often{last}", self.spec.name);
            return Err(final_error(message));
        }
        if let Some(worker) = slot.newest.as_ref().filter(|worker| worker.takes_calls()) {
            return Ok(Next::Worker(Arc::clone(worker)));
        }
        if let Some(lifetime) = slot.newest.as_ref().and_then(|worker| worker.take_poisoned()) {
            slot.breaker.poisoned(now, lifetime, &self.spec.limits);
            slot.last_error = Some("a call left the plugin in an unknown state; its worker is replaced".into());
        }
        let wait = slot.breaker.wait(now);
        if !wait.is_zero() {
            if let Some(mut error) = slot.not_opened.clone() {
                error.retry_after = error.retry_after.or(Some(wait));
                return Err(error);
            }
            return Ok(Next::Wait(wait));
        }
        let worker = self.start(slot.idle_after).map_err(|error| {
            SourceError::new(ErrorCode::Unavailable, format!("the worker cannot be started: {error}"))
        })?;
        slot.starts += 1;
        slot.older.retain(|worker| !worker.is_gone());
        let older = slot.newest.replace(Arc::clone(&worker)).filter(|worker| !worker.is_gone());
        slot.older.extend(older);
        Ok(Next::Worker(worker))
    }

    fn start(self: &Arc<Self>, idle_after: Duration) -> std::io::Result<Arc<WorkerHandle>> {
        let spec = &self.spec;
        let worker = Arc::new(WorkerHandle::new(Arc::clone(&spec.name), spec.limits, idle_after)?);
        let library = match &spec.library {
            LibraryFile::Stored(stored) => stored.path().to_path_buf(),
            LibraryFile::Given(path) => path.clone(),
        };
        let order = Order { command: spec.command.clone(), library, config: spec.config.clone() };
        let shared = Arc::downgrade(self);
        keep(Arc::clone(&worker), order, Box::new(move |event| note(&shared, event)))?;
        Ok(worker)
    }
}

impl Slot {
    fn workers(&self) -> impl Iterator<Item = &Arc<WorkerHandle>> {
        self.newest.iter().chain(&self.older)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Streams that are still being read keep their worker until they end.
        self.slot.lock().workers().for_each(|worker| worker.drain());
    }
}

/// What the keeper says of a worker.
fn note(shared: &Weak<Shared>, event: Event<'_>) {
    let Some(shared) = shared.upgrade() else { return };
    let (limits, now) = (&shared.spec.limits, Instant::now());
    let mut slot = shared.slot.lock();
    match event {
        Event::Ready => {
            slot.breaker.opened();
            slot.not_opened = None;
        }
        Event::Gone { cause: Cause::Left | Cause::Killed, .. } => {}
        Event::Gone { cause, lifetime } => {
            let error = cause.error();
            slot.last_error = Some(public_text(&cause.summary()));
            if cause.is_crash() {
                slot.crashes += 1;
                slot.breaker.crashed(now, lifetime, limits);
            } else {
                slot.breaker.not_opened(now, limits);
                slot.not_opened = Some(error);
            }
        }
    }
}

/// An error that trying again does not help.
fn final_error(message: String) -> SourceError {
    SourceError { retryable: false, ..SourceError::new(ErrorCode::Unavailable, message) }
}

fn nonsense() -> SourceError {
    SourceError::invalid_data("the worker answered something that was not asked")
}

impl DataSource for WorkerSource {
    fn datasets(&self, ctx: &Context) -> Result<Vec<Dataset>> {
        let Answer::Datasets(list) = self.call(ctx, &Body::Datasets)? else { return Err(nonsense()) };
        let max = self.shared.spec.limits.max_datasets;
        if list.len() > max {
            let message = format!("the plugin offers {} datasets; the limit is {max}", list.len());
            return Err(SourceError::new(ErrorCode::ResourceExhausted, message));
        }
        let mut names = BTreeSet::new();
        for (name, _) in &list {
            if !Dataset::is_valid_name(name) {
                let name = name.chars().take(80).collect::<String>().escape_default().to_string();
                let message = format!("the plugin offers a dataset named '{name}'; a name is ^[a-z0-9_-]{{1,64}}$");
                return Err(SourceError::invalid_data(message));
            }
            if !names.insert(name) {
                return Err(SourceError::invalid_data(format!("the plugin offers the dataset '{name}' twice")));
            }
        }
        Ok(list.into_iter().map(|(name, description)| Dataset { name, description }).collect())
    }

    fn schema(&self, ctx: &Context, dataset: &str) -> Result<SchemaRef> {
        let body = Body::Schema { dataset: dataset.to_owned() };
        let Answer::Schema(bytes) = self.call(ctx, &body)? else { return Err(nonsense()) };
        let schema = schema_from_bytes(&bytes.0)?;
        self.shared.declared.lock().insert(dataset.to_owned(), schema.clone());
        Ok(schema)
    }

    fn fingerprint(&self, ctx: &Context, dataset: &str) -> Result<Fingerprint> {
        let body = Body::Fingerprint { dataset: dataset.to_owned() };
        let Answer::Fingerprint(bytes) = self.call(ctx, &body)? else { return Err(nonsense()) };
        Fingerprint::new(&bytes.0).ok_or_else(|| SourceError::invalid_data("a fingerprint has more than 64 bytes"))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        let (call, answer) = self.retrying(ctx, &scan_body(request)?, |mut call| {
            let answer = call.scan_answer()?;
            Ok((call, answer))
        })?;
        let Answer::Scan { schema, applied } = answer else { return Err(nonsense()) };
        if applied.len() > request.filters.len() {
            return Err(SourceError::invalid_data("the plugin answered for more filters than it was given"));
        }
        let wire_schema = schema_from_bytes(&schema.0)?;
        let schema = self.agreed(ctx, request, &wire_schema)?;
        let decoder = Decoder::new(wire_schema, schema.clone());
        let applied = applied.into_iter().map(Applied::from_abi).collect();
        Ok(Scan { schema, applied, batches: Box::new(Batches::new(call, decoder, ctx.clone())) })
    }
}

fn scan_body(request: &ScanRequest) -> Result<Body> {
    let column = |index: usize| {
        u32::try_from(index).map_err(|_| SourceError::new(ErrorCode::InvalidRequest, "there is no such column"))
    };
    let filter = |filter: &Filter| {
        let has_values = !matches!(filter.op, FilterOp::IsNull | FilterOp::IsNotNull);
        let values = has_values.then(|| values_to_bytes(&filter.values).map(Blob)).transpose()?;
        Ok(WireFilter { column: column(filter.column)?, op: filter.op as u32, values })
    };
    let projection = request.projection.as_ref().map(|columns| columns.iter().map(|&c| column(c)).collect());
    Ok(Body::Scan {
        dataset: request.dataset.clone(),
        projection: projection.transpose()?,
        filters: request.filters.iter().map(filter).collect::<Result<_>>()?,
        limit: request.limit,
    })
}
