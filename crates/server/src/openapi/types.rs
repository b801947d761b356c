//! Arrow types as JSON Schema, in words, and as an example of a filter.

use arrow::datatypes::DataType;
use serde_json::{Value, json};

/// What a filter looks like.
pub(super) const PATTERN: &str =
    r"^(not\.)?((eq|neq|gt|gte|lt|lte|like|ilike)\..*|in\.\(.*\)|is\.(null|not_null|true|false|unknown))$";

/// The JSON Schema of a value as the JSON format writes it.
pub(super) fn json_schema(data_type: &DataType, nullable: bool) -> Value {
    let mut schema = match data_type {
        DataType::Null => return json!({ "type": "null" }),
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => json!({ "type": "integer", "format": "int32" }),
        DataType::Int64 => json!({ "type": "integer", "format": "int64" }),
        t if t.is_unsigned_integer() => json!({ "type": "integer", "minimum": 0 }),
        t if t.is_floating() || is_decimal(t) => json!({ "type": "number" }),
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
            let properties: serde_json::Map<_, _> =
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

fn is_decimal(t: &DataType) -> bool {
    matches!(t, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_binary(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// A type in words.
pub(super) fn in_words(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "a boolean",
        t if t.is_integer() => "a whole number",
        t if t.is_floating() || is_decimal(t) => "a number",
        DataType::Date32 | DataType::Date64 => "a date",
        DataType::Timestamp(..) => "a point in time",
        DataType::Time32(_) | DataType::Time64(_) => "a time of day",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "a text",
        DataType::Dictionary(_, values) => in_words(values),
        t if is_binary(t) => "bytes",
        t if t.is_nested() => "a nested value",
        _ => "a value",
    }
}

/// A filter on a column of this type that makes sense for most data.
pub(super) fn example_filter(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "is.true",
        t if t.is_integer() => "gte.10",
        t if t.is_floating() || is_decimal(t) => "gte.0.5",
        DataType::Date32 | DataType::Date64 => "gte.2020-01-01",
        DataType::Timestamp(_, Some(_)) => "gte.2020-01-01T00:00:00Z",
        DataType::Timestamp(_, None) => "gte.2020-01-01T00:00:00",
        DataType::Time32(_) | DataType::Time64(_) => "gte.12:00:00",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "ilike.*a*",
        DataType::Dictionary(_, values) => example_filter(values),
        _ => "not.is.null",
    }
}
