//! What is kept of a column for an aggregate: one or two numbers for each group. An update is a loop over the rows of a
//! piece: the row's group, the row's value.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};

use super::distinct::Distinct;
use super::extreme::{Extreme, Extremes};
use super::median::{median_column, push_values};
use super::state::{Kind, Needs, Numbered};
use super::sum::{add, add_whole, count_column, count_known, known, overflow, whole_column};
use crate::eval::{EvalError, Run};
use crate::query::{Aggregate, BoundAggregate};

#[derive(Debug)]
pub(super) enum Kept {
    /// How many rows, or how many values that are not null.
    Counts(Vec<u64>),
    Floats {
        sums: Vec<f64>,
        counts: Vec<u64>,
    },
    /// `scale` digits of the sums are behind the point.
    Whole {
        sums: Vec<i128>,
        counts: Vec<u64>,
        scale: i8,
    },
    Extremes(Box<Extremes>),
    Medians(Vec<Vec<f64>>, usize),
    Distinct(Box<Distinct>),
}

impl Kept {
    /// Nothing known yet.
    pub(super) fn new(needs: &Needs, schema: &Schema, has_keys: bool) -> Self {
        let data_type = needs.column.as_ref().map_or(DataType::Null, |(column, to)| {
            to.clone().unwrap_or_else(|| schema.field(*column).data_type().clone())
        });
        if needs.kind == Kind::Distinct {
            return Self::Distinct(Box::new(Distinct::new(data_type, has_keys)));
        }
        let data_type = match data_type {
            DataType::Dictionary(_, values) => *values,
            other => other,
        };
        match needs.kind {
            Kind::Rows | Kind::Known | Kind::Distinct => Self::Counts(Vec::new()),
            Kind::Sum if data_type.is_floating() => Self::Floats { sums: Vec::new(), counts: Vec::new() },
            Kind::Sum => {
                let scale = match data_type {
                    DataType::Decimal32(_, scale)
                    | DataType::Decimal64(_, scale)
                    | DataType::Decimal128(_, scale)
                    | DataType::Decimal256(_, scale) => scale,
                    _ => 0,
                };
                Self::Whole { sums: Vec::new(), counts: Vec::new(), scale }
            }
            Kind::Least => Self::Extremes(Box::new(Extremes::new(Extreme::Least, data_type))),
            Kind::Greatest => Self::Extremes(Box::new(Extremes::new(Extreme::Greatest, data_type))),
            Kind::Median => Self::Medians(Vec::new(), 0),
        }
    }

    /// As [`States::shared`](super::state::States::shared).
    pub(super) fn shared(&self, has_keys: bool, many: impl Fn(usize) -> Option<usize>) -> Result<Self, EvalError> {
        match self {
            Self::Distinct(distinct) => Ok(Self::Distinct(Box::new(distinct.shared(has_keys, many)?))),
            other => Ok(other.beside()),
        }
    }

    /// Nothing known yet but what is shared.
    pub(super) fn beside(&self) -> Self {
        match self {
            Self::Counts(_) => Self::Counts(Vec::new()),
            Self::Floats { .. } => Self::Floats { sums: Vec::new(), counts: Vec::new() },
            Self::Whole { scale, .. } => Self::Whole { sums: Vec::new(), counts: Vec::new(), scale: *scale },
            Self::Extremes(extremes) => Self::Extremes(Box::new(extremes.beside())),
            Self::Medians(..) => Self::Medians(Vec::new(), 0),
            Self::Distinct(distinct) => Self::Distinct(Box::new(distinct.beside())),
        }
    }

    /// Makes room for groups.
    pub(super) fn grow(&mut self, groups: usize) {
        match self {
            Self::Counts(counts) => counts.resize(groups, 0),
            Self::Floats { sums, counts } => {
                sums.resize(groups, 0.0);
                counts.resize(groups, 0);
            }
            Self::Whole { sums, counts, .. } => {
                sums.resize(groups, 0);
                counts.resize(groups, 0);
            }
            Self::Extremes(extremes) => extremes.grow(groups),
            Self::Medians(values, _) => values.resize_with(groups, Vec::new),
            Self::Distinct(_) => {}
        }
    }

    /// Takes rows, only to count them.
    pub(super) fn count(&mut self, rows: Numbered<'_>) {
        if let Self::Counts(counts) = self {
            match rows.groups {
                1 => counts[0] += rows.numbers.len() as u64,
                _ => rows.numbers.iter().for_each(|number| counts[*number as usize] += 1),
            }
        }
    }

