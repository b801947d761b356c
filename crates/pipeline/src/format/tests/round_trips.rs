//! What is written is read back by others.

use std::collections::BTreeMap;
use std::io::Cursor;

use arrow::array::{Array, ArrayRef, BinaryArray, Float64Array, UInt64Array, UnionArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int32Type, UnionFields};
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::table::{Bits, Times, columns};
use super::*;

fn bits(seed: u64, rows: u64) -> Vec<Bits> {
    let bits = |row: u64| (row % 5 != 3).then(|| (row + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17));
    (0..rows).map(bits).collect()
}

fn read(format: Format, bytes: Vec<u8>) -> (SchemaRef, Vec<RecordBatch>) {
    match format {
        Format::Arrow => {
            let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
            (reader.schema(), reader.collect::<Result<_, _>>().unwrap())
        }
        Format::ArrowFile => {
            let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
            (reader.schema(), reader.collect::<Result<_, _>>().unwrap())
        }
        _ => {
            let reader = ParquetRecordBatchReader::try_new(bytes::Bytes::from(bytes), 1_000).unwrap();
            (arrow::array::RecordBatchReader::schema(&reader), reader.collect::<Result<_, _>>().unwrap())
        }
    }
}

#[track_caller]
fn check_read(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) {
    let bytes = format.encode(schema, batches, usize::MAX).unwrap();
    let (read_schema, read) = read(format, bytes);
    assert_eq!(read_schema.fields(), schema.fields(), "{format:?}");
    let (read, written) = (concat_batches(schema, &read).unwrap(), concat_batches(schema, batches).unwrap());
    for (column, expected) in read.columns().iter().zip(written.columns()) {
        let kind = column.data_type();
        let plain = |array: &ArrayRef| match kind {
            DataType::Dictionary(_, values) => cast(array, values).unwrap(),
            _ => Arc::clone(array),
        };
        assert_eq!(plain(column).to_data(), plain(expected).to_data(), "{format:?}, {kind}");
    }
}

#[test]
fn arrow_is_read_back_with_its_types() {
    for format in [Format::Arrow, Format::ArrowFile] {
        for (one, other) in columns(&bits(0, 50), Times::Usual).into_iter().zip(columns(&bits(7, 30), Times::Usual)) {
            let ((schema, one), (_, other)) = (batch([("v", one)]), batch([("v", other)]));
            check_read(format, &schema, &[one, other]);
        }
    }
}

#[test]
fn parquet_is_read_back_with_its_types_or_refused() {
    let mut refused = Vec::new();
    for column in columns(&bits(0, 50), Times::Usual) {
        let kind = column.data_type().to_string();
        let (schema, batch) = batch([("v", column)]);
        match Format::Parquet.encode(&schema, std::slice::from_ref(&batch), usize::MAX) {
            // Runs are read back as the values that they stand for.
            Ok(_) if kind.starts_with("RunEndEncoded") => {}
            Ok(_) => check_read(Format::Parquet, &schema, &[batch]),
            Err(EncodeError::Unsupported { format: "parquet", .. }) => refused.push(kind),
            Err(other) => panic!("{kind}: {other}"),
        }
    }
    // Parquet knows no negative scale and no such interval.
    let expected =
        ["Decimal32(9, -2)", "Decimal64(18, -2)", "Decimal128(38, -2)", "Decimal256(76, -2)", "Decimal128(9, -2)"];
    assert_eq!(refused, [&expected[..], &["Interval(MonthDayNano)"]].concat());
}

#[test]
fn a_union_is_refused_where_it_cannot_be_written() {
    let fields = [(0, Arc::new(Field::new("n", DataType::Int32, true)))].into_iter().collect::<UnionFields>();
    let numbers: ArrayRef = Arc::new(arrow::array::PrimitiveArray::<Int32Type>::from(vec![1, 2]));
    let union = UnionArray::try_new(fields, vec![0_i8, 0].into(), None, vec![numbers]).unwrap();
    let (schema, batch) = batch([("u", Arc::new(union) as ArrayRef)]);
    for format in Format::ALL {
        let written = format.encode(&schema, std::slice::from_ref(&batch), usize::MAX);
        match format {
            Format::Arrow | Format::ArrowFile => assert!(written.is_ok()),
            _ => assert!(matches!(written, Err(EncodeError::Unsupported { .. })), "{format:?}"),
        }
    }
}

