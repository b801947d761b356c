//! A query as a JSON object, for what is too long for a URL or made by a program.
//!
//! ```json
//! {"select": ["region", "total:amount.sum()"],
//!  "where": {"and": [{"column": "year", "op": "gte", "value": 2020}, {"not": {"column": "open", "op": "is", "value": null}}]},
//!  "having": "total.gte.100", "order": "total.desc", "limit": 10}
//! ```
//! Members mean what the parameters of their names mean, and `where` is the tree of all conditions; a text in place of a list
//! or of a tree is read as in a URL. `filters` is a dashboard's map ([`dashboard`]), whose conditions come on top. An error
//! names the place in the object, as in `where.and[0].value`. Null is as good as nothing.

mod tree;

use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value};

use super::dashboard::{self, Strictness};
use super::error::{QueryErrorKind, Result, cut, did_you_mean};
use super::{BoundQuery, Expr, OrderBy, Query, QueryError, Rules, SelectItem, order, parse, select};
use tree::{Leaf, Tree};

/// The members that are read here.
const MEMBERS: [&str; 10] =
    ["select", "distinct", "where", "having", "order", "limit", "offset", "cursor", "filters", "strict"];
/// Members about the answer's form, which somebody else reads.
const FOREIGN_MEMBERS: [&str; 4] = ["format", "raw", "count", "explain"];

/// The short form of a dashboard, as a part of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Filters {
    /// What each key must be.
    pub map: Map<String, Value>,
    /// What becomes of a key that names no column.
    pub strictness: Strictness,
}

impl Query {
    /// Reads a JSON object; the second part are its `filters`, which need a schema to be read.
    ///
    /// # Errors
    /// What does not follow the form; names and values are not looked at yet.
    pub fn from_json(body: &Map<String, Value>, rules: &Rules) -> Result<(Self, Option<Filters>)> {
        let Read { query, filters, .. } = Read::of(body, rules)?;
        Ok((query, filters))
    }
}

/// Reads a JSON object and binds it to a schema. The second part are the keys of its `filters` that were ignored, in their
/// order; `None` if it has no `filters`.
///
/// # Errors
/// A [`QueryError`] that names the place in the object and says what is wrong with it.
pub fn parse_json(
    body: &Map<String, Value>,
    schema: &SchemaRef,
    rules: &Rules,
) -> Result<(BoundQuery, Option<Vec<String>>)> {
    let read = Read::of(body, rules)?;
    read.leaves.iter().try_for_each(|leaf| leaf.check_typed(schema))?;
    let mut query = read.query.clone();
    let mut ignored = None;
    if let Some(Filters { map, strictness }) = &read.filters {
        let (expr, skipped) = dashboard::read(map, schema, *strictness, &rules.limits)?;
        query.filter = Expr::all(query.filter.into_iter().chain(expr).collect());
        ignored = Some(skipped);
    }
    let bound = BoundQuery::bind(&query, schema, &rules.limits).map_err(|error| read.placed(error, schema, rules))?;
    Ok((bound, ignored))
}

/// What has been read, and where its conditions stand.
struct Read {
    query: Query,
    filters: Option<Filters>,
    leaves: Vec<Leaf>,
    having_leaves: Vec<Leaf>,
}

