//! What readers of others make of the bytes.

use std::fmt;

use arrow::array::{BinaryArray, Date32Array, Decimal128Array, UInt64Array};
use arrow::compute::concat_batches;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::*;

/// Reads a container back.
pub(super) fn read(format: Format, bytes: Vec<u8>) -> Vec<RecordBatch> {
    let batches: Result<Vec<_>, _> = match format {
        Format::Arrow => StreamReader::try_new(bytes.as_slice(), None).unwrap().collect(),
        Format::ArrowFile => FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap().collect(),
        _ => ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap().collect(),
    };
    batches.unwrap()
}

#[test]
fn containers_come_back_with_their_schema_and_their_values() {
    let (schema, batches) = many_rows();
    let whole = concat_batches(&schema, &batches).unwrap();
    for format in [Format::Arrow, Format::ArrowFile, Format::Parquet] {
        let back = read(format, encode(format, &schema, &batches));
        assert_eq!(back[0].schema(), schema, "{format:?}");
        let back = concat_batches(&schema, &back).unwrap();
        assert_eq!(back.num_rows(), whole.num_rows(), "{format:?}");
        for (ours, theirs) in back.columns().iter().zip(whole.columns()) {
            let plain = |array: &ArrayRef| match array.data_type() {
                DataType::Dictionary(_, values) => arrow::compute::cast(array, values).unwrap(),
                _ => Arc::clone(array),
            };
            assert_eq!(&plain(ours), &plain(theirs), "{format:?}");
        }
    }
}

#[test]
fn containers_without_rows_come_back_with_their_schema() {
    let (schema, _) = table();
    let arrow = StreamReader::try_new(std::io::Cursor::new(encode(Format::Arrow, &schema, &[])), None).unwrap();
    assert_eq!(arrow.schema(), schema);
    let file = FileReader::try_new(std::io::Cursor::new(encode(Format::ArrowFile, &schema, &[])), None).unwrap();
    assert_eq!(file.schema(), schema);
    let parquet = bytes::Bytes::from(encode(Format::Parquet, &schema, &[]));
    assert_eq!(*ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().schema(), schema);
}

/// Bytes, which serde would otherwise expect as a list of numbers.
#[derive(Debug, PartialEq)]
struct Binary(Vec<u8>);

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Binary;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("binary")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
                Ok(Binary(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    n: Option<i64>,
    u: u64,
    x: f64,
    s: Option<String>,
    day: String,
    price: String,
    raw: Binary,
    list: Option<Vec<Option<i64>>>,
    yes: bool,
}

#[test]
fn message_pack_comes_back_with_its_types() {
    let numbers =
        [0, 1, -1, -32, -33, 127, 128, -128, -129, 255, 256, 32_767, -32_768, -32_769, 65_536, 1 << 31, 1 << 32];
    let numbers: Vec<i64> = numbers.into_iter().chain([-(1 << 31), -(1 << 31) - 1, i64::MIN, i64::MAX]).collect();
    let rows = numbers.len();
    let texts: Vec<String> = (0..rows).map(|row| "é".repeat(row * row * 200)).collect();
    let list = |row: usize| (!row.is_multiple_of(3)).then(|| (0..row as i64 * 4).map(Some).collect::<Vec<_>>());
    let (schema, batch) = batch_of(vec![
        ("n", Arc::new(Int64Array::from_iter(numbers.iter().map(|n| (*n != 1).then_some(*n))))),
        ("u", Arc::new(UInt64Array::from_iter_values((0..rows).map(|row| u64::MAX >> (row * 3))))),
        (
            "x",
            Arc::new(Float64Array::from_iter_values(
                (0..rows).map(|row| if row == 0 { f64::NAN } else { row as f64 / 3.0 }),
            )),
        ),
        ("s", Arc::new(StringArray::from_iter_values(&texts))),
        ("day", Arc::new(Date32Array::from(vec![19_782; rows]))),
        ("price", Arc::new(Decimal128Array::from(vec![-1_250; rows]).with_precision_and_scale(10, 2).unwrap())),
        ("raw", Arc::new(BinaryArray::from_iter_values((0..rows).map(|row| vec![row as u8; row * 40])))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..rows).map(list)))),
        ("yes", Arc::new(BooleanArray::from(vec![true; rows]))),
    ]);
    let bytes = encode(Format::MessagePack, &schema, &[batch.slice(0, 5), batch.slice(5, rows - 5)]);
    let back: Vec<Row> = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(back.len(), rows);
    for (row, back) in back.iter().enumerate() {
        assert_eq!(back.n, (numbers[row] != 1).then_some(numbers[row]));
        assert_eq!(back.u, u64::MAX >> (row * 3));
        assert!(if row == 0 { back.x.is_nan() } else { back.x == row as f64 / 3.0 });
        assert_eq!(back.s.as_ref(), Some(&texts[row]));
        assert_eq!((back.day.as_str(), back.price.as_str(), back.yes), ("2024-02-29", "-12.50", true));
        assert_eq!(back.raw, Binary(vec![row as u8; row * 40]));
        assert_eq!(back.list, list(row));
    }
}
