//! What can be wrong with a query. Every error names the parameter and the value it is about, and most say what to
//! write instead, so that a client can be corrected from the answer alone.

use std::fmt::Write as _;

/// The longest value that an error repeats, in characters.
const MAX_VALUE_CHARS: usize = 100;

/// The result of reading a query.
pub type Result<T> = std::result::Result<T, QueryError>;

/// A query that cannot be answered as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    kind: QueryErrorKind,
    parameter: String,
    value: String,
    message: String,
    hint: Option<String>,
}

/// What kind of mistake a [`QueryError`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// No column of the dataset has this name.
    UnknownColumn,
    /// The text before the value is no operator.
    UnknownOperator,
    /// A filter without an operator, as in `status=open`.
    MissingOperator,
    /// The operator does not work on the column's type.
    UnsupportedOperator,
    /// The value cannot be read as the column's type.
    BadValue,
    /// The text does not follow the grammar.
    BadSyntax,
    /// A parameter that may be given once was given again.
    DuplicateParameter,
    /// A column was selected twice.
    DuplicateColumn,
    /// The limit is above the maximum.
    LimitTooLarge,
    /// Too deep, too many conditions, or too long a list.
    TooComplex,
    /// A cast to a type that the language has no name for.
    UnknownType,
    /// A cast between two types that none works between.
    UnsupportedCast,
    /// A value that cannot be cast.
    BadCast,
    /// A regular expression that cannot be read, or is too large.
    BadPattern,
    /// A cursor that is damaged, or of another question.
    BadCursor,
    /// No aggregate function has this name.
    UnknownAggregate,
    /// The aggregate function does not work on the column's type.
    UnsupportedAggregate,
    /// A sum of whole numbers is beyond 64 bits.
    SumOverflow,
}

impl QueryErrorKind {
    /// The stable name for clients, in snake case.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownColumn => "unknown_column",
            Self::UnknownOperator => "unknown_operator",
            Self::MissingOperator => "missing_operator",
            Self::UnsupportedOperator => "unsupported_operator",
            Self::BadValue => "bad_value",
            Self::BadSyntax => "bad_syntax",
            Self::DuplicateParameter => "duplicate_parameter",
            Self::DuplicateColumn => "duplicate_column",
            Self::LimitTooLarge => "limit_too_large",
            Self::TooComplex => "too_complex",
            Self::UnknownType => "unknown_type",
            Self::UnsupportedCast => "unsupported_cast",
            Self::BadCast => "bad_cast",
            Self::BadPattern => "bad_pattern",
            Self::BadCursor => "bad_cursor",
            Self::UnknownAggregate => "unknown_aggregate",
            Self::UnsupportedAggregate => "unsupported_aggregate",
            Self::SumOverflow => "sum_overflow",
        }
    }
}

impl QueryError {
    /// An error about a parameter and its value; a value of more than 100 characters is cut.
    pub(crate) fn new(kind: QueryErrorKind, parameter: &str, value: &str, message: impl Into<String>) -> Self {
        Self { kind, parameter: cut(parameter), value: cut(value), message: message.into(), hint: None }
    }

    /// The same error with advice.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error about another parameter.
    #[must_use]
    pub(crate) fn at(mut self, parameter: &str) -> Self {
        self.parameter = cut(parameter);
        self
    }

    /// What kind of mistake it is.
    pub fn kind(&self) -> QueryErrorKind {
        self.kind
    }

    /// The stable name of the kind, in snake case.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The parameter (or key, or column) that is wrong.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// Its value, cut to 100 characters.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// `text`, cut to what an error may repeat.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// "did you mean 'region'?" for the candidate closest to `name`, if one is close.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(name, candidates).map(|found| format!("did you mean '{found}'?"))
}

/// The candidate closest to `name`, letters' case aside, if it is close enough to be meant.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names are not typed by hand, and the distance costs their product.
    if name.len() > 128 {
        return None;
    }
    let wanted = name.to_lowercase();
    let allowed = match wanted.chars().count() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 128)
        .map(|candidate| (strsim::osa_distance(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The first few of the names, for a message.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut text = String::new();
    let mut more = 0;
    for (at, name) in names.into_iter().enumerate() {
        match at {
            0 => text.push_str(name),
            1..SHOWN => {
                let _ = write!(text, ", {name}");
            }
            _ => more += 1,
        }
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}
