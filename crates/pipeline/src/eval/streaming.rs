//! A query answered from batches that arrive one by one.

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;

use super::compact::compacted;
use super::group::Grouping;
use super::nan::with_one_nan;
use super::rows::{Piece, Window, filtered};
use super::{EvalError, Evaluated, Input, PIECE_ROWS, Run, check_types, evaluate, weight};
use crate::fetch::Flow;
use crate::query::BoundQuery;

/// Bytes from which rows that cannot be in the answer any more are dropped, however few they are.
const PRUNE_BYTES: usize = 16 << 20;

/// Holds the rows that may be in the answer: those that fulfil the condition, and of the columns only the selected ones and
/// those to order by. With an order and a limit, what cannot be among the first `offset + limit` rows any more is dropped
/// each time four times as many are held (and 64 Ki at least). Of a grouped query it holds the groups. The answer equals
/// [`evaluate`]'s on the same batches, but for the last bits of sums of floats.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{Int64Array, RecordBatch};
/// let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![3, 1, 2]));
/// let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
/// let query = pipeline::query::parse("n=gt.1&limit=1", &batch.schema(), &Default::default()).unwrap();
/// let run = pipeline::eval::Run::unbounded();
/// let mut streaming = pipeline::eval::Streaming::new(&query, &run);
/// assert_eq!(streaming.push(&batch).unwrap(), pipeline::Flow::Done);
/// assert_eq!(streaming.finish().unwrap().num_rows(), 1);
/// ```
#[derive(Debug)]
pub struct Streaming {
    query: BoundQuery,
    held: Held,
    run: Run,
}

#[derive(Debug)]
enum Held {
    Groups(Box<Grouping>),
    Rows(Box<HeldRows>),
}

impl Streaming {
    /// Begins to answer a query on batches of the schema that it is bound to; what is held is taken from the run.
    pub fn new(query: &BoundQuery, run: &Run) -> Self {
        let run = run.clone();
        match query.group() {
            Some(group) => {
                Self { query: query.clone(), held: Held::Groups(Box::new(Grouping::new(query, group))), run }
            }
            None => {
                let query = query.with_cursor_in_filter();
                Self { held: Held::Rows(Box::new(HeldRows::new(&query))), query, run }
            }
        }
    }

