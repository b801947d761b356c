//! The operators: their names, what each takes, and what is said where one should stand and none does.

use super::error::{QueryErrorKind, did_you_mean};
use super::{Comparison, QueryError, Result, Test, Truth};

/// The operators, in the order in which messages list them.
const OPERATORS: [&str; 10] = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is", "like", "ilike"];

/// The test of an operator that takes one value.
pub(super) fn single(parameter: &str, operator: &str, value: String) -> Result<Test> {
    let comparison = match operator {
        "eq" => Comparison::Eq,
        "neq" => Comparison::NotEq,
        "gt" => Comparison::Gt,
        "gte" => Comparison::GtEq,
        "lt" => Comparison::Lt,
        "lte" => Comparison::LtEq,
        "like" => return Ok(Test::Like(value)),
        "ilike" => return Ok(Test::ILike(value)),
        "is" => return truth(parameter, &value).map(Test::Is),
        other => return Err(unknown_operator(parameter, &value, other)),
    };
    Ok(Test::Compare(comparison, value))
}

fn truth(parameter: &str, value: &str) -> Result<Truth> {
    Ok(match value.to_ascii_lowercase().as_str() {
        "null" => Truth::Null,
        "not_null" => Truth::NotNull,
        "true" => Truth::True,
        "false" => Truth::False,
        "unknown" => Truth::Unknown,
        _ => {
            let message = "'is' takes null, not_null, true, false or unknown";
            return Err(QueryError::new(QueryErrorKind::BadValue, parameter, value, message)
                .with_hint(format!("to compare with a value, write {parameter}=eq.{}", super::error::cut(value))));
        }
    })
}

/// Whether `operator` is one of the language.
pub(super) fn is_operator(operator: &str) -> bool {
    OPERATORS.contains(&operator)
}

/// The error of a word that stands where an operator should.
pub(super) fn unknown_operator(parameter: &str, value: &str, operator: &str) -> QueryError {
    let message = format!("unknown operator '{}'", super::error::cut(operator));
    let hint = suggested(operator).unwrap_or_else(|| format!("the operators are {}", OPERATORS.join(", ")));
    QueryError::new(QueryErrorKind::UnknownOperator, parameter, value, message).with_hint(hint)
}

/// `status=open` and `year=gtr.5`: which of the two it is shows in the text before the first dot.
pub(super) fn no_operator(column: &str, whole: &str, rest: &str) -> QueryError {
    let negation = if rest.len() < whole.len() { "not." } else { "" };
    let literal = format!("{column}={negation}eq.{}", super::error::cut(rest));
    match rest.split_once('.') {
        Some((word, _)) if is_like_an_operator(word) => {
            let error = unknown_operator(column, whole, word);
            let hint = format!("{}; to compare with that text, write {literal}", error.hint().unwrap_or_default());
            error.with_hint(hint)
        }
        _ => QueryError::new(
            QueryErrorKind::MissingOperator,
            column,
            whole,
            format!("'{}' has no operator", super::error::cut(column)),
        )
        .with_hint(format!("write {literal}")),
    }
}

/// Words that other tools, or PostgREST itself, know as operators.
const FOREIGN: [(&str, &str); 27] = [
    ("ge", "gte"),
    ("le", "lte"),
    ("ne", "neq"),
    ("min", "gte"),
    ("max", "lte"),
    ("equals", "eq"),
    ("equal", "eq"),
    ("greater", "gt"),
    ("less", "lt"),
    ("contains", "ilike"),
    ("startswith", "like"),
    ("endswith", "like"),
    ("between", "gte"),
    ("match", "like"),
    ("imatch", "ilike"),
    ("isdistinct", "neq"),
    ("fts", "ilike"),
    ("plfts", "ilike"),
    ("phfts", "ilike"),
    ("wfts", "ilike"),
    ("cs", "in"),
    ("cd", "in"),
    ("ov", "in"),
    ("any", "in"),
    ("not", "neq"),
    ("isnull", "is"),
    ("notin", "not.in"),
];

fn is_like_an_operator(word: &str) -> bool {
    let bare = word.split('(').next().unwrap_or(word);
    is_operator(bare) || suggested(word).is_some()
}

fn suggested(word: &str) -> Option<String> {
    let bare = word.split('(').next().unwrap_or(word).to_ascii_lowercase();
    if let Some((_, ours)) = FOREIGN.iter().find(|(theirs, _)| *theirs == bare) {
        return Some(format!("did you mean '{ours}'?"));
    }
    did_you_mean(&bare, OPERATORS)
}

/// A value that shows how an operator is written.
pub(super) fn example(operator: &str) -> &'static str {
    match operator {
        "in" => "(a,b)",
        "is" => "null",
        "like" | "ilike" => "*text*",
        _ => "value",
    }
}
