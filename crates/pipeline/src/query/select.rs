//! What an answer is made of: `select`, and the expressions that `order` and `having` share with it.
//!
//! ```text
//! select     = item *("," item)
//! item       = "*" | [alias ":"] expression ["::" type]
//! expression = name ["::" type] | "count()" | name ["::" type] "." function "()"
//! ```

use super::aggregate::AggregateCall;
use super::cast::CastType;
use super::error::{QueryErrorKind, Result, cut};
use super::reader::Reader;
use super::{Limits, QueryError};

/// The characters that end a name without quotes.
const ENDS: &str = ",:()";

/// A part of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectItem {
    /// `*`: every column of the dataset.
    All,
    /// A column.
    Column {
        /// Its name in the answer; `None` for its own.
        alias: Option<String>,
        /// Its name.
        column: String,
        /// The type that its values are cast to.
        cast: Option<CastType>,
    },
    /// A value made of all rows of a group.
    Aggregate {
        /// Its name in the answer; `None` for the function's.
        alias: Option<String>,
        /// What it is.
        call: AggregateCall,
        /// The type that the value is cast to.
        cast: Option<CastType>,
    },
}

impl From<&str> for SelectItem {
    fn from(column: &str) -> Self {
        Self::from(column.to_owned())
    }
}

impl From<String> for SelectItem {
    fn from(column: String) -> Self {
        Self::Column { alias: None, column, cast: None }
    }
}

/// Reads the items of a list; `None` for `*` alone.
pub(super) fn select(parameter: &str, value: &str, limits: &Limits) -> Result<Option<Vec<SelectItem>>> {
    let mut reader = Reader::new(parameter, value, limits);
    let mut items = Vec::new();
    loop {
        items.push(item(&mut reader)?);
        check_count(&items, parameter, value, limits)?;
        if !reader.take(',') {
            break;
        }
    }
    reader.end().map_err(advised)?;
    Ok((items != [SelectItem::All]).then_some(items))
}

/// Reads a text that is one item.
pub(super) fn single(parameter: &str, value: &str, limits: &Limits) -> Result<SelectItem> {
    let mut reader = Reader::new(parameter, value, limits);
    let item = item(&mut reader)?;
    reader.end().map_err(advised)?;
    Ok(item)
}

/// Refuses more items than are allowed.
pub(super) fn check_count(items: &[SelectItem], parameter: &str, value: &str, limits: &Limits) -> Result<()> {
    if items.len() <= limits.max_conditions {
        return Ok(());
    }
    let message = format!("more than {} columns selected", limits.max_conditions);
    Err(QueryError::new(QueryErrorKind::TooComplex, parameter, value, message)
        .with_hint("write select=* for all columns"))
}

fn advised(error: QueryError) -> QueryError {
    error.with_hint(
        "write select=a,b or select=* or select=a,total:b.sum(); put a name with special characters in double quotes",
    )
}

fn item(reader: &mut Reader<'_>) -> Result<SelectItem> {
    let (mut name, mut quoted) = reader.name(ENDS)?;
    let mut alias = None;
    if reader.comes(":") && !reader.comes("::") {
        check_name(reader, &name, quoted)?;
        reader.take(':');
        alias = Some(name);
        (name, quoted) = reader.name(ENDS)?;
    }
    if name == "*" && !quoted {
        if alias.is_some() || !reader.at_end_or(",") {
            return Err(advised(reader.error(QueryErrorKind::BadSyntax, "'*' stands for all columns as they are")));
        }
        return Ok(SelectItem::All);
    }
    match expression(reader, name, quoted).map_err(advised_if_bare)? {
        Expression::Column(column, cast) => Ok(SelectItem::Column { alias, column, cast }),
        Expression::Call(call) => {
            let cast = if reader.take_text("::") { Some(CastType::read(reader)?) } else { None };
            Ok(SelectItem::Aggregate { alias, call, cast })
        }
    }
}

fn advised_if_bare(error: QueryError) -> QueryError {
    if error.hint().is_some() { error } else { advised(error) }
}

fn check_name(reader: &Reader<'_>, name: &str, quoted: bool) -> Result<()> {
    if quoted || !(name.is_empty() || name.contains(['*', '"'])) {
        return Ok(());
    }
    let message = match name {
        "" => "a column name is missing".to_owned(),
        name => format!("'{}' is not a plain column name", cut(name)),
    };
    Err(advised(reader.error(QueryErrorKind::BadSyntax, &message)))
}

/// A column or an aggregate.
pub(super) enum Expression {
    /// A column, cast or not.
    Column(String, Option<CastType>),
    /// An aggregate.
    Call(AggregateCall),
}

/// Reads what stands behind a name. Where a name may have dots, it has the function's name at its end already.
pub(super) fn expression(reader: &mut Reader<'_>, name: String, quoted: bool) -> Result<Expression> {
    if reader.comes("(") && !quoted {
        let (column, function) = match name.rsplit_once('.') {
            Some((column, function)) => (Some(column.to_owned()), function),
            None => (None, name.as_str()),
        };
        if !reader.take_text("()") {
            let message = "the parentheses behind a function's name are not empty";
            return Err(reader
                .error(QueryErrorKind::BadSyntax, message)
                .with_hint("write amount.sum() or count(); put a name with parentheses in double quotes"));
        }
        return reader.call(function, column, None).map(Expression::Call);
    }
    check_name(reader, &name, quoted)?;
    let cast = if reader.take_text("::") { Some(CastType::read(reader)?) } else { None };
    match reader.function() {
        Some(function) => reader.call(&function, Some(name), cast).map(Expression::Call),
        None => Ok(Expression::Column(name, cast)),
    }
}
