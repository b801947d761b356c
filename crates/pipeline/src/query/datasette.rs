//! Datasette's way to write a filter: `column__operator=value`.
//!
//! It is read only where the columns are known: a column whose name is the whole parameter wins, and one whose name stands
//! before the last `__` is needed. `contains`, `startswith` and `endswith` look for the text as it stands, whatever the
//! letters' case, as SQLite's `like` does; the names of our own operators mean our own operators.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Schema};
use serde_json::Value;

use super::bind::unknown_column;
use super::error::{QueryErrorKind, Result, cut, did_you_mean};
use super::operator::Operator;
use super::value::{self, Kind};
use super::{Comparison, Expr, QueryError, Test, Truth, text};

/// The operators, in the order in which messages list them.
const OPERATORS: [&str; 28] = [
    "exact",
    "not",
    "contains",
    "notcontains",
    "startswith",
    "endswith",
    "gt",
    "gte",
    "lt",
    "lte",
    "like",
    "notlike",
    "glob",
    "in",
    "notin",
    "isnull",
    "notnull",
    "isblank",
    "notblank",
    "date",
    "eq",
    "neq",
    "is",
    "isdistinct",
    "ilike",
    "match",
    "imatch",
    "notmatch",
];

/// The condition of a parameter of this form; `None` if it is none.
pub(super) fn condition(parameter: &str, value: &str, schema: &Schema) -> Option<Result<Expr>> {
    let (name, operator) = parameter.rsplit_once("__").filter(|(name, _)| !name.is_empty())?;
    let Ok(field) = schema.field_with_name(name) else {
        // A mistyped column, if all else is right.
        return OPERATORS.contains(&operator).then(|| Err(unknown_column(schema, parameter, name)));
    };
    let filter = Filter { parameter, name, value, data_type: value::value_type(field.data_type()) };
    Some(filter.read(operator))
}

struct Filter<'a> {
    parameter: &'a str,
    name: &'a str,
    value: &'a str,
    data_type: &'a DataType,
}

