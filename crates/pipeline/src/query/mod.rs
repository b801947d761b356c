//! The query language: PostgREST's URL parameters, and the short form that dashboards send.
//!
//! A query is read in two stages. The *untyped* [`Query`] is plain data: names and texts, as [`Query::from_params`] reads
//! them from a URL, [`dashboard`] from a JSON map, or a program writes them. *Binding* it to a dataset's schema
//! ([`BoundQuery::bind`]) finds the columns, reads the texts as the columns' types and brings the whole into a normal form,
//! in which two spellings of one question are equal ([`BoundQuery::canonical`] has the rules). [`parse`] does both.
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
//! ```

mod bind;
mod bound;
mod canonical;
mod column;
pub mod dashboard;
mod error;
mod logic;
mod number;
mod operator;
pub mod params;
mod parse;
mod pattern;
mod print;
mod text;
mod value;

use arrow::datatypes::SchemaRef;

pub use bound::{
    Aggregate, BoundAggregate, BoundCursor, BoundExpr, BoundGroup, BoundOrder, BoundQuery, OutputColumn, Predicate,
    PredicateOp,
};
pub use error::{QueryError, QueryErrorKind, Result};

/// A question about one dataset, as plain data: nothing in it has been compared with a schema yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The columns of the answer, in this order; `None` for all.
    pub select: Option<Vec<String>>,
    /// What a row must fulfil.
    pub filter: Option<Expr>,
    /// How the answer is ordered; rows that compare equal keep the table's order.
    pub order: Vec<OrderBy>,
    /// The most rows to answer with.
    pub limit: Option<u64>,
    /// How many rows to skip first.
    pub offset: u64,
}

/// A condition on a row: a tree over comparisons, with SQL's three-valued logic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All hold.
    And(Vec<Expr>),
    /// One holds at least.
    Or(Vec<Expr>),
    /// It does not hold (and is not unknown).
    Not(Box<Expr>),
    /// One column is tested.
    Compare(Condition),
}

impl Expr {
    /// All of the expressions; the expression itself if there is but one, `None` if there is none.
    pub fn all(mut exprs: Vec<Self>) -> Option<Self> {
        match exprs.len() {
            0 | 1 => exprs.pop(),
            _ => Some(Self::And(exprs)),
        }
    }

    /// A test of one column.
    pub fn compare(column: impl Into<String>, test: Test) -> Self {
        Self::Compare(Condition { column: column.into(), test })
    }
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column's name.
    pub column: String,
    /// What is asked of it.
    pub test: Test,
}

/// What is asked of a column. Values are texts; the column's type says how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `eq`, `neq`, `gt`, `gte`, `lt`, `lte`
    Compare(Comparison, String),
    /// `like`: `%` or `*` stands for any text, `_` for any character, `\` before one of them for itself.
    Like(String),
    /// `ilike`: as `like`, whatever the letters' case.
    ILike(String),
    /// `match`: a part of the text matches the regular expression.
    Match(String),
    /// `imatch`: as `match`, whatever the letters' case.
    IMatch(String),
    /// `in`: equal to one of the values.
    In(Vec<String>),
    /// `is`
    Is(Truth),
}

/// The operators that compare with one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    NotEq,
    /// Greater.
    Gt,
    /// Greater or equal.
    GtEq,
    /// Less.
    Lt,
    /// Less or equal.
    LtEq,
}

/// What `is` asks; it is always answered with true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The value is null.
    Null,
    /// The value is not null.
    NotNull,
    /// The boolean is true.
    True,
    /// The boolean is false.
    False,
    /// The boolean is null.
    Unknown,
}

/// One column to order by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    /// The column's name.
    pub column: String,
    /// Which end comes first.
    pub direction: Direction,
    /// Where nulls go; `None` for PostgreSQL's habit: last when ascending, first when descending.
    pub nulls: Option<Nulls>,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The least value first.
    #[default]
    Asc,
    /// The greatest value first.
    Desc,
}

/// Where nulls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nulls {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

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
        Self { limits: Limits::default(), reserved: vec!["format".into(), "strict".into()] }
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
    /// How long a `like` pattern may be, in bytes.
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
    BoundQuery::bind(&Query::from_params(raw, rules)?, schema, &rules.limits)
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
    let query = Query::from_pairs(pairs, rules).map_err(|error| meant(error, schema, rules))?;
    BoundQuery::bind(&query, schema, &rules.limits)
}

/// A parameter without an operator that is no column either may be a mistyped one of another kind.
fn meant(error: QueryError, schema: &SchemaRef, rules: &Rules) -> QueryError {
    if error.kind() != QueryErrorKind::MissingOperator || schema.field_with_name(error.parameter()).is_ok() {
        return error;
    }
    let others = ["select", "order", "limit", "offset", "and", "or"].into_iter();
    let others = others.chain(rules.reserved.iter().map(String::as_str));
    let columns = schema.fields().iter().map(|field| field.name().as_str());
    match crate::error::closest(error.parameter(), others.chain(columns)) {
        Some(close) => {
            let hint = format!("did you mean '{close}'?");
            error.with_hint(hint)
        }
        None => error,
    }
}

#[cfg(test)]
mod tests;
