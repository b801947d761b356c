//! A question as plain data: names and texts, which nothing has compared with a schema yet.

use super::aggregate::AggregateCall;
use super::select::SelectItem;

/// A question about one dataset, as plain data: nothing in it has been compared with a schema yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The columns of the answer, in this order; `None` for all.
    pub select: Option<Vec<SelectItem>>,
    /// Whether rows that are equal are one. With an aggregate they are anyway.
    pub distinct: bool,
    /// What a row must fulfil.
    pub filter: Option<Expr>,
    /// What a group of rows must fulfil.
    pub having: Option<Expr>,
    /// How the answer is ordered; rows that compare equal keep the table's order.
    pub order: Vec<OrderBy>,
    /// The most rows to answer with.
    pub limit: Option<u64>,
    /// How many rows to skip first.
    pub offset: u64,
    /// Where the page begins: what [`BoundQuery::cursor_after`](super::BoundQuery::cursor_after) has made of the page before.
    pub cursor: Option<String>,
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
    pub fn compare(column: impl Into<Operand>, test: Test) -> Self {
        Self::Compare(Condition { column: column.into(), test })
    }

    /// The opposite of the expression, if `negated`.
    pub(super) fn negate_if(self, negated: bool) -> Self {
        if negated { Self::Not(Box::new(self)) } else { self }
    }
}

/// What a condition or an order is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A column, by its name.
    Column(String),
    /// A value that is made of all rows of a group.
    Aggregate(AggregateCall),
}

impl From<&str> for Operand {
    fn from(name: &str) -> Self {
        Self::Column(name.to_owned())
    }
}

impl From<String> for Operand {
    fn from(name: String) -> Self {
        Self::Column(name)
    }
}

impl From<AggregateCall> for Operand {
    fn from(call: AggregateCall) -> Self {
        Self::Aggregate(call)
    }
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is tested.
    pub column: Operand,
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
    /// `isdistinct`: different from the value, which null is too. It is always true or false.
    IsDistinct(String),
    /// `eq(any)`, `like(all)` and their like: the operator with one, or with each, of the values.
    Each(Quantifier, Single, Vec<String>),
}

impl Test {
    /// Whether a regular expression is compiled for it.
    pub(super) fn has_regex(&self) -> bool {
        matches!(self, Self::Match(_) | Self::IMatch(_) | Self::Each(_, Single::Match | Single::IMatch, _))
    }
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

/// How many of several values a test must be true with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// With one at least: of no values, false.
    Any,
    /// With each: of no values, true.
    All,
}

/// The operators that take one value, and so can be asked of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Single {
    /// `eq` and its like.
    Compare(Comparison),
    /// `like`
    Like,
    /// `ilike`
    ILike,
    /// `match`
    Match,
    /// `imatch`
    IMatch,
}

impl Single {
    /// The test with one value.
    pub fn with(self, value: String) -> Test {
        match self {
            Self::Compare(comparison) => Test::Compare(comparison, value),
            Self::Like => Test::Like(value),
            Self::ILike => Test::ILike(value),
            Self::Match => Test::Match(value),
            Self::IMatch => Test::IMatch(value),
        }
    }

    /// The operator's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare(Comparison::Eq) => "eq",
            Self::Compare(Comparison::NotEq) => "neq",
            Self::Compare(Comparison::Gt) => "gt",
            Self::Compare(Comparison::GtEq) => "gte",
            Self::Compare(Comparison::Lt) => "lt",
            Self::Compare(Comparison::LtEq) => "lte",
            Self::Like => "like",
            Self::ILike => "ilike",
            Self::Match => "match",
            Self::IMatch => "imatch",
        }
    }
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
    /// What is ordered by.
    pub column: Operand,
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
