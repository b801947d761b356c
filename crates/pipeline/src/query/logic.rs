//! The part of the grammar that has commas, parentheses and quotes: lists, names and logic trees.
//!
//! ```text
//! tree   = ["not."] ("and" | "or") "(" item *("," item) ")"
//! item   = tree | name "." ["not."] test
//! test   = "in." list | operator "." value
//! list   = "(" [value *("," value)] ")"
//! value  = quoted | any text without "," and ")"
//! name   = quoted | any text without the character that ends it
//! quoted = DQUOTE *(character | "\" character) DQUOTE
//! ```
//! Spaces before an item, a name or a value are skipped.

use super::error::{QueryErrorKind, Result, cut};
use super::operator::{is_operator, single, unknown_operator};
use super::parse::too_many_conditions;
use super::{Expr, Limits, QueryError, Test};

/// Reads the text of one parameter from its beginning.
pub(super) struct Reader<'a> {
    parameter: &'a str,
    text: &'a str,
    rest: &'a str,
    limits: &'a Limits,
    conditions: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the value `text` of `parameter`.
    pub(super) fn new(parameter: &'a str, text: &'a str, limits: &'a Limits) -> Self {
        Self { parameter, text, rest: text, limits, conditions: 0 }
    }

    /// The tree of a parameter whose name is its head: `and`, `or`, `not.and`, `not.or`.
    pub(super) fn tree(&mut self) -> Result<Expr> {
        let (negated, head) = match self.parameter.strip_prefix("not.") {
            Some(head) => (true, head),
            None => (false, self.parameter),
        };
        let expr = self.branch(head == "or", 1)?;
        self.end()?;
        Ok(negate_if(negated, expr))
    }

    /// `(item,item)`, joined by or, or by and; a single item is itself.
    fn branch(&mut self, any: bool, depth: usize) -> Result<Expr> {
        if depth > self.limits.max_depth {
            let message = format!("conditions nest more than {} deep", self.limits.max_depth);
            return Err(QueryError::new(QueryErrorKind::TooComplex, self.parameter, self.text, message));
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
                return Ok(negate_if(negated, self.branch(any, depth + 1)?));
            }
        }
        self.conditions += 1;
        if self.conditions > self.limits.max_conditions {
            return Err(too_many_conditions(self.parameter, self.text, self.limits));
        }
        let (column, quoted) = self.name(".,)")?;
        if column.is_empty() && !quoted {
            return Err(self.bad("a condition is missing"));
        }
        if !self.take_exactly('.') {
            let word = cut(&column);
            return Err(self.bad(&format!("'{word}' is not a condition")).with_hint("write column.operator.value"));
        }
        let negated = self.rest.starts_with("not.");
        if negated {
            self.rest = &self.rest["not.".len()..];
        }
        let test = self.test(&column)?;
        Ok(negate_if(negated, Expr::compare(column, test)))
    }

    fn test(&mut self, column: &str) -> Result<Test> {
        let end = self.rest.find(['.', ',', ')']).unwrap_or(self.rest.len());
        let (operator, after) = self.rest.split_at(end);
        if !is_operator(operator) {
            let fragment = format!("{column}.{operator}");
            if after.starts_with('.') {
                return Err(unknown_operator(self.parameter, &fragment, operator));
            }
            let message = format!("'{}' has no operator", cut(column));
            return Err(QueryError::new(QueryErrorKind::MissingOperator, self.parameter, &fragment, message)
                .with_hint(format!("write {column}.eq.{operator}")));
        }
        self.rest = after;
        if !self.take_exactly('.') {
            return Err(self.bad(&format!("operator '{operator}' has no value")));
        }
        match operator {
            "in" => self.list().map(Test::In),
            _ => {
                let value = self.value()?;
                single(column, operator, value)
            }
        }
    }

    /// `(a,"b, c",d)`; `()` is the empty list.
    pub(super) fn list(&mut self) -> Result<Vec<String>> {
        let mut items = Vec::new();
        if !self.take('(') {
            return Err(self.bad("'in' takes a list in parentheses").with_hint(format!(
                "write in.({}); put values with commas or parentheses in double quotes",
                cut(self.rest)
            )));
        }
        self.skip_spaces();
        if self.take(')') {
            return Ok(items);
        }
        loop {
            items.push(self.value()?);
            if self.take(')') {
                return Ok(items);
            }
            if !self.take(',') {
                return Err(self.bad("the list has no closing parenthesis"));
            }
        }
    }

    /// One value of a list or a tree: quoted, or all up to a comma or a closing parenthesis.
    fn value(&mut self) -> Result<String> {
        self.skip_spaces();
        if self.rest.starts_with('"') {
            let value = self.quoted()?;
            if !self.rest.trim_start_matches(' ').starts_with([',', ')']) {
                return Err(self.bad("text after the closing quote").with_hint(r#"write " inside of quotes as \""#));
            }
            return Ok(value);
        }
        let end = self.rest.find([',', ')']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(value.to_owned())
    }

    /// A name up to one of the characters `ends`, and whether it was quoted.
    pub(super) fn name(&mut self, ends: &str) -> Result<(String, bool)> {
        self.skip_spaces();
        if self.rest.starts_with('"') {
            return Ok((self.quoted()?, true));
        }
        let end = self.rest.find(|c| ends.contains(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok((name.to_owned(), false))
    }

    fn quoted(&mut self) -> Result<String> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                c => value.push(c),
            }
        }
        Err(self.bad("a double quote is not closed"))
    }

    /// Takes `wanted`, spaces before it aside, if it comes next.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        match self.rest.trim_start_matches(' ').strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn take_exactly(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if self.take(wanted) {
            return Ok(());
        }
        let found = match self.rest.chars().next() {
            None => "the end".to_owned(),
            Some(_) => format!("'{}'", cut(self.rest)),
        };
        Err(self.bad(&format!("expected '{wanted}' but found {found}")))
    }

    /// Refuses anything that is left.
    pub(super) fn end(&self) -> Result<()> {
        match self.rest.trim_start_matches(' ') {
            "" => Ok(()),
            left => Err(self.bad(&format!("'{}' is left over", cut(left)))),
        }
    }

    fn bad(&self, message: &str) -> QueryError {
        let error = QueryError::new(QueryErrorKind::BadSyntax, self.parameter, self.text, message);
        match self.parameter {
            "and" | "or" | "not.and" | "not.or" => {
                error.with_hint(format!("write {}=(a.gte.1,or(b.eq.2,c.is.null))", self.parameter))
            }
            _ => error,
        }
    }
}

fn negate_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
