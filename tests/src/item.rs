//! One item of `select`: a column, cast and renamed perhaps, or an aggregate of one.

use crate::cell::Kind;

/// An item: `[alias:]column[::cast][.function()]`, or `[alias:]count()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The column; `None` for the number of rows.
    pub column: Option<String>,
    /// What its values are cast to.
    pub cast: Option<Cast>,
    /// What is made of the values of a group.
    pub function: Option<&'static str>,
    /// What it is called in the answer.
    pub alias: Option<String>,
}

/// A type to cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Strings.
    Text,
    /// 16-bit integers.
    Int2,
    /// 32-bit integers.
    Int4,
    /// 64-bit integers.
    Int8,
    /// Double precision.
    Float8,
}

impl Cast {
    /// The type's name in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float8 => "float8",
        }
    }

    /// What a column of this type holds.
    pub fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Int2 => Kind::Int { low: i16::MIN.into(), high: i16::MAX.into() },
            Self::Int4 => Kind::Int { low: i32::MIN.into(), high: i32::MAX.into() },
            Self::Int8 => Kind::Int { low: i64::MIN.into(), high: i64::MAX.into() },
            Self::Float8 => Kind::Float64,
        }
    }

    /// The types that values of a kind are cast to here; the server knows more.
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Int { .. } => &[Self::Text, Self::Int2, Self::Int4, Self::Int8, Self::Float8],
            Kind::Float32 | Kind::Float64 => &[Self::Float8],
            Kind::Text | Kind::Bool | Kind::Decimal { .. } => &[Self::Text],
            _ => &[],
        }
    }
}

impl Item {
    /// A column as it is.
    pub fn column(name: &str) -> Self {
        Self { column: Some(name.to_owned()), cast: None, function: None, alias: None }
    }

    /// An aggregate of a column.
    pub fn aggregate(function: &'static str, column: Option<&str>) -> Self {
        Self { column: column.map(str::to_owned), cast: None, function: Some(function), alias: None }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, alias: &str) -> Self {
        self.alias = Some(alias.to_owned());
        self
    }

    /// The same with its values cast first.
    #[must_use]
    pub fn cast(mut self, cast: Cast) -> Self {
        self.cast = Some(cast);
        self
    }

    /// The column's name in the answer.
    pub fn name(&self) -> &str {
        let own = self.alias.as_deref().or(self.function).or(self.column.as_deref());
        own.expect("an item is a column or a function")
    }

    /// What it is made of, without the name: it can be ordered by, and groups can be asked for it.
    pub fn expression(&self) -> String {
        let column = self.column.as_deref().unwrap_or_default();
        let cast = self.cast.map_or(String::new(), |cast| format!("::{}", cast.name()));
        match (self.function, &self.column) {
            (None, _) => format!("{column}{cast}"),
            (Some(function), None) => format!("{function}()"),
            (Some(function), Some(_)) => format!("{column}{cast}.{function}()"),
        }
    }

    /// The item as it is written in `select`.
    pub fn text(&self) -> String {
        let alias = self.alias.as_ref().map_or(String::new(), |alias| format!("{alias}:"));
        alias + &self.expression()
    }
}

impl From<&str> for Item {
    fn from(name: &str) -> Self {
        Self::column(name)
    }
}
