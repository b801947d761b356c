//! What the aggregates know of each group: aggregates that need the same are one, as `sum` and `avg` of a column.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};

use super::distinct::Distinct;
use super::kept::Kept;
use crate::eval::{EvalError, Run};
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
pub(super) struct Needs {
    pub(super) kind: Kind,
    /// The column and the type that it is cast to first.
    pub(super) column: Option<(usize, Option<DataType>)>,
}

/// Rows whose groups are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered<'a> {
    /// The group of each row.
    pub(super) numbers: &'a [u32],
    /// How many groups there are.
    pub(super) groups: usize,
    /// The place of the first row among all rows.
    pub(super) place: u64,
}

/// What is kept of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rows,
    Known,
    Distinct,
    Sum,
    Least,
    Greatest,
    Median,
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

    /// Shares the distinct values with ranges that are to come, if they were many here.
    pub(super) fn shared(&self, has_keys: bool, many: impl Fn(usize) -> Option<usize>) -> Result<Self, EvalError> {
        let mut states = Vec::with_capacity(self.states.len());
        for State { needs, kept, name } in &self.states {
            states.push(State { needs: needs.clone(), kept: kept.shared(has_keys, &many)?, name: name.clone() });
        }
        Ok(Self { states, of: self.of.clone(), groups: 0 })
    }

    /// The same for another range, with nothing known yet but what is shared.
    pub(super) fn beside(&self) -> Self {
        let beside =
            |state: &State| State { needs: state.needs.clone(), kept: state.kept.beside(), name: state.name.clone() };
        Self { states: self.states.iter().map(beside).collect(), of: self.of.clone(), groups: 0 }
    }

    /// What is known of distinct values.
    pub(super) fn distinct(&self) -> impl Iterator<Item = &Distinct> {
        self.states.iter().filter_map(|state| match &state.kept {
            Kept::Distinct(distinct) => Some(&**distinct),
            _ => None,
        })
    }

    /// Takes rows: the group of each, and a way to come by their columns, in pieces.
    pub(super) fn update(
        &mut self,
        rows: Numbered<'_>,
        run: &Run,
        mut column: impl FnMut(usize, Option<&DataType>) -> Result<Vec<ArrayRef>, EvalError>,
    ) -> Result<(), EvalError> {
        self.grow(rows.groups);
        for state in &mut self.states {
            run.check()?;
            match &state.needs.column {
                None => state.kept.count(rows),
                Some((at, to)) => {
                    let pieces = column(*at, to.as_ref())?;
                    state.kept.update(rows, &pieces).map_err(|error| named(error, &state.name))?;
                }
            }
        }
        Ok(())
    }

    /// Takes over what is known of groups of later rows; `numbers` says which group each of them is here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32], groups: usize, run: &Run) -> Result<(), EvalError> {
        self.grow(groups);
        for (mine, theirs) in self.states.iter_mut().zip(later.states) {
            run.check()?;
            mine.kept.join(theirs.kept, numbers).map_err(|error| named(error, &mine.name))?;
        }
        Ok(())
    }

    /// The aggregates' columns, one value for each group.
    pub(super) fn finish(
        mut self,
        aggregates: &[BoundAggregate],
        groups: usize,
        run: &Run,
    ) -> Result<Vec<ArrayRef>, EvalError> {
        self.grow(groups);
        let made = aggregates.iter().zip(&self.of).map(|(aggregate, state)| {
            run.check()?;
            let column = self.states[*state]
                .kept
                .finish(aggregate, groups, run)
                .map_err(|error| named(error, &aggregate.name))?;
            Ok(if column.data_type() == &aggregate.data_type { column } else { cast(&column, &aggregate.data_type)? })
        });
        made.collect()
    }

    /// The bytes that the shared ones take.
    pub(super) fn shared_bytes(&self) -> usize {
        self.distinct().map(Distinct::shared_bytes).sum()
    }

    /// The bytes that they take, but for the shared ones.
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
