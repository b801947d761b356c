//! A query answered from batches that arrive one by one.

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;

use super::compact::compacted;
use super::rows::{Window, filtered};
use super::{EvalError, Evaluated, Input, PIECE_ROWS, Run, check_types, evaluate, weight};
use crate::fetch::Flow;
use crate::query::BoundQuery;

/// Bytes from which rows that cannot be in the answer any more are dropped, however few they are.
const PRUNE_BYTES: usize = 16 << 20;

/// Holds the rows that may be in the answer: those that fulfil the condition, and of the columns only the selected ones and
/// those to order by. With an order and a limit, what cannot be among the first `offset + limit` rows any more is dropped
/// each time four times as many are held (and 64 Ki at least). The answer equals [`evaluate`]'s on the same batches.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{Int64Array, RecordBatch};
/// let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 2]));
/// let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
/// let query = pipeline::query::parse("n=gt.1&limit=1", &batch.schema(), &Default::default()).unwrap();
/// let mut streaming = pipeline::eval::Streaming::new(&query);
/// assert_eq!(streaming.push(&batch).unwrap(), pipeline::Flow::Done);
/// assert_eq!(streaming.finish().unwrap().num_rows(), 1);
/// ```
#[derive(Debug)]
pub struct Streaming {
    query: BoundQuery,
    window: Window,
    /// The columns that are held, and their schema.
    columns: Vec<usize>,
    narrow: SchemaRef,
    /// What is left to do with the held rows.
    rest: BoundQuery,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bytes: usize,
    /// Bytes that the last pruning left.
    kept_bytes: usize,
    /// Rows that fulfilled the condition, the skipped ones included.
    seen: usize,
}

impl Streaming {
    /// Begins to answer a query on batches of the schema that it is bound to.
    pub fn new(query: &BoundQuery) -> Self {
        let mut columns = query.selected_columns();
        for key in query.order() {
            if !columns.contains(&key.column) {
                columns.push(key.column);
            }
        }
        let rest = query.on_held(&columns);
        Self {
            window: Window::of(query),
            narrow: rest.schema().clone(),
            query: query.clone(),
            columns,
            rest,
            held: Vec::new(),
            held_rows: 0,
            held_bytes: 0,
            kept_bytes: 0,
            seen: 0,
        }
    }

    /// Takes a batch; [`Flow::Done`] if no further row can be in the answer.
    ///
    /// # Errors
    /// The batch is not of the query's schema, or a kernel fails.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Flow, EvalError> {
        check_types(&self.query, batch)?;
        let mut start = 0;
        while start < batch.num_rows() && !self.is_done() {
            let rows = PIECE_ROWS.min(batch.num_rows() - start);
            let piece = filtered(&self.query, &batch.slice(start, rows), &self.columns, &self.narrow)?;
            self.hold(piece)?;
            start += rows;
        }
        Ok(if self.is_done() { Flow::Done } else { Flow::Continue })
    }

    /// The bytes of the rows that are held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The answer.
    ///
    /// # Errors
    /// A kernel fails.
    pub fn finish(self) -> Result<Evaluated, EvalError> {
        evaluate(&self.rest, Input { schema: &self.narrow, batches: &self.held }, &Run::unbounded())
    }

    fn is_done(&self) -> bool {
        self.window.is_empty() || (self.query.order().is_empty() && self.seen >= self.window.end)
    }

    fn hold(&mut self, mut piece: RecordBatch) -> Result<(), EvalError> {
        if self.query.order().is_empty() {
            // Rows before the offset are never looked at again; `rest` knows that they are gone.
            let rows = piece.num_rows();
            let start = self.window.skip.saturating_sub(self.seen).min(rows);
            let end = (self.window.end - self.seen).min(rows);
            self.seen = self.seen.saturating_add(rows);
            piece = piece.slice(start, end.saturating_sub(start));
            if piece.num_rows() * 2 < rows {
                // A slice would keep the whole batch alive.
                let places = UInt32Array::from_iter_values(0..u32::try_from(piece.num_rows()).unwrap_or(u32::MAX));
                piece = take_record_batch(&piece, &places)?;
            }
        }
        if piece.num_rows() > 0 {
            let columns = piece.columns().iter().cloned().map(compacted).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(piece.num_rows()));
            let piece = RecordBatch::try_new_with_options(self.narrow.clone(), columns, &options)?;
            self.held_rows += piece.num_rows();
            self.held_bytes += weight::batch_bytes(&piece);
            self.held.push(piece);
        }
        let many = self.held_rows > self.window.end.saturating_mul(4).max(PIECE_ROWS);
        let heavy =
            self.held_rows > self.window.end && self.held_bytes > self.kept_bytes.saturating_mul(2).max(PRUNE_BYTES);
        if self.query.order().is_empty() || !(many || heavy) {
            return Ok(());
        }
        self.prune()
    }

    /// Keeps the first `offset + limit` rows; equal ones stay in the table's order, before all that come later.
    fn prune(&mut self) -> Result<(), EvalError> {
        let first = self.rest.first_rows(self.window.end as u64);
        let (_, batches) =
            evaluate(&first, Input { schema: &self.narrow, batches: &self.held }, &Run::unbounded())?.into_parts();
        self.held_rows = batches.iter().map(RecordBatch::num_rows).sum();
        self.held_bytes = batches.iter().map(weight::batch_bytes).sum();
        self.kept_bytes = self.held_bytes;
        self.held = batches;
        Ok(())
    }
}

impl BoundQuery {
    /// What is left to do with rows that fulfil the condition, of which only `columns` are held: the selected ones first.
    fn on_held(&self, columns: &[usize]) -> Self {
        let mut unfiltered = self.clone();
        unfiltered.filter = None;
        if unfiltered.order.is_empty() {
            unfiltered.offset = 0;
        }
        unfiltered.moved_to(columns).unwrap_or(unfiltered)
    }

    /// All columns of the first rows in this query's order.
    fn first_rows(&self, rows: u64) -> Self {
        Self { output: None, limit: Some(rows), offset: 0, ..self.clone() }
    }
}
