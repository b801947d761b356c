//! The tree of conditions: `{"and": [..]}`, `{"or": [..]}`, `{"not": ..}`, `{"column": .., "op": .., "value": ..}`, or a text
//! as in a URL, at every level.

use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value};

use super::super::error::{QueryErrorKind, Result, cut, did_you_mean};
use super::super::operator::{Operator, unknown_operator};
use super::super::reader::Reader;
use super::super::value::{self, Kind};
use super::super::{
    Comparison, Expr, Limits, Operand, Quantifier, QueryError, SelectItem, Single, Test, Truth, select,
};
use super::{kind_of, shown, wrong};

const EXAMPLE: &str = r#"{"column": "year", "op": "gte", "value": 2020}"#;

/// A reader of one tree, and the conditions that it has found.
pub(super) struct Tree<'a> {
    limits: &'a Limits,
    aggregates: bool,
    /// In the tree's order.
    pub(super) leaves: Vec<Leaf>,
}

/// A condition, and where it stands.
pub(super) struct Leaf {
    place: String,
    /// The condition alone.
    pub(super) expr: Expr,
    /// The member with its value; `None` for a text as in a URL.
    member: Option<&'static str>,
    /// A value that is no text, for a message.
    untyped: Option<Value>,
}

impl Leaf {
    /// Whether it is one that a regular expression is compiled for.
    pub(super) fn has_regex(&self) -> bool {
        fn of(expr: &Expr) -> bool {
            match expr {
                Expr::And(items) | Expr::Or(items) => items.iter().any(of),
                Expr::Not(item) => of(item),
                Expr::Compare(condition) => condition.test.has_regex(),
            }
        }
        of(&self.expr)
    }

    /// The error of binding the condition, about its place.
    pub(super) fn placed(&self, error: QueryError) -> QueryError {
        let member = match (self.member, error.kind()) {
            (None, _) => return error.at(&self.place),
            (_, QueryErrorKind::UnknownColumn | QueryErrorKind::UnsupportedAggregate) => "column",
            (_, QueryErrorKind::UnsupportedOperator) => "op",
            (Some(member), _) => member,
        };
        error.at(&format!("{}.{member}", self.place))
    }

    /// Refuses numbers and truth values where texts are.
    pub(super) fn check_typed(&self, schema: &SchemaRef) -> Result<()> {
        let (Some(value), Some(member), Some(name)) = (&self.untyped, self.member, self.column()) else {
            return Ok(());
        };
        let Ok(field) = schema.field_with_name(name) else { return Ok(()) };
        if value::kind(value::value_type(field.data_type())) != Kind::Text {
            return Ok(());
        }
        let place = format!("{}.{member}", self.place);
        let message = format!("column '{}' holds texts, and this is {}", cut(name), kind_of(value));
        Err(QueryError::new(QueryErrorKind::BadValue, &place, &shown(value), message)
            .with_hint(format!("put the value in quotes: \"{}\"", shown(value))))
    }

    fn column(&self) -> Option<&str> {
        let mut expr = &self.expr;
        loop {
            match expr {
                Expr::Not(inner) => expr = inner,
                Expr::Compare(condition) => match &condition.column {
                    Operand::Column(name) => return Some(name),
                    Operand::Aggregate(_) => return None,
                },
                Expr::And(_) | Expr::Or(_) => return None,
            }
        }
    }
}

impl<'a> Tree<'a> {
    /// A reader; `aggregates` may stand for columns in conditions on groups.
    pub(super) fn new(limits: &'a Limits, aggregates: bool) -> Self {
        Self { limits, aggregates, leaves: Vec::new() }
    }

    /// Reads what stands at a place.
    pub(super) fn read(&mut self, value: &Value, place: &str, depth: usize) -> Result<Expr> {
        if depth > self.limits.max_depth {
            let message = format!("conditions nest more than {} deep", self.limits.max_depth);
            return Err(QueryError::new(QueryErrorKind::TooComplex, place, &shown(value), message)
                .with_hint("an and inside of an and, or an or inside of an or, can be one"));
        }
        match value {
            Value::String(text) => {
                let reader = Reader::new(place, text, self.limits);
                let expr = if self.aggregates { reader.with_aggregates() } else { reader }.condition()?;
                self.push(place, expr.clone(), None, None);
                Ok(expr)
            }
            Value::Object(members) => self.object(members, value, place, depth),
            other => Err(wrong(place, other, "a condition", EXAMPLE)),
        }
    }