    /// Takes the values of rows, which come in pieces.
    pub(super) fn update(&mut self, rows: Numbered<'_>, pieces: &[ArrayRef]) -> Result<(), EvalError> {
        if let Self::Distinct(distinct) = self {
            return distinct.update(rows, pieces);
        }
        let mut numbers = rows.numbers;
        for piece in pieces {
            let (mine, rest) = numbers.split_at(piece.len());
            self.update_piece(mine, rows.groups, piece)?;
            numbers = rest;
        }
        Ok(())
    }

    fn update_piece(&mut self, numbers: &[u32], groups: usize, values: &ArrayRef) -> Result<(), EvalError> {
        match self {
            Self::Counts(counts) => count_known(counts, numbers, values, groups),
            Self::Floats { sums, counts } => {
                let values = cast(values, &DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>();
                add(sums, numbers, values, |sum, value| {
                    *sum += value;
                    Ok(())
                })?;
                count_known(counts, numbers, values, groups);
            }
            Self::Whole { sums, counts, .. } => {
                add_whole(sums, numbers, values)?;
                count_known(counts, numbers, values, groups);
            }
            Self::Extremes(extremes) => extremes.update(numbers, values)?,
            Self::Medians(kept, bytes) => {
                let values = cast(values, &DataType::Float64)?;
                let values = values.as_primitive::<Float64Type>();
                *bytes += values.len() * 8;
                push_values(kept, numbers, values)?;
            }
            Self::Distinct(_) => {}
        }
        Ok(())
    }

    /// Takes over what is known of later rows, whose groups are `numbers` here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32]) -> Result<(), EvalError> {
        let pairs = |len: usize| numbers.iter().take(len).map(|number| *number as usize).enumerate();
        match (self, later) {
            (Self::Counts(mine), Self::Counts(theirs)) => {
                pairs(theirs.len()).for_each(|(from, to)| mine[to] += theirs[from]);
            }
            (Self::Floats { sums, counts }, Self::Floats { sums: more, counts: further }) => {
                for (from, to) in pairs(more.len()) {
                    sums[to] += more[from];
                    counts[to] += further[from];
                }
            }
            (Self::Whole { sums, counts, .. }, Self::Whole { sums: more, counts: further, .. }) => {
                for (from, to) in pairs(more.len()) {
                    sums[to] = sums[to].checked_add(more[from]).ok_or_else(overflow)?;
                    counts[to] += further[from];
                }
            }
            (Self::Extremes(mine), Self::Extremes(theirs)) => mine.join(*theirs, numbers),
            (Self::Medians(mine, bytes), Self::Medians(theirs, more)) => {
                *bytes += more;
                for (from, theirs) in theirs.into_iter().enumerate() {
                    mine[numbers[from] as usize].extend(theirs);
                }
            }
            (Self::Distinct(mine), Self::Distinct(theirs)) => mine.join(*theirs, numbers)?,
            _ => return Err(EvalError::SchemaMismatch),
        }
        Ok(())
    }

    /// The aggregate's column, one value for each group.
    pub(super) fn finish(
        &mut self,
        aggregate: &BoundAggregate,
        groups: usize,
        run: &Run,
    ) -> Result<ArrayRef, EvalError> {
        let is_mean = aggregate.function == Aggregate::Avg;
        Ok(match self {
            Self::Counts(counts) => Arc::new(count_column(counts)),
            Self::Floats { sums, counts } => {
                let value = |(sum, count): (&f64, &u64)| if is_mean { sum / *count as f64 } else { *sum };
                let values = sums.iter().zip(counts.iter()).map(value).collect();
                Arc::new(Float64Array::new(values, known(counts)))
            }
            Self::Whole { sums, counts, scale } if is_mean => {
                let unit = 10_f64.powi(i32::from(*scale));
                let values = sums.iter().zip(counts.iter()).map(|(sum, count)| *sum as f64 / unit / *count as f64);
                Arc::new(Float64Array::new(values.collect(), known(counts)))
            }
            Self::Whole { sums, counts, .. } => whole_column(sums, known(counts), aggregate)?,
            Self::Extremes(extremes) => extremes.finish()?,
            Self::Medians(values, _) => Arc::new(median_column(values, run)?),
            Self::Distinct(distinct) => Arc::new(count_column(&distinct.counts(groups)?)),
        })
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Counts(counts) => counts.capacity() * 8,
            Self::Floats { sums, counts } => (sums.capacity() + counts.capacity()) * 8,
            Self::Whole { sums, counts, .. } => sums.capacity() * 16 + counts.capacity() * 8,
            Self::Extremes(extremes) => extremes.bytes(),
            Self::Medians(values, bytes) => values.capacity() * 24 + bytes,
            Self::Distinct(distinct) => distinct.bytes(),
        }
    }
}
