//! A column of every type, made of the same bits.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;

/// The types whose text is not checked against JSON when a value has none.
const ZONES: [Option<&str>; 6] =
    [None, Some("UTC"), Some("+00:00"), Some("+05:30"), Some("-03:00"), Some("Europe/Berlin")];

/// Bits of one value; `None` is null.
pub(super) type Bits = Option<u64>;

/// Times of the years 1 to 9999, or anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Times {
    Usual,
    Any,
}

fn of<T: ArrowPrimitiveType>(bits: &[Bits], value: impl Fn(u64) -> T::Native) -> PrimitiveArray<T> {
    bits.iter().map(|bits| bits.map(&value)).collect()
}

/// Letters of a text by bits: plain ones, and all that has to be escaped somewhere.
pub(super) fn text(bits: u64) -> String {
    const LETTERS: [&str; 16] = [
        "a",
        "b",
        "long and plain",
        ",",
        "\"",
        "\\",
        "\n",
        "\r",
        "\t",
        "\u{1}",
        "\u{7f}",
        "é",
        "日本",
        "=",
        "\u{8}",
        "z",
    ];
    (0..bits % 7).map(|at| LETTERS[(bits >> (8 + at * 4) & 15) as usize]).collect()
}

fn within(bits: u64, low: i64, high: i64) -> i64 {
    low + (bits % (high - low).unsigned_abs()) as i64
}

fn timestamps<T: ArrowTimestampType>(bits: &[Bits], units: i64, times: Times) -> Vec<ArrayRef> {
    // Nanoseconds in 64 bits end in 2262.
    let (low, high) =
        if units == 1_000_000_000 { (i64::MIN, i64::MAX) } else { (-62_135_596_800 * units, 253_402_214_400 * units) };
    let value = |bits: u64| match times {
        Times::Any => bits as i64,
        Times::Usual if units == 1_000_000_000 => bits as i64,
        Times::Usual => {
            // Whole seconds and milliseconds are to be met as well.
            let value = within(bits, low, high);
            match bits % 3 {
                0 => value,
                1 => value / units * units,
                _ => value / 1_000 * 1_000,
            }
        }
    };
    let zones = if times == Times::Any { &ZONES[..1] } else { &ZONES[..] };
    zones.iter().map(|zone| Arc::new(of::<T>(bits, value).with_timezone_opt(*zone)) as ArrayRef).collect()
}

fn plain(bits: &[Bits]) -> Vec<ArrayRef> {
    let floats = of::<Float32Type>(bits, |bits| f32::from_bits(bits as u32));
    let texts = StringArray::from_iter(bits.iter().map(|bits| bits.map(text)));
    let bytes = BinaryArray::from_iter(
        bits.iter().map(|bits| bits.map(|bits| bits.to_le_bytes()[..bits as usize % 9].to_vec())),
    );
    let fixed = bits.iter().map(|bits| bits.map(|bits| [bits as u8, (bits >> 8) as u8, 255]));
    vec![
        Arc::new(NullArray::new(bits.len())),
        Arc::new(BooleanArray::from_iter(bits.iter().map(|bits| bits.map(|bits| bits % 2 == 0)))),
        Arc::new(of::<Int8Type>(bits, |bits| bits as i8)),
        Arc::new(of::<Int16Type>(bits, |bits| bits as i16)),
        Arc::new(of::<Int32Type>(bits, |bits| bits as i32)),
        Arc::new(of::<Int64Type>(bits, |bits| bits as i64)),
        Arc::new(of::<UInt8Type>(bits, |bits| bits as u8)),
        Arc::new(of::<UInt16Type>(bits, |bits| bits as u16)),
        Arc::new(of::<UInt32Type>(bits, |bits| bits as u32)),
        Arc::new(of::<UInt64Type>(bits, |bits| bits)),
        cast(&floats, &DataType::Float16).unwrap(),
        Arc::new(floats),
        Arc::new(of::<Float32Type>(bits, |bits| (bits as i32) as f32 / 64.0)),
        Arc::new(of::<Float64Type>(bits, f64::from_bits)),
        Arc::new(of::<Float64Type>(bits, |bits| (bits as i64) as f64 / 10_f64.powi((bits % 25) as i32))),
        Arc::new(of::<Float64Type>(bits, |bits| 10_f64.powi((bits % 60) as i32 - 30))),
        Arc::new(of::<Float64Type>(bits, |bits| (bits % 100_000) as f64 / 100.0)),
        cast(&texts, &DataType::LargeUtf8).unwrap(),
        cast(&texts, &DataType::Utf8View).unwrap(),
        Arc::new(texts),
        cast(&bytes, &DataType::LargeBinary).unwrap(),
        cast(&bytes, &DataType::BinaryView).unwrap(),
        Arc::new(bytes),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 3).unwrap()),
    ]
}

fn decimals(bits: &[Bits]) -> Vec<ArrayRef> {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for scale in [-2_i8, 0, 3, 9] {
        let wide = |bits: u64| i128::from(bits as i64) * if bits.is_multiple_of(2) { 1 << 60 } else { 1 };
        columns.push(Arc::new(of::<Decimal32Type>(bits, |b| b as i32).with_precision_and_scale(9, scale).unwrap()));
        columns.push(Arc::new(of::<Decimal64Type>(bits, |b| b as i64).with_precision_and_scale(18, scale).unwrap()));
        columns.push(Arc::new(of::<Decimal128Type>(bits, wide).with_precision_and_scale(38, scale).unwrap()));
        let wider = of::<Decimal256Type>(bits, |b| arrow::datatypes::i256::from_i128(wide(b)));
        columns.push(Arc::new(wider.with_precision_and_scale(76, scale).unwrap()));
        columns.push(Arc::new(
            of::<Decimal128Type>(bits, |b| i128::from(b % 2_000) - 1_000).with_precision_and_scale(9, scale).unwrap(),
        ));
    }
    columns
}

