//! Casts: the names that types have in the language, what each becomes in Arrow, and between which types a cast can work.
//!
//! The names are PostgreSQL's. A column that is of the kind asked for already stays as it is (`text` of a dictionary, `time`
//! of seconds, `numeric` of a decimal), as no value would change.

use arrow::datatypes::{DataType, TimeUnit};

use super::QueryError;
use super::error::{QueryErrorKind, Result, cut, did_you_mean};
use super::reader::Reader;
use super::value::{self, Kind};

/// The most digits that a decimal number has.
const MAX_PRECISION: u8 = 76;
/// What `numeric` without digits has of a decimal fraction, where its source does not say.
const DEFAULT_SCALE: i8 = 10;

/// A type that values are cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CastType {
    /// `text`, `varchar`, `string`
    Text,
    /// `int2`, `smallint`
    Int2,
    /// `int4`, `int`, `integer`
    Int4,
    /// `int8`, `bigint`
    Int8,
    /// `float4`, `real`
    Float4,
    /// `float8`, `float`, `double`, `double precision`
    Float8,
    /// `numeric`, `decimal`, with digits in all and digits of the fraction
    Numeric(Option<(u8, i8)>),
    /// `bool`, `boolean`
    Bool,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
}

/// The names that are written, and what they mean.
const NAMES: [(&str, CastType); 25] = [
    ("text", CastType::Text),
    ("int2", CastType::Int2),
    ("int4", CastType::Int4),
    ("int8", CastType::Int8),
    ("float4", CastType::Float4),
    ("float8", CastType::Float8),
    ("numeric", CastType::Numeric(None)),
    ("bool", CastType::Bool),
    ("date", CastType::Date),
    ("time", CastType::Time),
    ("timestamp", CastType::Timestamp),
    ("timestamptz", CastType::TimestampTz),
    ("varchar", CastType::Text),
    ("string", CastType::Text),
    ("smallint", CastType::Int2),
    ("int", CastType::Int4),
    ("integer", CastType::Int4),
    ("bigint", CastType::Int8),
    ("real", CastType::Float4),
    ("double precision", CastType::Float8),
    ("double_precision", CastType::Float8),
    ("double", CastType::Float8),
    ("float", CastType::Float8),
    ("decimal", CastType::Numeric(None)),
    ("boolean", CastType::Bool),
];
/// How many of them are the first name of a type.
const FIRST_NAMES: usize = 12;

