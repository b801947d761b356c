//! What the aggregates know of each group.
//!
//! An aggregate is a column of numbers, one or two for each group, and an update is a loop over the rows of a piece: the
//! row's group, the row's value. Aggregates that need the same are one: `sum` and `avg` of a column share their state.
//!
//! Sums of whole numbers are added up in 128 bits and must fit the answer's type at the end; sums of floats are added in
//! the order of the rows, range by range.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, Schema, UInt64Type};

use super::distinct::Distinct;
use super::extreme::{Extreme, Extremes};
use crate::eval::EvalError;
use crate::query::{Aggregate, BoundAggregate};

/// The states of all aggregates of a query.
#[derive(Debug)]
pub(super) struct States {
    states: Vec<State>,
    /// Which state each aggregate is made of.
    of: Vec<usize>,
    groups: usize,
}

/// The error of a sum, with the sum's name.
fn named(error: EvalError, name: &str) -> EvalError {
    match error {
        EvalError::SumOverflow { .. } => EvalError::SumOverflow { column: name.to_owned() },
        other => other,
    }
}

/// What is kept for the groups, and of which column.
#[derive(Debug)]
struct State {
    needs: Needs,
    kept: Kept,
    /// Of the first aggregate that is made of it.
    name: Arc<str>,
}

/// What an aggregate needs to know.
#[derive(Debug, Clone, PartialEq)]
struct Needs {
    kind: Kind,
    /// The column and the type that it is cast to first.
    column: Option<(usize, Option<DataType>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rows,
    Known,
    Distinct,
    Sum,
    Least,
    Greatest,
    Median,
}

#[derive(Debug)]
enum Kept {
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

impl States {
    /// Nothing known yet.
    pub(super) fn new(aggregates: &[BoundAggregate], schema: &Schema, has_keys: bool) -> Self {
        let mut states: Vec<State> = Vec::new();
        let of = aggregates
            .iter()
            .map(|aggregate| {
                let needs = Needs::of(aggregate);
                states.iter().position(|state| state.needs == needs).unwrap_or_else(|| {
                    let kept = Kept::new(&needs, schema, has_keys);
                    states.push(State { needs, kept, name: aggregate.name.clone() });
                    states.len() - 1
                })
            })
            .collect();
        Self { states, of, groups: 0 }
    }

    /// Makes room for groups.
    pub(super) fn grow(&mut self, groups: usize) {
        if groups > self.groups {
            self.groups = groups;
            self.states.iter_mut().for_each(|state| state.kept.grow(groups));
        }
    }

    /// Takes rows: the group of each, and a way to come by their columns.
    pub(super) fn update(
        &mut self,
        numbers: &[u32],
        groups: usize,
        mut column: impl FnMut(usize, Option<&DataType>) -> Result<ArrayRef, EvalError>,
    ) -> Result<(), EvalError> {
        self.grow(groups);
        for state in &mut self.states {
            let values = match &state.needs.column {
                Some((at, to)) => Some(column(*at, to.as_ref())?),
                None => None,
            };
            state.kept.update(numbers, groups, values.as_ref()).map_err(|error| named(error, &state.name))?;
        }
        Ok(())
    }

    /// Takes over what is known of groups of later rows; `numbers` says which group each of them is here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32], groups: usize) -> Result<(), EvalError> {
        self.grow(groups);
        for (mine, theirs) in self.states.iter_mut().zip(later.states) {
            mine.kept.join(theirs.kept, numbers).map_err(|error| named(error, &mine.name))?;
        }
        Ok(())
    }

    /// The aggregates' columns, one value for each group.
    pub(super) fn finish(mut self, aggregates: &[BoundAggregate], groups: usize) -> Result<Vec<ArrayRef>, EvalError> {
        self.grow(groups);
        let made = aggregates.iter().zip(&self.of).map(|(aggregate, state)| {
            let column =
                self.states[*state].kept.finish(aggregate, groups).map_err(|error| named(error, &aggregate.name))?;
            Ok(if column.data_type() == &aggregate.data_type { column } else { cast(&column, &aggregate.data_type)? })
        });
        made.collect()
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.states.iter().map(|state| state.kept.bytes()).sum()
    }
}

impl Needs {
    fn of(aggregate: &BoundAggregate) -> Self {
        let kind = match (aggregate.function, aggregate.column) {
            (Aggregate::Count, None) => Kind::Rows,
            (Aggregate::Count, Some(_)) => Kind::Known,
            (Aggregate::CountDistinct, _) => Kind::Distinct,
            (Aggregate::Sum | Aggregate::Avg, _) => Kind::Sum,
            (Aggregate::Min, _) => Kind::Least,
            (Aggregate::Max, _) => Kind::Greatest,
            (Aggregate::Median, _) => Kind::Median,
        };
        Self { kind, column: aggregate.column.map(|column| (column, aggregate.cast.clone())) }
    }
}

impl Kept {
    fn new(needs: &Needs, schema: &Schema, has_keys: bool) -> Self {
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

    fn grow(&mut self, groups: usize) {
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

    fn update(&mut self, numbers: &[u32], groups: usize, values: Option<&ArrayRef>) -> Result<(), EvalError> {
        let Some(values) = values else {
            if let Self::Counts(counts) = self {
                match groups {
                    1 => counts[0] += numbers.len() as u64,
                    _ => numbers.iter().for_each(|number| counts[*number as usize] += 1),
                }
            }
            return Ok(());
        };
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
                add(kept, numbers, values, |kept, value| {
                    kept.push(value);
                    Ok(())
                })?;
            }
            Self::Distinct(distinct) => distinct.update(numbers, values)?,
        }
        Ok(())
    }

