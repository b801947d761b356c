//! How many distinct values each group has.
//!
//! The values of the column are numbered over all groups; what is kept is the set of pairs of a group and a value. Without
//! key columns there is one group, and the number of values is the answer.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::number::Numbers;
use super::values::Values;
use crate::eval::EvalError;

/// The distinct values of the groups.
#[derive(Debug)]
pub(super) struct Distinct {
    data_type: DataType,
    /// None before the first rows.
    values: Option<Values>,
    /// Pairs of a group and a value, where there are key columns.
    pairs: Option<Numbers>,
    /// The value of each row; kept for its memory.
    numbers: Vec<u32>,
}

impl Distinct {
    /// No values yet.
    pub(super) fn new(data_type: DataType, has_keys: bool) -> Self {
        Self { data_type, values: None, pairs: has_keys.then(Numbers::default), numbers: Vec::new() }
    }

    /// Takes rows.
    pub(super) fn update(&mut self, groups: &[u32], column: &ArrayRef) -> Result<(), EvalError> {
        let values = match &mut self.values {
            Some(values) => values,
            none => none.insert(Values::new(&self.data_type)?),
        };
        self.numbers.clear();
        values.number(column, &mut self.numbers)?;
        if let Some(pairs) = &mut self.pairs {
            for (group, value) in groups.iter().zip(&self.numbers) {
                pairs.number(u64::from(*group) << 32 | u64::from(*value));
            }
        }
        Ok(())
    }

    /// Takes over the values of later rows, whose groups are `numbers` here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32]) -> Result<(), EvalError> {
        let Some(theirs) = later.values else { return Ok(()) };
        let values = match &mut self.values {
            Some(values) => values,
            none => none.insert(Values::new(&self.data_type)?),
        };
        // A null that has come late moves no number, as numbers are given in order of appearance.
        let moved = values.join(theirs)?;
        if let (Some(mine), Some(theirs)) = (&mut self.pairs, later.pairs) {
            for pair in theirs.values() {
                let (group, value) = ((pair >> 32) as usize, *pair as u32 as usize);
                mine.number(u64::from(numbers[group]) << 32 | u64::from(moved[value]));
            }
        }
        Ok(())
    }

    /// The number of values of each group, null not among them.
    pub(super) fn counts(&self, groups: usize) -> Vec<u64> {
        let mut counts = vec![0; groups];
        let Some(values) = &self.values else { return counts };
        match &self.pairs {
            None => counts.iter_mut().for_each(|count| *count = values.known() as u64),
            Some(pairs) => {
                let null = values.null();
                for pair in pairs.values().iter().filter(|pair| Some(**pair as u32) != null) {
                    counts[(pair >> 32) as usize] += 1;
                }
            }
        }
        counts
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.values.as_ref().map_or(0, Values::bytes) + self.pairs.as_ref().map_or(0, Numbers::bytes)
    }
}
