//! URL parameters to an untyped [`Query`].
//!
//! `select`, `distinct`, `having`, `order`, `limit`, `offset` and `cursor` may be given once; `and`, `or`, `not.and` and
//! `not.or` hold logic trees; any other parameter is a column with one condition, and all conditions must hold. The value of
//! a plain condition is taken as it stands, to its end: `name=eq.a,"b"` compares with the text `a,"b"`. Quotes mean something
//! only where commas and parentheses do: in lists and in logic trees. A column's name may be in quotes too.

use arrow::datatypes::Schema;

use super::error::{QueryErrorKind, cut};
use super::operator::{Operator, example, no_operator};
use super::reader::Reader;
use super::select::{SelectItem, select};
use super::{Expr, Limits, Operand, OrderBy, Query, QueryError, Result, Rules, Test, datasette, order::order, params};

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
        Self::from_pairs_about(pairs, None, rules)
    }

    /// As [`from_pairs`](Self::from_pairs), knowing the columns, so that `column__operator=value` is told from a column.
    pub(super) fn from_pairs_about<N, V>(
        pairs: impl IntoIterator<Item = (N, V)>,
        schema: Option<&Schema>,
        rules: &Rules,
    ) -> Result<Self>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut draft = Draft::default();
        for (name, value) in pairs {
            let (name, value) = (name.as_ref(), value.as_ref());
            if !rules.reserved.iter().any(|reserved| reserved == name) {
                draft.add(name, value, schema, &rules.limits)?;
            }
        }
        let Draft { select, distinct, having, order, limit, offset, cursor, conditions } = draft;
        Ok(Self {
            select: select.unwrap_or_default(),
            distinct: distinct.unwrap_or(false),
            filter: Expr::all(conditions),
            having,
            order: order.unwrap_or_default(),
            limit,
            offset: offset.unwrap_or(0),
            cursor,
        })
    }
}

/// What has been read so far; an outer `Some` means that the parameter was given.
#[derive(Default)]
struct Draft {
    select: Option<Option<Vec<SelectItem>>>,
    distinct: Option<bool>,
    having: Option<Expr>,
    order: Option<Vec<OrderBy>>,
    limit: Option<u64>,
    offset: Option<u64>,
    cursor: Option<String>,
    conditions: Vec<Expr>,
}

impl Draft {
    fn add(&mut self, name: &str, value: &str, schema: Option<&Schema>, limits: &Limits) -> Result<()> {
        match name {
            "select" => once(&mut self.select, name, value, select(name, value, limits)),
            "distinct" => once(&mut self.distinct, name, value, truth(name, value)),
            "having" => once(&mut self.having, name, value, having(name, value, limits)),
            "order" => once(&mut self.order, name, value, order(name, value, limits)),
            "limit" => once(&mut self.limit, name, value, row_limit(value, limits)),
            "offset" => once(&mut self.offset, name, value, row_count(name, value)),
            "cursor" => once(&mut self.cursor, name, value, Ok(value.to_owned())),
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
                self.conditions.push(column(name, value, schema, limits)?);
                Ok(())
            }
        }
    }
}

/// A condition on the column that the parameter is named after.
fn column(name: &str, value: &str, schema: Option<&Schema>, limits: &Limits) -> Result<Expr> {
    let is_column = |name: &str| schema.is_some_and(|schema| schema.field_with_name(name).is_ok());
    if is_column(name) {
        return condition(name, value, limits);
    }
    if name.starts_with('"') {
        let mut reader = Reader::new(name, name, limits);
        if let Ok((unquoted, true)) = reader.name("")
            && reader.at_end_or("")
        {
            return condition(&unquoted, value, limits);
        }
    }
    match schema.and_then(|schema| datasette::condition(name, value, schema)) {
        Some(expr) => expr,
        None => condition(name, value, limits),
    }
}

/// Reads conditions on groups.
pub(super) fn having(parameter: &str, value: &str, limits: &Limits) -> Result<Expr> {
    Reader::new(parameter, value, limits).with_aggregates().condition()
}

/// Reads `true` or `false`.
pub(super) fn truth(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let message = format!("'{name}' is true or false");
            Err(QueryError::new(QueryErrorKind::BadValue, name, value, message).with_hint(format!("write {name}=true")))
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
    Err(QueryError::new(QueryErrorKind::LimitTooLarge, "limit", &rows.to_string(), message).with_hint(format!(
        "ask for at most {} rows at a time, and for the next ones with cursor or offset",
        limits.max_rows
    )))
}

fn condition(column: &str, value: &str, limits: &Limits) -> Result<Expr> {
    let (negated, rest) = match value.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    Ok(Expr::compare(column, test(column, value, rest, limits)?).negate_if(negated))
}

fn test(column: &str, whole: &str, rest: &str, limits: &Limits) -> Result<Test> {
    let (word, operand) = rest.split_once('.').map_or((rest, None), |(word, operand)| (word, Some(operand)));
    let Some(operator) = Operator::read(word) else { return Err(no_operator(column, whole, rest)) };
    let Some(operand) = operand else {
        let message = format!("operator '{word}' has no value");
        let advice = format!("write {}={word}.{}", cut(column), example(word));
        return Err(QueryError::new(QueryErrorKind::BadSyntax, column, whole, message).with_hint(advice));
    };
    // Lists bound themselves when they are bound.
    let mut reader = Reader::new(column, operand, limits);
    let test = match operator {
        Operator::In => Test::In(reader.list()?),
        Operator::Each(quantifier, single) => Test::Each(quantifier, single, reader.array()?),
        operator => return operator.with(column, operand.to_owned()),
    };
    reader.end().map_err(|error| {
        error.with_hint(match test {
            Test::In(_) => "write in.(a,b) and nothing behind it",
            _ => r#"write eq(any).{a,b,"c, d"} and nothing behind it"#,
        })
    })?;
    Ok(test)
}

impl Operand {
    /// The operand as it is written, names without quotes.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Column(name) => name.clone(),
            Self::Aggregate(call) => call.text(),
        }
    }
}
