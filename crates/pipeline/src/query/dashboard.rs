//! The short form that dashboards send: a JSON map such as `{"year_min": 2020, "sectors": ["Technology"], "open": true}`.
//!
//! What a key means, the first of these that fits:
//!
//! 1. the exact name of a column: a scalar is `eq`, a list is `in` (a null in it also admits null), null is `is.null`;
//! 2. `<column>_min` or `<column>_max`: `gte` or `lte`; null sets no bound;
//! 3. the plural of a column (`sectors`, `countries`, `statuses`): as 1;
//! 4. rules 1 to 3 again, whatever the letters' case, where exactly one column fits.
//!
//! An empty list is no restriction: it is what a dashboard sends when nothing is chosen. A key that names no column is
//! listed as ignored, because dashboards send one set of filters to many datasets; [`Strictness::Strict`] refuses it.

use arrow::datatypes::{Schema, SchemaRef};
use serde_json::{Map, Value};

use super::bind::unknown_column;
use super::error::{QueryErrorKind, Result};
use super::value::{Kind, kind, value_type};
use super::{BoundQuery, Comparison, Expr, Limits, Query, QueryError, Test, Truth};

/// What becomes of a key that names no column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// It is skipped and listed.
    #[default]
    Lenient,
    /// It is an error.
    Strict,
}

/// Reads a map of filters and binds it to a schema; the second part are the keys that were ignored, in the map's order.
///
/// # Errors
/// A [`QueryError`] that names the key: a value that is not of its column's type, or, when strict, an unknown key.
pub fn from_filters(
    map: &Map<String, Value>,
    schema: &SchemaRef,
    strictness: Strictness,
) -> Result<(BoundQuery, Vec<String>)> {
    from_filters_within(map, schema, strictness, &Limits::default())
}

/// As [`from_filters`], with other limits than the default ones.
///
/// # Errors
/// As [`from_filters`].
pub fn from_filters_within(
    map: &Map<String, Value>,
    schema: &SchemaRef,
    strictness: Strictness,
    limits: &Limits,
) -> Result<(BoundQuery, Vec<String>)> {
    let (filter, ignored) = read(map, schema, strictness, limits)?;
    let query = Query { filter, ..Query::default() };
    Ok((BoundQuery::bind(&query, schema, limits)?, ignored))
}

/// Reads a map of filters: the condition that they make, and the keys that were ignored.
pub(super) fn read(
    map: &Map<String, Value>,
    schema: &SchemaRef,
    strictness: Strictness,
    limits: &Limits,
) -> Result<(Option<Expr>, Vec<String>)> {
    if map.len() > limits.max_conditions {
        let message = format!("{} filters are more than the {} that are read", map.len(), limits.max_conditions);
        return Err(QueryError::new(QueryErrorKind::TooComplex, "filters", "", message));
    }
    let mut exprs = Vec::new();
    let mut ignored = Vec::new();
    for (key, value) in map {
        let Some((column, role)) = resolve(key, schema) else {
            match strictness {
                Strictness::Lenient => ignored.push(key.clone()),
                Strictness::Strict => return Err(unknown_column(schema, key, key)),
            }
            continue;
        };
        let field = schema.field(column);
        let reader = Filter { key, column: field.name(), kind: kind(value_type(field.data_type())) };
        if let Some(expr) = reader.expr(role, value)? {
            // Bound alone first, so that an error names the key that was sent.
            let alone = Query { filter: Some(expr.clone()), ..Query::default() };
            BoundQuery::bind(&alone, schema, limits).map_err(|error| error.at(key))?;
            exprs.push(expr);
        }
    }
    Ok((Expr::all(exprs), ignored))
}

/// What a key says about its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Values,
    Min,
    Max,
}