fn times(bits: &[Bits], times: Times) -> Vec<ArrayRef> {
    let day = |units: i64| move |bits: u64| within(bits, 0, 86_400 * units);
    let days = |bits: u64| if times == Times::Any { bits as i64 } else { within(bits, -719_162, 2_932_896) };
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(of::<Date32Type>(bits, |bits| days(bits) as i32)),
        Arc::new(of::<Date64Type>(bits, |bits| days(bits).saturating_mul(86_400_000).saturating_add(day(1_000)(bits)))),
        Arc::new(of::<Time32SecondType>(bits, |bits| day(1)(bits) as i32)),
        Arc::new(of::<Time32MillisecondType>(bits, |bits| day(1_000)(bits) as i32)),
        Arc::new(of::<Time64MicrosecondType>(bits, day(1_000_000))),
        Arc::new(of::<Time64NanosecondType>(bits, day(1_000_000_000))),
        Arc::new(of::<DurationSecondType>(bits, |bits| bits as i32 as i64)),
        Arc::new(of::<DurationMillisecondType>(bits, |bits| bits as i32 as i64)),
        Arc::new(of::<DurationMicrosecondType>(bits, |bits| bits as i64)),
        Arc::new(of::<DurationNanosecondType>(bits, |bits| bits as i64)),
        Arc::new(of::<IntervalYearMonthType>(bits, |bits| bits as i32)),
        Arc::new(of::<IntervalDayTimeType>(bits, |bits| IntervalDayTime::new(bits as i32, (bits >> 32) as i32))),
        Arc::new(of::<IntervalMonthDayNanoType>(bits, |bits| IntervalMonthDayNano::new(bits as i32, 3, bits as i64))),
    ];
    columns.extend(timestamps::<TimestampSecondType>(bits, 1, times));
    columns.extend(timestamps::<TimestampMillisecondType>(bits, 1_000, times));
    columns.extend(timestamps::<TimestampMicrosecondType>(bits, 1_000_000, times));
    columns.extend(timestamps::<TimestampNanosecondType>(bits, 1_000_000_000, times));
    columns
}

fn nested(bits: &[Bits]) -> Vec<ArrayRef> {
    let nulls = || Some(NullBuffer::from_iter(bits.iter().map(Option::is_some)));
    let numbers: ArrayRef = Arc::new(of::<Int64Type>(bits, |bits| bits as i64));
    let texts: ArrayRef = Arc::new(StringArray::from_iter(bits.iter().map(|bits| bits.map(text))));
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..bits.len()).map(|row| format!("k\"{row}"))));
    let field = |name: &str, array: &ArrayRef, null: bool| Arc::new(Field::new(name, array.data_type().clone(), null));
    let halves = || {
        let lengths = (0..bits.len()).map(|row| if row % 2 == 0 { 0 } else { 2 });
        OffsetBuffer::<i32>::from_lengths(lengths.chain((bits.len() % 2 == 1).then_some(0)).take(bits.len()))
    };
    let listed = |array: &ArrayRef| array.slice(0, bits.len() / 2 * 2);
    let list = ListArray::new(field("item", &texts, true), halves(), listed(&texts), nulls());
    let fields = Fields::from(vec![field("n", &numbers, true), field("t\n", &texts, true)]);
    let members = StructArray::new(fields, vec![Arc::clone(&numbers), Arc::clone(&texts)], nulls());
    let entries = Fields::from(vec![field("key", &keys, false), field("value", &numbers, true)]);
    let entries = StructArray::new(entries, vec![listed(&keys), listed(&numbers)], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    vec![
        cast(&list, &DataType::LargeList(field("item", &texts, true))).unwrap(),
        Arc::new(FixedSizeListArray::new(field("item", &numbers, true), 1, Arc::clone(&numbers), nulls())),
        Arc::new(list),
        Arc::new(members),
        Arc::new(MapArray::new(entry, halves(), entries, nulls(), false)),
    ]
}

fn packed(bits: &[Bits]) -> Vec<ArrayRef> {
    let few: Vec<Bits> =
        bits.iter().map(|bits| bits.map(|bits| bits % 5 + (bits % 5) * 0x0123_4567_89ab_cd00)).collect();
    let texts = StringArray::from_iter(few.iter().map(|bits| bits.map(text)));
    let numbers = of::<Int64Type>(&few, |bits| bits as i64);
    let to = |array: &dyn Array, to: &str| cast(array, &to.parse().unwrap()).unwrap();
    let runs = |array: &dyn Array| {
        let field = Arc::new(Field::new("values", array.data_type().clone(), true));
        let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
        cast(array, &DataType::RunEndEncoded(ends, field)).unwrap()
    };
    vec![
        to(&texts, "Dictionary(Int8, Utf8)"),
        to(&texts, "Dictionary(UInt64, LargeUtf8)"),
        to(&numbers, "Dictionary(Int32, Int64)"),
        to(&StringArray::from_iter(bits.iter().map(|bits| bits.map(text))), "Dictionary(UInt32, Utf8)"),
        runs(&texts),
        runs(&numbers),
    ]
}

/// A column of every type that can be written as text, with as many rows as there are bits.
pub(super) fn columns(bits: &[Bits], which: Times) -> Vec<ArrayRef> {
    if which == Times::Any {
        return times(bits, which);
    }
    [plain(bits), decimals(bits), times(bits, which), nested(bits), packed(bits)].concat()
}
