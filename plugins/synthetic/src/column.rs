//! The values of one column: each a pure function of seed, column and row.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringBuilder, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type, Field, TimeUnit, TimestampMicrosecondType};

use crate::config::{Bound, ColumnConfig, Kind};
use crate::rng::Sequence;

/// A column that can be asked for any of its rows.
#[derive(Debug)]
pub(crate) struct Column {
    name: String,
    /// Description and unit, for people.
    about: HashMap<String, String>,
    values: Values,
    numbers: Sequence,
    nulls: Option<Nulls>,
}

#[derive(Debug)]
enum Values {
    Sequence(i64),
    Ints(Range),
    Dates(Range),
    Timestamps(Range),
    Floats {
        min: f64,
        max: f64,
        cardinality: Option<u64>,
        scale: Option<f64>,
    },
    /// One of a list.
    Chosen(Vec<String>),
    /// The column's name and a number below this.
    Named(u64),
    Bools,
    /// The number that the table's control folder says.
    Version,
}

/// Whole numbers from a range, evenly spaced.
#[derive(Debug, Clone, Copy)]
struct Range {
    min: i64,
    step: u64,
    count: u64,
}

#[derive(Debug)]
struct Nulls {
    sequence: Sequence,
    ratio: f64,
}

/// How many different strings there are if nothing is said.
const DEFAULT_STRINGS: u64 = 1000;

impl Column {
    /// The column of a configuration in a table of a seed.
    pub(crate) fn new(config: &ColumnConfig, seed: u64) -> Result<Self, String> {
        let whole = |min, max, read: fn(&str) -> Option<i64>| Range::new(config, min, max, read);
        let values = match config.kind {
            Kind::Sequence => Values::Sequence(bound(config.min.as_ref(), 0, |_| None)?),
            Kind::Int => Values::Ints(whole("0", "1000000", |text| text.parse().ok())?),
            Kind::Date => {
                Values::Dates(whole("2024-01-01", "2024-12-31", |text| Date32Type::parse(text).map(i64::from))?)
            }
            Kind::Timestamp => {
                Values::Timestamps(whole("2024-01-01", "2024-12-31T23:59:59.999999", TimestampMicrosecondType::parse)?)
            }
            Kind::Float => floats(config)?,
            Kind::String => match &config.values {
                Some(values) => Values::Chosen(values.clone()),
                None => Values::Named(config.cardinality.unwrap_or(DEFAULT_STRINGS)),
            },
            Kind::Bool => Values::Bools,
            Kind::Version => Values::Version,
        };
        let sequence = Sequence::new(seed, &format!("{}/nulls", config.name));
        let nulls = (config.null_ratio > 0.0).then_some(Nulls { sequence, ratio: config.null_ratio });
        let about = [("description", &config.description), ("unit", &config.unit)];
        let about = about.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?))).collect();
        Ok(Self { name: config.name.clone(), about, values, numbers: Sequence::new(seed, &config.name), nulls })
    }

    /// What the column is called and holds.
    pub(crate) fn field(&self) -> Field {
        let data_type = match self.values {
            Values::Sequence(_) | Values::Ints(_) | Values::Version => DataType::Int64,
            Values::Dates(_) => DataType::Date32,
            Values::Timestamps(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Values::Floats { .. } => DataType::Float64,
            Values::Chosen(_) | Values::Named(_) => DataType::Utf8,
            Values::Bools => DataType::Boolean,
        };
        Field::new(&self.name, data_type, self.nulls.is_some()).with_metadata(self.about.clone())
    }

    /// The values of `len` rows from row `start`, of a table of this version.
    pub(crate) fn array(&self, start: u64, len: usize, version: i64) -> ArrayRef {
        let rows = start..start + len as u64;
        let nulls = self
            .nulls
            .as_ref()
            .map(|nulls| NullBuffer::from_iter(rows.clone().map(|row| nulls.sequence.fraction(row) >= nulls.ratio)));
        let numbers = self.numbers;
        match &self.values {
            Values::Sequence(first) => {
                let values: ScalarBuffer<i64> = rows.map(|row| first.wrapping_add_unsigned(row)).collect();
                Arc::new(Int64Array::new(values, nulls))
            }
            Values::Ints(range) => {
                let values: ScalarBuffer<i64> = rows.map(|row| range.at(numbers, row)).collect();
                Arc::new(Int64Array::new(values, nulls))
            }
            Values::Timestamps(range) => {
                let values: ScalarBuffer<i64> = rows.map(|row| range.at(numbers, row)).collect();
                Arc::new(TimestampMicrosecondArray::new(values, nulls))
            }
            Values::Dates(range) => {
                let day = |row| i32::try_from(range.at(numbers, row)).unwrap_or(i32::MAX);
                Arc::new(Date32Array::new(rows.map(day).collect(), nulls))
            }
            Values::Floats { min, max, cardinality, scale } => {
                let value = |row| {
                    let share = match cardinality {
                        Some(count) => numbers.below(row, *count) as f64 / *count as f64,
                        None => numbers.fraction(row),
                    };
                    let value = min + share * (max - min);
                    scale.map_or(value, |scale| (value * scale).round() / scale)
                };
                Arc::new(Float64Array::new(rows.map(value).collect(), nulls))
            }
            Values::Bools => {
                let first = rows.start;
                let values = BooleanBuffer::collect_bool(len, |i| numbers.at(first + i as u64) >> 63 == 1);
                Arc::new(BooleanArray::new(values, nulls))
            }
            Values::Version => Arc::new(Int64Array::from_value(version, len)),
            Values::Chosen(_) | Values::Named(_) => self.strings(rows, nulls.as_ref()),
        }
    }

    fn strings(&self, rows: std::ops::Range<u64>, nulls: Option<&NullBuffer>) -> ArrayRef {
        let len = (rows.end - rows.start) as usize;
        let mut builder = StringBuilder::with_capacity(len, len * (self.name.len() + 6));
        let mut text = String::new();
        for (i, row) in rows.enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(i)) {
                builder.append_null();
                continue;
            }
            match &self.values {
                Values::Chosen(values) => {
                    let choice = self.numbers.below(row, values.len() as u64) as usize;
                    builder.append_value(&values[choice]);
                }
                Values::Named(count) => {
                    text.clear();
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{}-{}", self.name, self.numbers.below(row, *count));
                    builder.append_value(&text);
                }
                _ => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    }
}

