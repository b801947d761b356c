//! A question to a dataset as plain data, and how it is written into a URL.

use crate::http::encode;
use crate::item::Item;

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The columns of the answer; all when empty. With an aggregate, the others are the group.
    pub select: Vec<Item>,
    /// Whether equal rows are given once.
    pub distinct: bool,
    /// Conditions that must all hold.
    pub conditions: Vec<Condition>,
    /// Conditions on groups: on names of the answer, or on expressions such as `n.sum()`.
    pub having: Vec<Condition>,
    /// What to sort by.
    pub order: Vec<Order>,
    /// How many rows at most.
    pub limit: Option<usize>,
    /// How many rows to leave out first.
    pub offset: usize,
}

/// A condition on a row.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `column.operator.value`.
    Test {
        /// The column's name.
        column: String,
        /// What to ask of it, `(any)` or `(all)` included.
        operator: &'static str,
        /// One value; any number for `in`, any and all.
        values: Vec<String>,
    },
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// One sort key.
#[derive(Debug, Clone)]
pub struct Order {
    /// The column's name; of groups also an expression.
    pub column: String,
    /// Greatest first.
    pub descending: bool,
    /// Where nulls go; PostgreSQL's rule when not said.
    pub nulls_first: Option<bool>,
}

impl Condition {
    /// A test of a column.
    pub fn test(column: &str, operator: &'static str, values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Self::Test { column: column.to_owned(), operator, values }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// `name=value` of a URL, not yet encoded.
    fn parameter(&self, not: &str) -> (String, String) {
        match self {
            Self::Test { column, operator, values } => {
                (column.clone(), format!("{not}{operator}.{}", plain(operator, values)))
            }
            Self::And(parts) => (format!("{not}and"), list(parts)),
            Self::Or(parts) => (format!("{not}or"), list(parts)),
            Self::Not(inner) if not.is_empty() => inner.parameter("not."),
            // `not.not.` is no syntax: the inner one goes into a tree of one.
            Self::Not(inner) => ("not.and".to_owned(), format!("({})", inner.branch("not."))),
        }
    }

    /// The form inside `and=(...)`.
    fn branch(&self, not: &str) -> String {
        match self {
            Self::Test { column, operator, values } => {
                let value = match plain_list(operator, values) {
                    Some(list) => list,
                    None => quoted(&values[0], operator == &"is"),
                };
                format!("{column}.{not}{operator}.{value}")
            }
            Self::And(parts) => format!("{not}and{}", list(parts)),
            Self::Or(parts) => format!("{not}or{}", list(parts)),
            Self::Not(inner) if not.is_empty() => inner.branch("not."),
            Self::Not(inner) => format!("not.and({})", inner.branch("not.")),
        }
    }
}

fn list(parts: &[Condition]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| part.branch("")).collect();
    format!("({})", parts.join(","))
}

fn plain(operator: &str, values: &[String]) -> String {
    plain_list(operator, values).unwrap_or_else(|| values[0].clone())
}

/// The values of an operator that takes many.
fn plain_list(operator: &str, values: &[String]) -> Option<String> {
    let (open, close) = match operator {
        "in" => ('(', ')'),
        _ if operator.ends_with(')') => ('{', '}'),
        _ => return None,
    };
    let values: Vec<String> = values.iter().map(|value| quoted(value, false)).collect();
    Some(format!("{open}{}{close}", values.join(",")))
}

/// A value inside parentheses: in quotes when it has a character that means something there.
fn quoted(value: &str, keyword: bool) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '%');
    // In braces a bare null would be none.
    let null = value.eq_ignore_ascii_case("null");
    if keyword || (!value.is_empty() && !null && value.chars().all(simple)) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Question {
    /// The question as the query part of a URL, without its `?`.
    pub fn url(&self) -> String {
        let mut parameters = Vec::new();
        if !self.select.is_empty() {
            let items: Vec<String> = self.select.iter().map(Item::text).collect();
            parameters.push(("select".to_owned(), items.join(",")));
        }
        if self.distinct {
            parameters.push(("distinct".to_owned(), "true".to_owned()));
        }
        parameters.extend(self.conditions.iter().map(|condition| condition.parameter("")));
        if !self.having.is_empty() {
            parameters.push(("having".to_owned(), list(&self.having)));
        }
        if !self.order.is_empty() {
            let keys: Vec<String> = self.order.iter().map(Order::text).collect();
            parameters.push(("order".to_owned(), keys.join(",")));
        }
        if let Some(limit) = self.limit {
            parameters.push(("limit".to_owned(), limit.to_string()));
        }
        if self.offset > 0 {
            parameters.push(("offset".to_owned(), self.offset.to_string()));
        }
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.join("&")
    }
}

impl Order {
    /// The key as it is written in `order`.
    pub fn text(&self) -> String {
        let direction = if self.descending { ".desc" } else { "" };
        let nulls = match self.nulls_first {
            Some(true) => ".nullsfirst",
            Some(false) => ".nullslast",
            None => "",
        };
        format!("{}{direction}{nulls}", self.column)
    }
}
