//! A text that is read from its beginning to its end, once: names, quotes and the characters between them.

use super::aggregate::AggregateCall;
use super::cast::CastType;
use super::error::{QueryErrorKind, Result, cut};
use super::{Limits, QueryError};

/// Reads the text of one parameter from its beginning.
pub(super) struct Reader<'a> {
    /// Its name.
    pub(super) parameter: &'a str,
    /// The whole text.
    pub(super) text: &'a str,
    /// What has not been read yet.
    pub(super) rest: &'a str,
    /// How large a query may be.
    pub(super) limits: &'a Limits,
    /// How many conditions have been read.
    pub(super) conditions: usize,
    /// Whether conditions may be about aggregates.
    pub(super) aggregates: bool,
}

impl<'a> Reader<'a> {
    /// A reader of the value `text` of `parameter`.
    pub(super) fn new(parameter: &'a str, text: &'a str, limits: &'a Limits) -> Self {
        Self { parameter, text, rest: text, limits, conditions: 0, aggregates: false }
    }

    /// The same for conditions that may be about aggregates.
    pub(super) fn with_aggregates(self) -> Self {
        Self { aggregates: true, ..self }
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
        Ok((name.trim_end_matches(' ').to_owned(), false))
    }

    /// The function in `.function()`, if that comes next.
    pub(super) fn function(&mut self) -> Option<String> {
        let behind = self.rest.strip_prefix('.')?;
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (function, rest) = behind.split_at(end);
        self.rest = rest.strip_prefix("()")?;
        Some(function.to_owned())
    }

    /// An aggregate whose parts have been read.
    pub(super) fn call(&self, function: &str, column: Option<String>, cast: Option<CastType>) -> Result<AggregateCall> {
        AggregateCall::named(function, column, cast, self.parameter, self.text)
    }

    /// Whether `text` comes next.
    pub(super) fn comes(&self, text: &str) -> bool {
        self.rest.starts_with(text)
    }

    /// Whether one of the characters `ends` comes next, spaces aside, or nothing does.
    pub(super) fn at_end_or(&self, ends: &str) -> bool {
        is_end(self.rest, ends)
    }

    /// Takes `text` if it comes next.
    pub(super) fn take_text(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An error about the text.
    pub(super) fn error(&self, kind: QueryErrorKind, message: &str) -> QueryError {
        QueryError::new(kind, self.parameter, self.text, message)
    }

    /// A text in double quotes.
    pub(super) fn quoted(&mut self) -> Result<String> {
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

    /// Skips spaces.
    pub(super) fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes `wanted`, spaces before it aside, or fails.
    pub(super) fn expect(&mut self, wanted: char) -> Result<()> {
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

    /// An error about the grammar.
    pub(super) fn bad(&self, message: &str) -> QueryError {
        let error = self.error(QueryErrorKind::BadSyntax, message);
        match self.parameter {
            "and" | "or" | "not.and" | "not.or" => {
                error.with_hint(format!("write {}=(a.gte.1,or(b.eq.2,c.is.null))", self.parameter))
            }
            _ if self.aggregates => error.with_hint("write having=(total.gte.100,count().gt.5)"),
            place if place.starts_with("where") => error.with_hint("write (a.gte.1,or(b.eq.2,c.is.null))"),
            _ => error
                .with_hint(r#"put a text with , . : ( ) or spaces around it in double quotes, as in in.("a, b",c)"#),
        }
    }
}

/// Whether `rest` begins with one of the characters `ends`, spaces aside, or is empty.
pub(super) fn is_end(rest: &str, ends: &str) -> bool {
    rest.trim_start_matches(' ').chars().next().is_none_or(|c| ends.contains(c))
}
