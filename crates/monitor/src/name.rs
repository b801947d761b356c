//! Names of operations that clients have chosen: short, and of characters that harm no log, URL or label.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use crate::error::Error;

/// The name of an operation that comes from outside: 1 to 80 ASCII letters, digits, spaces and `_ . : / -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationName(Box<str>);

impl OperationName {
    /// The most bytes that a name may have.
    pub const MAX_BYTES: usize = 80;

    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Name`] if it is empty, too long, or has other characters.
    pub fn new(name: &str) -> Result<Self, Error> {
        let taken = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/ -".contains(&byte);
        if name.is_empty() || name.len() > Self::MAX_BYTES || !name.bytes().all(taken) {
            return Err(Error::Name { length: name.len(), limit: Self::MAX_BYTES });
        }
        Ok(Self(name.into()))
    }
}

impl FromStr for OperationName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl Deref for OperationName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, taken: bool) {
        let checked = OperationName::new(name);
        assert_eq!(checked.is_ok(), taken, "{name:?}: {checked:?}");
        if let Ok(checked) = checked {
            assert_eq!(&*checked, name);
        }
    }

    #[test]
    fn names_are_short_and_of_harmless_characters() {
        check("GET /api/v1/datasets/sales-2024/rows", true);
        check("dashboard: load_all.v2", true);
        check("x", true);
        check(&"x".repeat(80), true);
        check("", false);
        check(&"x".repeat(81), false);
        check("two\nlines", false);
        check("a\"b", false);
        check("<b>", false);
        check("é", false);
    }
}
