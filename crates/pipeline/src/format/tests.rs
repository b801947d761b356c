//! What is written, and how much of it.

mod like_arrow;
mod round_trips;
mod table;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{Field, Int64Type, Schema};

use super::*;

fn table() -> (SchemaRef, RecordBatch) {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    batch([
        ("n", Arc::new(Int64Array::from(vec![Some(-1), None])) as ArrayRef),
        ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
        ("s", Arc::new(StringArray::from(vec![Some("a,\"b\""), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("l", Arc::new(list)),
    ])
}

/// A batch of nullable columns; their names may repeat.
fn batch(columns: impl IntoIterator<Item = (&'static str, ArrayRef)>) -> (SchemaRef, RecordBatch) {
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.into_iter().map(|(name, column)| (Field::new(name, column.data_type().clone(), true), column)).unzip();
    let schema = Arc::new(Schema::new(fields));
    (Arc::clone(&schema), RecordBatch::try_new(schema, columns).unwrap())
}

fn texts(texts: impl IntoIterator<Item = &'static str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

#[track_caller]
fn check_bytes(format: Format, (schema, batch): (SchemaRef, RecordBatch), expected: &str) {
    let bytes = format.encode(&schema, &[batch], usize::MAX).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[track_caller]
fn check(format: Format, rows: usize, expected: &str) {
    let (schema, batch) = table();
    check_bytes(format, (schema, batch.slice(0, rows)), expected);
}

#[test]
fn text_formats_write_every_column_and_every_null() {
    let first = r#"{"n":-1,"x":0.5,"s":"a,\"b\"","b":true,"l":[1,null]}"#;
    let second = r#"{"n":null,"x":null,"s":null,"b":null,"l":null}"#;
    check(Format::Json, 2, &format!("[{first},{second}]"));
    check(Format::Ndjson, 2, &format!("{first}\n{second}\n"));
    let columns = r#"{"n":[-1,null],"x":[0.5,null],"s":["a,\"b\"",null],"b":[true,null],"l":[[1,null],null]}"#;
    check(Format::JsonColumns, 2, columns);
    for format in [Format::Csv, Format::CsvRaw] {
        check(format, 2, "n,x,s,b,l\n-1,0.5,\"a,\"\"b\"\"\",true,\"[1,null]\"\n,NaN,,,\n");
    }
}

#[test]
fn a_result_without_rows_is_still_a_document() {
    check(Format::Json, 0, "[]");
    check(Format::JsonColumns, 0, r#"{"n":[],"x":[],"s":[],"b":[],"l":[]}"#);
    check(Format::Ndjson, 0, "");
    check(Format::Csv, 0, "n,x,s,b,l\n");
    let (schema, batch) = table();
    for format in Format::ALL {
        let none = format.encode(&schema, &[], usize::MAX).unwrap();
        let empty = [batch.slice(0, 0), batch.slice(1, 0)];
        if !matches!(format, Format::Arrow | Format::ArrowFile) {
            assert_eq!(format.encode(&schema, &empty, usize::MAX).unwrap(), none, "{format:?}");
        }
    }
    assert_eq!(Format::MessagePack.encode(&schema, &[], usize::MAX).unwrap(), [0x90]);
}

#[test]
fn texts_that_a_spreadsheet_would_run_are_made_texts() {
    let cells = || texts(["=1+1", "+1", "-1", "@a", "\tb", "\rc", "=a,\"b\"", "a=b", "", "'=1"]);
    let safe =
        "t,n\n'=1+1,-5\n'+1,-5\n'-1,-5\n'@a,-5\n'\tb,-5\n\"'\rc\",-5\n\"'=a,\"\"b\"\"\",-5\na=b,-5\n,-5\n'=1,-5\n";
    let raw = "t,n\n=1+1,-5\n+1,-5\n-1,-5\n@a,-5\n\tb,-5\n\"\rc\",-5\n\"=a,\"\"b\"\"\",-5\na=b,-5\n,-5\n'=1,-5\n";
    for kind in ["text", "dictionary", "view"] {
        let texts = match kind {
            "text" => cells(),
            "dictionary" => arrow::compute::cast(&cells(), &"Dictionary(Int8, Utf8)".parse().unwrap()).unwrap(),
            _ => arrow::compute::cast(&cells(), &arrow::datatypes::DataType::Utf8View).unwrap(),
        };
        let numbers = || Arc::new(Int64Array::from(vec![-5; 10])) as ArrayRef;
        check_bytes(Format::Csv, batch([("t", texts.clone()), ("n", numbers())]), safe);
        check_bytes(Format::CsvRaw, batch([("t", texts), ("n", numbers())]), raw);
    }
    check_bytes(Format::Csv, batch([("=a", texts(["b"]))]), "'=a\nb\n");
}

#[test]
fn names_of_columns_are_escaped_and_may_repeat() {
    let odd = || batch([("a\"b\n", texts(["x"])), ("", texts(["y"])), ("", texts(["z"])), ("é,", texts([""]))]);
    check_bytes(Format::Ndjson, odd(), "{\"a\\\"b\\n\":\"x\",\"\":\"y\",\"\":\"z\",\"é,\":\"\"}\n");
    check_bytes(Format::JsonColumns, odd(), "{\"a\\\"b\\n\":[\"x\"],\"\":[\"y\"],\"\":[\"z\"],\"é,\":[\"\"]}");
    check_bytes(Format::Csv, odd(), "\"a\"\"b\n\",,,\"é,\"\nx,y,z,\n");
}

#[test]
fn a_line_of_one_empty_field_is_not_an_empty_line() {
    check_bytes(Format::Csv, batch([("s", texts(["", "a"]))]), "s\n\"\"\na\n");
    check_bytes(Format::Csv, batch([("", texts(["", ","]))]), "\"\"\n\"\"\n\",\"\n");
}

#[test]
fn rows_without_columns_are_counted() {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(2));
    let schema = Arc::new(Schema::empty());
    let rows = || {
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &options).unwrap();
        (Arc::clone(&schema), batch)
    };
    check_bytes(Format::Json, rows(), "[{},{}]");
    check_bytes(Format::Ndjson, rows(), "{}\n{}\n");
    check_bytes(Format::JsonColumns, rows(), "{}");
    check_bytes(Format::Csv, rows(), "\"\"\n\"\"\n\"\"\n");
    let (schema, batch) = rows();
    assert_eq!(Format::MessagePack.encode(&schema, &[batch], usize::MAX).unwrap(), [0x92, 0x80, 0x80]);
}

#[test]
fn an_answer_over_the_bound_is_refused_in_every_format() {
    let (schema, batch) = table();
    for format in Format::ALL {
        let whole = format.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap().len();
        assert!(format.encode(&schema, std::slice::from_ref(&batch), whole).is_ok());
        let error = format.encode(&schema, std::slice::from_ref(&batch), whole - 1).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { .. }), "{format:?}: {error}");
    }
}

/// 100,000 rows in batches of several sizes.
fn many() -> (SchemaRef, Vec<RecordBatch>) {
    let mut batches = Vec::new();
    for rows in [0_i64, 1, 70_000, 29_000, 0, 999] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n * 7_919 % 100_003)));
        let texts = StringArray::from_iter_values((0..rows).map(|n| "long".repeat((n % 9) as usize)));
        let words = StringArray::from_iter_values((0..rows).map(|n| ["red", "green", "blue"][(n % 3) as usize]));
        let words = arrow::compute::cast(&words, &"Dictionary(Int32, Utf8)".parse().unwrap()).unwrap();
        batches.push(batch([("n", numbers), ("s", Arc::new(texts)), ("w", words)]));
    }
    (Arc::clone(&batches[0].0), batches.into_iter().map(|(_, batch)| batch).collect())
}

