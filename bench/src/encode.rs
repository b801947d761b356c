//! Results as text: JSON, NDJSON and CSV beside `arrow-json` and `arrow-csv`, on one core, in megabytes of output a second.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationMillisecondArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, IntervalUnit, Schema};
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use pipeline::format::Format;
use rustix::time::{ClockId, clock_gettime};

use crate::report::{Goal, line, median, median_ratio, ratio};

const ROWS: usize = 200_000;
const ROUNDS: usize = 5;

/// Measures a mixed table, then every type of column by itself.
pub(crate) fn run() -> anyhow::Result<()> {
    let columns = columns()?;
    let is_mixed = |name: &str| matches!(name, "int64" | "float64" | "text" | "dictionary" | "date" | "bool" | "nulls");
    let mixed = table(columns.iter().filter(|(name, _)| is_mixed(name)))?;
    println!("# encode: {ROWS} rows, one core; MB/s of output, then how many times as fast as Arrow's writer");
    compare("mixed table", &mixed, Format::Json, Some(300.0))?;
    compare("mixed table", &mixed, Format::Ndjson, Some(300.0))?;
    compare("mixed table", &mixed, Format::CsvRaw, Some(400.0))?;
    compare("mixed table, formulas escaped", &mixed, Format::Csv, Some(400.0))?;
    for column in &columns {
        let (name, batch) = (column.0, table([column])?);
        compare(name, &batch, Format::Json, None)?;
        // Arrow's writer of CSV takes no nested columns.
        if !column.1.data_type().is_nested() {
            compare(name, &batch, Format::CsvRaw, None)?;
        }
    }
    Ok(())
}

/// The columns' values are made by a fixed generator: every run writes the same bytes.
fn columns() -> anyhow::Result<Vec<(&'static str, ArrayRef)>> {
    let bits: Vec<u64> =
        (0..ROWS as u64).map(|row| (row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)).collect();
    let words = ["north", "south-east", "west", "central district", "a \"quoted\" one, with a comma", "Zürich"];
    let plain = ["Ada Lovelace", "Grace", "Edsger W. Dijkstra", "Barbara Liskov", "Tony", "Donald E. Knuth"];
    let pick = |from: &[&'static str; 6]| {
        StringArray::from_iter_values(bits.iter().map(|bits| from[(bits >> 7) as usize % 6]))
    };
    let numbers = || Int64Array::from_iter_values(bits.iter().map(|bits| (bits >> 20) as i64 % 1_000_000));
    let micros = || {
        TimestampMicrosecondArray::from_iter_values(bits.iter().map(|bits| 1_500_000_000_000_000 + (bits >> 15) as i64))
    };
    let days = Int32Array::from_iter_values(bits.iter().map(|bits| 10_000 + (bits >> 50) as i32));
    let lists =
        bits.iter().map(|bits| Some((0..bits % 4).map(|at| Some((bits >> at) as i64 % 1_000)).collect::<Vec<_>>()));
    let members = vec![
        (Arc::new(Field::new("n", DataType::Int64, true)), Arc::new(numbers()) as ArrayRef),
        (Arc::new(Field::new("s", DataType::Utf8, true)), Arc::new(pick(&plain)) as ArrayRef),
    ];
    let as_type = |array: &dyn arrow::array::Array, to: &DataType| cast(array, to).context("make a column");
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let cents = Decimal128Array::from_iter_values(bits.iter().map(|bits| i128::from(bits >> 24)));
    let single = Float32Array::from_iter_values(bits.iter().map(|bits| (bits >> 40) as f32 / 64.0));
    Ok(vec![
        ("int64", Arc::new(numbers())),
        ("int64, long", Arc::new(Int64Array::from_iter_values(bits.iter().map(|bits| *bits as i64)))),
        ("int32", as_type(&numbers(), &DataType::Int32)?),
        ("uint8", Arc::new(arrow::array::UInt8Array::from_iter_values(bits.iter().map(|bits| *bits as u8)))),
        ("float64", Arc::new(Float64Array::from_iter_values(bits.iter().map(|bits| (bits >> 34) as f64 / 100.0)))),
        ("float64, 17 digits", Arc::new(Float64Array::from_iter_values(bits.iter().map(|bits| *bits as f64 / 1e17)))),
        ("float64, any", Arc::new(Float64Array::from_iter_values(bits.iter().map(|bits| f64::from_bits(*bits))))),
        ("float16", as_type(&single, &DataType::Float16)?),
        ("float32", Arc::new(single)),
        ("bool", Arc::new(BooleanArray::from_iter(bits.iter().map(|bits| Some(bits % 3 == 0))))),
        (
            "nulls",
            Arc::new(Int64Array::from_iter(bits.iter().map(|bits| (bits % 4 > 0).then_some((bits >> 44) as i64)))),
        ),
        ("text", Arc::new(pick(&plain))),
        ("text, some escaped", Arc::new(pick(&words))),
        (
            "text, long",
            Arc::new(StringArray::from_iter_values(pick(&plain).iter().flatten().map(|text| text.repeat(20)))),
        ),
        ("text view", as_type(&pick(&plain), &DataType::Utf8View)?),
        ("dictionary", as_type(&pick(&words), &dictionary)?),
        (
            "date",
            Arc::new(
                as_type(&days, &DataType::Date32)?.as_any().downcast_ref::<Date32Array>().context("dates")?.clone(),
            ),
        ),
        ("date64", as_type(&as_type(&days, &DataType::Date32)?, &DataType::Date64)?),
        (
            "time",
            Arc::new(Time64MicrosecondArray::from_iter_values(
                bits.iter().map(|bits| (bits >> 20) as i64 % 86_400_000_000),
            )),
        ),
        ("timestamp", Arc::new(micros())),
        ("timestamp, UTC", Arc::new(micros().with_timezone("UTC"))),
        ("timestamp, +02:00", Arc::new(micros().with_timezone("+02:00"))),
        ("timestamp, a named zone", Arc::new(micros().with_timezone("Europe/Berlin"))),
        ("duration", Arc::new(DurationMillisecondArray::from_iter_values(bits.iter().map(|bits| (bits >> 30) as i64)))),
        ("interval", as_type(&days, &DataType::Interval(IntervalUnit::YearMonth))?),
        ("decimal", Arc::new(cents.with_precision_and_scale(20, 2)?)),
        ("binary", Arc::new(BinaryArray::from_iter_values(bits.iter().map(|bits| bits.to_le_bytes())))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ("struct", Arc::new(StructArray::from(members))),
    ])
}

fn table<'a>(columns: impl IntoIterator<Item = &'a (&'static str, ArrayRef)>) -> anyhow::Result<RecordBatch> {
    let (fields, columns): (Vec<_>, Vec<_>) = columns
        .into_iter()
        .map(|(name, column)| (Field::new(*name, column.data_type().clone(), true), Arc::clone(column)))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).context("make a table")
}