    /// Takes a batch; [`Flow::Done`] if no further row can be in the answer.
    ///
    /// # Errors
    /// The batch is not of the query's schema, a value cannot be cast, the run has to stop or takes too much, or a kernel
    /// fails.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Flow, EvalError> {
        check_types(&self.query, batch)?;
        let batch = &with_one_nan(batch.clone())?;
        let rows = match &mut self.held {
            Held::Groups(groups) => {
                super::rows::pieces(std::slice::from_ref(batch))
                    .chunks(1)
                    .try_for_each(|piece| groups.push(piece, 0, &self.run))?;
                return Ok(Flow::Continue);
            }
            Held::Rows(rows) => rows,
        };
        let mut start = 0;
        while start < batch.num_rows() && !rows.is_done(&self.query) {
            let length = PIECE_ROWS.min(batch.num_rows() - start);
            rows.push(&self.query, batch.slice(start, length), &self.run)?;
            start += length;
        }
        Ok(if rows.is_done(&self.query) { Flow::Done } else { Flow::Continue })
    }

    /// The bytes of the rows or groups that are held.
    pub fn held_bytes(&self) -> usize {
        match &self.held {
            Held::Groups(groups) => groups.held_bytes(),
            Held::Rows(rows) => rows.bytes,
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// As [`push`](Self::push); a sum overflows.
    pub fn finish(self) -> Result<Evaluated, EvalError> {
        match self.held {
            Held::Groups(groups) => {
                let batches = groups.finish(&self.run)?;
                let second = self.query.second_stage();
                evaluate(&second, Input { schema: second.schema(), batches: &batches }, &self.run)
            }
            Held::Rows(rows) => rows.finish(&self.query, &self.run),
        }
    }
}

/// The rows of a query without a group.
#[derive(Debug)]
struct HeldRows {
    window: Window,
    /// The columns that are held, and their schema.
    columns: Vec<usize>,
    narrow: SchemaRef,
    /// What is left to do with the held rows.
    rest: BoundQuery,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// Bytes that the last pruning left.
    kept_bytes: usize,
    /// Rows that fulfilled the condition, the skipped ones included.
    seen: usize,
}

impl HeldRows {
    fn new(query: &BoundQuery) -> Self {
        let mut columns = query.selected_columns();
        columns.extend(query.order().iter().map(|key| key.column));
        let mut seen = std::collections::HashSet::new();
        columns.retain(|column| seen.insert(*column));
        let rest = query.on_held(&columns);
        Self {
            window: Window::of(query),
            narrow: rest.schema().clone(),
            columns,
            rest,
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
            kept_bytes: 0,
            seen: 0,
        }
    }

    fn is_done(&self, query: &BoundQuery) -> bool {
        self.window.is_empty() || (query.order().is_empty() && self.seen >= self.window.wanted())
    }

    fn push(&mut self, query: &BoundQuery, piece: RecordBatch, run: &Run) -> Result<(), EvalError> {
        run.check()?;
        let piece = Piece { of_rows: piece.num_rows(), rows: piece, is_whole: query.filter().is_none() };
        let mut piece = filtered(query, &piece, &self.columns, &self.narrow, &Run::unbounded())?.rows;
        let is_ordered = !query.order().is_empty();
        if !is_ordered {
            // Rows before the offset are never looked at again; `rest` knows that they are gone.
            let rows = piece.num_rows();
            let start = self.window.skip.saturating_sub(self.seen).min(rows);
            let end = (self.window.end - self.seen.min(self.window.end)).min(rows);
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
            self.rows += piece.num_rows();
            let bytes = weight::batch_bytes(&piece);
            run.take(bytes)?;
            self.bytes += bytes;
            self.batches.push(piece);
        }
        let wanted = self.window.wanted();
        let many = self.rows > wanted.saturating_mul(4).max(PIECE_ROWS);
        let heavy = self.rows > wanted && self.bytes > self.kept_bytes.saturating_mul(2).max(PRUNE_BYTES);
        if is_ordered && (many || heavy) { self.prune(run) } else { Ok(()) }
    }

    fn finish(self, query: &BoundQuery, run: &Run) -> Result<Evaluated, EvalError> {
        let mut answer = self.evaluated(&self.rest, run)?;
        if query.order().is_empty() && !self.window.is_empty() {
            answer.end = self.window.end_of(self.seen);
        }
        Ok(answer)
    }

    fn evaluated(&self, query: &BoundQuery, run: &Run) -> Result<Evaluated, EvalError> {
        evaluate(query, Input { schema: &self.narrow, batches: &self.batches }, run)
    }

    /// Keeps the first rows; equal ones stay in the table's order, before all that come later.
    fn prune(&mut self, run: &Run) -> Result<(), EvalError> {
        let first = self.rest.first_rows(self.window.wanted() as u64);
        let (_, batches) = self.evaluated(&first, run)?.into_parts();
        run.give_back(self.bytes);
        self.rows = batches.iter().map(RecordBatch::num_rows).sum();
        self.bytes = batches.iter().map(weight::batch_bytes).sum();
        self.kept_bytes = self.bytes;
        self.batches = batches;
        Ok(())
    }
}

impl BoundQuery {
    /// What is left to do with rows that fulfil the condition, of which only `columns` are held.
    fn on_held(&self, columns: &[usize]) -> Self {
        let mut unfiltered = self.clone();
        unfiltered.filter = None;
        if unfiltered.order.is_empty() {
            // The skipped rows are gone.
            unfiltered.offset = 0;
            unfiltered.cursor = None;
        }
        unfiltered.moved_to(columns).unwrap_or(unfiltered)
    }

    /// All columns of the first rows in this query's order.
    fn first_rows(&self, rows: u64) -> Self {
        Self { output: None, limit: Some(rows), offset: 0, cursor: None, ..self.clone() }
    }
}