impl Range {
    fn new(config: &ColumnConfig, min: &str, max: &str, read: fn(&str) -> Option<i64>) -> Result<Self, String> {
        let end = |given: &Option<Bound>, default: &str| bound(given.as_ref(), read(default).unwrap_or(0), read);
        let (min, max) = (end(&config.min, min)?, end(&config.max, max)?);
        if min > max || (config.kind == Kind::Date && (i32::try_from(min).is_err() || i32::try_from(max).is_err())) {
            return Err(format!("min {min} and max {max} are no range"));
        }
        let span = max.abs_diff(min).saturating_add(1);
        let count = config.cardinality.unwrap_or(span);
        if count > span {
            return Err(format!("there are no {count} values from {min} to {max}"));
        }
        Ok(Self { min, step: span / count, count })
    }

    fn at(self, numbers: Sequence, row: u64) -> i64 {
        self.min.wrapping_add_unsigned(numbers.below(row, self.count) * self.step)
    }
}

fn bound(given: Option<&Bound>, default: i64, read: fn(&str) -> Option<i64>) -> Result<i64, String> {
    match given {
        None => Ok(default),
        Some(Bound::Int(number)) => Ok(*number),
        Some(Bound::Float(number)) => Err(format!("{number} is not a whole number")),
        Some(Bound::Text(text)) => read(text).ok_or_else(|| format!("'{text}' is no value of this type")),
    }
}

