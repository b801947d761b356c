//! What comes of the first stage of a query, and what the answer makes of it: the binding of `select` and `distinct`.
//!
//! A query with an aggregate (selected, in `having` or in `order`) is grouped by the selected columns that are none; a
//! distinct one by all selected columns. The group has each key and each aggregate once, however often they are selected and
//! under whatever names: the first of which is its name in the stage. Aggregates that are not selected come last, ordered by
//! their texts, so that the order of conditions does not show.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use super::aggregate::AggregateCall;
use super::bind::find;
use super::bound::{BoundAggregate, BoundGroup, OutputColumn};
use super::error::{QueryErrorKind, Result, cut, did_you_mean, listed};
use super::select::SelectItem;
use super::{Expr, Operand, Query, QueryError, value};

/// The columns between the two stages of a query.
pub(super) struct Stage<'a> {
    schema: &'a SchemaRef,
    /// How rows become groups.
    pub(super) group: Option<BoundGroup>,
    /// The columns of the answer, all of them.
    outputs: Vec<OutputColumn>,
}

/// A selected item, bound.
struct Selected {
    name: Arc<str>,
    source: Source,
    cast: Option<DataType>,
}

enum Source {
    Column(usize),
    Aggregate(BoundAggregate),
}

impl<'a> Stage<'a> {
    /// The stage of a query on a schema.
    pub(super) fn of(query: &Query, schema: &'a SchemaRef) -> Result<Self> {
        let selected = selected(query.select.as_deref().unwrap_or(&[SelectItem::All]), schema)?;
        let calls = calls(query);
        let aggregated = !calls.is_empty() || selected.iter().any(|item| matches!(item.source, Source::Aggregate(_)));
        if !aggregated && query.having.is_some() {
            let message = "'having' is about groups, and nothing here makes any";
            return Err(QueryError::new(QueryErrorKind::BadSyntax, "having", "", message).with_hint(
                "select an aggregate, as in select=region,total:amount.sum(), or filter rows with and=(...)",
            ));
        }
        if !aggregated && !query.distinct {
            let outputs = selected.into_iter().filter_map(|Selected { name, source, cast }| match source {
                Source::Column(column) => Some(OutputColumn { column, name, cast }),
                Source::Aggregate(_) => None,
            });
            return Ok(Self { schema, group: None, outputs: outputs.collect() });
        }
        let mut hidden = Vec::with_capacity(calls.len());
        for (parameter, call) in calls {
            hidden.push(call.bind(schema, parameter)?);
        }
        hidden.sort_by(|left, right| left.name.cmp(&right.name));
        grouped(schema, selected, hidden)
    }

