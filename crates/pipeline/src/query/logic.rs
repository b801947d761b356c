//! The part of the grammar that has commas, parentheses and quotes: lists, names and logic trees.
//!
//! ```text
//! tree   = ["not."] ("and" | "or") "(" item *("," item) ")"
//! item   = tree | name "." ["not."] test
//! test   = "in." list | operator ("(any)." | "(all).") array | operator "." value
//! list   = "(" [value *("," value)] ")"
//! value  = quoted | "{" any text without braces "}" | any text without "," and ")"
//! name   = quoted | any text without the character that ends it
//! quoted = DQUOTE *(character | "\" character) DQUOTE
//! ```
//! Spaces before an item, a name or a value are skipped, and spaces behind a name or a value that is not quoted. A tree of
//! conditions on groups (`having`) may have an aggregate where others have a name.

use super::error::{QueryErrorKind, Result, cut};
use super::operator::{Operator, unknown_operator};
use super::parse::too_many_conditions;
use super::reader::{Reader, is_end};
use super::select::{Expression, expression};
use super::{Expr, Operand, QueryError, Test, array};

impl<'a> Reader<'a> {
    /// A tree in parentheses, all of whose parts hold, or a single item.
    pub(super) fn condition(&mut self) -> Result<Expr> {
        self.skip_spaces();
        let expr = if self.comes("(") { self.branch(false, 1)? } else { self.item(0)? };
        self.end()?;
        Ok(expr)
    }

    /// The tree of a parameter whose name is its head: `and`, `or`, `not.and`, `not.or`.
    pub(super) fn tree(&mut self) -> Result<Expr> {
        let (negated, head) = match self.parameter.strip_prefix("not.") {
            Some(head) => (true, head),
            None => (false, self.parameter),
        };
        let expr = self.branch(head == "or", 1)?;
        self.end()?;
        Ok(expr.negate_if(negated))
    }

    /// `(item,item)`, joined by or, or by and; a single item is itself.
    fn branch(&mut self, any: bool, depth: usize) -> Result<Expr> {
        if depth > self.limits.max_depth {
            let message = format!("conditions nest more than {} deep", self.limits.max_depth);
            return Err(QueryError::new(QueryErrorKind::TooComplex, self.parameter, self.text, message)
                .with_hint("an and inside of an and, or an or inside of an or, can be one"));
        }
        self.expect('(')?;
        let mut items = Vec::new();
        loop {
            items.push(self.item(depth)?);
            if !self.take(',') {
                break;
            }
        }
        self.expect(')')?;
        Ok(match items.len() {
            1 => items.remove(0),
            _ if any => Expr::Or(items),
            _ => Expr::And(items),
        })
    }

    fn item(&mut self, depth: usize) -> Result<Expr> {
        self.skip_spaces();
        for (head, negated, any) in
            [("and(", false, false), ("or(", false, true), ("not.and(", true, false), ("not.or(", true, true)]
        {
            if self.rest.starts_with(head) {
                self.rest = &self.rest[head.len() - 1..];
                return Ok(self.branch(any, depth + 1)?.negate_if(negated));
            }
        }
        self.conditions += 1;
        if self.conditions > self.limits.max_conditions {
            return Err(too_many_conditions(self.parameter, self.text, self.limits));
        }
        let operand = self.operand()?;
        if !self.take_text(".") {
            let word = cut(&operand.text());
            return Err(self.bad(&format!("'{word}' is not a condition")).with_hint("write column.operator.value"));
        }
        let negated = self.take_text("not.");
        let test = self.test(&operand)?;
        Ok(Expr::compare(operand, test).negate_if(negated))
    }

    /// What a condition is about.
    fn operand(&mut self) -> Result<Operand> {
        let (name, quoted) = self.name(if self.aggregates { ".,():" } else { ".,)" })?;
        if name.is_empty() && !quoted {
            return Err(self.bad("a condition is missing"));
        }
        if !self.aggregates {
            return Ok(Operand::Column(name));
        }
        match expression(self, name, quoted)? {
            Expression::Call(call) => Ok(Operand::Aggregate(call)),
            Expression::Column(name, None) => Ok(Operand::Column(name)),
            Expression::Column(..) => {
                Err(self.bad("a cast stands before an aggregate here, as in a::int8.sum().gte.1"))
            }
        }
    }

