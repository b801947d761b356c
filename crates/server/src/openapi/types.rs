//! Arrow types as JSON Schema, in words, and as examples.

use arrow::datatypes::DataType;
use serde_json::{Map, Value, json};

/// What the values of a column are, as far as filters are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// Whole numbers.
    Whole,
    /// Numbers of a fixed number of decimals.
    Decimal,
    /// Floating-point numbers.
    Float,
    /// Dates.
    Day,
    /// Points in time.
    Instant,
    /// Times of day.
    Clock,
    /// True or false.
    Truth,
    /// Bytes.
    Bytes,
    /// Texts.
    Text,
    /// What nothing is compared with.
    Other,
}

/// What the values of a column of this type are.
pub(super) fn values(data_type: &DataType) -> Values {
    match data_type {
        DataType::Dictionary(_, values) => self::values(values),
        DataType::Boolean => Values::Truth,
        DataType::Date32 | DataType::Date64 => Values::Day,
        DataType::Timestamp(..) => Values::Instant,
        DataType::Time32(_) | DataType::Time64(_) => Values::Clock,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::Text,
        t if t.is_integer() => Values::Whole,
        t if t.is_floating() => Values::Float,
        t if t.is_decimal() => Values::Decimal,
        t if is_binary(t) => Values::Bytes,
        _ => Values::Other,
    }
}

fn is_binary(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// The JSON Schema of a value as the JSON format writes it.
pub(super) fn json_schema(data_type: &DataType, nullable: bool) -> Value {
    let mut schema = match data_type {
        DataType::Null => return json!({ "type": "null" }),
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => json!({ "type": "integer", "format": "int32" }),
        DataType::Int64 => json!({ "type": "integer", "format": "int64" }),
        t if t.is_unsigned_integer() => json!({ "type": "integer", "minimum": 0 }),
        // What is no number is written as null, whatever the column may hold.
        t if t.is_floating() => return json!({ "type": ["number", "null"] }),
        t if t.is_decimal() => json!({ "type": "number" }),
        DataType::Date32 => json!({ "type": "string", "format": "date" }),
        DataType::Timestamp(_, Some(_)) => json!({ "type": "string", "format": "date-time" }),
        DataType::Date64 | DataType::Timestamp(_, None) => {
            json!({ "type": "string", "description": "ISO 8601 without a zone" })
        }
        DataType::Time32(_) | DataType::Time64(_) => json!({ "type": "string", "description": "hh:mm:ss" }),
        t if is_binary(t) => json!({ "type": "string", "description": "hexadecimal" }),
        DataType::Dictionary(_, values) => return json_schema(values, nullable),
        DataType::RunEndEncoded(_, values) => return json_schema(values.data_type(), nullable),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            json!({ "type": "array", "items": json_schema(item.data_type(), item.is_nullable()) })
        }
        DataType::Struct(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|f| (f.name().clone(), json_schema(f.data_type(), f.is_nullable()))).collect();
            json!({ "type": "object", "properties": properties })
        }
        DataType::Map(..) => json!({ "type": "object" }),
        _ => json!({ "type": "string" }),
    };
    if nullable && let Some(kind) = schema.get("type").cloned() {
        schema["type"] = json!([kind, "null"]);
    }
    schema
}

/// A type in words.
pub(super) fn in_words(data_type: &DataType) -> &'static str {
    match values(data_type) {
        Values::Whole => "a whole number",
        Values::Decimal | Values::Float => "a number",
        Values::Day => "a date",
        Values::Instant => "a point in time",
        Values::Clock => "a time of day",
        Values::Truth => "a boolean",
        Values::Bytes => "bytes",
        Values::Text => "a text",
        Values::Other if data_type.is_nested() => "a nested value",
        Values::Other => "a value",
    }
}

/// A filter that most data has rows for.
pub(super) fn example_filter(data_type: &DataType) -> &'static str {
    match values(data_type) {
        Values::Whole | Values::Decimal | Values::Float => "gte.0",
        Values::Day => "gte.2000-01-01",
        Values::Instant if matches!(data_type, DataType::Timestamp(_, Some(_))) => "gte.2000-01-01T00:00:00Z",
        Values::Instant => "gte.2000-01-01T00:00:00",
        Values::Clock => "gte.00:00:00",
        Values::Text => "ilike.*a*",
        Values::Truth | Values::Bytes | Values::Other => "not.is.null",
    }
}

/// What a value may look like in JSON.
pub(super) fn example_value(data_type: &DataType) -> Value {
    match values(data_type) {
        Values::Whole => json!(42),
        Values::Decimal | Values::Float => json!(12.5),
        Values::Day => json!("2024-01-31"),
        Values::Instant if matches!(data_type, DataType::Timestamp(_, Some(_))) => json!("2024-01-31T09:30:00Z"),
        Values::Instant => json!("2024-01-31T09:30:00"),
        Values::Clock => json!("09:30:00"),
        Values::Truth => json!(true),
        Values::Bytes => json!("00ff"),
        Values::Text => json!("text"),
        Values::Other => Value::Null,
    }
}