fn floats(config: &ColumnConfig) -> Result<Values, String> {
    let end = |given: &Option<Bound>, default: f64| match given {
        None => Ok(default),
        Some(Bound::Int(number)) => Ok(*number as f64),
        Some(Bound::Float(number)) => Ok(*number),
        Some(Bound::Text(text)) => Err(format!("'{text}' is not a number")),
    };
    let (min, max) = (end(&config.min, 0.0)?, end(&config.max, 1000.0)?);
    if min > max {
        return Err(format!("min {min} and max {max} are no range"));
    }
    let scale = config.decimals.map(|digits| 10f64.powi(i32::from(digits)));
    Ok(Values::Floats { min, max, cardinality: config.cardinality, scale })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow::array::Array;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn column(json: &str) -> Result<Column, String> {
        Column::new(&serde_json::from_str(json).unwrap(), 42)
    }

    #[track_caller]
    fn check_cardinality(json: &str, expected: usize) {
        let array = column(json).unwrap().array(0, 20_000, 0);
        let distinct: HashSet<_> = (0..array.len()).map(|i| array_value_to_string(&array, i).unwrap()).collect();
        assert_eq!(distinct.len(), expected, "{json}");
    }

    #[test]
    fn a_column_has_as_many_values_as_its_cardinality() {
        check_cardinality(r#"{"name": "c", "type": "int", "cardinality": 7}"#, 7);
        check_cardinality(r#"{"name": "c", "type": "int", "min": -3, "max": 3}"#, 7);
        check_cardinality(r#"{"name": "c", "type": "float", "cardinality": 50}"#, 50);
        check_cardinality(r#"{"name": "c", "type": "string", "cardinality": 100}"#, 100);
        check_cardinality(r#"{"name": "c", "type": "string", "values": ["a", "b", "c"]}"#, 3);
        check_cardinality(r#"{"name": "c", "type": "date", "min": "2025-01-01", "max": "2025-01-10"}"#, 10);
        check_cardinality(r#"{"name": "c", "type": "timestamp", "cardinality": 12}"#, 12);
        check_cardinality(r#"{"name": "c", "type": "bool"}"#, 2);
        check_cardinality(r#"{"name": "c", "type": "sequence"}"#, 20_000);
        check_cardinality(
            r#"{"name": "c", "type": "int", "min": -9223372036854775808, "max": 9223372036854775807}"#,
            20_000,
        );
    }

    #[test]
    fn the_share_of_nulls_is_that_of_the_configuration() {
        for kind in ["sequence", "int", "float", "string", "bool", "date", "timestamp"] {
            for (ratio, expected) in [(0.0, 0..=0), (0.25, 4_700..=5_300), (1.0, 20_000..=20_000)] {
                let column = column(&format!(r#"{{"name": "c", "type": "{kind}", "null_ratio": {ratio}}}"#)).unwrap();
                let nulls = column.array(5, 20_000, 0).null_count();
                assert!(expected.contains(&nulls), "{kind} {ratio}: {nulls}");
                assert_eq!(column.field().is_nullable(), ratio > 0.0);
            }
        }
    }

    #[test]
    fn values_stay_in_their_range() {
        let floats = column(r#"{"name": "c", "type": "float", "min": -1, "max": 2.5, "decimals": 2}"#).unwrap();
        let array = floats.array(0, 1000, 0);
        let values = arrow::array::cast::as_primitive_array::<arrow::datatypes::Float64Type>(&array).values();
        assert!(values.iter().all(|v| (-1.0..=2.5).contains(v) && (v * 100.0 - (v * 100.0).round()).abs() < 1e-9));
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for json in [
            r#"{"name": "c", "type": "int", "min": 5, "max": 4}"#,
            r#"{"name": "c", "type": "int", "min": 1, "max": 3, "cardinality": 4}"#,
            r#"{"name": "c", "type": "int", "min": 1.5}"#,
            r#"{"name": "c", "type": "date", "min": "yesterday"}"#,
            r#"{"name": "c", "type": "float", "min": "1"}"#,
            r#"{"name": "c", "type": "date", "max": 9999999999}"#,
        ] {
            assert!(column(json).is_err(), "{json}");
        }
    }
}