    /// The schema of the stage.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.group.as_ref().map_or(self.schema, |group| &group.schema)
    }

    /// The columns of the answer; `None` if they are those of the stage.
    pub(super) fn output(&self) -> Option<Vec<OutputColumn>> {
        let stage = self.schema();
        let plain = (0..stage.fields().len()).map(|at| OutputColumn::plain(at, stage));
        (!self.outputs.iter().cloned().eq(plain)).then(|| self.outputs.clone())
    }

    /// The column of the stage that an order or a condition on groups is about.
    pub(super) fn find(&self, parameter: &str, operand: &Operand) -> Result<usize> {
        match (&self.group, operand) {
            (None, Operand::Column(name)) => self.find_in_rows(parameter, name),
            (Some(group), Operand::Column(name)) => self.find_in_group(group, parameter, name),
            (Some(group), Operand::Aggregate(call)) => {
                let wanted = call.bind(self.schema, parameter)?;
                let found = group.aggregates.iter().position(|aggregate| aggregate.is_like(&wanted));
                found.map(|at| group.keys.len() + at).ok_or_else(|| self.not_in_group(parameter, &call.text()))
            }
            (None, Operand::Aggregate(call)) => Err(self.not_in_group(parameter, &call.text())),
        }
    }

    fn find_in_rows(&self, parameter: &str, name: &str) -> Result<usize> {
        let problem = match find(self.schema, parameter, name) {
            Ok((at, _)) => return Ok(at),
            Err(problem) => problem,
        };
        match self.outputs.iter().find(|output| *output.name == *name) {
            Some(OutputColumn { column, cast: None, .. }) => Ok(*column),
            Some(OutputColumn { column, .. }) => Err(cast_away(parameter, name, self.schema.field(*column).name())),
            None => Err(problem),
        }
    }

    fn find_in_group(&self, group: &BoundGroup, parameter: &str, name: &str) -> Result<usize> {
        match self.outputs.iter().find(|output| *output.name == *name) {
            Some(OutputColumn { column, cast: None, .. }) => return Ok(*column),
            Some(OutputColumn { column, .. }) => {
                let made_of = group.aggregates.get(column.wrapping_sub(group.keys.len()));
                let made_of = made_of.map_or_else(String::new, |aggregate| aggregate.to_call(self.schema).text());
                return Err(cast_away(parameter, name, &made_of));
            }
            None => {}
        }
        let Some(at) = self.schema.fields().iter().position(|field| field.name() == name) else {
            let names = || self.outputs.iter().map(|output| &*output.name);
            let hint = did_you_mean(name, names()).unwrap_or_else(|| format!("the columns are {}", listed(names())));
            let message = format!("unknown column '{}' of the answer", cut(name));
            return Err(QueryError::new(QueryErrorKind::UnknownColumn, parameter, name, message).with_hint(hint));
        };
        let key = group.keys.iter().position(|key| key.column == at && key.cast.is_none());
        key.ok_or_else(|| self.not_in_group(parameter, name))
    }

    fn not_in_group(&self, parameter: &str, name: &str) -> QueryError {
        let names = listed(self.outputs.iter().map(|output| &*output.name));
        let message = format!("'{}' is not what the selected groups have one of", cut(name));
        QueryError::new(QueryErrorKind::UnknownColumn, parameter, name, message)
            .with_hint(format!("the columns of the answer are {names}; select it, or an aggregate of it"))
    }
}

fn cast_away(parameter: &str, name: &str, made_of: &str) -> QueryError {
    let message = format!("'{}' is a cast, which is made when rows are in order already", cut(name));
    QueryError::new(QueryErrorKind::UnsupportedOperator, parameter, name, message)
        .with_hint(format!("write {} itself", cut(made_of)))
}

fn selected(items: &[SelectItem], schema: &SchemaRef) -> Result<Vec<Selected>> {
    let mut selected: Vec<Selected> = Vec::with_capacity(items.len());
    let mut names: HashSet<Arc<str>> = HashSet::new();
    for item in items {
        let from = selected.len();
        match item {
            SelectItem::All => selected.extend((0..schema.fields().len()).map(|at| Selected {
                name: schema.field(at).name().as_str().into(),
                source: Source::Column(at),
                cast: None,
            })),
            SelectItem::Column { alias, column, cast } => {
                let (at, field) = find(schema, "select", column)?;
                let cast = match cast {
                    Some(cast) => cast.resolve(field.data_type(), "select", column)?,
                    None => None,
                };
                let name = alias.as_ref().unwrap_or(column).as_str().into();
                selected.push(Selected { name, source: Source::Column(at), cast });
            }
            SelectItem::Aggregate { alias, call, cast } => {
                let aggregate = call.bind(schema, "select")?;
                let cast = match cast {
                    Some(cast) => cast.resolve(&aggregate.data_type, "select", &call.text())?,
                    None => None,
                };
                let name = alias.as_deref().unwrap_or(call.function.name()).into();
                selected.push(Selected { name, source: Source::Aggregate(aggregate), cast });
            }
        }
        // The names of a schema alone are not ours to refuse.
        let twice = selected[from..].iter().find(|item| !names.insert(item.name.clone()) && items.len() > 1);
        if let Some(twice) = twice {
            let message = format!("two columns of the answer are called '{}'", cut(&twice.name));
            return Err(QueryError::new(QueryErrorKind::DuplicateColumn, "select", &twice.name, message).with_hint(
                format!("give one of them another name, as in select=other:{}, or select it once", cut(&twice.name)),
            ));
        }
    }
    Ok(selected)
}

