//! The query language by tables of cases: what is read, what is refused, what is equal.

mod asked;
mod bad;
mod cursors;
mod dashboards;
mod equal;
mod good;
mod groups;
mod json;
mod operators;
mod pages;
mod values;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};

/// A column of every kind.
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let columns = [
        ("region", DataType::Utf8),
        ("year", DataType::Int32),
        ("small", DataType::Int8),
        ("count", DataType::UInt64),
        ("rate", DataType::Float64),
        ("half", DataType::Float16),
        ("open", DataType::Boolean),
        ("day", DataType::Date32),
        ("date64", DataType::Date64),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, Some("Europe/Berlin".into()))),
        ("local", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("t32", DataType::Time32(TimeUnit::Second)),
        ("t64", DataType::Time64(TimeUnit::Microsecond)),
        ("price", DataType::Decimal128(9, 2)),
        ("d32", DataType::Decimal32(5, 1)),
        ("d256", DataType::Decimal256(60, 3)),
        ("hundreds", DataType::Decimal64(6, -2)),
        ("sector", dictionary),
        ("view", DataType::Utf8View),
        ("large", DataType::LargeUtf8),
        ("bin", DataType::Binary),
        ("hash", DataType::FixedSizeBinary(2)),
        ("took", DataType::Duration(TimeUnit::Second)),
        ("every", DataType::Interval(IntervalUnit::MonthDayNano)),
        ("tags", list),
        ("nothing", DataType::Null),
        ("gdp.total", DataType::Float64),
        ("Revenue (USD)", DataType::Int64),
        ("order", DataType::Int64),
        ("say \"hi\"\\", DataType::Utf8),
    ];
    Arc::new(Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
});
