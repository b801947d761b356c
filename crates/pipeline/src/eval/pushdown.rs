//! What of a query a source can be asked to do. The source is only ever asked for less work: every filter is applied again
//! to what it gives.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::Schema;
use plugin_sdk::{Filter, FilterOp};

use super::EvalError;
use crate::query::{
    BoundAggregate, BoundCursor, BoundExpr, BoundGroup, BoundOrder, BoundQuery, OutputColumn, Predicate, PredicateOp,
};

/// A negated list of up to so many values becomes as many filters.
const MAX_EXCLUSIONS: usize = 16;

/// The part of a scan request that follows from a query.
#[derive(Debug, Clone, Default)]
pub struct Pushdown {
    /// The columns to ask for, ascending: the selected ones, those to order by and those that filters need. `None` for all.
    /// Batches with a projection are evaluated with [`BoundQuery::project`].
    pub projection: Option<Vec<usize>>,
    /// The conditions that all rows must fulfil, as far as a filter can say them; the columns are indexes into the whole
    /// schema.
    pub filters: Vec<Filter>,
    /// `offset + limit` and one more, which tells whether there is a next page, if the filters say all and no order and no
    /// group needs more rows.
    pub limit: Option<u64>,
}

/// What a source can be asked to do for a query.
pub fn pushdown(query: &BoundQuery) -> Pushdown {
    let query = &match query.group() {
        // A cursor of groups is about groups.
        Some(_) => query.clone(),
        None => query.with_cursor_in_filter(),
    };
    let mut needed = query.needed_columns();
    if needed.is_empty() && !query.schema().fields().is_empty() {
        // Rows are to be counted, and some source may take no column for no row.
        needed.push(0);
    }
    let mut filters = Vec::new();
    let mut all_said = true;
    let conditions = match query.filter() {
        None => &[],
        Some(BoundExpr::And(items)) => items.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    for condition in conditions {
        let said = match condition {
            BoundExpr::Test(predicate) => filters_of(query.schema(), predicate),
            BoundExpr::And(_) | BoundExpr::Or(_) => None,
        };
        match said {
            Some(said) => filters.extend(said),
            None => all_said = false,
        }
    }
    let limit = query.limit().filter(|_| all_said && query.order().is_empty() && query.group().is_none());
    Pushdown {
        projection: (needed.len() < query.schema().fields().len()).then_some(needed),
        filters,
        limit: limit.map(|limit| limit.saturating_add(query.offset()).saturating_add(1)),
    }
}

/// The filters that together are true where the predicate is.
fn filters_of(schema: &Schema, predicate: &Predicate) -> Option<Vec<Filter>> {
    use PredicateOp::*;
    let op = match predicate.op {
        Eq => FilterOp::Eq,
        NotEq => FilterOp::NotEq,
        Gt => FilterOp::Gt,
        GtEq => FilterOp::GtEq,
        Lt => FilterOp::Lt,
        LtEq => FilterOp::LtEq,
        In => FilterOp::In,
        IsNull => FilterOp::IsNull,
        IsNotNull => FilterOp::IsNotNull,
        IsTrue | IsFalse => FilterOp::Eq,
        // An empty negated list is true everywhere, null included.
        NotIn if predicate.values.len() <= MAX_EXCLUSIONS => FilterOp::NotEq,
        NotIn | Like | NotLike | ILike | NotILike | IsNotTrue | IsNotFalse => return None,
        Match | NotMatch | IMatch | NotIMatch => return None,
    };
    let values: ArrayRef = match predicate.op {
        IsTrue => Arc::new(BooleanArray::from(vec![true])),
        IsFalse => Arc::new(BooleanArray::from(vec![false])),
        _ => predicate.values.clone(),
    };
    let data_type = schema.field(predicate.column).data_type();
    // A filter's values are of the column's own type, a dictionary too.
    let values = if values.data_type() == data_type { values } else { cast(&values, data_type).ok()? };
    let filter = |values: ArrayRef| Filter { column: predicate.column, op, values };
    Some(match predicate.op {
        NotIn => (0..values.len()).map(|at| filter(values.slice(at, 1))).collect(),
        _ => vec![filter(values)],
    })
}

impl BoundQuery {
    /// The query for batches that hold only the columns `projection` of the schema, in that order.
    ///
    /// # Errors
    /// [`EvalError::MissingColumn`] if the query needs another column.
    pub fn project(&self, projection: &[usize]) -> Result<Self, EvalError> {
        let missing = self.needed_columns().into_iter().find(|column| !projection.contains(column));
        let column = match missing {
            Some(column) => self.schema.field(column).name().clone(),
            None => match self.moved_to(projection) {
                Some(query) => return Ok(query),
                None => format!("{projection:?}"),
            },
        };
        Err(EvalError::MissingColumn { column })
    }

    /// The query on rows that have only the columns `projection` of the schema; `None` if it needs another one.
    pub(super) fn moved_to(&self, projection: &[usize]) -> Option<Self> {
        let at = |column: usize| projection.iter().position(|kept| *kept == column);
        let moved_column = |column: &OutputColumn| Some(OutputColumn { column: at(column.column)?, ..column.clone() });
        let moved_expr = |expr: &Option<BoundExpr>| match expr {
            None => Some(None),
            Some(expr) => expr.map_columns(&at).map(Some),
        };
        let schema = Arc::new(self.schema.project(projection).ok()?);
        let filter = moved_expr(&self.filter)?;
        if let Some(group) = &self.group {
            let keys = group.keys().iter().map(moved_column).collect::<Option<Vec<_>>>()?;
            let aggregates = group.aggregates().iter().map(|aggregate| {
                let column = match aggregate.column {
                    None => None,
                    Some(column) => Some(at(column)?),
                };
                Some(BoundAggregate { column, ..aggregate.clone() })
            });
            let group =
                BoundGroup { keys, aggregates: aggregates.collect::<Option<_>>()?, schema: group.schema().clone() };
            // What comes after the group is about its columns, which have not moved.
            return Some(Self { schema, filter, group: Some(group), ..self.clone() });
        }
        let columns: Vec<OutputColumn> = match &self.output {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).map(|column| OutputColumn::plain(column, &self.schema)).collect(),
        };
        let columns = columns.iter().map(moved_column).collect::<Option<Vec<_>>>()?;
        let plain = (0..projection.len()).map(|column| OutputColumn::plain(column, &schema));
        let whole = columns.iter().cloned().eq(plain);
        let order = self.order.iter().map(|key| Some(BoundOrder { column: at(key.column)?, ..*key }));
        let order = order.collect::<Option<_>>()?;
        let cursor = match &self.cursor {
            None => None,
            Some(cursor) => Some(BoundCursor { from: moved_expr(&cursor.from)?, ..cursor.clone() }),
        };
        Some(Self { schema, filter, output: (!whole).then_some(columns), order, cursor, ..self.clone() })
    }
}
