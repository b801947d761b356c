//! From names and texts to columns and typed values.

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::bound::{BoundExpr, BoundOrder, BoundQuery, OutputColumn};
use super::column::Column;
use super::error::{QueryErrorKind, Result, did_you_mean, listed};
use super::parse::{check_limit, too_many_conditions};
use super::value::{self, Kind};
use super::{Condition, Direction, Expr, Limits, Nulls, Query, QueryError};

impl BoundQuery {
    /// Binds a query to a schema.
    ///
    /// # Errors
    /// Unknown columns, values that are not of their column's type, operators that do not work on it, and sizes above the
    /// limits.
    pub fn bind(query: &Query, schema: &SchemaRef, limits: &Limits) -> Result<Self> {
        if let Some(rows) = query.limit {
            check_limit(rows, limits)?;
        }
        let binder = Binder { schema, limits };
        let mut budget = limits.max_conditions;
        let filter = match &query.filter {
            Some(expr) => Some(binder.expr(expr, false, 0, &mut budget)?.normalised(schema)),
            None => None,
        };
        Ok(Self {
            schema: schema.clone(),
            filter,
            group: None,
            having: None,
            output: binder.select(query.select.as_deref())?,
            order: binder.order(&query.order)?,
            limit: query.limit,
            offset: query.offset,
            cursor: None,
        })
    }
}

/// The error of a name that no column has.
pub(super) fn unknown_column(schema: &Schema, parameter: &str, name: &str) -> QueryError {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let message = format!("unknown column '{}'", super::error::cut(name));
    let hint = did_you_mean(name, names()).unwrap_or_else(|| format!("the columns are {}", listed(names())));
    QueryError::new(QueryErrorKind::UnknownColumn, parameter, name, message).with_hint(hint)
}

struct Binder<'a> {
    schema: &'a SchemaRef,
    limits: &'a Limits,
}

impl Binder<'_> {
    fn column(&self, parameter: &str, name: &str) -> Result<(usize, &Field)> {
        let found = self.schema.fields().iter().enumerate().find(|(_, field)| field.name() == name);
        found.map(|(at, field)| (at, &**field)).ok_or_else(|| unknown_column(self.schema, parameter, name))
    }

    fn select(&self, names: Option<&[String]>) -> Result<Option<Vec<OutputColumn>>> {
        let Some(names) = names else { return Ok(None) };
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let (at, _) = self.column("select", name)?;
            if columns.contains(&at) {
                let message = format!("column '{name}' is selected twice");
                return Err(QueryError::new(QueryErrorKind::DuplicateColumn, "select", name, message)
                    .with_hint("name each column once"));
            }
            columns.push(at);
        }
        let whole = columns.iter().copied().eq(0..self.schema.fields().len());
        let plain = |column: usize| OutputColumn::plain(column, self.schema);
        Ok((!whole).then(|| columns.into_iter().map(plain).collect()))
    }

    fn order(&self, keys: &[super::OrderBy]) -> Result<Vec<BoundOrder>> {
        let mut bound: Vec<BoundOrder> = Vec::with_capacity(keys.len());
        for key in keys {
            let (column, field) = self.column("order", &key.column)?;
            let data_type = value::value_type(field.data_type());
            let sortable = value::kind(data_type) != Kind::Opaque || matches!(data_type, DataType::Duration(_));
            if !sortable {
                let message = format!("column '{}' of type {data_type} has no order", key.column);
                return Err(QueryError::new(QueryErrorKind::UnsupportedOperator, "order", &key.column, message)
                    .with_hint("order by a column of numbers, texts or times"));
            }
            let descending = key.direction == Direction::Desc;
            let nulls_first = key.nulls.map_or(descending, |nulls| nulls == Nulls::First);
            // A column that is already a key has settled every tie that it could settle.
            if !bound.iter().any(|earlier| earlier.column == column) {
                bound.push(BoundOrder { column, options: SortOptions { descending, nulls_first } });
            }
        }
        Ok(bound)
    }

    fn expr(&self, expr: &Expr, negate: bool, depth: usize, budget: &mut usize) -> Result<BoundExpr> {
        // The root parameter and the tree inside it count as one level; negations cost one each.
        if depth > 2 * self.limits.max_depth + 2 {
            let message = format!("conditions nest more than {} deep", self.limits.max_depth);
            return Err(QueryError::new(QueryErrorKind::TooComplex, "filter", "", message));
        }
        let (items, all) = match expr {
            Expr::Not(inner) => return self.expr(inner, !negate, depth + 1, budget),
            Expr::Compare(condition) => {
                *budget =
                    budget.checked_sub(1).ok_or_else(|| too_many_conditions(&condition.column, "", self.limits))?;
                let bound = self.condition(condition)?;
                return Ok(if negate { bound.negated() } else { bound });
            }
            Expr::And(items) => (items, !negate),
            Expr::Or(items) => (items, negate),
        };
        if items.is_empty() {
            return Err(QueryError::new(QueryErrorKind::BadSyntax, "filter", "", "a condition without parts"));
        }
        let bound = items.iter().map(|item| self.expr(item, negate, depth + 1, budget)).collect::<Result<Vec<_>>>()?;
        Ok(if all { BoundExpr::And(bound) } else { BoundExpr::Or(bound) })
    }

    fn condition(&self, Condition { column: name, test }: &Condition) -> Result<BoundExpr> {
        let (column, field) = self.column(name, name)?;
        let on = Column { at: column, name, data_type: value::value_type(field.data_type()), limits: self.limits };
        on.bind(test)
    }
}