    fn object(&mut self, members: &Map<String, Value>, whole: &Value, place: &str, depth: usize) -> Result<Expr> {
        if members.contains_key("column") {
            return self.leaf(members, place);
        }
        let mut entries = members.iter();
        let (Some((name, inner)), None) = (entries.next(), entries.next()) else {
            return Err(wrong(place, whole, "one condition", EXAMPLE));
        };
        let inside = format!("{place}.{name}");
        match (name.as_str(), inner) {
            ("not", inner) => Ok(self.read(inner, &inside, depth + 1)?.negate_if(true)),
            ("and" | "or", Value::Array(items)) if !items.is_empty() => {
                let parts = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.read(item, &format!("{inside}[{at}]"), depth + 1))
                    .collect::<Result<Vec<_>>>()?;
                Ok(match (parts.len(), name.as_str()) {
                    (2.., "or") => Expr::Or(parts),
                    (2.., _) => Expr::And(parts),
                    // There is one at least.
                    _ => parts.into_iter().next().unwrap_or(Expr::And(Vec::new())),
                })
            }
            ("and" | "or", other) => {
                let example = format!("{{\"{name}\": [{EXAMPLE}]}}");
                Err(wrong(&inside, other, "a list of conditions, one at least", &example))
            }
            _ => Err(unknown_member(&inside, name, inner, ["and", "or", "not", "column"])),
        }
    }

    fn leaf(&mut self, members: &Map<String, Value>, place: &str) -> Result<Expr> {
        let at = |member: &str| format!("{place}.{member}");
        const KNOWN: [&str; 5] = ["column", "op", "value", "any", "all"];
        if let Some((name, value)) = members.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            return Err(unknown_member(&at(name), name, value, KNOWN));
        }
        let column = members.get("column").unwrap_or(&Value::Null);
        let name =
            column.as_str().ok_or_else(|| wrong(&at("column"), column, "a column's name, as a text", EXAMPLE))?;
        let operand = self.operand(&at("column"), name)?;
        let Some(op) = members.get("op") else {
            let message = format!("the condition on '{}' has no operator", cut(name));
            return Err(QueryError::new(QueryErrorKind::MissingOperator, &at("op"), "", message)
                .with_hint(format!("write {EXAMPLE}")));
        };
        let op = op.as_str().ok_or_else(|| wrong(&at("op"), op, "an operator's name, as a text", EXAMPLE))?;
        let (negated, word) = op.strip_prefix("not.").map_or((false, op), |word| (true, word));
        let operator = Operator::read(word).ok_or_else(|| unknown_operator(&at("op"), op, word))?;
        let mut values = ["value", "any", "all"].into_iter().filter_map(|member| Some((member, members.get(member)?)));
        let (Some((member, value)), None) = (values.next(), values.next()) else {
            let message = "a condition has one of 'value', 'any' and 'all'";
            return Err(QueryError::new(QueryErrorKind::BadSyntax, &at("value"), "", message)
                .with_hint(format!("write {EXAMPLE}")));
        };
        let reader = Given { place: at(member), value };
        let test = match (operator, member) {
            (Operator::Single(single), "any") => reader.each(Quantifier::Any, single)?,
            (Operator::Single(single), "all") => reader.each(Quantifier::All, single)?,
            (operator, "value") => reader.test(operator)?,
            _ => {
                let message = format!("'{}' takes a value, not '{member}'", cut(op));
                return Err(QueryError::new(QueryErrorKind::BadSyntax, &at(member), &shown(value), message)
                    .with_hint("any and all go with eq, gt, gte, lt, lte, like, ilike, match and imatch"));
            }
        };
        let expr = Expr::compare(operand, test).negate_if(negated);
        let untyped = match value {
            _ if matches!(operator, Operator::Is) => None,
            Value::Array(items) => items.iter().find(|item| !item.is_string()).cloned(),
            Value::String(_) | Value::Null => None,
            other => Some(other.clone()),
        };
        self.push(place, expr.clone(), Some(member), untyped);
        Ok(expr)
    }

    fn push(&mut self, place: &str, expr: Expr, member: Option<&'static str>, untyped: Option<Value>) {
        self.leaves.push(Leaf { place: place.to_owned(), expr, member, untyped });
    }

    /// A name as it stands, or, of groups, an aggregate.
    fn operand(&self, place: &str, name: &str) -> Result<Operand> {
        if !self.aggregates || !name.ends_with("()") {
            return Ok(Operand::Column(name.to_owned()));
        }
        match select::single(place, name, self.limits)? {
            SelectItem::Aggregate { alias: None, call, cast: None } => Ok(Operand::Aggregate(call)),
            _ => Ok(Operand::Column(name.to_owned())),
        }
    }
}

fn unknown_member<'a>(
    place: &str,
    name: &str,
    value: &Value,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> QueryError {
    let message = format!("a condition has no member '{}'", cut(name));
    let hint = did_you_mean(name, known).unwrap_or_else(|| format!("write {EXAMPLE}, or and, or, not"));
    QueryError::new(QueryErrorKind::BadSyntax, place, &shown(value), message).with_hint(hint)
}

/// The value of a condition, and where it stands.
struct Given<'a> {
    place: String,
    value: &'a Value,
}

impl Given<'_> {
    fn test(&self, operator: Operator) -> Result<Test> {
        match (operator, self.value) {
            (Operator::In, _) => Ok(Test::In(self.items()?)),
            (Operator::Each(quantifier, single), _) => self.each(quantifier, single),
            (Operator::Is, Value::Null) => Ok(Test::Is(Truth::Null)),
            (Operator::IsDistinct, Value::Null) => Ok(Test::Is(Truth::NotNull)),
            (Operator::Is, value) => Operator::Is.with(&self.place, self.scalar(value)?).map_err(|error| {
                error.with_hint(
                    r#"write null, "not_null", true, false or "unknown"; to compare with a value, "op": "eq""#,
                )
            }),
            (operator, value) => operator.with(&self.place, self.scalar(value)?),
        }
    }

    fn each(&self, quantifier: Quantifier, single: Single) -> Result<Test> {
        if single == Single::Compare(Comparison::NotEq) {
            return Err(unknown_operator(&self.place, "neq", "neq(any)"));
        }
        Ok(Test::Each(quantifier, single, self.items()?))
    }

    fn items(&self) -> Result<Vec<String>> {
        match self.value {
            Value::Array(items) => items.iter().map(|item| self.scalar(item)).collect(),
            other => Err(wrong(&self.place, other, "a list of values", "[1, 2, 3]")),
        }
    }

    fn scalar(&self, value: &Value) -> Result<String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null => Err(wrong(&self.place, value, "a value", r#"{"op": "is", "value": null} to ask for nulls"#)),
            Value::Array(_) | Value::Object(_) => Err(wrong(&self.place, value, "a single value", EXAMPLE)),
        }
    }
}
