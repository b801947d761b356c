//! A query that is bound to a schema: columns are indexes, values are typed, and the whole is in normal form.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};

/// A query bound to a schema. Always in normal form: two spellings of one question are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundQuery {
    pub(crate) schema: SchemaRef,
    pub(crate) select: Option<Vec<usize>>,
    pub(crate) filter: Option<BoundExpr>,
    pub(crate) order: Vec<BoundOrder>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
}

/// A condition without negations: they have been pushed into the predicates, which three-valued logic allows.
#[derive(Debug, Clone, PartialEq)]
pub enum BoundExpr {
    /// All hold; two at least.
    And(Vec<BoundExpr>),
    /// One holds at least; two at least.
    Or(Vec<BoundExpr>),
    /// One column is tested.
    Test(Predicate),
}

/// A test of one column.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// The column's index in the schema.
    pub column: usize,
    /// What is asked of it.
    pub op: PredicateOp,
    /// What it is compared with, never null, of the column's type or, for a dictionary, of its values' type: one value, for
    /// lists any number (ascending and distinct), for the tests of null and truth none.
    pub values: ArrayRef,
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.column == other.column && self.op == other.op && same_values(&self.values, &other.values)
    }
}

/// Arrow's own equality tells NaNs apart.
fn same_values(left: &ArrayRef, right: &ArrayRef) -> bool {
    if left.data_type() != right.data_type() || left.len() != right.len() {
        return false;
    }
    left.is_empty()
        || make_comparator(left, right, SortOptions::default())
            .is_ok_and(|compare| (0..left.len()).all(|at| compare(at, at) == Ordering::Equal))
}

/// What a [`Predicate`] asks. Comparisons and patterns with null are unknown, and an unknown row is left out; the tests of
/// null and truth, and an empty list, are always true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PredicateOp {
    /// Equal to the value.
    Eq,
    /// Not equal to the value.
    NotEq,
    /// Greater than the value.
    Gt,
    /// Greater than the value or equal to it.
    GtEq,
    /// Less than the value.
    Lt,
    /// Less than the value or equal to it.
    LtEq,
    /// Equal to one of the values.
    In,
    /// Equal to none of the values.
    NotIn,
    /// Matches the pattern.
    Like,
    /// Does not match the pattern.
    NotLike,
    /// Matches the pattern, whatever the letters' case.
    ILike,
    /// Does not match the pattern, whatever the letters' case.
    NotILike,
    /// Null.
    IsNull,
    /// Not null.
    IsNotNull,
    /// True.
    IsTrue,
    /// False or null.
    IsNotTrue,
    /// False.
    IsFalse,
    /// True or null.
    IsNotFalse,
}

impl PredicateOp {
    /// The operator that is true where this one is false, and unknown where it is unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        use PredicateOp::*;
        match self {
            Eq => NotEq,
            NotEq => Eq,
            Gt => LtEq,
            LtEq => Gt,
            GtEq => Lt,
            Lt => GtEq,
            In => NotIn,
            NotIn => In,
            Like => NotLike,
            NotLike => Like,
            ILike => NotILike,
            NotILike => ILike,
            IsNull => IsNotNull,
            IsNotNull => IsNull,
            IsTrue => IsNotTrue,
            IsNotTrue => IsTrue,
            IsFalse => IsNotFalse,
            IsNotFalse => IsFalse,
        }
    }
}

/// One column to order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundOrder {
    /// The column's index in the schema.
    pub column: usize,
    /// Direction and placement of nulls.
    pub options: SortOptions,
}

impl BoundQuery {
    /// The whole of a dataset.
    pub fn all(schema: SchemaRef) -> Self {
        Self { schema, select: None, filter: None, order: Vec::new(), limit: None, offset: 0 }
    }

    /// The schema that the query is bound to.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of the answer, `None` for all in the schema's order.
    pub fn select(&self) -> Option<&[usize]> {
        self.select.as_deref()
    }

    /// What a row must fulfil.
    pub fn filter(&self) -> Option<&BoundExpr> {
        self.filter.as_ref()
    }

    /// How the answer is ordered.
    pub fn order(&self) -> &[BoundOrder] {
        &self.order
    }

    /// The most rows to answer with.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How many rows to skip first.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The same query with at most `rows` rows.
    #[must_use]
    pub fn with_limit_at_most(mut self, rows: u64) -> Self {
        self.limit = Some(self.limit.map_or(rows, |limit| limit.min(rows)));
        self
    }

    /// The columns of the answer.
    pub fn selected_columns(&self) -> Vec<usize> {
        self.select.clone().unwrap_or_else(|| (0..self.schema.fields().len()).collect())
    }

    /// The schema of the answer.
    pub fn output_schema(&self) -> SchemaRef {
        match &self.select {
            None => self.schema.clone(),
            Some(columns) => {
                let fields: Vec<_> = columns.iter().map(|column| self.schema.fields()[*column].clone()).collect();
                Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()))
            }
        }
    }

    /// The columns that the answer needs in any way, ascending.
    pub fn needed_columns(&self) -> Vec<usize> {
        let mut columns = self.selected_columns();
        columns.extend(self.order.iter().map(|key| key.column));
        if let Some(filter) = &self.filter {
            filter.push_columns(&mut columns);
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

impl BoundExpr {
    fn push_columns(&self, columns: &mut Vec<usize>) {
        match self {
            Self::And(items) | Self::Or(items) => items.iter().for_each(|item| item.push_columns(columns)),
            Self::Test(predicate) => columns.push(predicate.column),
        }
    }

    /// The expression over columns that have moved; `None` if one is gone.
    pub(crate) fn map_columns(&self, at: &dyn Fn(usize) -> Option<usize>) -> Option<Self> {
        let each = |items: &[Self]| items.iter().map(|item| item.map_columns(at)).collect::<Option<Vec<_>>>();
        Some(match self {
            Self::And(items) => Self::And(each(items)?),
            Self::Or(items) => Self::Or(each(items)?),
            Self::Test(predicate) => Self::Test(Predicate { column: at(predicate.column)?, ..predicate.clone() }),
        })
    }

    /// The expression that is true where this one is false, and unknown where it is unknown.
    #[must_use]
    pub fn negated(self) -> Self {
        let each = |items: Vec<Self>| items.into_iter().map(Self::negated).collect();
        match self {
            Self::And(items) => Self::Or(each(items)),
            Self::Or(items) => Self::And(each(items)),
            Self::Test(predicate) => Self::Test(Predicate { op: predicate.op.negated(), ..predicate }),
        }
    }
}
