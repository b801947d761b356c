//! The parameter `order`: `column.desc.nullslast,amount.sum(),"a column"`.

use super::error::{QueryErrorKind, Result, cut};
use super::reader::Reader;
use super::select::{Expression, expression};
use super::{Direction, Limits, Nulls, Operand, OrderBy, QueryError};

/// Reads the keys of an order.
pub(super) fn order(parameter: &str, value: &str, limits: &Limits) -> Result<Vec<OrderBy>> {
    let mut reader = Reader::new(parameter, value, limits);
    let mut keys = Vec::new();
    loop {
        keys.push(key(&mut reader)?);
        check_count(&keys, parameter, value, limits)?;
        if !reader.take(',') {
            reader.end().map_err(advised)?;
            return Ok(keys);
        }
    }
}

/// Reads a text that is one key.
pub(super) fn single(parameter: &str, value: &str, limits: &Limits) -> Result<OrderBy> {
    let mut reader = Reader::new(parameter, value, limits);
    let key = key(&mut reader)?;
    reader.end().map_err(advised)?;
    Ok(key)
}

/// Refuses more keys than are allowed.
pub(super) fn check_count(keys: &[OrderBy], parameter: &str, value: &str, limits: &Limits) -> Result<()> {
    if keys.len() <= limits.max_conditions {
        return Ok(());
    }
    let message = format!("more than {} columns to order by", limits.max_conditions);
    Err(QueryError::new(QueryErrorKind::TooComplex, parameter, value, message)
        .with_hint("order by the columns that tell rows apart"))
}

fn advised(error: QueryError) -> QueryError {
    error.with_hint("write order=column.desc.nullslast,other; asc or desc, then nullsfirst or nullslast")
}

fn key(reader: &mut Reader<'_>) -> Result<OrderBy> {
    let (name, quoted) = reader.name(",:()")?;
    if !quoted && reader.at_end_or(",)") {
        // The modifiers stand at the end, so that a plain name may hold dots.
        let mut column = name;
        let (direction, nulls) = modifiers(&mut column);
        return match column.as_str() {
            "" => Err(advised(reader.error(QueryErrorKind::BadSyntax, "a column name is missing in order"))),
            _ => Ok(OrderBy { column: Operand::Column(column), direction, nulls }),
        };
    }
    let advised_if_bare = |error: QueryError| if error.hint().is_some() { error } else { advised(error) };
    let column = match expression(reader, name, quoted).map_err(advised_if_bare)? {
        Expression::Call(call) => Operand::Aggregate(call),
        Expression::Column(name, None) => Operand::Column(name),
        Expression::Column(..) => {
            let message = "rows are ordered by columns, not by casts of them";
            return Err(reader.error(QueryErrorKind::BadSyntax, message).with_hint("order by the column itself"));
        }
    };
    let (mut rest, _) = reader.name(",")?;
    if !rest.is_empty() && !rest.starts_with('.') {
        return Err(advised(reader.error(QueryErrorKind::BadSyntax, "text behind a name")));
    }
    let (direction, nulls) = modifiers(&mut rest);
    if !rest.is_empty() {
        let message = format!("'{}' is neither a direction nor a placement of nulls", cut(&rest[1..]));
        return Err(advised(reader.error(QueryErrorKind::BadSyntax, &message)));
    }
    Ok(OrderBy { column, direction, nulls })
}

fn modifiers(text: &mut String) -> (Direction, Option<Nulls>) {
    let nulls = match last_part(text, &["nullsfirst", "nullslast"]) {
        Some("nullsfirst") => Some(Nulls::First),
        Some(_) => Some(Nulls::Last),
        None => None,
    };
    let direction = match last_part(text, &["asc", "desc"]) {
        Some("desc") => Direction::Desc,
        _ => Direction::Asc,
    };
    (direction, nulls)
}

/// Cuts `.part` off the end of `text`, if it is one of `parts` in whatever case.
fn last_part<'a>(text: &mut String, parts: &[&'a str]) -> Option<&'a str> {
    let dot = text.rfind('.')?;
    let found = parts.iter().find(|part| part.eq_ignore_ascii_case(&text[dot + 1..]))?;
    text.truncate(dot);
    Some(found)
}