    fn join(&mut self, later: Self, numbers: &[u32]) -> Result<(), EvalError> {
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

    fn finish(&mut self, aggregate: &BoundAggregate, groups: usize) -> Result<ArrayRef, EvalError> {
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
            Self::Medians(values, _) => {
                Arc::new(values.iter_mut().map(|values| median(values)).collect::<Float64Array>())
            }
            Self::Distinct(distinct) => Arc::new(count_column(&distinct.counts(groups))),
        })
    }

    fn bytes(&self) -> usize {
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

fn overflow() -> EvalError {
    EvalError::SumOverflow { column: String::new() }
}

/// Goes over the values that are not null, each with what is kept of its group.
fn add<T: ArrowPrimitiveType, K>(
    kept: &mut [K],
    numbers: &[u32],
    values: &PrimitiveArray<T>,
    mut add: impl FnMut(&mut K, T::Native) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    match values.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            for (number, value) in numbers.iter().zip(values.values()) {
                add(&mut kept[*number as usize], *value)?;
            }
        }
        Some(nulls) => {
            for at in nulls.valid_indices() {
                add(&mut kept[numbers[at] as usize], values.value(at))?;
            }
        }
    }
    Ok(())
}

fn add_whole(sums: &mut [i128], numbers: &[u32], values: &ArrayRef) -> Result<(), EvalError> {
    let data_type = match values.data_type() {
        DataType::Dictionary(_, values) => &**values,
        other => other,
    };
    match data_type {
        t if t.is_unsigned_integer() => {
            let values = cast(values, &DataType::UInt64)?;
            add(sums, numbers, values.as_primitive::<UInt64Type>(), |sum, value| {
                *sum += i128::from(value);
                Ok(())
            })
        }
        t if t.is_signed_integer() => {
            let values = cast(values, &DataType::Int64)?;
            add(sums, numbers, values.as_primitive::<Int64Type>(), |sum, value| {
                *sum += i128::from(value);
                Ok(())
            })
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => {
            // A value of more digits has no place in a sum of 38.
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let values =
                cast_with_options(values, &DataType::Decimal128(38, *scale), &strict).map_err(|_| overflow())?;
            add(sums, numbers, values.as_primitive::<Decimal128Type>(), |sum, value| {
                *sum = sum.checked_add(value).ok_or_else(overflow)?;
                Ok(())
            })
        }
        _ => Err(EvalError::SchemaMismatch),
    }
}

fn count_known(counts: &mut [u64], numbers: &[u32], values: &dyn Array, groups: usize) {
    match values.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        None if groups == 1 => counts[0] += numbers.len() as u64,
        None => numbers.iter().for_each(|number| counts[*number as usize] += 1),
        Some(nulls) => nulls.valid_indices().for_each(|at| counts[numbers[at] as usize] += 1),
    }
}

fn count_column(counts: &[u64]) -> Int64Array {
    Int64Array::from_iter_values(counts.iter().map(|count| i64::try_from(*count).unwrap_or(i64::MAX)))
}

/// The groups that have a value at all.
fn known(counts: &[u64]) -> Option<NullBuffer> {
    let mut bits = BooleanBufferBuilder::new(counts.len());
    counts.iter().for_each(|count| bits.append(*count > 0));
    Some(NullBuffer::new(bits.finish())).filter(|nulls| nulls.null_count() > 0)
}

fn whole_column(sums: &[i128], nulls: Option<NullBuffer>, aggregate: &BoundAggregate) -> Result<ArrayRef, EvalError> {
    let overflow = || EvalError::SumOverflow { column: aggregate.name.to_string() };
    Ok(match &aggregate.data_type {
        DataType::Decimal128(precision, scale) => {
            let end = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
            if sums.iter().any(|sum| *sum >= end || *sum <= -end) {
                return Err(overflow());
            }
            let column = Decimal128Array::new(sums.to_vec().into(), nulls);
            Arc::new(column.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::UInt64 => {
            let sums = sums.iter().map(|sum| u64::try_from(*sum).map_err(|_| overflow()));
            Arc::new(UInt64Array::new(sums.collect::<Result<Vec<_>, _>>()?.into(), nulls))
        }
        _ => {
            let sums = sums.iter().map(|sum| i64::try_from(*sum).map_err(|_| overflow()));
            Arc::new(Int64Array::new(sums.collect::<Result<Vec<_>, _>>()?.into(), nulls))
        }
    })
}

/// The middle value, or the mean of the two in the middle. NaN is greater than all numbers.
fn median(values: &mut [f64]) -> Option<f64> {
    let order = |left: &f64, right: &f64| left.is_nan().cmp(&right.is_nan()).then_with(|| left.total_cmp(right));
    let (middle, is_odd) = (values.len() / 2, !values.len().is_multiple_of(2));
    if values.is_empty() {
        return None;
    }
    let (before, high, _) = values.select_nth_unstable_by(middle, order);
    let high = *high;
    if is_odd {
        return Some(high);
    }
    let low = before.iter().copied().max_by(order)?;
    // Halved first, so that the sum of two large ones is not infinite.
    Some(if low == high { low } else { low / 2.0 + high / 2.0 })
}
