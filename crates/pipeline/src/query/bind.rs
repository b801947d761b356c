//! From names and texts to columns and typed values.

use arrow::compute::SortOptions;
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::bound::{BoundExpr, BoundOrder, BoundQuery};
use super::column::Column;
use super::error::{QueryErrorKind, Result, cut, did_you_mean, listed};
use super::parse::{check_limit, too_many_conditions};
use super::stage::Stage;
use super::{Aggregate, Condition, Direction, Expr, Limits, Nulls, Operand, OrderBy, Query, QueryError, cursor, value};

/// The most regular expressions of a query: each may take 1 MiB.
const MAX_REGEXES: usize = 32;

impl BoundQuery {
    /// Binds a query to a schema.
    ///
    /// # Errors
    /// Unknown columns, values that are not of their column's type, operators, casts and aggregates that do not work on it, a
    /// cursor of another question, and sizes above the limits.
    pub fn bind(query: &Query, schema: &SchemaRef, limits: &Limits) -> Result<Self> {
        if let Some(rows) = query.limit {
            check_limit(rows, limits)?;
        }
        let stage = Stage::of(query, schema)?;
        let mut binder = Binder { limits, budget: Budget { conditions: limits.max_conditions, regexes: MAX_REGEXES } };
        let rows = |operand: &Operand| match operand {
            Operand::Column(name) => find(schema, name, name).map(|(at, _)| at),
            Operand::Aggregate(call) => {
                let message = format!("'{}' is made of groups, and a filter is about rows", cut(&call.text()));
                Err(QueryError::new(QueryErrorKind::UnsupportedAggregate, &call.text(), "", message)
                    .with_hint("put the condition into having"))
            }
        };
        let groups = |operand: &Operand| stage.find("having", operand);
        let filter = binder.condition("filter", query.filter.as_ref(), schema, &rows)?;
        let having = binder.condition("having", query.having.as_ref(), stage.schema(), &groups);
        let having = having.map_err(|error| error.at("having"))?;
        let bound = Self {
            schema: schema.clone(),
            filter,
            having,
            order: order(&stage, &query.order)?,
            output: stage.output(),
            group: stage.group,
            limit: query.limit,
            offset: query.offset,
            cursor: None,
        };
        match &query.cursor {
            None => Ok(bound),
            Some(token) => cursor::begin(bound, token),
        }
    }
}

/// The column of a name.
pub(super) fn find<'a>(schema: &'a Schema, parameter: &str, name: &str) -> Result<(usize, &'a Field)> {
    let found = schema.fields().iter().enumerate().find(|(_, field)| field.name() == name);
    found.map(|(at, field)| (at, &**field)).ok_or_else(|| unknown_column(schema, parameter, name))
}

/// The error of a name that no column has.
pub(super) fn unknown_column(schema: &Schema, parameter: &str, name: &str) -> QueryError {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let message = format!("unknown column '{}'", cut(name));
    let hint = aggregate_without_parentheses(schema, name)
        .or_else(|| did_you_mean(name, names()))
        .unwrap_or_else(|| format!("the columns are {}", listed(names())));
    QueryError::new(QueryErrorKind::UnknownColumn, parameter, name, message).with_hint(hint)
}

/// What was meant by `amount.sum`, where there is no column of that name.
fn aggregate_without_parentheses(schema: &Schema, name: &str) -> Option<String> {
    let (column, function) = name.rsplit_once('.')?;
    schema.field_with_name(column).ok()?;
    Aggregate::of_name(function)?;
    Some(format!("an aggregate has parentheses: '{name}()'"))
}

fn order(stage: &Stage<'_>, keys: &[OrderBy]) -> Result<Vec<BoundOrder>> {
    let mut bound: Vec<BoundOrder> = Vec::with_capacity(keys.len());
    for key in keys {
        let column = stage.find("order", &key.column)?;
        let data_type = value::value_type(stage.schema().field(column).data_type());
        if !value::is_sortable(data_type) {
            let name = key.column.text();
            let message = format!("column '{}' of type {data_type} has no order", cut(&name));
            return Err(QueryError::new(QueryErrorKind::UnsupportedOperator, "order", &name, message)
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

/// What is left of what a query may ask.
pub(super) struct Budget {
    conditions: usize,
    regexes: usize,
}

impl Budget {
    /// Takes one condition.
    pub(super) fn take_condition(&mut self, parameter: &str, limits: &Limits) -> Result<()> {
        self.conditions = self.conditions.checked_sub(1).ok_or_else(|| too_many_conditions(parameter, "", limits))?;
        Ok(())
    }

    /// Takes one regular expression.
    pub(super) fn take_regex(&mut self, parameter: &str, pattern: &str) -> Result<()> {
        self.regexes = self.regexes.checked_sub(1).ok_or_else(|| {
            let message = format!("more than {MAX_REGEXES} regular expressions");
            QueryError::new(QueryErrorKind::TooComplex, parameter, pattern, message)
                .with_hint("join the patterns of a column to one: a|b|c")
        })?;
        Ok(())
    }
}

struct Binder<'a> {
    limits: &'a Limits,
    budget: Budget,
}

/// Finds the column that an operand is about.
type Find<'a> = dyn Fn(&Operand) -> Result<usize> + 'a;

impl Binder<'_> {
    /// A condition in normal form.
    fn condition(
        &mut self,
        parameter: &str,
        expr: Option<&Expr>,
        schema: &SchemaRef,
        find: &Find<'_>,
    ) -> Result<Option<BoundExpr>> {
        let Some(expr) = expr else { return Ok(None) };
        let scope = Scope { parameter, schema, find };
        Ok(Some(self.expr(expr, false, 0, &scope)?.normalised(schema)))
    }

    fn expr(&mut self, expr: &Expr, negate: bool, depth: usize, scope: &Scope<'_>) -> Result<BoundExpr> {
        // The root parameter and the tree inside it count as one level; negations cost one each.
        if depth > 2 * self.limits.max_depth + 2 {
            let message = format!("conditions nest more than {} deep", self.limits.max_depth);
            return Err(QueryError::new(QueryErrorKind::TooComplex, scope.parameter, "", message)
                .with_hint("an and inside of an and, or an or inside of an or, can be one"));
        }
        let (items, all) = match expr {
            Expr::Not(inner) => return self.expr(inner, !negate, depth + 1, scope),
            Expr::Compare(Condition { column, test }) => {
                let name = column.text();
                self.budget.take_condition(&name, self.limits)?;
                let at = (scope.find)(column)?;
                let data_type = value::value_type(scope.schema.field(at).data_type());
                let on = Column { at, name: &name, data_type, limits: self.limits };
                let bound = on.bind(test, &mut self.budget)?;
                return Ok(if negate { bound.negated() } else { bound });
            }
            Expr::And(items) => (items, !negate),
            Expr::Or(items) => (items, negate),
        };
        if items.is_empty() {
            let message = "a condition without parts";
            return Err(QueryError::new(QueryErrorKind::BadSyntax, scope.parameter, "", message)
                .with_hint("write and=(a.gte.1,b.eq.2)"));
        }
        let bound = items.iter().map(|item| self.expr(item, negate, depth + 1, scope)).collect::<Result<Vec<_>>>()?;
        Ok(if all { BoundExpr::And(bound) } else { BoundExpr::Or(bound) })
    }
}

/// What a condition is about: the rows, or the groups.
struct Scope<'a> {
    parameter: &'a str,
    schema: &'a SchemaRef,
    find: &'a Find<'a>,
}
