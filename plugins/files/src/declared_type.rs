//! The names that types have in a configuration.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};

/// The name under which Arrow keeps UTC without a time-zone database.
pub(crate) const UTC: &str = "+00:00";

/// Reads a type such as `int64`, `timestamp(ms)` or `decimal(10,2)`.
pub(crate) fn parse(text: &str) -> Result<DataType, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (name, arguments) = match lower.split_once('(') {
        None => (lower.as_str(), Vec::new()),
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').ok_or_else(|| format!("type '{text}' lacks a closing bracket"))?;
            (name.trim(), inner.split(',').map(str::trim).collect())
        }
    };
    match (name, arguments.as_slice()) {
        ("timestamp", [unit]) => Ok(DataType::Timestamp(time_unit(unit)?, None)),
        ("timestamptz", [unit]) => Ok(DataType::Timestamp(time_unit(unit)?, Some(UTC.into()))),
        ("decimal", [precision, scale]) => decimal(precision, scale),
        (_, []) => plain(name).ok_or_else(|| unknown(text)),
        _ => Err(unknown(text)),
    }
}

fn plain(name: &str) -> Option<DataType> {
    Some(match name {
        "bool" | "boolean" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" | "int" | "integer" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" => DataType::Float32,
        "float64" | "float" | "double" => DataType::Float64,
        "utf8" | "string" | "text" => DataType::Utf8,
        "date32" | "date" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        _ => return None,
    })
}

fn time_unit(name: &str) -> Result<TimeUnit, String> {
    match name {
        "s" => Ok(TimeUnit::Second),
        "ms" => Ok(TimeUnit::Millisecond),
        "us" => Ok(TimeUnit::Microsecond),
        "ns" => Ok(TimeUnit::Nanosecond),
        _ => Err(format!("unknown unit '{name}', expected s, ms, us or ns")),
    }
}

fn decimal(precision: &str, scale: &str) -> Result<DataType, String> {
    let numbers = (precision.parse::<u8>().ok(), scale.parse::<i8>().ok());
    match numbers {
        (Some(precision), Some(scale))
            if (1..=DECIMAL128_MAX_PRECISION).contains(&precision) && (0..=precision as i8).contains(&scale) =>
        {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(format!(
            "decimal({precision},{scale}) needs a precision of 1 to {DECIMAL128_MAX_PRECISION} and a scale within it"
        )),
    }
}

fn unknown(text: &str) -> String {
    format!(
        "unknown type '{text}', expected bool, int8 to int64, uint8 to uint64, float32, float64, utf8, date32, time, \
         timestamp, timestamptz or decimal(p,s)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: DataType) {
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn types_have_plain_names() {
        check("Int64", DataType::Int64);
        check("string", DataType::Utf8);
        check("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None));
        check("timestamp(ms)", DataType::Timestamp(TimeUnit::Millisecond, None));
        check("timestamptz", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())));
        check("decimal(10, 2)", DataType::Decimal128(10, 2));
        for bad in ["", "int65", "decimal", "decimal(50,2)", "decimal(5,9)", "decimal(5", "timestamp(h)", "int64(3)"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
