//! Aggregates: what makes one value of all rows of a group.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Schema};

use super::QueryError;
use super::bind::find;
use super::bound::{Aggregate, BoundAggregate};
use super::cast::CastType;
use super::error::{QueryErrorKind, Result, cut, did_you_mean};
use super::print::push_name;
use super::value::{self, Kind};

/// An aggregate as it is written: `count()`, `amount.sum()`, `amount::float8.avg()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateCall {
    /// How the value is made.
    pub function: Aggregate,
    /// Of which column; `None` for the number of rows.
    pub column: Option<String>,
    /// The type that the column's values are cast to first.
    pub cast: Option<CastType>,
}

/// The functions, by name.
const FUNCTIONS: [(&str, Aggregate); 7] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("avg", Aggregate::Avg),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("median", Aggregate::Median),
    ("count_distinct", Aggregate::CountDistinct),
];

/// The names of the aggregates that work on columns of a type.
pub fn aggregates_of(data_type: &DataType) -> &'static [&'static str] {
    const ALL: [&str; 7] = ["count", "count_distinct", "min", "max", "sum", "avg", "median"];
    let data_type = value::value_type(data_type);
    if data_type.is_numeric() {
        &ALL
    } else if value::is_sortable(data_type) {
        &ALL[..4]
    } else {
        &ALL[..1]
    }
}

/// Functions as other languages name them, and their names here.
const OF_OTHERS: [(&str, &str); 5] =
    [("mean", "avg"), ("average", "avg"), ("nunique", "count_distinct"), ("maximum", "max"), ("minimum", "min")];

impl Aggregate {
    /// The function of a name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// The function's name, which is the name of its value too if no other is given.
    pub fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }
}

impl AggregateCall {
    /// The call of a function, by its name.
    ///
    /// # Errors
    /// There is no such function, or it needs a column.
    pub(super) fn named(
        function: &str,
        column: Option<String>,
        cast: Option<CastType>,
        parameter: &str,
        value: &str,
    ) -> Result<Self> {
        let names = || FUNCTIONS.iter().map(|(name, _)| *name);
        let Some((_, found)) = FUNCTIONS.iter().find(|(name, _)| *name == function) else {
            let known = || format!("the aggregates are {}", names().collect::<Vec<_>>().join(", "));
            let elsewhere = OF_OTHERS.iter().find(|(theirs, _)| *theirs == function);
            let elsewhere = elsewhere.map(|(_, ours)| format!("did you mean '{ours}'?"));
            let hint = elsewhere.or_else(|| did_you_mean(function, names())).unwrap_or_else(known);
            let message = format!("unknown aggregate '{}'", cut(function));
            return Err(QueryError::new(QueryErrorKind::UnknownAggregate, parameter, value, message).with_hint(hint));
        };
        if column.is_none() && *found != Aggregate::Count || column.as_deref() == Some("") {
            let message = format!("'{function}' has no column");
            return Err(QueryError::new(QueryErrorKind::BadSyntax, parameter, value, message)
                .with_hint(format!("write column.{function}()")));
        }
        Ok(Self { function: *found, column, cast })
    }

    /// The call as it is written.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(column) = &self.column {
            push_name(&mut text, column);
            if let Some(cast) = self.cast {
                let _ = write!(text, "::{}", cast.name());
            }
            text.push('.');
        }
        let _ = write!(text, "{}()", self.function.name());
        text
    }

    /// The call, bound to a schema; its name is its text.
    pub(super) fn bind(&self, schema: &Schema, parameter: &str) -> Result<BoundAggregate> {
        let Some(name) = &self.column else {
            let name = self.text().into();
            return Ok(BoundAggregate {
                function: self.function,
                column: None,
                cast: None,
                name,
                data_type: DataType::Int64,
            });
        };
        let (at, field) = find(schema, parameter, name)?;
        let from = field.data_type();
        let cast = match self.cast {
            None => None,
            Some(cast) => cast.resolve(from, parameter, name)?,
        };
        let of = cast.as_ref().unwrap_or_else(|| value::value_type(from));
        let Some(data_type) = self.function.data_type(of) else {
            let function = self.function.name();
            let message = format!("'{function}' does not work on column '{}' of type {of}", cut(name));
            let hint = format!("its aggregates are {}", aggregates_of(of).join(", "));
            return Err(
                QueryError::new(QueryErrorKind::UnsupportedAggregate, parameter, &self.text(), message).with_hint(hint)
            );
        };
        let kept = cast.as_ref().map(CastType::of);
        let name = Self { cast: kept, ..self.clone() }.text().into();
        Ok(BoundAggregate { function: self.function, column: Some(at), cast, name, data_type })
    }
}

impl Aggregate {
    /// The type of what is made of values of `of`; `None` if the function does not work on them.
    fn data_type(self, of: &DataType) -> Option<DataType> {
        if !aggregates_of(of).contains(&self.name()) {
            return None;
        }
        Some(match self {
            Self::Count | Self::CountDistinct => DataType::Int64,
            Self::Avg | Self::Median => DataType::Float64,
            Self::Min | Self::Max => of.clone(),
            Self::Sum => match of {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => DataType::Decimal128(38, *scale),
                of if of.is_unsigned_integer() => DataType::UInt64,
                of if value::kind(of) == Kind::Whole => DataType::Int64,
                _ => DataType::Float64,
            },
        })
    }
}

impl BoundAggregate {
    /// The call that is bound to this.
    pub(super) fn to_call(&self, schema: &Schema) -> AggregateCall {
        AggregateCall {
            function: self.function,
            column: self.column.map(|column| schema.field(column).name().clone()),
            cast: self.cast.as_ref().map(CastType::of),
        }
    }

    /// Whether it makes the same value as another, whatever the names.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.function, self.column, &self.cast) == (other.function, other.column, &other.cast)
    }
}
