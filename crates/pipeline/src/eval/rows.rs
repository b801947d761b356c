//! Filtering piece by piece, and the answer without an order.

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

use super::{ALONE_ROWS, EvalError, EvalStats, Input, PIECE_ROWS, PageEnd, Run, mask, weight};
use crate::query::BoundQuery;

/// Which of the rows that fulfil the condition are in the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// How many to skip.
    pub(super) skip: usize,
    /// How many rows to find in all, the skipped ones included.
    pub(super) end: usize,
}

impl Window {
    pub(super) fn of(query: &BoundQuery) -> Self {
        let skip = usize::try_from(query.offset()).unwrap_or(usize::MAX);
        let take = query.limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { skip, end: skip.saturating_add(take) }
    }

    pub(super) fn is_empty(self) -> bool {
        self.skip >= self.end
    }

    /// How many rows have to be found: one more than there is room for tells that there is a next page.
    pub(super) fn wanted(self) -> usize {
        self.end.saturating_add(1)
    }
}

/// The batches in slices of at most [`PIECE_ROWS`] rows; they share the batches' memory.
pub(super) fn pieces(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let mut pieces = Vec::with_capacity(batches.len());
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let rows = batch.num_rows();
        if rows <= PIECE_ROWS {
            pieces.push(batch.clone());
            continue;
        }
        let starts = (0..rows).step_by(PIECE_ROWS);
        pieces.extend(starts.map(|start| batch.slice(start, PIECE_ROWS.min(rows - start))));
    }
    pieces
}

/// Whether the work is worth handing to other threads.
pub(super) fn is_large(batches: &[RecordBatch]) -> bool {
    batches.iter().map(RecordBatch::num_rows).sum::<usize>() > ALONE_ROWS
}

/// The rows of a piece that fulfil the query's condition; `None` for all of them.
pub(super) fn surviving(query: &BoundQuery, piece: &RecordBatch) -> Result<Option<BooleanBuffer>, EvalError> {
    match query.filter() {
        None => Ok(None),
        Some(filter) => mask::bits(filter, piece).map(Some),
    }
}

/// The columns `columns` of the rows of a piece that fulfil the query's condition.
pub(super) fn filtered(
    query: &BoundQuery,
    piece: &RecordBatch,
    columns: &[usize],
    output: &SchemaRef,
    run: &Run,
) -> Result<RecordBatch, EvalError> {
    run.check()?;
    let mask = surviving(query, piece)?.map(|mask| (mask.count_set_bits(), mask));
    let columns = columns.iter().map(|column| piece.column(*column));
    let options = |rows| RecordBatchOptions::new().with_row_count(Some(rows));
    let whole = |columns| RecordBatch::try_new_with_options(output.clone(), columns, &options(piece.num_rows()));
    match mask {
        None => Ok(whole(columns.cloned().collect())?),
        Some((rows, _)) if rows == piece.num_rows() => Ok(whole(columns.cloned().collect())?),
        Some((0, _)) => Ok(RecordBatch::new_empty(output.clone())),
        Some((rows, mask)) => {
            let mut filter = FilterBuilder::new(&BooleanArray::new(mask, None));
            if columns.len() > 1 {
                filter = filter.optimize();
            }
            let filter = filter.build();
            let columns = columns.map(|column| filter.filter(column)).collect::<Result<Vec<_>, _>>()?;
            let batch = RecordBatch::try_new_with_options(output.clone(), columns, &options(rows))?;
            run.take(weight::batch_bytes(&batch))?;
            Ok(batch)
        }
    }
}

/// How many rows fulfil the query's condition.
pub(super) fn count(query: &BoundQuery, input: Input<'_>, run: &Run) -> Result<u64, EvalError> {
    let rows = |piece: &RecordBatch| -> Result<u64, EvalError> {
        run.check()?;
        Ok(surviving(query, piece)?.map_or(piece.num_rows(), |mask| mask.count_set_bits()) as u64)
    };
    if query.filter().is_none() || !is_large(input.batches) {
        return input.batches.iter().map(rows).sum();
    }
    pieces(input.batches).par_iter().map(rows).sum()
}

/// The answer of a query without an order, and where it ends if there are more rows.
pub(super) fn in_table_order(
    query: &BoundQuery,
    output: &SchemaRef,
    input: Input<'_>,
    window: Window,
    run: &Run,
    stats: &mut EvalStats,
) -> Result<(Vec<RecordBatch>, Option<PageEnd>), EvalError> {
    let columns = query.selected_columns();
    let filter = |piece: &RecordBatch| filtered(query, piece, &columns, output, run);
    let mut found = Found { window, seen: 0, batches: Vec::new() };
    stats.batches = input.batches.len() as u64;
    // Without a condition nothing is computed, so that there is nothing to share out.
    if query.filter().is_none() || !is_large(input.batches) {
        for batch in input.batches {
            if !found.is_done() {
                found.push(filter(batch)?);
                stats.rows_tested += batch.num_rows() as u64;
            }
        }
        return Ok(found.finish(stats));
    }
    let pieces = pieces(input.batches);
    let mut left = pieces.as_slice();
    // With a limit the first piece often has it all; after it, the waves grow.
    let mut wave = if window.end == usize::MAX { left.len() } else { 1 };
    while !left.is_empty() && !found.is_done() {
        let (now, later) = left.split_at(wave.min(left.len()));
        stats.rows_tested += now.iter().map(|piece| piece.num_rows() as u64).sum::<u64>();
        match now {
            [one] => found.push(filter(one)?),
            many => {
                let filtered = many.par_iter().map(filter).collect::<Result<Vec<_>, _>>()?;
                filtered.into_iter().for_each(|batch| found.push(batch));
            }
        }
        left = later;
        wave = (wave * 2).max(rayon::current_num_threads()).min(64 * rayon::current_num_threads());
    }
    Ok(found.finish(stats))
}

/// What has been found, cut to the window.
struct Found {
    window: Window,
    seen: usize,
    batches: Vec<RecordBatch>,
}

impl Found {
    fn is_done(&self) -> bool {
        self.seen >= self.window.wanted()
    }

    fn push(&mut self, batch: RecordBatch) {
        let rows = batch.num_rows();
        let start = self.window.skip.saturating_sub(self.seen).min(rows);
        let end = (self.window.end - self.seen.min(self.window.end)).min(rows);
        self.seen = self.seen.saturating_add(rows);
        match (start, end) {
            (start, end) if start >= end => {}
            (0, end) if end == rows => self.batches.push(batch),
            (start, end) => self.batches.push(batch.slice(start, end - start)),
        }
    }

    fn finish(self, stats: &mut EvalStats) -> (Vec<RecordBatch>, Option<PageEnd>) {
        stats.rows_matched = self.seen as u64;
        (self.batches, self.window.end_of(self.seen))
    }
}

impl Window {
    /// Where a page of rows without an order ends, of which so many were seen: all rows are equal.
    pub(super) fn end_of(self, seen: usize) -> Option<PageEnd> {
        (seen > self.end).then(|| PageEnd { keys: Vec::new(), ties: self.end as u64 })
    }
}
