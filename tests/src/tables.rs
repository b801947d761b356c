//! Tables for the tests: one with a column of every type, and how tables become files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, DurationMillisecondArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray,
    StructArray, Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::rng::Rng;

/// How many rows [`every_type`] has.
pub const ROWS: usize = 72;

/// Which types a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// Those that a Parquet file keeps.
    Parquet,
    /// Those of the Arrow format itself.
    Arrow,
}

/// Draws values, some of them null: the given edges often enough, and others near them.
struct Draw(Rng);

impl Draw {
    fn column<T: Clone>(&mut self, edges: &[T], mut other: impl FnMut(&mut Rng) -> T) -> Vec<Option<T>> {
        (0..ROWS)
            .map(|row| match edges.get(row) {
                Some(edge) => Some(edge.clone()),
                None if self.0.one_in(6) => None,
                None if self.0.one_in(2) => Some(self.0.pick(edges).clone()),
                None => Some(other(&mut self.0)),
            })
            .collect()
    }
}

/// A table with a column of every type, nulls in each but `id`; always the same.
///
/// # Panics
/// Never: its columns are of one length.
pub fn every_type(types: Types) -> RecordBatch {
    let mut draw = Draw(Rng::new(20_260_101));
    let ids = (0..ROWS).map(|row| i64::try_from(row).ok());
    let mut columns: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(ids.collect::<Int64Array>()))];
    columns.extend(numbers(&mut draw));
    columns.extend(texts(&mut draw));
    columns.extend(times(&mut draw));
    columns.extend(nested(&mut draw));
    if types == Types::Arrow {
        columns.extend(arrow_only(&mut draw));
    }
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "id")).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length")
}

fn numbers(draw: &mut Draw) -> Vec<(&'static str, ArrayRef)> {
    let f64s = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.5, -2.25, 1e300, f64::MIN_POSITIVE, 0.1];
    let f32s = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.5, -2.25, 1e30, 0.1];
    let cents = draw.column(&[0, 5, -5, 100, -100, 9_999_999_999, -9_999_999_999], |r| r.between(-500, 500).into());
    let long = 10_i128.pow(38) - 1;
    let longs = draw.column(&[0, long, -long, 1, -1, 1_000_000_000], |r| {
        i128::from(r.number()) * i128::from(r.number() >> 1) % long
    });
    let decimal = |values: Vec<Option<i128>>, precision, scale| {
        Decimal128Array::from(values).with_precision_and_scale(precision, scale).expect("a decimal type")
    };
    vec![
        ("b", Arc::new(BooleanArray::from(draw.column(&[true, false], |r| r.one_in(2))))),
        ("i8", Arc::new(Int8Array::from(draw.column(&[i8::MIN, -1, 0, 1, i8::MAX], |r| r.number() as i8)))),
        ("i16", Arc::new(Int16Array::from(draw.column(&[i16::MIN, -1, 0, 1, i16::MAX], |r| r.number() as i16)))),
        ("i32", Arc::new(Int32Array::from(draw.column(&[i32::MIN, -1, 0, 1, i32::MAX], |r| r.number() as i32)))),
        ("i64", Arc::new(Int64Array::from(draw.column(&[i64::MIN, -1, 0, 1, i64::MAX], |r| r.between(-9, 9))))),
        ("u8", Arc::new(UInt8Array::from(draw.column(&[0, 1, u8::MAX], |r| r.number() as u8)))),
        ("u16", Arc::new(UInt16Array::from(draw.column(&[0, 1, u16::MAX], |r| r.number() as u16)))),
        ("u32", Arc::new(UInt32Array::from(draw.column(&[0, 1, u32::MAX], |r| r.number() as u32)))),
        ("u64", Arc::new(UInt64Array::from(draw.column(&[0, 1, u64::MAX, u64::MAX - 1], Rng::number)))),
        ("f32", Arc::new(Float32Array::from(draw.column(&f32s, |r| r.between(-99, 99) as f32 / 8.0)))),
        ("f64", Arc::new(Float64Array::from(draw.column(&f64s, |r| r.between(-99, 99) as f64 / 10.0)))),
        ("dec", Arc::new(decimal(cents, 12, 2))),
        ("dec38", Arc::new(decimal(longs, 38, 9))),
        ("dec0", Arc::new(decimal(draw.column(&[0, 7, -7], |r| r.between(-20, 20).into()), 9, 0))),
    ]
}

