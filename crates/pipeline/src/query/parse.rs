//! URL parameters to an untyped [`Query`].
//!
//! `select`, `order`, `limit` and `offset` may be given once; `and`, `or`, `not.and` and `not.or` hold logic trees; any
//! other parameter is a column with one condition, and all conditions must hold. The value of a plain condition is taken as
//! it stands, to its end: `name=eq.a,"b"` compares with the text `a,"b"`. Quotes mean something only where commas and
//! parentheses do: in lists and in logic trees.

use super::error::QueryErrorKind;
use super::logic::Reader;
use super::operator::{example, is_operator, no_operator, single};
use super::{Direction, Expr, Limits, Nulls, OrderBy, Query, QueryError, Result, Rules, Test, params};

impl Query {
    /// Reads a raw, percent-encoded query string.
    ///
    /// # Errors
    /// What does not follow the grammar; names and values are not looked at yet.
    pub fn from_params(raw: &str, rules: &Rules) -> Result<Self> {
        Self::from_pairs(params::decode(raw)?, rules)
    }

    /// Reads decoded parameters.
    ///
    /// # Errors
    /// As [`from_params`](Self::from_params).
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>, rules: &Rules) -> Result<Self>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut draft = Draft::default();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            if !rules.reserved.iter().any(|reserved| reserved == name) {
                draft.add(name, value, &rules.limits)?;
            }
        }
        let Draft { select, order, limit, offset, conditions } = draft;
        Ok(Self {
            select: select.unwrap_or_default(),
            filter: Expr::all(conditions),
            order: order.unwrap_or_default(),
            limit,
            offset: offset.unwrap_or(0),
        })
    }
}

/// What has been read so far; an outer `Some` means that the parameter was given.
#[derive(Default)]
struct Draft {
    select: Option<Option<Vec<String>>>,
    order: Option<Vec<OrderBy>>,
    limit: Option<u64>,
    offset: Option<u64>,
    conditions: Vec<Expr>,
}

impl Draft {
    fn add(&mut self, name: &str, value: &str, limits: &Limits) -> Result<()> {
        match name {
            "select" => once(&mut self.select, name, value, select(value, limits)),
            "order" => once(&mut self.order, name, value, order(value, limits)),
            "limit" => once(&mut self.limit, name, value, row_limit(value, limits)),
            "offset" => once(&mut self.offset, name, value, row_count(name, value)),
            "and" | "or" | "not.and" | "not.or" => {
                self.conditions.push(Reader::new(name, value, limits).tree()?);
                Ok(())
            }
            "" => Err(QueryError::new(QueryErrorKind::BadSyntax, name, value, "a parameter without a name")
                .with_hint("write column=operator.value, as in year=gte.2020")),
            _ => {
                if self.conditions.len() >= limits.max_conditions {
                    return Err(too_many_conditions(name, value, limits));
                }
                self.conditions.push(condition(name, value)?);
                Ok(())
            }
        }
    }
}

/// The error of a query with more conditions than are allowed.
pub(super) fn too_many_conditions(parameter: &str, value: &str, limits: &Limits) -> QueryError {
    let message = format!("more than {} conditions", limits.max_conditions);
    QueryError::new(QueryErrorKind::TooComplex, parameter, value, message)
        .with_hint("ask for many values of one column with in.(a,b,c)")
}

fn once<T>(slot: &mut Option<T>, name: &str, value: &str, read: Result<T>) -> Result<()> {
    if slot.is_some() {
        let message = format!("parameter '{name}' is given more than once");
        return Err(QueryError::new(QueryErrorKind::DuplicateParameter, name, value, message)
            .with_hint(format!("give '{name}' once; select and order take several columns, separated by commas")));
    }
    *slot = Some(read?);
    Ok(())
}

fn row_count(name: &str, value: &str) -> Result<u64> {
    value.parse().map_err(|_| {
        let message = format!("'{name}' is not a whole number from 0 on");
        QueryError::new(QueryErrorKind::BadValue, name, value, message).with_hint(format!("write {name}=100"))
    })
}

fn row_limit(value: &str, limits: &Limits) -> Result<u64> {
    let rows = row_count("limit", value)?;
    check_limit(rows, limits)?;
    Ok(rows)
}

/// Refuses a limit above the maximum.
pub(super) fn check_limit(rows: u64, limits: &Limits) -> Result<()> {
    if rows <= limits.max_rows {
        return Ok(());
    }
    let message = format!("limit is above the maximum of {} rows", limits.max_rows);
    Err(QueryError::new(QueryErrorKind::LimitTooLarge, "limit", &rows.to_string(), message)
        .with_hint(format!("ask for at most {} rows at a time, and for the next ones with offset", limits.max_rows)))
}

