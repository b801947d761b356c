//! The query language: PostgREST's URL parameters, with aggregates that can be filtered and ordered by, cursors, and
//! Datasette's `column__operator=value`; the same as JSON; and the short form that dashboards send.
//!
//! A query is read in two stages. The *untyped* [`Query`] is plain data: names and texts, as [`Query::from_params`] reads
//! them from a URL, [`Query::from_json`] from an object, or a program writes them. *Binding* it to a dataset's schema
//! ([`BoundQuery::bind`]) finds the columns, reads the texts as the columns' types and brings the whole into a normal form,
//! in which two spellings of one question are equal ([`BoundQuery::canonical`] has the rules). [`parse`] and [`parse_json`]
//! do both; only they know `column__operator`, as it takes the columns to tell it from a column.
//!
//! | question | file |
//! |---|---|
//! | parameters, trees, lists | `parse`, `logic`, `array`, on `reader` |
//! | columns of the answer, order | `select`, `order`, `cast`, `aggregate` |
//! | what groups there are, which names mean what | `stage` |
//! | a test of one column | `operator`, `column`, `value`, `pattern`, `datasette` |
//! | pages | `cursor`, `position` |
//! | back to text | `canonical`, `print`, `text` |
//!
//! ```
//! # use std::sync::Arc;
//! # use arrow::datatypes::{DataType, Field, Schema};
//! let schema = Arc::new(Schema::new(vec![
//!     Field::new("region", DataType::Utf8, true),
//!     Field::new("year", DataType::Int32, true),
//! ]));
//! let rules = pipeline::query::Rules::default();
//! let one = pipeline::query::parse("year=gte.2020&region=in.(EU,US)&limit=5", &schema, &rules).unwrap();
//! let two = pipeline::query::parse("limit=5&region=in.(US,%22EU%22)&year=not.lt.2020", &schema, &rules).unwrap();
//! assert_eq!(one.canonical(), two.canonical());
//! let top = "select=region,n:count()&having=n.gt.1&order=count().desc";
//! assert_eq!(pipeline::query::parse(top, &schema, &rules).unwrap().output_schema().field(1).name(), "n");
//! ```

mod aggregate;
mod array;
mod bind;
mod bound;
mod canonical;
mod cast;
mod column;
mod cursor;
pub mod dashboard;
mod datasette;
mod error;
mod float;
mod json;
mod logic;
mod number;
mod operator;
mod order;
pub mod params;
mod parse;
mod pattern;
mod position;
mod print;
mod reader;
mod select;
mod stage;
mod text;
mod untyped;
mod value;

use arrow::datatypes::SchemaRef;

pub use aggregate::{AggregateCall, aggregates_of};
pub use bound::{
    Aggregate, BoundAggregate, BoundCursor, BoundExpr, BoundGroup, BoundOrder, BoundQuery, OutputColumn, Predicate,
    PredicateOp,
};
pub use cast::CastType;
pub use error::{QueryError, QueryErrorKind, Result};
pub use json::{Filters, parse_json};
pub use operator::operators_of;
pub use select::SelectItem;
pub use untyped::{
    Comparison, Condition, Direction, Expr, Nulls, Operand, OrderBy, Quantifier, Query, Single, Test, Truth,
};

/// What a reader of queries keeps to: bounds, and names that are not columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How large a query may be.
    pub limits: Limits,
    /// Parameters that somebody else reads; they are skipped.
    pub reserved: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { limits: Limits::default(), reserved: ["format", "raw", "explain"].map(str::to_owned).into() }
    }
}

/// How large a query may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest `limit` that may be asked for.
    pub max_rows: u64,
    /// How deep `and(...)` and `or(...)` may nest.
    pub max_depth: usize,
    /// How many values an `in` list may have.
    pub max_in_items: usize,
    /// How many conditions, and how many columns to order by or to select, a query may have.
    pub max_conditions: usize,
    /// How long a pattern of `like`, `match` and their like may be, in bytes.
    pub max_pattern_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rows: 1_000_000,
            max_depth: 32,
            max_in_items: 10_000,
            max_conditions: 1_000,
            max_pattern_bytes: 1_024,
        }
    }
}

/// Reads a raw, percent-encoded query string and binds it to a schema.
///
/// # Errors
/// A [`QueryError`] that names the parameter and says what is wrong with it.
pub fn parse(raw: &str, schema: &SchemaRef, rules: &Rules) -> Result<BoundQuery> {
    parse_pairs(params::decode(raw)?, schema, rules)
}

/// Reads decoded parameters and binds them to a schema.
///
/// # Errors
/// As [`parse`].
pub fn parse_pairs<N, V>(
    pairs: impl IntoIterator<Item = (N, V)>,
    schema: &SchemaRef,
    rules: &Rules,
) -> Result<BoundQuery>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let query = Query::from_pairs_about(pairs, Some(schema), rules).map_err(|error| meant(error, schema, rules))?;
    BoundQuery::bind(&query, schema, &rules.limits)
}

/// A parameter without an operator that is no column either may be a mistyped one of another kind.
fn meant(error: QueryError, schema: &SchemaRef, rules: &Rules) -> QueryError {
    if error.kind() != QueryErrorKind::MissingOperator || schema.field_with_name(error.parameter()).is_ok() {
        return error;
    }
    let others = ["select", "distinct", "having", "order", "limit", "offset", "cursor", "and", "or"].into_iter();
    let others = others.chain(rules.reserved.iter().map(String::as_str));
    // What is missing there is said of the condition within.
    let bare = error.parameter().trim_start_matches("not.");
    if others.clone().any(|other| other == bare) {
        return error;
    }
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    let elsewhere = OF_OTHER_APIS.iter().find(|(theirs, _)| *theirs == error.parameter()).map(|(_, ours)| *ours);
    let hint = match elsewhere.or_else(|| crate::error::closest(error.parameter(), others.chain(columns.clone()))) {
        Some(close) => format!("did you mean '{close}'?"),
        None => format!("no column and no parameter has this name; the columns are {}", error::listed(columns)),
    };
    error.with_hint(hint)
}

/// Parameters of other APIs, and what is theirs here.
const OF_OTHER_APIS: [(&str, &str); 13] = [
    ("sort", "order"),
    ("sort_by", "order"),
    ("order_by", "order"),
    ("orderby", "order"),
    ("fields", "select"),
    ("columns", "select"),
    ("page", "offset"),
    ("skip", "offset"),
    ("per_page", "limit"),
    ("page_size", "limit"),
    ("top", "limit"),
    ("where", "and"),
    ("filter", "and"),
];

#[cfg(test)]
mod tests;
