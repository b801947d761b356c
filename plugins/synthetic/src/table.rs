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
use crate::control::Control;
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
    name: String,
    columns: Vec<Column>,
    token: [u8; 16],
    control: Option<Control>,
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
        let token = token(&config)?;
        let control = config.control.as_deref().map(Control::new);
        let name = name.to_owned();
        Ok(Self { name, config, schema, columns, token, control, block: OnceLock::new(), calls: AtomicU64::new(0) })
    }

    /// What changes when the table does, or its version.
    pub(crate) fn fingerprint(&self, ctx: &Context) -> Result<Fingerprint> {
        let mut token = self.token.to_vec();
        if let Some(control) = &self.control {
            token.extend(control.begin("fingerprint", &self.name)?.to_le_bytes());
            control.wait("fingerprint", ctx)?;
            if control.is_mute() {
                return Ok(Fingerprint::UNKNOWN);
            }
        }
        Ok(Fingerprint::new(&token).unwrap_or(Fingerprint::UNKNOWN))
    }

    /// Starts to read the table, unless it is this call's turn to fail.
    pub(crate) fn scan(self: &Arc<Self>, ctx: &Context, request: &ScanRequest) -> Result<Scan> {
        let schema = request.projected(&self.schema)?;
        let version = self.control.as_ref().map_or(Ok(0), |control| control.begin("scan", &self.name))?;
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
            version,
            schema: Arc::clone(&schema),
            projection: request.projection.clone().unwrap_or_else(|| (0..self.columns.len()).collect()),
            next: 0,
            end: self.config.rows.min(limit),
            has_begun: false,
            has_failed: false,
        };
        Ok(Scan { schema, applied: Vec::new(), batches: Box::new(batches) })
    }

    /// Up to `most` of the next rows of a scan.
    fn rows(&self, scan: &Batches, most: u64) -> Result<RecordBatch> {
        let (start, projection) = (scan.next, scan.projection.as_slice());
        if self.config.repeat {
            let block = self.block()?;
            let offset = start % block.num_rows() as u64;
            let len = most.min(block.num_rows() as u64 - offset);
            return Ok(block.project(projection)?.slice(offset as usize, len as usize));
        }
        let len = most as usize;
        let arrays = projection.iter().map(|&column| self.columns[column].array(start, len, scan.version)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&scan.schema), arrays, &options)?)
    }

    fn block(&self) -> Result<&RecordBatch> {
        if let Some(block) = self.block.get() {
            return Ok(block);
        }
        let len = self.config.rows.clamp(1, REPEAT) as usize;
        let arrays = self.columns.iter().map(|column| column.array(0, len, 0)).collect();
        let block = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        Ok(self.block.get_or_init(|| block))
    }
}

fn token(config: &TableConfig) -> Result<[u8; 16]> {
    let text = serde_json::to_string(config).map_err(|e| SourceError::invalid_config(e.to_string()))?;
    let halves = [0, 1].map(|seed| u128::from(Sequence::new(seed, &text).at(0)));
    Ok((halves[0] << 64 | halves[1]).to_be_bytes())
}

struct Batches {
    ctx: Context,
    table: Arc<Table>,
    version: i64,
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
            if let Some(control) = &self.table.control {
                control.wait("scan", &self.ctx)?;
                pause(&self.ctx, control.delay()?)?;
            }
        }
        if self.next < self.end {
            latency += config.batch_latency_ms;
        }
        pause(&self.ctx, Duration::from_millis(latency))?;
        if self.next >= self.end {
            return Ok(None);
        }
        let most = (self.end - self.next).min(config.batch_rows as u64);
        let batch = self.table.rows(self, most)?;
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