fn select(value: &str, limits: &Limits) -> Result<Option<Vec<String>>> {
    if value == "*" {
        return Ok(None);
    }
    let mut reader = Reader::new("select", value, limits);
    let mut columns = Vec::new();
    loop {
        let (name, quoted) = reader.name(",")?;
        if !quoted && (name.is_empty() || name.contains(['*', ':', '(', ')', '"'])) {
            return Err(QueryError::new(QueryErrorKind::BadSyntax, "select", value, select_message(&name))
                .with_hint("write select=a,b or select=*; put a name with special characters in double quotes"));
        }
        columns.push(name);
        if columns.len() > limits.max_conditions {
            let message = format!("more than {} columns selected", limits.max_conditions);
            return Err(QueryError::new(QueryErrorKind::TooComplex, "select", value, message));
        }
        if !reader.take(',') {
            reader.end()?;
            return Ok(Some(columns));
        }
    }
}

fn select_message(name: &str) -> String {
    match name {
        "" => "a column name is missing in select".to_owned(),
        "*" => "'*' stands for all columns, and alone".to_owned(),
        name => format!("'{}' is not a plain column name", super::error::cut(name)),
    }
}

fn order(value: &str, limits: &Limits) -> Result<Vec<OrderBy>> {
    let mut reader = Reader::new("order", value, limits);
    let mut keys = Vec::new();
    loop {
        keys.push(order_key(&mut reader, value)?);
        if keys.len() > limits.max_conditions {
            let message = format!("more than {} columns to order by", limits.max_conditions);
            return Err(QueryError::new(QueryErrorKind::TooComplex, "order", value, message));
        }
        if !reader.take(',') {
            reader.end()?;
            return Ok(keys);
        }
    }
}

fn order_key(reader: &mut Reader<'_>, value: &str) -> Result<OrderBy> {
    let bad = |message: String| {
        QueryError::new(QueryErrorKind::BadSyntax, "order", value, message)
            .with_hint("write order=column.desc.nullslast,other; asc or desc, then nullsfirst or nullslast")
    };
    let (name, quoted) = reader.name(",")?;
    // The modifiers stand at the end, so that a plain name may hold dots.
    let (mut rest, column) = if quoted {
        let (after, _) = reader.name(",")?;
        if !after.is_empty() && !after.starts_with('.') {
            return Err(bad("text after the closing quote".to_owned()));
        }
        (after, Some(name))
    } else {
        (name, None)
    };
    let nulls = match last_part(&mut rest, &["nullsfirst", "nullslast"]) {
        Some("nullsfirst") => Some(Nulls::First),
        Some(_) => Some(Nulls::Last),
        None => None,
    };
    let direction = match last_part(&mut rest, &["asc", "desc"]) {
        Some("desc") => Direction::Desc,
        _ => Direction::Asc,
    };
    match column {
        Some(_) if !rest.is_empty() => {
            Err(bad(format!("'{}' is neither a direction nor a placement of nulls", super::error::cut(&rest[1..]))))
        }
        Some(column) => Ok(OrderBy { column, direction, nulls }),
        None if rest.is_empty() => Err(bad("a column name is missing in order".to_owned())),
        None => Ok(OrderBy { column: rest, direction, nulls }),
    }
}

/// Cuts `.part` off the end of `text`, if it is one of `parts` in whatever case.
fn last_part<'a>(text: &mut String, parts: &[&'a str]) -> Option<&'a str> {
    let dot = text.rfind('.')?;
    let found = parts.iter().find(|part| part.eq_ignore_ascii_case(&text[dot + 1..]))?;
    text.truncate(dot);
    Some(found)
}

fn condition(column: &str, value: &str) -> Result<Expr> {
    let (negated, rest) = match value.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let expr = Expr::compare(column, test(column, value, rest)?);
    Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
}

fn test(column: &str, whole: &str, rest: &str) -> Result<Test> {
    let (operator, operand) = rest.split_once('.').map_or((rest, None), |(op, operand)| (op, Some(operand)));
    if !is_operator(operator) {
        return Err(no_operator(column, whole, rest));
    }
    let Some(operand) = operand else {
        let message = format!("operator '{operator}' has no value");
        let advice = format!("write {column}={operator}.{}", example(operator));
        return Err(QueryError::new(QueryErrorKind::BadSyntax, column, whole, message).with_hint(advice));
    };
    match operator {
        "in" => {
            // A list bounds itself when it is bound.
            let limits = Limits::default();
            let mut reader = Reader::new(column, operand, &limits);
            let items = reader.list()?;
            reader.end()?;
            Ok(Test::In(items))
        }
        _ => single(column, operator, operand.to_owned()),
    }
}
