//! A query that is bound to a schema: columns are indexes, values are typed, and the whole is in normal form.
//!
//! It has two stages. The first filters the rows of the dataset and, if there is a [group](BoundGroup), makes one row of all
//! rows of a group. The second works on what comes of the first, the *stage* rows: a condition on groups (`having`), the
//! order, the window (cursor, offset, limit), and which columns are answered with, under which names and types.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use regex::Regex;

/// A query bound to a schema. Always in normal form: two spellings of one question are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundQuery {
    pub(crate) schema: SchemaRef,
    pub(crate) filter: Option<BoundExpr>,
    pub(crate) group: Option<BoundGroup>,
    pub(crate) having: Option<BoundExpr>,
    pub(crate) output: Option<Vec<OutputColumn>>,
    pub(crate) order: Vec<BoundOrder>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) cursor: Option<BoundCursor>,
}

/// A column of an answer or of a group's key: which one it is made of, its name, and the type that it is cast to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// The column that it is made of.
    pub column: usize,
    /// Its name.
    pub name: Arc<str>,
    /// The type that its values are cast to; a value that cannot be is an error.
    pub cast: Option<DataType>,
}

/// How rows become groups. Without aggregates it is `distinct`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundGroup {
    pub(crate) keys: Vec<OutputColumn>,
    pub(crate) aggregates: Vec<BoundAggregate>,
    pub(crate) schema: SchemaRef,
}

/// One value that is made of all rows of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundAggregate {
    /// How it is made.
    pub function: Aggregate,
    /// Of which column; `None` for the number of rows.
    pub column: Option<usize>,
    /// The type that the column's values are cast to first.
    pub cast: Option<DataType>,
    /// Its name in the group's schema.
    pub name: Arc<str>,
    /// The type of the value.
    pub data_type: DataType,
}

/// The functions that make one value of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// How many rows; of a column, how many values that are not null.
    Count,
    /// How many values that differ, null not among them.
    CountDistinct,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The middle value, or the mean of the two in the middle.
    Median,
}

/// Where a page begins: at the stage rows that come at or after some keys under the order, the first `ties` of them left
/// out, as they were given already.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundCursor {
    /// What stage rows at or after the keys fulfil; `None` for all.
    pub(crate) from: Option<BoundExpr>,
    /// The values of the order's columns in the last row given, as texts; `None` for null.
    pub(crate) keys: Vec<Option<String>>,
    /// How many rows that are equal to it under the order have been given.
    pub(crate) ties: u64,
    /// How many rows come before the page.
    pub(crate) seen: u64,
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
    /// For [`Match`](PredicateOp::Match) and its like the pattern, compiled; it knows whether case matters. `None` for all
    /// other tests.
    pub regex: Option<Arc<Regex>>,
}