#[test]
fn results_without_rows_and_without_columns_are_read_back() {
    let (schema, batch) = table();
    for format in [Format::Arrow, Format::ArrowFile, Format::Parquet] {
        check_read(format, &schema, &[]);
        check_read(format, &schema, &[batch.slice(0, 0)]);
        check_read(format, &schema, &[batch.slice(0, 1), batch.slice(1, 1)]);
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert!(Format::Parquet.encode(batch.schema_ref(), &[], usize::MAX).is_err());
    for format in [Format::Arrow, Format::ArrowFile] {
        let bytes = format.encode(batch.schema_ref(), std::slice::from_ref(&batch), usize::MAX).unwrap();
        let rows: usize = read(format, bytes).1.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 3, "{format:?}");
    }
}

#[test]
fn an_arrow_file_of_batches_that_are_pushed_has_one_dictionary() {
    let (schema, batches) = many();
    let mut encoder = Encoder::new(Format::ArrowFile, &schema).unwrap();
    let mut bytes = Vec::new();
    for batch in &batches {
        encoder.push(batch, &mut bytes).unwrap();
    }
    encoder.finish(&mut bytes).unwrap();
    let rows: usize = read(Format::ArrowFile, bytes).1.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 100_000);
    check_read(Format::ArrowFile, &schema, &batches);
}

#[test]
fn message_pack_says_what_json_says() {
    for column in columns(&bits(3, 60), Times::Usual) {
        let kind = column.data_type().clone();
        // Their JSON is not what they are: hexadecimal digits, shortened digits, numbers of any length.
        if kind.is_floating() || kind.is_decimal() || kind.to_string().contains("Binary") {
            continue;
        }
        let (schema, batch) = batch([("first", Arc::clone(&column)), ("second", column)]);
        let written = |format: Format| format.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&written(Format::Json)).unwrap();
        let packed: serde_json::Value = rmp_serde::from_slice(&written(Format::MessagePack)).unwrap();
        assert_eq!(packed, json, "{kind}");
    }
}

#[test]
fn message_pack_keeps_floats_bytes_and_every_digit() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Row {
        x: Option<f64>,
        u: u64,
        d: String,
        b: serde_bytes_like::Bytes,
    }
    let decimals = arrow::array::Decimal128Array::from(vec![-5, 12_345]).with_precision_and_scale(9, 2).unwrap();
    let (schema, batch) = batch([
        ("x", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY, f64::NAN])) as ArrayRef),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 1 << 40]))),
        ("d", Arc::new(decimals)),
        ("b", Arc::new(BinaryArray::from_iter_values([&[0_u8, 255][..], &[7; 300]]))),
    ]);
    let bytes = Format::MessagePack.encode(&schema, &[batch], usize::MAX).unwrap();
    let rows: Vec<Row> = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(rows[0].x, Some(f64::NEG_INFINITY));
    assert!(rows[1].x.unwrap().is_nan());
    assert_eq!((rows[0].u, rows[1].u), (u64::MAX, 1 << 40));
    assert_eq!((rows[0].d.as_str(), rows[1].d.as_str()), ("-0.05", "123.45"));
    assert_eq!((&rows[0].b.0[..], &rows[1].b.0[..]), (&[0, 255][..], &[7; 300][..]));
}

#[test]
fn message_pack_takes_the_shortest_form_of_a_whole_number() {
    let edges = [0, 127, 128, 255, 256, 65_535, 65_536, i64::from(u32::MAX), 1 << 32, i64::MAX];
    let edges: Vec<i64> = edges.into_iter().flat_map(|n| [n, -n, -n - 1]).chain([-31, -32, -33, i64::MIN]).collect();
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from(edges.clone()));
    let (schema, batch) = batch([("n", numbers)]);
    let bytes = Format::MessagePack.encode(&schema, &[batch], usize::MAX).unwrap();
    let rows: Vec<BTreeMap<String, i64>> = rmp_serde::from_slice(&bytes).unwrap();
    assert_eq!(rows.iter().map(|row| row["n"]).collect::<Vec<_>>(), edges);
    let expected: Vec<BTreeMap<&str, i64>> = edges.iter().map(|n| BTreeMap::from([("n", *n)])).collect();
    assert_eq!(bytes, rmp_serde::to_vec(&expected).unwrap());
}

/// Bytes that are read from MessagePack's own type for them.
mod serde_bytes_like {
    use serde::de::{Deserialize, Deserializer, Visitor};

    #[derive(Debug, PartialEq)]
    pub(super) struct Bytes(pub(super) Vec<u8>);

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Read;
            impl Visitor<'_> for Read {
                type Value = Bytes;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }

                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }

                fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                    Ok(Bytes(bytes))
                }
            }
            deserializer.deserialize_bytes(Read)
        }
    }
}