impl CastType {
    /// Reads a type's name, and the digits behind it.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (name, quoted) = reader.name(".,:()")?;
        let lower = name.to_ascii_lowercase();
        let Some((_, found)) = NAMES.iter().find(|(known, _)| !quoted && *known == lower) else {
            let names = || NAMES.iter().map(|(name, _)| *name);
            let listed = || format!("the types are {}", names().take(FIRST_NAMES).collect::<Vec<_>>().join(", "));
            let hint = did_you_mean(&lower, names()).unwrap_or_else(listed);
            let message = format!("unknown type '{}'", cut(&name));
            return Err(reader.error(QueryErrorKind::UnknownType, &message).with_hint(hint));
        };
        match found {
            Self::Numeric(_) if reader.take('(') => Ok(Self::Numeric(Some(digits(reader)?))),
            found => Ok(*found),
        }
    }

    /// The type's name, as it is read.
    pub fn name(self) -> String {
        match self {
            Self::Numeric(Some((precision, scale))) => format!("numeric({precision},{scale})"),
            plain => {
                let name = NAMES.iter().find(|(_, found)| *found == plain);
                name.map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
        }
    }

    /// What values of `from` become; `None` if they are what is asked for already.
    ///
    /// # Errors
    /// `unsupported_cast` if no value of the one type is one of the other.
    pub(super) fn resolve(self, from: &DataType, parameter: &str, column: &str) -> Result<Option<DataType>> {
        let from = value::value_type(from);
        if self.is_kind_of(from) {
            return Ok(None);
        }
        if !self.takes(from) {
            let message = format!("column '{}' of type {from} cannot be cast to {}", cut(column), self.name());
            let can: Vec<String> =
                NAMES.iter().take(FIRST_NAMES).map(|(_, to)| *to).filter(|to| to.takes(from)).map(Self::name).collect();
            let hint = if can.is_empty() {
                "values of this type cannot be cast".to_owned()
            } else {
                format!("it can be cast to {}", can.join(", "))
            };
            return Err(
                QueryError::new(QueryErrorKind::UnsupportedCast, parameter, &self.name(), message).with_hint(hint)
            );
        }
        Ok(Some(self.data_type(from)))
    }

    /// Whether values of `from` are what is asked for already.
    fn is_kind_of(self, from: &DataType) -> bool {
        match (self, from) {
            (Self::Text, from) => value::kind(from) == Kind::Text,
            (Self::Numeric(None), from) => from.is_decimal(),
            (Self::Numeric(digits), from) => digits.is_some() && digits == digits_of(from),
            (Self::Time, DataType::Time32(_) | DataType::Time64(_)) => true,
            (Self::Timestamp, DataType::Timestamp(_, None)) => true,
            (Self::TimestampTz, DataType::Timestamp(_, Some(_))) => true,
            (plain, from) => plain.data_type(from) == *from,
        }
    }

    fn takes(self, from: &DataType) -> bool {
        use DataType::{Date32, Date64, Null, Time32, Time64, Timestamp};
        let kind = value::kind(from);
        let number = from.is_numeric();
        let moment = matches!(from, Date32 | Date64 | Timestamp(..));
        if matches!(from, Null) {
            return true;
        }
        match self {
            Self::Text => !matches!(kind, Kind::Opaque | Kind::Binary),
            _ if kind == Kind::Text => true,
            Self::Int2 | Self::Int4 | Self::Int8 => number || kind == Kind::Bool,
            Self::Float4 | Self::Float8 | Self::Numeric(_) => number,
            Self::Bool => matches!(kind, Kind::Whole | Kind::Bool),
            Self::Date | Self::Timestamp | Self::TimestampTz => moment,
            Self::Time => matches!(from, Time32(_) | Time64(_) | Timestamp(..)),
        }
    }

    fn data_type(self, from: &DataType) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Numeric(None) if value::kind(from) == Kind::Whole => DataType::Decimal128(38, 0),
            Self::Numeric(None) => DataType::Decimal128(38, DEFAULT_SCALE),
            Self::Numeric(Some((precision @ ..=38, scale))) => DataType::Decimal128(precision, scale),
            Self::Numeric(Some((precision, scale))) => DataType::Decimal256(precision, scale),
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The cast that makes `data_type` of something.
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int16 => Self::Int2,
            DataType::Int32 => Self::Int4,
            DataType::Int64 => Self::Int8,
            DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::Boolean => Self::Bool,
            DataType::Date32 => Self::Date,
            DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::TimestampTz,
            other => digits_of(other).map_or(Self::Text, |digits| Self::Numeric(Some(digits))),
        }
    }
}

fn digits_of(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// `10,2)` or `10)`, behind the opening parenthesis.
fn digits(reader: &mut Reader<'_>) -> Result<(u8, i8)> {
    let (precision, _) = reader.name(",)")?;
    let scale = if reader.take(',') { reader.name(")")?.0 } else { "0".to_owned() };
    let closed = reader.take(')');
    let precision: Option<u8> = precision.parse().ok().filter(|digits| (1..=MAX_PRECISION).contains(digits));
    let scale: Option<u8> = scale.trim().parse().ok();
    match (closed, precision, scale) {
        (true, Some(precision), Some(scale)) if scale <= precision => {
            // At most 76, so that it fits.
            Ok((precision, i8::try_from(scale).unwrap_or(i8::MAX)))
        }
        _ => {
            let message = format!("numeric takes 1 to {MAX_PRECISION} digits, and no more of them behind the point");
            Err(reader.error(QueryErrorKind::UnknownType, &message).with_hint("write numeric(10,2)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::compute::can_cast_types;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn every_cast_that_is_promised_can_be_done_and_is_read_back() {
        let text = || Box::new(DataType::Utf8);
        let types = [
            DataType::Int8,
            DataType::UInt64,
            DataType::Int64,
            DataType::Float16,
            DataType::Float64,
            DataType::Decimal32(5, 1),
            DataType::Decimal64(6, -2),
            DataType::Decimal128(9, 2),
            DataType::Decimal256(60, 3),
            DataType::Boolean,
            DataType::Date32,
            DataType::Date64,
            DataType::Time32(TimeUnit::Second),
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int8), text()),
            DataType::Binary,
            DataType::Duration(TimeUnit::Second),
            DataType::Null,
            DataType::List(Arc::new(Field::new_list_field(DataType::Int8, true))),
        ];
        let casts = NAMES.iter().map(|(_, cast)| *cast).chain([CastType::Numeric(Some((50, 2)))]);
        for cast in casts {
            for from in &types {
                if let Ok(Some(to)) = cast.resolve(from, "select", "a") {
                    assert!(can_cast_types(from, &to), "{from} to {to}");
                    let again = CastType::of(&to).resolve(from, "select", "a");
                    assert_eq!(again, Ok(Some(to)), "{from} to {}", cast.name());
                }
            }
        }
    }
}