/// The aggregates in `having` and `order`, each with its parameter.
fn calls(query: &Query) -> Vec<(&'static str, &AggregateCall)> {
    let mut calls = Vec::new();
    let mut left: Vec<&Expr> = query.having.iter().collect();
    while let Some(expr) = left.pop() {
        match expr {
            Expr::And(items) | Expr::Or(items) => left.extend(items),
            Expr::Not(inner) => left.push(inner),
            Expr::Compare(condition) => {
                if let Operand::Aggregate(call) = &condition.column {
                    calls.push(("having", call));
                }
            }
        }
    }
    calls.extend(query.order.iter().filter_map(|key| match &key.column {
        Operand::Aggregate(call) => Some(("order", call)),
        Operand::Column(_) => None,
    }));
    calls
}

fn grouped(schema: &SchemaRef, selected: Vec<Selected>, hidden: Vec<BoundAggregate>) -> Result<Stage<'_>> {
    let mut keys: Vec<OutputColumn> = Vec::new();
    let mut aggregates: Vec<BoundAggregate> = Vec::new();
    // Where each output is found: among the keys, or among the aggregates.
    let mut places = Vec::with_capacity(selected.len());
    for Selected { name, source, cast } in selected {
        match source {
            Source::Column(column) => {
                let found = keys.iter().position(|key| key.column == column && key.cast == cast);
                let at = match found {
                    Some(at) => at,
                    None => {
                        check_key(schema, column, cast.as_ref())?;
                        keys.push(OutputColumn { column, name: name.clone(), cast });
                        keys.len() - 1
                    }
                };
                places.push((name, None, at));
            }
            Source::Aggregate(aggregate) => {
                let found = aggregates.iter().position(|known| known.is_like(&aggregate));
                let at = found.unwrap_or_else(|| {
                    aggregates.push(BoundAggregate { name: name.clone(), ..aggregate });
                    aggregates.len() - 1
                });
                places.push((name, Some(cast), at));
            }
        }
    }
    let mut names: HashSet<Arc<str>> = keys.iter().map(|key| key.name.clone()).collect();
    names.extend(aggregates.iter().map(|aggregate| aggregate.name.clone()));
    for mut aggregate in hidden {
        if aggregates.iter().any(|known| known.is_like(&aggregate)) {
            continue;
        }
        while !names.insert(aggregate.name.clone()) {
            aggregate.name = format!("{}'", aggregate.name).into();
        }
        aggregates.push(aggregate);
    }
    let behind = keys.len();
    let outputs = places.into_iter().map(|(name, aggregated, at)| match aggregated {
        None => OutputColumn { column: at, name, cast: None },
        Some(cast) => OutputColumn { column: behind + at, name, cast },
    });
    let outputs = outputs.collect();
    Ok(Stage { schema, group: Some(BoundGroup::new(keys, aggregates, schema)), outputs })
}

fn check_key(schema: &SchemaRef, column: usize, cast: Option<&DataType>) -> Result<()> {
    let field = schema.field(column);
    let data_type = cast.unwrap_or_else(|| value::value_type(field.data_type()));
    if value::is_sortable(data_type) || *data_type == DataType::Null {
        return Ok(());
    }
    let message = format!("rows cannot be grouped by column '{}' of type {data_type}", cut(field.name()));
    Err(QueryError::new(QueryErrorKind::UnsupportedOperator, "select", field.name(), message)
        .with_hint("select columns of numbers, texts or times only"))
}