#[test]
fn chunks_are_small_and_joined_they_are_the_whole() {
    let (schema, batches) = many();
    for format in Format::ALL {
        let whole = format.encode(&schema, &batches, usize::MAX).unwrap();
        let chunks: Vec<Vec<u8>> =
            Chunks::new(format, &schema, batches.clone()).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(chunks.concat() == whole, "{format:?}");
        assert!(chunks.iter().all(|chunk| chunk.len() <= 512 * 1024), "{format:?}");
        assert!(format == Format::Parquet || chunks.len() > 3, "{format:?}: {}", chunks.len());
    }
}

#[test]
fn batches_that_are_pushed_are_the_same_text_as_chunks() {
    let (schema, batches) = many();
    for format in Format::ALL {
        let mut encoder = Encoder::new(format, &schema).unwrap();
        let mut pushed = Vec::new();
        for batch in &batches {
            encoder.push(batch, &mut pushed).unwrap();
        }
        encoder.finish(&mut pushed).unwrap();
        // Arrow and Parquet keep the batches as they are given.
        if !matches!(format, Format::Arrow | Format::ArrowFile | Format::Parquet) {
            assert!(pushed == format.encode(&schema, &batches, usize::MAX).unwrap(), "{format:?}");
        }
    }
}

#[test]
fn a_row_longer_than_a_chunk_is_sent_in_pieces() {
    let long: ArrayRef = Arc::new(StringArray::from_iter_values(["\"".repeat(1 << 20)]));
    let (schema, batch) = batch([("s", long)]);
    let chunks: Vec<Vec<u8>> =
        Chunks::new(Format::Ndjson, &schema, vec![batch]).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 512 * 1024));
    assert_eq!(chunks.concat().len(), (2 << 20) + "{\"s\":\"\"}\n".len());
}