    fn test(&mut self, operand: &Operand) -> Result<Test> {
        let (word, after) = self.word();
        let column = operand.text();
        let Some(operator) = Operator::read(word) else {
            let fragment = format!("{}.{word}", cut(&column));
            if after.starts_with('.') || word.ends_with(')') {
                return Err(unknown_operator(self.parameter, &fragment, word));
            }
            let message = format!("'{}' has no operator", cut(&column));
            return Err(QueryError::new(QueryErrorKind::MissingOperator, self.parameter, &fragment, message)
                .with_hint(format!("write {}.eq.{}", cut(&column), cut(word))));
        };
        self.rest = after;
        if !self.take_text(".") {
            return Err(self.bad(&format!("operator '{word}' has no value")));
        }
        match operator {
            Operator::In => self.list().map(Test::In),
            Operator::Each(quantifier, single) => Ok(Test::Each(quantifier, single, self.array()?)),
            operator => {
                let value = self.value()?;
                operator.with(&column, value)
            }
        }
    }

    /// The operator's word, its modifier included, and what comes behind it.
    fn word(&self) -> (&'a str, &'a str) {
        let mut end = self.rest.find(['.', ',', '(', ')']).unwrap_or(self.rest.len());
        if self.rest[end..].starts_with('(') {
            let inner = self.rest[end..].find(['.', ',', ')']).unwrap_or(self.rest.len() - end);
            end += inner + usize::from(self.rest[end + inner..].starts_with(')'));
        }
        self.rest.split_at(end)
    }

    /// `{a,b}`, in double quotes or not.
    pub(super) fn array(&mut self) -> Result<Vec<String>> {
        self.skip_spaces();
        let advised = |error: QueryError| error.with_hint(r#"write eq(any).{a,b,"c, d"}"#);
        if self.comes("\"") {
            let text = self.quoted()?;
            return match array::read(&text) {
                Ok((items, "")) => Ok(items),
                Ok(_) => Err(advised(self.bad("text behind the closing brace"))),
                Err(problem) => Err(advised(self.bad(problem))),
            };
        }
        let (items, rest) = array::read(self.rest).map_err(|problem| advised(self.bad(problem)))?;
        self.rest = rest;
        Ok(items)
    }

    /// `(a,"b, c",d)`; `()` is the empty list.
    pub(super) fn list(&mut self) -> Result<Vec<String>> {
        let mut items = Vec::new();
        if !self.take('(') {
            return Err(self.bad("'in' takes a list in parentheses").with_hint(format!(
                "write in.({}); put values with commas or parentheses in double quotes",
                cut(self.rest.trim_matches(['{', '}', '[', ']']))
            )));
        }
        self.skip_spaces();
        if self.take(')') {
            return Ok(items);
        }
        loop {
            items.push(self.element()?);
            if self.take(')') {
                return Ok(items);
            }
            if !self.take(',') {
                return Err(self.bad("the list has no closing parenthesis"));
            }
        }
    }

    /// One value of a tree: as an element of a list, or something in braces, which commas do not end.
    fn value(&mut self) -> Result<String> {
        self.skip_spaces();
        let braced = self.rest.strip_prefix('{').and_then(|inner| {
            let end = inner.find(['{', '}'])?;
            inner[end..].starts_with('}').then_some(end + 2)
        });
        match braced {
            Some(end) if is_end(&self.rest[end..], ",)") => {
                let (value, rest) = self.rest.split_at(end);
                self.rest = rest;
                Ok(value.to_owned())
            }
            _ => self.element(),
        }
    }

    /// One value of a list: quoted, or all up to a comma or a closing parenthesis.
    fn element(&mut self) -> Result<String> {
        self.skip_spaces();
        if self.rest.starts_with('"') {
            let value = self.quoted()?;
            if !self.at_end_or(",)") {
                return Err(self.bad("text after the closing quote").with_hint(r#"write " inside of quotes as \""#));
            }
            return Ok(value);
        }
        let end = self.rest.find([',', ')']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(value.trim_end_matches(' ').to_owned())
    }
}