/// Writes a table by turns here and with Arrow.
fn compare(what: &str, batch: &RecordBatch, format: Format, goal: Option<f64>) -> anyhow::Result<()> {
    let batches = [batch.clone()];
    let schema = batch.schema();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        ours.push(speed(|| format.encode(&schema, &batches, usize::MAX).context("encode"))?);
        theirs.push(speed(|| by_arrow(batch, format))?);
    }
    // The first round warms up.
    let (mut ours, theirs) = (ours.split_off(1), theirs.split_off(1));
    let times = median_ratio(&ours, &theirs);
    let what = format!("{}: {what}", format.name());
    let figure = median(&mut ours);
    match goal {
        Some(goal) => ratio(&format!("{what}, MB/s"), figure, Goal::AtLeast(goal)),
        None => line(&format!("{what}, MB/s"), format!("{figure:.0}"), "-"),
    }
    ratio(&format!("{what}, to Arrow's writer"), times, Goal::AtLeast(1.0));
    Ok(())
}

/// Megabytes of what `write` makes for each second of its thread: what else runs on the machine does not count.
fn speed(write: impl Fn() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<f64> {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    let bytes = black_box(write()?);
    let spent = clock_gettime(ClockId::ThreadCPUTime) - start;
    Ok(bytes.len() as f64 / 1e6 / (spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9))
}

fn by_arrow(batch: &RecordBatch, format: Format) -> anyhow::Result<Vec<u8>> {
    match format {
        Format::Json => json::<JsonArray>(batch),
        Format::Ndjson => json::<LineDelimited>(batch),
        _ => {
            let mut bytes = Vec::new();
            arrow::csv::Writer::new(&mut bytes).write(batch)?;
            Ok(bytes)
        }
    }
}

fn json<F: JsonFormat>(batch: &RecordBatch) -> anyhow::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner())
}