fn text_values(draw: &mut Draw) -> Vec<Option<String>> {
    let edges = [
        "",
        "a",
        "A",
        "b,c",
        "say \"hi\"",
        "back\\slash",
        "(paren)",
        "dot.dot",
        "Ärger",
        "naïve",
        "日本",
        "null",
        "true",
        "a b",
        "a+b",
        "50%",
        "a_b",
        "x*y",
        "Technology",
        "line\nbreak",
        "'quoted'",
        "eq.5",
        " lead",
    ];
    draw.column(&edges.map(str::to_owned), |r| {
        (0..=r.below(4)).map(|_| char::from(b'a' + u8::try_from(r.below(3)).expect("a small number"))).collect()
    })
}

fn texts(draw: &mut Draw) -> Vec<(&'static str, ArrayRef)> {
    let bytes: [Vec<u8>; 4] = [vec![], vec![0], vec![0xff, 0x00, 0x7f], b"text".to_vec()];
    let dictionary: DictionaryArray<Int32Type> = text_values(draw).iter().map(|value| value.as_deref()).collect();
    let binary = draw.column(&bytes, |r| vec![r.number() as u8]);
    let binary: BinaryArray = binary.iter().map(|value| value.as_deref()).collect();
    vec![
        ("s", Arc::new(StringArray::from(text_values(draw)))),
        ("ls", Arc::new(LargeStringArray::from(text_values(draw)))),
        ("dict", Arc::new(dictionary)),
        ("bin", Arc::new(binary)),
    ]
}

fn times(draw: &mut Draw) -> Vec<(&'static str, ArrayRef)> {
    let days = [0, -1, 1, 19_782, -25_508, 47_482];
    let date64 = draw.column(&days, |r| r.between(-30_000, 30_000) as i32);
    let date64: Date64Array = date64.into_iter().map(|day| day.map(|day| i64::from(day) * 86_400_000)).collect();
    let seconds = [0, -1, 1, 1_704_067_200, 951_782_400, -2_203_891_200];
    let mut instants = |factor: i64| {
        let edges = seconds.map(|second| second * factor);
        draw.column(&edges, |r| r.between(-40_000_000, 1_700_000_000) * factor + r.between(0, factor - 1))
    };
    let s = instants(1);
    let (ms, ms_zone) = (instants(1_000), instants(1_000));
    let (us, us_zone) = (instants(1_000_000), instants(1_000_000));
    let ns = instants(1_000_000_000);
    vec![
        ("d32", Arc::new(Date32Array::from(draw.column(&days, |r| r.between(-30_000, 30_000) as i32)))),
        ("d64", Arc::new(date64)),
        ("t_s", Arc::new(Time32SecondArray::from(draw.column(&[0, 86_399], |r| r.between(0, 86_399) as i32)))),
        (
            "t_ms",
            Arc::new(Time32MillisecondArray::from(draw.column(&[0, 86_399_999], |r| r.between(0, 86_399_999) as i32))),
        ),
        (
            "t_us",
            Arc::new(Time64MicrosecondArray::from(draw.column(&[0, 86_399_999_999], |r| r.between(0, 86_399_999_999)))),
        ),
        (
            "t_ns",
            Arc::new(Time64NanosecondArray::from(
                draw.column(&[0, 86_399_999_999_999], |r| r.between(0, 86_399_999_999_999)),
            )),
        ),
        ("ts_s", Arc::new(TimestampSecondArray::from(s))),
        ("ts_ms", Arc::new(TimestampMillisecondArray::from(ms))),
        ("ts_us", Arc::new(TimestampMicrosecondArray::from(us))),
        ("ts_ns", Arc::new(TimestampNanosecondArray::from(ns))),
        ("ts_utc", Arc::new(TimestampMicrosecondArray::from(us_zone).with_timezone("UTC"))),
        ("ts_zone", Arc::new(TimestampMillisecondArray::from(ms_zone).with_timezone("+05:30"))),
    ]
}

