//! Rows to groups: one row for all rows that agree in the keys, with what the aggregates make of them.
//!
//! Every value of a key column gets a number, in order of first appearance ([`values`]); rows that agree in several columns
//! are found by numbering the pairs of those numbers ([`keys`]). So whatever the keys are, a piece of the table becomes a
//! list of group numbers, one for each row, and each aggregate ([`state`]) goes over that list and its own column in one
//! simple loop.
//!
//! A large table is cut into a fixed number of ranges, which are grouped side by side and then joined in their order. The
//! number of ranges does not depend on the number of threads, and neither do the groups, their order, or what sums of floats
//! come to. (Floats are added batch by batch: a table that is cut otherwise may give other last bits.)

mod distinct;
mod extreme;
mod keys;
mod number;
mod state;
mod text;
mod values;

#[cfg(test)]
mod tests;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{FilterBuilder, FilterPredicate};
use rayon::prelude::*;

use super::cast::cast_column;
use super::rows::{pieces, surviving};
use super::{EvalError, EvalStats, Input, Run};
use crate::query::{BoundGroup, BoundQuery, OutputColumn};
use keys::Keys;
use state::States;

/// Ranges that a large table is cut into. More would be more to join, fewer would leave cores idle.
const RANGES: usize = 8;
/// Rows that make a range worth its joining.
const RANGE_ROWS: usize = 128 * 1024;
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
        && whole.keys.groups() < enough
        && (enough < usize::MAX && pieces.len() - left.len() < FIRST_PIECES || is_short(left))
    {
        whole.push(piece, run)?;
        left = rest;
    }
    if whole.keys.groups() < enough && !left.is_empty() {
        let range = |range: &[RecordBatch]| -> Result<Grouping, EvalError> {
            let mut grouping = Grouping::new(query, group);
            range.iter().try_for_each(|piece| grouping.push(piece, run))?;
            Ok(grouping)
        };
        let parts = left.par_chunks(left.len().div_ceil(RANGES)).map(range).collect::<Result<Vec<_>, _>>()?;
        let parts = if whole.rows_tested > 0 { std::iter::once(whole).chain(parts).collect() } else { parts };
        whole = joined(parts, run)?.unwrap_or_else(|| Grouping::new(query, group));
    }
    stats.rows_tested += whole.rows_tested;
    stats.rows_matched += whole.rows_matched;
    whole.finish()
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

/// Rows on their way to groups. Holds groups, not rows.
#[derive(Debug)]
pub(super) struct Grouping {
    query: BoundQuery,
    group: BoundGroup,
    keys: Keys,
    states: States,
    /// The group of each row of a piece; kept for its memory.
    numbers: Vec<u32>,
    held_bytes: usize,
    rows_tested: u64,
    rows_matched: u64,
}

impl Grouping {
    /// No groups yet.
    pub(super) fn new(query: &BoundQuery, group: &BoundGroup) -> Self {
        let types = |keys: &[OutputColumn]| {
            let fields = group.schema().fields();
            keys.iter().zip(fields).map(|(_, field)| field.data_type().clone()).collect::<Vec<_>>()
        };
        Self {
            keys: Keys::new(&types(group.keys())),
            states: States::new(group.aggregates(), query.schema(), !group.keys().is_empty()),
            query: query.clone(),
            group: group.clone(),
            numbers: Vec::new(),
            held_bytes: 0,
            rows_tested: 0,
            rows_matched: 0,
        }
    }

    /// Takes the rows of a batch that fulfil the query's condition.
    pub(super) fn push(&mut self, batch: &RecordBatch, run: &Run) -> Result<(), EvalError> {
        run.check()?;
        let mask = surviving(&self.query, batch)?;
        let rows = mask.as_ref().map_or(batch.num_rows(), |mask| mask.count_set_bits());
        self.rows_tested += batch.num_rows() as u64;
        self.rows_matched += rows as u64;
        if rows == 0 {
            return Ok(());
        }
        let filter = mask.filter(|_| rows < batch.num_rows()).map(|mask| {
            let filter = FilterBuilder::new(&BooleanArray::new(mask, None));
            // Several columns are filtered by it.
            filter.optimize().build()
        });
        let mut columns = Columns { query: &self.query, batch, filter, read: Vec::new() };
        let keys = self.group.keys().iter().map(|key| columns.get(key.column, key.cast.as_ref()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        self.numbers.clear();
        self.keys.number(&keys, rows, &mut self.numbers)?;
        self.states.update(&self.numbers, self.keys.groups(), |column, cast| columns.get(column, cast))?;
        self.settle(run)
    }

    /// Takes the memory that was added, or gives back what was not needed.
    fn settle(&mut self, run: &Run) -> Result<(), EvalError> {
        let held = self.keys.bytes() + self.states.bytes();
        match held.checked_sub(self.held_bytes) {
            Some(more) => run.take(more)?,
            None => run.give_back(self.held_bytes - held),
        }
        self.held_bytes = held;
        Ok(())
    }

    /// The bytes of the groups.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Takes over the groups of rows that come after this one's.
    fn join(&mut self, later: Self, run: &Run) -> Result<(), EvalError> {
        let numbers = self.keys.join(later.keys)?;
        self.states.join(later.states, &numbers, self.keys.groups())?;
        self.rows_tested += later.rows_tested;
        self.rows_matched += later.rows_matched;
        run.give_back(later.held_bytes);
        self.settle(run)
    }

    /// The groups.
    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>, EvalError> {
        if self.group.keys().is_empty() {
            // No rows are one group, too.
            self.states.grow(1);
        }
        let groups = self.keys.groups();
        if groups == 0 {
            return Ok(Vec::new());
        }
        let mut columns = self.keys.finish()?;
        columns.extend(self.states.finish(self.group.aggregates(), groups)?);
        let options = RecordBatchOptions::new().with_row_count(Some(groups));
        Ok(vec![RecordBatch::try_new_with_options(self.group.schema().clone(), columns, &options)?])
    }
}

/// The columns of the rows that are left of a batch, each filtered and cast once.
struct Columns<'a> {
    query: &'a BoundQuery,
    batch: &'a RecordBatch,
    filter: Option<FilterPredicate>,
    read: Vec<((usize, Option<arrow::datatypes::DataType>), ArrayRef)>,
}

impl Columns<'_> {
    fn get(&mut self, column: usize, cast: Option<&arrow::datatypes::DataType>) -> Result<ArrayRef, EvalError> {
        if let Some((_, array)) = self.read.iter().find(|((read, to), _)| *read == column && to.as_ref() == cast) {
            return Ok(array.clone());
        }
        let array = match cast {
            Some(to) => {
                let plain = self.get(column, None)?;
                cast_column(&plain, to, self.query.schema().field(column).name())?
            }
            None => match &self.filter {
                Some(filter) => filter.filter(self.batch.column(column))?,
                None => self.batch.column(column).clone(),
            },
        };
        self.read.push(((column, cast.cloned()), array.clone()));
        Ok(array)
    }
}
