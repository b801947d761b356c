//! The operators: their names, what each takes, and what is said where one should stand and none does.

use arrow::datatypes::DataType;

use super::error::{QueryErrorKind, did_you_mean};
use super::value::{self, Kind};
use super::{Comparison, Quantifier, QueryError, Result, Single, Test, Truth};

/// The operators, in the order in which messages list them.
const OPERATORS: [&str; 13] =
    ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is", "isdistinct", "like", "ilike", "match", "imatch"];

/// An operator as it is written before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// One value.
    Single(Single),
    /// Several values in braces.
    Each(Quantifier, Single),
    /// A list in parentheses.
    In,
    /// A word.
    Is,
    /// One value, or none.
    IsDistinct,
}

impl Operator {
    /// The operator of a word; `None` if it is none.
    pub(super) fn read(word: &str) -> Option<Self> {
        let (name, quantifier) = match (word.strip_suffix("(any)"), word.strip_suffix("(all)")) {
            (Some(name), _) => (name, Some(Quantifier::Any)),
            (_, Some(name)) => (name, Some(Quantifier::All)),
            _ => (word, None),
        };
        let single = match name {
            "eq" => Single::Compare(Comparison::Eq),
            "neq" => Single::Compare(Comparison::NotEq),
            "gt" => Single::Compare(Comparison::Gt),
            "gte" => Single::Compare(Comparison::GtEq),
            "lt" => Single::Compare(Comparison::Lt),
            "lte" => Single::Compare(Comparison::LtEq),
            "like" => Single::Like,
            "ilike" => Single::ILike,
            "match" => Single::Match,
            "imatch" => Single::IMatch,
            "in" if quantifier.is_none() => return Some(Self::In),
            "is" if quantifier.is_none() => return Some(Self::Is),
            "isdistinct" if quantifier.is_none() => return Some(Self::IsDistinct),
            _ => return None,
        };
        match quantifier {
            None => Some(Self::Single(single)),
            // Different from one of several values is what nearly everything is.
            Some(_) if single == Single::Compare(Comparison::NotEq) => None,
            Some(quantifier) => Some(Self::Each(quantifier, single)),
        }
    }

    /// The test with the one value that the operator takes.
    pub(super) fn with(self, parameter: &str, value: String) -> Result<Test> {
        match self {
            Self::Single(single) => Ok(single.with(value)),
            Self::Is => truth(parameter, &value).map(Test::Is),
            Self::IsDistinct => Ok(Test::IsDistinct(value)),
            Self::In | Self::Each(..) => {
                let message = "the operator takes a list";
                Err(QueryError::new(QueryErrorKind::BadSyntax, parameter, &value, message).with_hint("write in.(a,b)"))
            }
        }
    }
}

/// The names of the operators that work on columns of a type.
pub fn operators_of(data_type: &DataType) -> &'static [&'static str] {
    match value::kind(value::value_type(data_type)) {
        Kind::Text => &OPERATORS,
        Kind::Opaque => &["is"],
        Kind::Whole | Kind::Ordered | Kind::Bool | Kind::Binary => &OPERATORS[..9],
    }
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
const FOREIGN: [(&str, &str); 24] = [
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
    Operator::read(bare).is_some() || suggested(word).is_some()
}

fn suggested(word: &str) -> Option<String> {
    if let Some((bare, modifier)) = word.split_once('(') {
        if modifier == ")" {
            return Some("a condition on an aggregate stands in having".to_owned());
        }
        if Operator::read(bare).is_some() {
            return Some("(any) and (all) follow eq, gt, gte, lt, lte, like, ilike, match and imatch".to_owned());
        }
    }
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
        "match" | "imatch" => "^text",
        operator if operator.ends_with(')') => "{a,b}",
        _ => "value",
    }
}
