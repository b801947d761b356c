//! Numbers for groups: rows that agree in all key columns have one, in order of first appearance.
//!
//! With one key column, the number of its value is the number of the group. With several, the pair of a row's number so far
//! and the number of its value in the next column is numbered in turn.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::number::Numbers;
use super::values::Values;
use crate::eval::{EvalError, Run};

/// The groups of one range of rows.
#[derive(Debug)]
pub(super) struct Keys {
    types: Vec<DataType>,
    /// Empty until the first rows come.
    columns: Vec<Values>,
    /// The pairs of all columns up to one with the next; one less than columns.
    pairs: Vec<Numbers>,
    /// The numbers in the next column; kept for its memory.
    next: Vec<u32>,
}

impl Keys {
    /// No groups yet.
    pub(super) fn new(types: &[DataType]) -> Self {
        Self { types: types.to_vec(), columns: Vec::new(), pairs: Vec::new(), next: Vec::new() }
    }

    fn begin(&mut self) -> Result<(), EvalError> {
        if self.columns.is_empty() && !self.types.is_empty() {
            self.columns = self.types.iter().map(Values::new).collect::<Result<_, _>>()?;
            self.pairs = self.types.iter().skip(1).map(|_| Numbers::default()).collect();
        }
        Ok(())
    }

    /// Appends the number of the group of each of `rows` rows; each column comes in pieces.
    pub(super) fn number(
        &mut self,
        columns: &[Vec<ArrayRef>],
        rows: usize,
        out: &mut Vec<u32>,
    ) -> Result<(), EvalError> {
        self.begin()?;
        let Self { columns: known, pairs, next, .. } = self;
        let (Some(first), Some(column)) = (known.first_mut(), columns.first()) else {
            out.resize(out.len() + rows, 0);
            return Ok(());
        };
        let start = out.len();
        column.iter().try_for_each(|piece| first.number(piece, out))?;
        for ((values, column), pairs) in known.iter_mut().zip(columns).skip(1).zip(pairs) {
            next.clear();
            column.iter().try_for_each(|piece| values.number(piece, next))?;
            for (number, next) in out[start..].iter_mut().zip(next.iter()) {
                *number = pairs.number(pair(*number, *next));
            }
        }
        Ok(())
    }

    /// How many values the columns have, and how many pairs there are up to each column.
    pub(super) fn lens(&self) -> (Vec<usize>, Vec<usize>) {
        (self.columns.iter().map(Values::len).collect(), self.pairs.iter().map(Numbers::len).collect())
    }

    /// The columns' types.
    pub(super) fn types(&self) -> &[DataType] {
        &self.types
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        match (self.pairs.last(), self.columns.last()) {
            (Some(pairs), _) => pairs.len(),
            (None, Some(values)) => values.len(),
            (None, None) => usize::from(self.types.is_empty()),
        }
    }

    /// Takes over the groups of `later`; the new number of each of its numbers.
    pub(super) fn join(&mut self, later: Self) -> Result<Vec<u32>, EvalError> {
        self.begin()?;
        let mut columns = self.columns.iter_mut().zip(later.columns);
        let Some((first, theirs)) = columns.next() else {
            return Ok(vec![0; usize::from(self.types.is_empty())]);
        };
        let mut numbers = first.join(theirs)?;
        for (((values, theirs), mine), pairs) in columns.zip(&mut self.pairs).zip(&later.pairs) {
            let next = values.join(theirs)?;
            numbers = pairs
                .values()
                .iter()
                .map(|both| {
                    let (before, after) = unpaired(*both);
                    mine.number(pair(numbers[before as usize], next[after as usize]))
                })
                .collect();
        }
        Ok(numbers)
    }

    /// The key columns, one row for each group.
    pub(super) fn finish(self, run: &Run) -> Result<Vec<ArrayRef>, EvalError> {
        let mut columns = self.columns.into_iter().map(Values::finish).collect::<Result<Vec<_>, _>>()?;
        // From the last column to the first: which number each group has in it.
        let mut numbers: Option<Vec<u32>> = None;
        for (at, pairs) in self.pairs.iter().enumerate().rev() {
            run.check()?;
            let both = |number: u32| unpaired(pairs.values()[number as usize]);
            let split: Vec<(u32, u32)> = match numbers {
                None => pairs.values().iter().map(|both| unpaired(*both)).collect(),
                Some(numbers) => numbers.into_iter().map(both).collect(),
            };
            let of_column = UInt32Array::from_iter_values(split.iter().map(|(_, next)| *next));
            columns[at + 1] = take(&columns[at + 1], &of_column, None)?;
            numbers = Some(split.into_iter().map(|(before, _)| before).collect());
        }
        if let Some(numbers) = numbers {
            columns[0] = take(&columns[0], &UInt32Array::from(numbers), None)?;
        }
        Ok(columns)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Values::bytes).sum::<usize>() + self.pairs.iter().map(Numbers::bytes).sum::<usize>()
    }
}

pub(super) fn pair(before: u32, next: u32) -> u64 {
    u64::from(before) << 32 | u64::from(next)
}

pub(super) fn unpaired(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}