impl Read {
    fn of(body: &Map<String, Value>, rules: &Rules) -> Result<Self> {
        for (name, value) in body {
            let reserved = || rules.reserved.iter().any(|reserved| reserved == name);
            if !MEMBERS.contains(&name.as_str()) && !FOREIGN_MEMBERS.contains(&name.as_str()) && !reserved() {
                let message = format!("a query has no member '{}'", cut(name));
                let listed = || format!("the members are {}, {}", MEMBERS.join(", "), FOREIGN_MEMBERS.join(", "));
                let hint = did_you_mean(name, MEMBERS.into_iter().chain(FOREIGN_MEMBERS)).unwrap_or_else(listed);
                return Err(QueryError::new(QueryErrorKind::BadSyntax, name, &shown(value), message).with_hint(hint));
            }
        }
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let limits = &rules.limits;
        let mut wheres = Tree::new(limits, false);
        let mut havings = Tree::new(limits, true);
        let query = Query {
            select: given("select").map_or(Ok(None), |value| read_select(value, rules))?,
            distinct: given("distinct").map_or(Ok(false), |value| truth("distinct", value))?,
            filter: given("where").map(|value| wheres.read(value, "where", 1)).transpose()?,
            having: given("having").map(|value| havings.read(value, "having", 1)).transpose()?,
            order: given("order").map_or(Ok(Vec::new()), |value| read_order(value, rules))?,
            limit: given("limit").map(|value| row_count("limit", value)).transpose()?,
            offset: given("offset").map_or(Ok(0), |value| row_count("offset", value))?,
            cursor: given("cursor").map(|value| text("cursor", value, "a cursor").map(str::to_owned)).transpose()?,
        };
        if let Some(rows) = query.limit {
            parse::check_limit(rows, limits)?;
        }
        let strict = given("strict").map_or(Ok(false), |value| truth("strict", value))?;
        let strictness = if strict { Strictness::Strict } else { Strictness::Lenient };
        let filters = match given("filters") {
            None => None,
            Some(Value::Object(map)) => Some(Filters { map: map.clone(), strictness }),
            Some(other) => return Err(wrong("filters", other, "an object", r#"{"filters": {"year_min": 2020}}"#)),
        };
        Ok(Self { query, filters, leaves: wheres.leaves, having_leaves: havings.leaves })
    }

    /// The error of binding, about the condition that it comes from.
    fn placed(&self, error: QueryError, schema: &SchemaRef, rules: &Rules) -> QueryError {
        let fails = |query: Query| BoundQuery::bind(&query, schema, &rules.limits).err().as_ref() == Some(&error);
        let alone = |leaf: &&Leaf| fails(Query { filter: Some(leaf.expr.clone()), ..Query::default() });
        // What is too much of all together is not looked for in each, which may be far too many.
        let is_sum = error.kind() == QueryErrorKind::TooComplex;
        let may_be = |leaf: &&Leaf| !(is_sum && leaf.has_regex());
        if self.leaves.len() > rules.limits.max_conditions || self.having_leaves.len() > rules.limits.max_conditions {
            return if error.parameter() == "having" { error } else { error.at("where") };
        }
        if let Some(leaf) = self.leaves.iter().filter(may_be).find(alone) {
            return leaf.placed(error);
        }
        let alone = |leaf: &&Leaf| {
            let Query { select, distinct, .. } = self.query.clone();
            fails(Query { select, distinct, having: Some(leaf.expr.clone()), ..Query::default() })
        };
        // Without groups there is nothing that a condition could be about: none of them is to blame.
        let is_about_groups = error.kind() != QueryErrorKind::BadSyntax && error.parameter() != "select";
        if let Some(leaf) = self.having_leaves.iter().filter(|_| is_about_groups).find(alone) {
            return leaf.placed(error);
        }
        let too_many = error.kind() == QueryErrorKind::TooComplex && error.parameter() != "having";
        if too_many { error.at("where") } else { error }
    }
}

fn read_select(value: &Value, rules: &Rules) -> Result<Option<Vec<SelectItem>>> {
    let items = match value {
        Value::String(text) => return select::select("select", text, &rules.limits),
        Value::Array(items) if !items.is_empty() => items,
        other => {
            return Err(wrong("select", other, "a list of columns", r#"{"select": ["region", "total:amount.sum()"]}"#));
        }
    };
    let mut read = Vec::with_capacity(items.len().min(rules.limits.max_conditions));
    for (at, item) in items.iter().enumerate() {
        let place = format!("select[{at}]");
        read.push(select::single(&place, text(&place, item, "a column")?, &rules.limits)?);
        select::check_count(&read, "select", "", &rules.limits)?;
    }
    Ok((read != [SelectItem::All]).then_some(read))
}

fn read_order(value: &Value, rules: &Rules) -> Result<Vec<OrderBy>> {
    let keys = match value {
        Value::String(text) => return order::order("order", text, &rules.limits),
        Value::Array(keys) => keys,
        other => return Err(wrong("order", other, "a list of columns", r#"{"order": ["total.desc", "region"]}"#)),
    };
    let mut read = Vec::with_capacity(keys.len().min(rules.limits.max_conditions));
    for (at, key) in keys.iter().enumerate() {
        let place = format!("order[{at}]");
        read.push(order::single(&place, text(&place, key, "a column")?, &rules.limits)?);
        order::check_count(&read, "order", "", &rules.limits)?;
    }
    Ok(read)
}

fn text<'a>(place: &str, value: &'a Value, wanted: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(place, value, &format!("{wanted}, as a text"), "\"...\""))
}

fn truth(place: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| wrong(place, value, "true or false", &format!("{{\"{place}\": true}}")))
}

fn row_count(place: &str, value: &Value) -> Result<u64> {
    let wanted = "a whole number from 0 on";
    // JSON has one kind of number: 100.0 is whole.
    let end = 2_f64.powi(64);
    let whole = |number: f64| ((0.0..end).contains(&number) && number.fract() == 0.0).then_some(number as u64);
    value
        .as_u64()
        .or_else(|| value.as_f64().and_then(whole))
        .ok_or_else(|| wrong(place, value, wanted, &format!("{{\"{place}\": 100}}")))
}

fn wrong(place: &str, value: &Value, wanted: &str, example: &str) -> QueryError {
    let message = format!("'{}' is {}, not {wanted}", cut(place), kind_of(value));
    QueryError::new(QueryErrorKind::BadValue, place, &shown(value), message).with_hint(format!("write {example}"))
}

/// A value for an error, which repeats only its beginning.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // What is large is not written as a whole for the sake of its first characters.
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(members) => format!("an object of {}", members.len()),
        scalar => scalar.to_string(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
