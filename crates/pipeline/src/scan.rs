//! Where the batches of a scan go: into a whole table, or through a query into its result. Both hold
//! no more than the dataset's `max_bytes`, and notice when the source's schema is not the known one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use plugin_sdk::{Applied, ErrorCode, Fingerprint, SourceError};

use crate::answer::Next;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::eval::{self, EvalError, PageEnd, Run, Streaming};
use crate::fetch::{FetchError, Flow, Sink};
use crate::query::BoundQuery;
use crate::stored;
use crate::table::{Table, TableBuilder};

/// Why there is no table at the end of a scan.
#[derive(Debug, Clone)]
pub(crate) enum ScanFailure {
    /// More than `max_bytes` would have to be held.
    TooLarge { narrower_helps: bool },
    /// The source has this schema now.
    SchemaChanged(SchemaRef),
    /// The query failed on the data.
    Eval(EvalError),
    /// The data does not make a table.
    Source(SourceError),
    /// The source was not called, or failed.
    Fetch(FetchError),
}

/// What ends the scan; the real reason is kept in the sink.
fn stop() -> SourceError {
    SourceError::new(ErrorCode::Cancelled, "the reader of the scan stopped it")
}

/// Told of the fingerprint before the scan, on the thread that scans.
pub(crate) type OnBegin = Box<dyn Fn(&Fingerprint) + Send + Sync>;

/// Told what the source does with each filter.
pub(crate) type OnApplied = Box<dyn Fn(&[Applied]) + Send + Sync>;

/// Builds the table of a whole dataset.
pub(crate) struct TableSink {
    schema: SchemaRef,
    max_bytes: u64,
    on_begin: OnBegin,
    state: Mutex<TableState>,
}

struct TableState {
    builder: TableBuilder,
    fingerprint: Fingerprint,
    failure: Option<ScanFailure>,
}

impl TableSink {
    pub(crate) fn new(schema: SchemaRef, max_bytes: u64, on_begin: OnBegin) -> Self {
        let builder = TableBuilder::new(schema.clone());
        let state = Mutex::new(TableState { builder, fingerprint: Fingerprint::UNKNOWN, failure: None });
        Self { schema, max_bytes, on_begin, state }
    }

    pub(crate) fn failure(&self) -> Option<ScanFailure> {
        self.state.lock().failure.clone()
    }

    pub(crate) fn finish(&self, version: u64) -> Result<Table, ScanFailure> {
        let (builder, fingerprint) = {
            let mut state = self.state.lock();
            (std::mem::replace(&mut state.builder, TableBuilder::new(self.schema.clone())), state.fingerprint)
        };
        builder.finish(fingerprint, version).map_err(ScanFailure::Source)
    }
}

impl Sink for TableSink {
    fn begin(&self, fingerprint: Fingerprint, schema: SchemaRef) -> Result<(), SourceError> {
        let mut state = self.state.lock();
        state.builder = TableBuilder::new(self.schema.clone());
        state.fingerprint = fingerprint;
        state.failure = (schema != self.schema).then_some(ScanFailure::SchemaChanged(schema));
        if state.failure.is_some() {
            return Err(stop());
        }
        drop(state);
        (self.on_begin)(&fingerprint);
        Ok(())
    }

    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError> {
        let mut state = self.state.lock();
        state.builder.push(batch)?;
        if state.builder.bytes() > self.max_bytes {
            state.failure = Some(ScanFailure::TooLarge { narrower_helps: false });
            return Err(stop());
        }
        Ok(Flow::Continue)
    }
}

/// Applies a query to the batches of a scan.
pub(crate) struct ResultSink {
    schema: SchemaRef,
    /// The query as it was asked.
    asked: BoundQuery,
    /// The query on the columns that come.
    query: BoundQuery,
    max_bytes: u64,
    on_begin: OnBegin,
    on_applied: OnApplied,
    run: Run,
    state: Mutex<ResultState>,
}

struct ResultState {
    streaming: Streaming,
    /// Whether the result is a page that ends where it had become too large.
    is_cut: bool,
    fingerprint: Fingerprint,
    failure: Option<ScanFailure>,
}

impl ResultSink {
    /// A sink for a scan of `dataset` that was asked for the columns of `projection`; what it holds is taken from `run`.
    pub(crate) fn new(
        dataset: &Dataset,
        query: &BoundQuery,
        projection: Option<&[usize]>,
        (on_begin, on_applied): (OnBegin, OnApplied),
        run: Run,
    ) -> Result<Self, Error> {
        let asked = query.clone();
        let query = match projection {
            Some(columns) => query.project(columns)?,
            None => query.clone(),
        };
        let streaming = Streaming::new(&query, &run);
        let fingerprint = Fingerprint::UNKNOWN;
        let state = Mutex::new(ResultState { streaming, is_cut: false, fingerprint, failure: None });
        let (schema, max_bytes) = (dataset.schema.clone(), dataset.policy.max_bytes);
        Ok(Self { schema, asked, query, max_bytes, on_begin, on_applied, run, state })
    }

    pub(crate) fn failure(&self) -> Option<ScanFailure> {
        self.state.lock().failure.clone()
    }

    pub(crate) fn finish(&self, version: u64) -> Result<Table, ScanFailure> {
        let mut state = self.state.lock();
        let streaming = std::mem::replace(&mut state.streaming, Streaming::new(&self.query, &self.run));
        let result = streaming.finish().map_err(ScanFailure::Eval)?;
        let rows = result.num_rows() as u64;
        let cut = state.is_cut.then(|| PageEnd { keys: Vec::new(), ties: self.asked.offset().saturating_add(rows) });
        let next = result.end().or(cut.as_ref()).map(|end| Next::after(&self.asked, end, rows));
        let (schema, batches) = result.into_parts();
        Ok(Table {
            zones: eval::Zones::new(&schema),
            stored: schema.clone(),
            schema,
            rows,
            bytes: stored::bytes_of(&batches, &[]),
            batches,
            fingerprint: state.fingerprint,
            next,
            version,
        })
    }
}

impl Sink for ResultSink {
    fn begin(&self, fingerprint: Fingerprint, schema: SchemaRef) -> Result<(), SourceError> {
        let mut state = self.state.lock();
        self.run.give_back(state.streaming.held_bytes());
        state.streaming = Streaming::new(&self.query, &self.run);
        state.is_cut = false;
        state.fingerprint = fingerprint;
        state.failure = (schema != self.schema).then_some(ScanFailure::SchemaChanged(schema));
        if state.failure.is_some() {
            return Err(stop());
        }
        drop(state);
        (self.on_begin)(&fingerprint);
        Ok(())
    }

    fn applied(&self, applied: &[Applied]) {
        (self.on_applied)(applied);
    }

    fn batch(&self, batch: RecordBatch) -> Result<Flow, SourceError> {
        let mut state = self.state.lock();
        let flow = state.streaming.push(&batch).map_err(|error| {
            state.failure = Some(ScanFailure::Eval(error));
            stop()
        })?;
        if state.streaming.held_bytes() as u64 > self.max_bytes {
            // Rows in the source's order are an answer as far as they go: the next page goes on from there.
            if self.query.order().is_empty() && self.query.group().is_none() {
                state.is_cut = flow == Flow::Continue;
                return Ok(Flow::Done);
            }
            state.failure = Some(ScanFailure::TooLarge { narrower_helps: true });
            return Err(stop());
        }
        Ok(flow)
    }
}
