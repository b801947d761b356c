//! Filtering piece by piece, and the answer without an order.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

use super::survivors::Survivors;
use super::zones::Sifted;
use super::{ALONE_ROWS, EvalError, EvalStats, PIECE_ROWS, PageEnd, Run, among, mask, weight};
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

/// A part of a table that one thread works on.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) rows: RecordBatch,
    /// How many rows the batch has that this is a part of.
    pub(super) of_rows: usize,
    /// Whether all rows are known to fulfil the condition.
    pub(super) is_whole: bool,
}

impl Piece {
    /// The sifted batches in pieces of at most [`PIECE_ROWS`] rows.
    pub(super) fn all(sifted: &Sifted) -> Vec<Self> {
        let each = sifted.batches.iter().zip(&sifted.is_whole);
        let cut = |(batch, is_whole): (&RecordBatch, &bool)| {
            let (is_whole, of_rows) = (*is_whole, batch.num_rows());
            pieces(std::slice::from_ref(batch)).into_iter().map(move |rows| Self { rows, of_rows, is_whole })
        };
        each.flat_map(cut).collect()
    }

    /// The rows that fulfil the query's condition; `None` for all of them.
    pub(super) fn surviving(&self, query: &BoundQuery) -> Result<Option<BooleanBuffer>, EvalError> {
        if self.is_whole { Ok(None) } else { surviving(query, &self.rows) }
    }
}

impl Piece {
    /// The rows among `among` that fulfil the condition, or all that do; `None` for all of the piece.
    pub(super) fn surviving_among(
        &self,
        query: &BoundQuery,
        among: Option<&BooleanBuffer>,
        stats: &mut EvalStats,
    ) -> Result<Option<BooleanBuffer>, EvalError> {
        match (query.filter().filter(|_| !self.is_whole), among) {
            (None, among) => Ok(among.cloned()),
            (Some(_), Some(among)) if !among.has_true() => Ok(Some(among.clone())),
            (Some(filter), among) => {
                stats.rows_tested += among.map_or(self.rows.num_rows(), BooleanBuffer::count_set_bits) as u64;
                among::bits(filter, &self.rows, among).map(Some)
            }
        }
    }
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

/// Some columns of some rows, and the bytes that were taken for them: none where they are the table's own.
pub(super) struct Filtered {
    pub(super) rows: RecordBatch,
    taken: usize,
}

/// The columns `columns` of the rows of a piece that fulfil the query's condition.
pub(super) fn filtered(
    query: &BoundQuery,
    piece: &Piece,
    columns: &[usize],
    output: &SchemaRef,
    run: &Run,
) -> Result<Filtered, EvalError> {
    run.check()?;
    let mask = piece.surviving(query)?.map(|mask| (mask.count_set_bits(), mask));
    let (piece, of_rows) = (&piece.rows, piece.of_rows);
    let columns = columns.iter().map(|column| piece.column(*column));
    let options = |rows| RecordBatchOptions::new().with_row_count(Some(rows));
    let rows = match mask {
        Some((0, _)) => RecordBatch::new_empty(output.clone()),
        Some((rows, mask)) if rows < piece.num_rows() => {
            let kept = Survivors::new(mask, rows, columns.len());
            let columns = columns.map(|column| kept.of(column)).collect::<Result<Vec<_>, _>>()?;
            let rows = RecordBatch::try_new_with_options(output.clone(), columns, &options(rows))?;
            let taken = weight::picked_bytes(&rows, of_rows);
            run.take(taken)?;
            return Ok(Filtered { rows, taken });
        }
        _ => RecordBatch::try_new_with_options(output.clone(), columns.cloned().collect(), &options(piece.num_rows()))?,
    };
    Ok(Filtered { rows, taken: 0 })
}

/// How many rows fulfil the query's condition.
pub(super) fn count(query: &BoundQuery, sifted: &Sifted, run: &Run) -> Result<u64, EvalError> {
    let rows = |piece: &Piece| -> Result<u64, EvalError> {
        run.check()?;
        Ok(piece.surviving(query)?.map_or(piece.rows.num_rows(), |mask| mask.count_set_bits()) as u64)
    };
    let pieces = Piece::all(sifted);
    if sifted.all_whole() || !is_large(&sifted.batches) {
        return pieces.iter().map(rows).sum();
    }
    pieces.par_iter().map(rows).sum()
}

/// The answer of a query without an order, and where it ends if there are more rows.
pub(super) fn in_table_order(
    query: &BoundQuery,
    output: &SchemaRef,
    sifted: &Sifted,
    window: Window,
    run: &Run,
    stats: &mut EvalStats,
) -> Result<(Vec<RecordBatch>, Option<PageEnd>), EvalError> {
    let columns = query.selected_columns();
    let filter = |piece: &Piece| filtered(query, piece, &columns, output, run);
    let mut found = Found { window, run, seen: 0, batches: Vec::new() };
    // Without a condition nothing is computed, so that there is nothing to share out.
    if sifted.all_whole() || !is_large(&sifted.batches) {
        for (batch, is_whole) in sifted.batches.iter().zip(&sifted.is_whole) {
            if !found.is_done() {
                let piece = Piece { rows: batch.clone(), of_rows: batch.num_rows(), is_whole: *is_whole };
                found.push(filter(&piece)?);
                stats.rows_tested += piece.tested();
            }
        }
        return Ok(found.finish(stats));
    }
    let pieces = Piece::all(sifted);
    let mut left = pieces.as_slice();
    // With a limit the first piece often has it all; after it, the waves grow.
    let mut wave = if window.end == usize::MAX { left.len() } else { 1 };
    while !left.is_empty() && !found.is_done() {
        let (now, later) = left.split_at(wave.min(left.len()));
        stats.rows_tested += now.iter().map(Piece::tested).sum::<u64>();
        match now {
            [one] => found.push(filter(one)?),
            many => {
                let filtered = many.par_iter().map(filter).collect::<Result<Vec<_>, _>>()?;
                filtered.into_iter().for_each(|filtered| found.push(filtered));
            }
        }
        left = later;
        wave = (wave * 2).max(rayon::current_num_threads()).min(64 * rayon::current_num_threads());
    }
    Ok(found.finish(stats))
}

impl Piece {
    /// How many rows the condition is tested on.
    pub(super) fn tested(&self) -> u64 {
        if self.is_whole { 0 } else { self.rows.num_rows() as u64 }
    }
}

/// What has been found, cut to the window.
struct Found<'a> {
    window: Window,
    run: &'a Run,
    seen: usize,
    batches: Vec<RecordBatch>,
}

impl Found<'_> {
    fn is_done(&self) -> bool {
        self.seen >= self.window.wanted()
    }

    fn push(&mut self, Filtered { rows: batch, taken }: Filtered) {
        let rows = batch.num_rows();
        let start = self.window.skip.saturating_sub(self.seen).min(rows);
        let end = (self.window.end - self.seen.min(self.window.end)).min(rows);
        self.seen = self.seen.saturating_add(rows);
        match (start, end) {
            (start, end) if start >= end => self.run.give_back(taken),
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
