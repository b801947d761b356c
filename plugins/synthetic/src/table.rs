//! A table and the reading of it.
//!
//! Row `i` is a pure function of the seed, the column and `i`, so that batches of any size are cut from
//! the same table. A repeating table is one whose row `i` is row `i % REPEAT` instead: its rows are made
//! once, and every batch is a slice of them, which copies nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use plugin_sdk::{Context, ErrorCode, Fingerprint, Progress, Result, Scan, ScanRequest, SourceError};

use crate::column::Column;
use crate::config::TableConfig;
use crate::rng::Sequence;

/// The rows after which a repeating table begins anew.
const REPEAT: u64 = 65_536;

/// How long a sleep goes on without a look at whether the caller gave up.
const NAP: Duration = Duration::from_millis(10);

/// A table of a configuration.
pub(crate) struct Table {
    /// Its configuration.
    pub(crate) config: TableConfig,
    /// Its columns.
    pub(crate) schema: SchemaRef,
    columns: Vec<Column>,
    fingerprint: Fingerprint,
    /// The rows of a repeating table.
    block: OnceLock<RecordBatch>,
    /// How many scans were started.
    calls: AtomicU64,
}

impl Table {
    /// The table of a configuration that was checked.
    pub(crate) fn new(name: &str, config: TableConfig) -> Result<Self> {
        let columns = config
            .columns
            .iter()
            .map(|column| {
                Column::new(column, config.seed).map_err(|e| {
                    SourceError::invalid_config(format!("dataset '{name}': column '{}': {e}", column.name))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        let fingerprint = fingerprint(&config)?;
        Ok(Self { config, schema, columns, fingerprint, block: OnceLock::new(), calls: AtomicU64::new(0) })
    }

    /// What changes when the table does, or its version.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Starts to read the table, unless it is this call's turn to fail.
    pub(crate) fn scan(self: &Arc<Self>, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        let schema = request.projected(&self.schema)?;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if Sequence::new(self.config.seed, "failures").fraction(call) < self.config.failure_rate {
            let reason = format!("call {} fails, as configured", call + 1);
            return Err(SourceError::new(ErrorCode::Unavailable, reason));
        }
        // No filter is applied here, so a limit only holds where there are none.
        let limit = request.limit.filter(|_| request.filters.is_empty()).unwrap_or(u64::MAX);
        let batches = Batches {
            ctx: ctx.clone(),
            table: Arc::clone(self),
            schema: Arc::clone(&schema),
            projection: request.projection.clone().unwrap_or_else(|| (0..self.columns.len()).collect()),
            next: 0,
            end: self.config.rows.min(limit),
            has_begun: false,
            has_failed: false,
        };
        Ok(Scan { schema, applied: Vec::new(), batches: Box::new(batches) })
    }

    /// Up to `most` rows from row `start`.
    fn rows(&self, start: u64, most: u64, projection: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
        if self.config.repeat {
            let block = self.block()?;
            let offset = start % block.num_rows() as u64;
            let len = most.min(block.num_rows() as u64 - offset);
            return Ok(block.project(projection)?.slice(offset as usize, len as usize));
        }
        let len = most as usize;
        let arrays = projection.iter().map(|&column| self.columns[column].array(start, len)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
    }

    fn block(&self) -> Result<&RecordBatch> {
        if let Some(block) = self.block.get() {
            return Ok(block);
        }
        let len = self.config.rows.clamp(1, REPEAT) as usize;
        let arrays = self.columns.iter().map(|column| column.array(0, len)).collect();
        let block = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        Ok(self.block.get_or_init(|| block))
    }
}

fn fingerprint(config: &TableConfig) -> Result<Fingerprint> {
    let text = serde_json::to_string(config).map_err(|e| SourceError::invalid_config(e.to_string()))?;
    let token = [0, 1].map(|seed| Sequence::new(seed, &text).at(0).to_le_bytes());
    Ok(Fingerprint::new(token.as_flattened()).unwrap_or(Fingerprint::UNKNOWN))
}

struct Batches {
    ctx: Context,
    table: Arc<Table>,
    schema: SchemaRef,
    projection: Vec<usize>,
    next: u64,
    end: u64,
    has_begun: bool,
    has_failed: bool,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let item = self.step().transpose();
        self.has_failed = matches!(item, Some(Err(_)));
        item
    }
}

impl Batches {
    fn step(&mut self) -> Result<Option<RecordBatch>> {
        let config = &self.table.config;
        let mut latency = 0;
        if !self.has_begun {
            self.has_begun = true;
            latency = config.latency_ms;
        }
        if self.next < self.end {
            latency += config.batch_latency_ms;
        }
        pause(&self.ctx, Duration::from_millis(latency))?;
        if self.next >= self.end {
            return Ok(None);
        }
        let most = (self.end - self.next).min(config.batch_rows as u64);
        let batch = self.table.rows(self.next, most, &self.projection, &self.schema)?;
        self.next += batch.num_rows() as u64;
        self.ctx.progress(Progress { rows: self.next, total_rows: Some(self.end), bytes: 0 });
        Ok(Some(batch))
    }
}

/// Sleeps, and stops as soon as the caller gives up.
fn pause(ctx: &Context, latency: Duration) -> Result<()> {
    let mut left = latency;
    loop {
        ctx.check()?;
        if left.is_zero() {
            return Ok(());
        }
        let nap = left.min(NAP);
        std::thread::sleep(nap);
        left -= nap;
    }
}