/// Two predicates with one pattern have one regular expression.
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
    /// Has a part that the regular expression matches.
    Match,
    /// Has no part that the regular expression matches.
    NotMatch,
    /// As [`Match`](Self::Match), whatever the letters' case.
    IMatch,
    /// As [`NotMatch`](Self::NotMatch), whatever the letters' case.
    NotIMatch,
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
            Match => NotMatch,
            NotMatch => Match,
            IMatch => NotIMatch,
            NotIMatch => IMatch,
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
        Self {
            schema,
            filter: None,
            group: None,
            having: None,
            output: None,
            order: Vec::new(),
            limit: None,
            offset: 0,
            cursor: None,
        }
    }

    /// The schema that the query is bound to.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a row of the dataset must fulfil.
    pub fn filter(&self) -> Option<&BoundExpr> {
        self.filter.as_ref()
    }

    /// How rows become groups; `None` if they stay rows.
    pub fn group(&self) -> Option<&BoundGroup> {
        self.group.as_ref()
    }

    /// What a group must fulfil: a condition on the stage schema.
    pub fn having(&self) -> Option<&BoundExpr> {
        self.having.as_ref()
    }

    /// The schema of the stage rows: the group's, or that of the dataset.
    pub fn stage_schema(&self) -> &SchemaRef {
        self.group.as_ref().map_or(&self.schema, |group| &group.schema)
    }

    /// The columns of the answer, made of those of the stage; `None` for all as they are.
    pub fn output(&self) -> Option<&[OutputColumn]> {
        self.output.as_deref()
    }

    /// How the answer is ordered, by columns of the stage.
    pub fn order(&self) -> &[BoundOrder] {
        &self.order
    }

    /// The most rows to answer with.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How many rows to skip first, those that the cursor says included.
    pub fn offset(&self) -> u64 {
        self.offset.saturating_add(self.cursor.as_ref().map_or(0, |cursor| cursor.ties))
    }

    /// Where the page begins.
    pub fn cursor(&self) -> Option<&BoundCursor> {
        self.cursor.as_ref()
    }

    /// How many rows come before the answer's first one.
    pub fn rows_before(&self) -> u64 {
        self.cursor.as_ref().map_or(self.offset, |cursor| cursor.seen)
    }

    /// The same query with at most `rows` rows.
    #[must_use]
    pub fn with_limit_at_most(mut self, rows: u64) -> Self {
        self.limit = Some(self.limit.map_or(rows, |limit| limit.min(rows)));
        self
    }

    /// The same question to a table that is stored as `stored`, where texts may be dictionary-encoded: what they are compared
    /// with has the texts' own type in both.
    #[must_use]
    pub(crate) fn on_stored(&self, stored: &SchemaRef) -> Self {
        if Arc::ptr_eq(&self.schema, stored) {
            return self.clone();
        }
        let group = self.group.as_ref();
        let group = group.map(|group| BoundGroup::new(group.keys.clone(), group.aggregates.clone(), stored));
        Self { schema: Arc::clone(stored), group, ..self.clone() }
    }

    /// The stage columns that the answer is made of, in the answer's order.
    pub fn selected_columns(&self) -> Vec<usize> {
        match &self.output {
            None => (0..self.stage_schema().fields().len()).collect(),
            Some(columns) => columns.iter().map(|column| column.column).collect(),
        }
    }

    /// The schema of the answer.
    pub fn output_schema(&self) -> SchemaRef {
        let stage = self.stage_schema();
        match &self.output {
            None => stage.clone(),
            Some(columns) => Arc::new(Schema::new_with_metadata(
                columns.iter().map(|column| Arc::new(column.field(stage))).collect::<Vec<_>>(),
                stage.metadata().clone(),
            )),
        }
    }

    /// The columns of the dataset that the answer needs in any way, ascending.
    pub fn needed_columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        match &self.group {
            Some(group) => {
                columns.extend(group.keys.iter().map(|key| key.column));
                columns.extend(group.aggregates.iter().filter_map(|aggregate| aggregate.column));
            }
            None => {
                columns = self.selected_columns();
                columns.extend(self.order.iter().map(|key| key.column));
                if let Some(from) = self.cursor.as_ref().and_then(|cursor| cursor.from.as_ref()) {
                    from.push_columns(&mut columns);
                }
            }
        }
        if let Some(filter) = &self.filter {
            filter.push_columns(&mut columns);
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

impl OutputColumn {
    /// The column as it stands in `schema`.
    pub(crate) fn plain(column: usize, schema: &Schema) -> Self {
        Self { column, name: schema.field(column).name().as_str().into(), cast: None }
    }

    /// The field of the column, made of one of `schema`.
    pub(crate) fn field(&self, schema: &Schema) -> Field {
        let field = schema.field(self.column);
        let data_type = self.cast.as_ref().unwrap_or(field.data_type());
        Field::new(&*self.name, data_type.clone(), field.is_nullable()).with_metadata(field.metadata().clone())
    }
}

/// Batches have dictionaries of their own, and all their values together may be more than narrow codes can tell apart.
fn with_wide_codes(field: Field) -> Field {
    match field.data_type() {
        DataType::Dictionary(codes, values)
            if matches!(**codes, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16) =>
        {
            let wide = DataType::Dictionary(Box::new(DataType::Int32), values.clone());
            field.with_data_type(wide)
        }
        _ => field,
    }
}

impl BoundGroup {
    /// A group of rows of `schema`.
    pub(crate) fn new(keys: Vec<OutputColumn>, aggregates: Vec<BoundAggregate>, schema: &Schema) -> Self {
        let made = aggregates.iter().map(|aggregate| {
            let counts = matches!(aggregate.function, Aggregate::Count | Aggregate::CountDistinct);
            Field::new(&*aggregate.name, aggregate.data_type.clone(), !counts)
        });
        let fields: Vec<Field> = keys.iter().map(|key| with_wide_codes(key.field(schema))).chain(made).collect();
        Self { keys, aggregates, schema: Arc::new(Schema::new(fields)) }
    }

    /// What rows of a group have in common.
    pub fn keys(&self) -> &[OutputColumn] {
        &self.keys
    }

    /// What is made of each group.
    pub fn aggregates(&self) -> &[BoundAggregate] {
        &self.aggregates
    }

    /// The schema of the groups: the keys, then the aggregates.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
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