impl Filter<'_> {
    fn read(&self, operator: &str) -> Result<Expr> {
        let value = || self.value.to_owned();
        let test = match operator {
            "exact" => Test::Compare(Comparison::Eq, value()),
            "not" => Test::Compare(Comparison::NotEq, value()),
            "contains" => Test::ILike(format!("%{}%", escaped(self.value))),
            "notcontains" => return Ok(self.test(Test::ILike(format!("%{}%", escaped(self.value)))).negate_if(true)),
            "startswith" => Test::ILike(format!("{}%", escaped(self.value))),
            "endswith" => Test::ILike(format!("%{}", escaped(self.value))),
            "notlike" => return Ok(self.test(Test::Like(value())).negate_if(true)),
            "notmatch" => return Ok(self.test(Test::Match(value())).negate_if(true)),
            "glob" => glob(self.value),
            "in" => Test::In(self.items()?),
            "notin" => return Ok(self.test(Test::In(self.items()?)).negate_if(true)),
            "isnull" => self.flag(Test::Is(Truth::Null))?,
            "notnull" => self.flag(Test::Is(Truth::NotNull))?,
            "isblank" | "notblank" => return self.blank(operator == "notblank"),
            "date" => return self.date(),
            ours => match Operator::read(ours).filter(|operator| !matches!(operator, Operator::Each(..))) {
                Some(operator) => operator.with(self.parameter, value())?,
                None => return Err(self.unknown(ours)),
            },
        };
        Ok(self.test(test))
    }

    fn test(&self, test: Test) -> Expr {
        Expr::compare(self.name, test)
    }

    fn flag(&self, test: Test) -> Result<Test> {
        if matches!(self.value, "1" | "true") {
            return Ok(test);
        }
        Err(self.bad("takes 1").with_hint(format!("write {}=1", cut(self.parameter))))
    }

    /// Null or the empty text.
    fn blank(&self, not: bool) -> Result<Expr> {
        let null = self.flag(Test::Is(if not { Truth::NotNull } else { Truth::Null }))?;
        if value::kind(self.data_type) != Kind::Text {
            return Ok(self.test(null));
        }
        let comparison = if not { Comparison::NotEq } else { Comparison::Eq };
        let parts = vec![self.test(null), self.test(Test::Compare(comparison, String::new()))];
        Ok(if not { Expr::And(parts) } else { Expr::Or(parts) })
    }

    /// Any time of a day.
    fn date(&self) -> Result<Expr> {
        if !matches!(self.data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) {
            let message = format!("'date' does not work on column '{}' of type {}", cut(self.name), self.data_type);
            return Err(QueryError::new(QueryErrorKind::UnsupportedOperator, self.parameter, self.value, message)
                .with_hint("it is asked of dates and times; of texts ask startswith"));
        }
        let day = value::fit(&DataType::Date32, self.value).ok().filter(|fit| fit.exact).map(|fit| fit.value);
        let next = day.as_ref().and_then(|day| day.as_primitive::<Date32Type>().value(0).checked_add(1));
        let (Some(day), Some(next)) = (day, next) else {
            return Err(self.bad("takes a date").with_hint(format!("write {}=2024-01-31", cut(self.parameter))));
        };
        let next = arrow::array::Date32Array::from(vec![next]);
        let bound = |comparison, day: &dyn Array| self.test(Test::Compare(comparison, text::text(day, 0)));
        Ok(Expr::And(vec![bound(Comparison::GtEq, &day), bound(Comparison::Lt, &next)]))
    }

    /// Texts by comma, or a JSON array.
    fn items(&self) -> Result<Vec<String>> {
        if !self.value.starts_with('[') {
            return Ok(self.value.split(',').map(|item| item.trim().to_owned()).collect());
        }
        let advised = || {
            self.bad("takes a list of texts, numbers and truth values")
                .with_hint("write a,b,c or [\"a\",\"b\"]; nulls are found with isnull")
        };
        let items: Vec<Value> = serde_json::from_str(self.value).map_err(|_| advised())?;
        items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                Value::Number(number) => Ok(number.to_string()),
                Value::Bool(truth) => Ok(truth.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => Err(advised()),
            })
            .collect()
    }

    fn bad(&self, message: &str) -> QueryError {
        let message = format!("'{}' {message}", cut(self.parameter));
        QueryError::new(QueryErrorKind::BadValue, self.parameter, self.value, message)
    }

    fn unknown(&self, operator: &str) -> QueryError {
        let message = format!("unknown operator '{}' behind '{}__'", cut(operator), cut(self.name));
        let listed = || format!("the operators in this place are {}", OPERATORS.join(", "));
        let hint = did_you_mean(operator, OPERATORS).unwrap_or_else(listed);
        QueryError::new(QueryErrorKind::UnknownOperator, self.parameter, self.value, message).with_hint(hint)
    }
}

/// A pattern that matches the text as it stands.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '*' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// SQLite's `glob`: `*` is any text, `?` any character, `[a-z]` and `[^a-z]` one of a set, and case matters.
fn glob(pattern: &str) -> Test {
    if !pattern.contains('[') {
        let parts = pattern.chars().map(|c| match c {
            '*' => "%".to_owned(),
            '?' => "_".to_owned(),
            c => escaped(c.encode_utf8(&mut [0; 4])),
        });
        return Test::Like(parts.collect());
    }
    let mut regex = String::from("^(?s:");
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => rest = push_set(&mut regex, rest),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push_str(")$");
    Test::Match(regex)
}

/// Appends the set that `rest` begins with, behind its bracket; gives what comes behind the set. A set that is not closed
/// matches nothing.
fn push_set<'a>(regex: &mut String, rest: &'a str) -> &'a str {
    let (negated, inner) = match rest.strip_prefix('^') {
        Some(inner) => (true, inner),
        None => (false, rest),
    };
    // A bracket that comes first is one of the set.
    let first = inner.chars().next().map_or(0, char::len_utf8);
    let Some(end) = inner[first..].find(']').map(|at| first + at) else {
        regex.push_str("[^\\s\\S]");
        return "";
    };
    regex.push_str(if negated { "[^" } else { "[" });
    for c in inner[..end].chars() {
        if c != '-' && c.is_ascii_punctuation() {
            regex.push('\\');
        }
        regex.push(c);
    }
    regex.push(']');
    &inner[end + 1..]
}
