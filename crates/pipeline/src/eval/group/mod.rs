//! Rows to groups: one row for all rows that agree in the keys, with what the aggregates make of them.
//!
//! Every value of a key column gets a number, in order of first appearance ([`values`]); rows that agree in several columns
//! are found by numbering the pairs of those numbers ([`keys`]). So whatever the keys are, a piece of the table becomes a
//! list of group numbers, one for each row, and each aggregate ([`state`]) goes over that list and its own column in one
//! simple loop.
//!
//! A large table is cut into a number of ranges, which are grouped side by side ([`grouping`]) and then joined in their
//! order. Ranges of few groups have each their own; where a sample of the rows tells of many, they share them ([`shared`]).
//! The number of ranges does not depend on the number of threads, and neither do the groups, their order, or what sums of
//! floats come to. (Floats are added batch by batch: a table that is cut otherwise may give other last bits.)

mod bits;
mod codes;
mod columns;
mod distinct;
mod extreme;
mod grouping;
mod kept;
mod keys;
mod median;
mod number;
mod partitions;
mod shared;
mod state;
mod sum;
mod text;
mod values;

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::rows::pieces;
use super::{EvalError, EvalStats, Input, PIECE_ROWS, Run};
use crate::query::{BoundGroup, BoundQuery};
pub(super) use grouping::Grouping;

/// Ranges that a large table is cut into. More would be more to join, fewer would leave cores idle.
const RANGES: usize = 8;
/// Rows that make a range worth its joining.
const RANGE_ROWS: usize = 128 * 1024;
/// Places of a table where a few rows are looked at first, and how many rows each time.
const SAMPLES: usize = 8;
const SAMPLE_ROWS: usize = 1024;
/// Pieces that are looked at one by one where some groups are enough.
const FIRST_PIECES: usize = 4;

/// The groups of a table, as batches of the group's schema, in order of first appearance.
///
/// # Errors
/// The run has to stop or takes too much, a value cannot be cast, a sum overflows, or a kernel fails.
pub(super) fn grouped(
    query: &BoundQuery,
    group: &BoundGroup,
    input: Input<'_>,
    run: &Run,
    stats: &mut EvalStats,
) -> Result<Vec<RecordBatch>, EvalError> {
    let pieces = pieces(input.batches);
    stats.batches += input.batches.len() as u64;
    let enough = enough(query, group).unwrap_or(usize::MAX);
    let mut whole = Grouping::new(query, group);
    let mut left = pieces.as_slice();
    // Where some groups are enough, the first pieces often have them.
    while let [piece, rest @ ..] = left
        && whole.groups() < enough
        && (enough < usize::MAX && pieces.len() - left.len() < FIRST_PIECES || is_short(left))
    {
        whole.push(std::slice::from_ref(piece), 0, run)?;
        left = rest;
    }
    if whole.groups() < enough && !left.is_empty() {
        let (empty, ranges) = match sample(&whole, left, run)? {
            Some((shared, ranges)) if whole.rows_tested == 0 => (shared, ranges),
            _ => (whole.beside(), RANGES),
        };
        let length = left.len().div_ceil(ranges);
        let range = |(at, range): (usize, &[RecordBatch])| -> Result<Grouping, EvalError> {
            let mut grouping = empty.beside();
            let at_once = grouping.pieces_at_once();
            for (pieces, next) in range.chunks(at_once).zip((at * length..).step_by(at_once)) {
                grouping.push(pieces, (next * PIECE_ROWS) as u64, run)?;
            }
            Ok(grouping)
        };
        let parts = left.par_chunks(length).enumerate().map(range).collect::<Result<Vec<_>, _>>()?;
        let parts = if whole.rows_tested > 0 { std::iter::once(whole).chain(parts).collect() } else { parts };
        whole = joined(parts, run)?.unwrap_or_else(|| Grouping::new(query, group));
    }
    stats.rows_tested += whole.rows_tested;
    stats.rows_matched += whole.rows_matched;
    whole.finish(run)
}

/// Looks at some rows of the whole table: if they tell of many values, gives what the ranges are to share, and how many
/// ranges there should be, as each has states of its own for all groups.
fn sample(empty: &Grouping, pieces: &[RecordBatch], run: &Run) -> Result<Option<(Grouping, usize)>, EvalError> {
    let mut sample = empty.beside();
    for piece in pieces.iter().step_by(pieces.len().div_ceil(SAMPLES)) {
        sample.push(&[piece.slice(0, piece.num_rows().min(SAMPLE_ROWS))], 0, run)?;
    }
    run.give_back(sample.held_bytes());
    let Some(shared) = sample.shared()? else { return Ok(None) };
    let rows: usize = pieces.iter().map(RecordBatch::num_rows).sum();
    let ranges = rows / sample.guessed_groups().saturating_mul(4).max(1);
    Ok(Some((shared, ranges.clamp(2, RANGES))))
}

/// Whether so few rows are left that joining ranges would cost more than it saves.
fn is_short(pieces: &[RecordBatch]) -> bool {
    pieces.iter().map(RecordBatch::num_rows).sum::<usize>() < 2 * RANGE_ROWS
}

/// How many groups are enough: those of the first rows, if there is no more to a group than its keys and nothing can
/// leave one out.
fn enough(query: &BoundQuery, group: &BoundGroup) -> Option<usize> {
    if !group.aggregates().is_empty() || query.having().is_some() || !query.order().is_empty() {
        return None;
    }
    let window = query.limit()?.saturating_add(query.offset());
    // One more tells whether there is a next page.
    usize::try_from(window).ok()?.checked_add(1)
}

/// Joins neighbours until one is left, each pair on a thread of its own.
fn joined(mut parts: Vec<Grouping>, run: &Run) -> Result<Option<Grouping>, EvalError> {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push((left, rest.next()));
        }
        let join = |(mut left, right): (Grouping, Option<Grouping>)| {
            run.check()?;
            if let Some(right) = right {
                left.join(right, run)?;
            }
            Ok(left)
        };
        parts = pairs.into_par_iter().map(join).collect::<Result<_, EvalError>>()?;
    }
    Ok(parts.pop())
}