fn resolve(key: &str, schema: &Schema) -> Option<(usize, Role)> {
    let exact = |name: &str| schema.fields().iter().position(|field| field.name() == name);
    let any_case = |name: &str| {
        let lower = name.to_lowercase();
        let mut fits = schema.fields().iter().enumerate().filter(|(_, field)| field.name().to_lowercase() == lower);
        let (at, _) = fits.next()?;
        fits.next().is_none().then_some(at)
    };
    resolve_with(key, exact).or_else(|| resolve_with(&key.to_lowercase(), any_case))
}

fn resolve_with(key: &str, column: impl Fn(&str) -> Option<usize>) -> Option<(usize, Role)> {
    if let Some(at) = column(key) {
        return Some((at, Role::Values));
    }
    for (suffix, role) in [("_min", Role::Min), ("_max", Role::Max)] {
        if let Some(at) = key.strip_suffix(suffix).and_then(&column) {
            return Some((at, role));
        }
    }
    singulars(key).iter().find_map(|name| column(name)).map(|at| (at, Role::Values))
}

/// What the key may be the plural of, the likeliest first.
fn singulars(key: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(stem) = key.strip_suffix("ies") {
        names.push(format!("{stem}y"));
    }
    names.extend(key.strip_suffix('s').map(str::to_owned));
    names.extend(key.strip_suffix("es").map(str::to_owned));
    names.retain(|name| !name.is_empty());
    names
}

struct Filter<'a> {
    key: &'a str,
    column: &'a str,
    kind: Kind,
}

impl Filter<'_> {
    fn expr(&self, role: Role, value: &Value) -> Result<Option<Expr>> {
        let bound = |comparison| -> Result<Option<Expr>> {
            match value {
                Value::Null => Ok(None),
                scalar => Ok(Some(Expr::compare(self.column, Test::Compare(comparison, self.scalar(scalar)?)))),
            }
        };
        match (role, value) {
            (Role::Min, _) => bound(Comparison::GtEq),
            (Role::Max, _) => bound(Comparison::LtEq),
            (Role::Values, Value::Null) => Ok(Some(self.is_null())),
            (Role::Values, Value::Array(items)) => self.list(items),
            (Role::Values, _) => bound(Comparison::Eq),
        }
    }

    fn list(&self, items: &[Value]) -> Result<Option<Expr>> {
        if items.is_empty() {
            return Ok(None);
        }
        let present: Vec<&Value> = items.iter().filter(|item| !item.is_null()).collect();
        let values = present.iter().map(|item| self.scalar(item)).collect::<Result<Vec<_>>>()?;
        let within = Expr::compare(self.column, Test::In(values));
        Ok(Some(match (present.len(), present.len() < items.len()) {
            (0, _) => self.is_null(),
            (_, false) => within,
            (_, true) => Expr::Or(vec![within, self.is_null()]),
        }))
    }

    fn is_null(&self) -> Expr {
        Expr::compare(self.column, Test::Is(Truth::Null))
    }

    fn scalar(&self, value: &Value) -> Result<String> {
        let wrong = |found: &str, wanted: &str| {
            let message = format!("'{}' is given {found}, not {wanted}", super::error::cut(self.key));
            QueryError::new(QueryErrorKind::BadValue, self.key, &value.to_string(), message).with_hint(format!(
                "give {wanted}, as in {{\"{}\": {}}}",
                self.key,
                self.example()
            ))
        };
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) if self.kind == Kind::Text => Err(wrong("a number", "a text")),
            Value::Bool(_) if self.kind == Kind::Text => Err(wrong("a truth value", "a text")),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null => Err(wrong("null", "a value")),
            Value::Array(_) => Err(wrong("a list", "a single value")),
            Value::Object(_) => Err(wrong("an object", "a value or a list of values")),
        }
    }

    fn example(&self) -> &'static str {
        match self.kind {
            Kind::Text => "\"text\"",
            Kind::Bool => "true",
            Kind::Whole | Kind::Ordered | Kind::Binary | Kind::Opaque => "2020",
        }
    }
}
