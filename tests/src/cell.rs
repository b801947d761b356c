//! One value of a table, taken out of Arrow by index and nothing more: the oracle compares cells and
//! uses no kernel, so that it cannot share a kernel's mistake.

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// What a column holds, as far as comparing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True and false.
    Bool,
    /// Whole numbers of `low..=high`.
    Int {
        /// The least value of the type.
        low: i128,
        /// The greatest value of the type.
        high: i128,
    },
    /// Single precision.
    Float32,
    /// Double precision.
    Float64,
    /// Strings, however they are laid out.
    Text,
    /// Bytes, however they are laid out.
    Bytes,
    /// Days.
    Day,
    /// Nanoseconds since midnight, in steps.
    Time {
        /// The length of a step in nanoseconds.
        step: i64,
    },
    /// Nanoseconds since 1970, in steps.
    Instant {
        /// The length of a step in nanoseconds.
        step: i64,
        /// Whether the type names a time zone.
        zoned: bool,
    },
    /// Exact decimals.
    Decimal {
        /// Digits after the point.
        scale: u32,
    },
    /// What can only be asked whether it is null.
    Opaque,
}

impl Kind {
    /// The kind of a type.
    pub fn of(data_type: &DataType) -> Self {
        fn int(low: impl Into<i128>, high: impl Into<i128>) -> Kind {
            Kind::Int { low: low.into(), high: high.into() }
        }
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 => int(i8::MIN, i8::MAX),
            DataType::Int16 => int(i16::MIN, i16::MAX),
            DataType::Int32 => int(i32::MIN, i32::MAX),
            DataType::Int64 => int(i64::MIN, i64::MAX),
            DataType::UInt8 => int(0, u8::MAX),
            DataType::UInt16 => int(0, u16::MAX),
            DataType::UInt32 => int(0, u32::MAX),
            DataType::UInt64 => int(0, u64::MAX),
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Date32 | DataType::Date64 => Self::Day,
            DataType::Time32(unit) | DataType::Time64(unit) => Self::Time { step: step(unit) },
            DataType::Timestamp(unit, zone) => Self::Instant { step: step(unit), zoned: zone.is_some() },
            DataType::Decimal128(_, scale) => {
                Self::Decimal { scale: u32::try_from(*scale).expect("a scale of 0 or more") }
            }
            DataType::Dictionary(_, values) => Self::of(values),
            _ => Self::Opaque,
        }
    }
}

/// The length of a unit in nanoseconds.
pub fn step(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A float; a single-precision one widened.
    Float(f64),
    /// A string.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Days since 1970.
    Day(i64),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Nanoseconds since 1970.
    Instant(i128),
    /// `unscaled / 10^scale`.
    Decimal {
        /// The number without its point.
        unscaled: i128,
        /// Digits after the point.
        scale: u32,
    },
    /// Something that is not null.
    Opaque,
}

/// A table as columns of cells.
#[derive(Debug, Clone)]
pub struct Table {
    /// The columns in order.
    pub columns: Vec<Column>,
    /// How many rows there are.
    pub rows: usize,
}

/// A column of cells.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its values.
    pub cells: Vec<Cell>,
}

impl Table {
    /// Takes batches of one schema apart.
    pub fn of(batches: &[RecordBatch]) -> Self {
        let schema = batches.first().expect("a batch").schema();
        let columns = schema.fields().iter().enumerate().map(|(at, field)| Column {
            name: field.name().clone(),
            kind: Kind::of(field.data_type()),
            cells: batches
                .iter()
                .flat_map(|batch| (0..batch.num_rows()).map(move |row| cell(batch.column(at).as_ref(), row)))
                .collect(),
        });
        Self { columns: columns.collect(), rows: batches.iter().map(RecordBatch::num_rows).sum() }
    }

    /// A column by its name.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn column(&self, name: &str) -> &Column {
        let found = self.columns.iter().find(|column| column.name == name);
        found.unwrap_or_else(|| panic!("no column {name}"))
    }
}

/// One value of an array.
///
/// # Panics
/// When the array's type is one that no test table has.
pub fn cell(array: &dyn Array, row: usize) -> Cell {
    fn at<T: ArrowPrimitiveType>(array: &dyn Array, row: usize) -> T::Native {
        array.as_primitive::<T>().value(row)
    }
    fn int<T: ArrowPrimitiveType<Native: Into<i128>>>(array: &dyn Array, row: usize) -> Cell {
        Cell::Int(at::<T>(array, row).into())
    }
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => int::<Int8Type>(array, row),
        DataType::Int16 => int::<Int16Type>(array, row),
        DataType::Int32 => int::<Int32Type>(array, row),
        DataType::Int64 => int::<Int64Type>(array, row),
        DataType::UInt8 => int::<UInt8Type>(array, row),
        DataType::UInt16 => int::<UInt16Type>(array, row),
        DataType::UInt32 => int::<UInt32Type>(array, row),
        DataType::UInt64 => int::<UInt64Type>(array, row),
        DataType::Float32 => Cell::Float(at::<Float32Type>(array, row).into()),
        DataType::Float64 => Cell::Float(at::<Float64Type>(array, row)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Cell::Bytes(array.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Cell::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::FixedSizeBinary(_) => Cell::Bytes(array.as_fixed_size_binary().value(row).to_vec()),
        DataType::Date32 => Cell::Day(at::<Date32Type>(array, row).into()),
        DataType::Date64 => Cell::Day(at::<Date64Type>(array, row).div_euclid(86_400_000)),
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let steps = match unit {
                TimeUnit::Second => at::<Time32SecondType>(array, row).into(),
                TimeUnit::Millisecond => at::<Time32MillisecondType>(array, row).into(),
                TimeUnit::Microsecond => at::<Time64MicrosecondType>(array, row),
                TimeUnit::Nanosecond => at::<Time64NanosecondType>(array, row),
            };
            Cell::Time(steps * step(unit))
        }
        DataType::Timestamp(unit, _) => {
            let steps = match unit {
                TimeUnit::Second => at::<TimestampSecondType>(array, row),
                TimeUnit::Millisecond => at::<TimestampMillisecondType>(array, row),
                TimeUnit::Microsecond => at::<TimestampMicrosecondType>(array, row),
                TimeUnit::Nanosecond => at::<TimestampNanosecondType>(array, row),
            };
            Cell::Instant(i128::from(steps) * i128::from(step(unit)))
        }
        DataType::Decimal128(_, scale) => Cell::Decimal {
            unscaled: at::<Decimal128Type>(array, row),
            scale: u32::try_from(*scale).expect("a scale of 0 or more"),
        },
        DataType::Dictionary(key, _) => {
            let dictionary = array.as_any_dictionary();
            assert_eq!(**key, DataType::Int32, "test tables have 32-bit dictionary keys");
            let key = dictionary.keys().as_primitive::<Int32Type>().value(row);
            cell(dictionary.values().as_ref(), usize::try_from(key).expect("a key"))
        }
        _ => Cell::Opaque,
    }
}