fn nested(draw: &mut Draw) -> Vec<(&'static str, ArrayRef)> {
    let lists = draw.column(&[vec![], vec![Some(1), None], vec![Some(-3)]], |r| vec![Some(r.between(0, 9) as i32)]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let numbers: ArrayRef = Arc::new(Int32Array::from(draw.column(&[1, 2], |r| r.between(0, 9) as i32)));
    let names: ArrayRef = Arc::new(StringArray::from(text_values(draw)));
    let fields = vec![Field::new("number", DataType::Int32, true), Field::new("name", DataType::Utf8, true)];
    let present = draw.column(&[true], |_| true).into_iter().map(|present| present.is_some()).collect::<Vec<_>>();
    let structs = StructArray::new(fields.into(), vec![numbers, names], Some(present.into()));
    vec![("list", Arc::new(list)), ("struct", Arc::new(structs))]
}

fn arrow_only(draw: &mut Draw) -> Vec<(&'static str, ArrayRef)> {
    let views: StringViewArray = text_values(draw).iter().map(|value| value.as_deref()).collect();
    let bytes =
        draw.column(&[vec![1_u8, 2, 3], b"a long value that is not kept inline".to_vec()], |r| vec![r.number() as u8]);
    let large: LargeBinaryArray = bytes.iter().map(|value| value.as_deref()).collect();
    let views_of_bytes: BinaryViewArray = bytes.iter().map(|value| value.as_deref()).collect();
    let fixed = draw.column(&[[0_u8; 4], [255; 4]], |r| (r.number() as u32).to_be_bytes());
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed.into_iter(), 4).expect("arrays of 4 bytes");
    vec![
        ("sv", Arc::new(views)),
        ("lbin", Arc::new(large)),
        ("vbin", Arc::new(views_of_bytes)),
        ("fixed", Arc::new(fixed)),
        ("dur", Arc::new(DurationMillisecondArray::from(draw.column(&[0, -1, 90_000], |r| r.between(0, 9_999))))),
    ]
}

/// Writes a Parquet file with row groups of `group` rows.
///
/// # Panics
/// When it cannot be written.
pub fn write_parquet(path: &Path, batch: &RecordBatch, group: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a Parquet schema");
    writer.write(batch).expect("a batch is written");
    writer.close().expect("the file is closed");
}

/// Writes an Arrow IPC file with batches of `chunk` rows.
///
/// # Panics
/// When it cannot be written.
pub fn write_ipc_file(path: &Path, batch: &RecordBatch, chunk: usize) {
    let mut writer = FileWriter::try_new(File::create(path).expect("a file"), &batch.schema()).expect("a writer");
    chunks(batch, chunk).for_each(|part| writer.write(&part).expect("a batch is written"));
    writer.finish().expect("the file is closed");
}

/// Writes an Arrow IPC stream with batches of `chunk` rows.
///
/// # Panics
/// When it cannot be written.
pub fn write_ipc_stream(path: &Path, batch: &RecordBatch, chunk: usize) {
    let mut writer = StreamWriter::try_new(File::create(path).expect("a file"), &batch.schema()).expect("a writer");
    chunks(batch, chunk).for_each(|part| writer.write(&part).expect("a batch is written"));
    writer.finish().expect("the file is closed");
}

fn chunks(batch: &RecordBatch, chunk: usize) -> impl Iterator<Item = RecordBatch> + '_ {
    (0..batch.num_rows()).step_by(chunk).map(move |at| batch.slice(at, chunk.min(batch.num_rows() - at)))
}
