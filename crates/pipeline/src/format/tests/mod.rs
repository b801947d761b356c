//! What each format writes, as bytes and read back.

mod peers;
mod round_trips;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions};
use arrow::array::{DictionaryArray, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};

use super::*;

fn table() -> (SchemaRef, RecordBatch) {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![Some(-1), None]))),
        ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
        ("s", Arc::new(StringArray::from(vec![Some("a,\"b\""), None]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("l", Arc::new(list)),
    ];
    batch_of(columns)
}

fn batch_of(columns: Vec<(&str, ArrayRef)>) -> (SchemaRef, RecordBatch) {
    let fields: Vec<_> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    (Arc::clone(&schema), RecordBatch::try_new(schema, columns).unwrap())
}

fn encode(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    format.encode(schema, batches, usize::MAX).unwrap()
}

#[track_caller]
fn check(format: Format, rows: usize, expected: &str) {
    let (schema, batch) = table();
    check_text(format, &schema, &batch.slice(0, rows), expected);
}

#[track_caller]
fn check_text(format: Format, schema: &SchemaRef, batch: &RecordBatch, expected: &str) {
    let bytes = encode(format, schema, std::slice::from_ref(batch));
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn text_formats_write_every_column_and_every_null() {
    let first = r#"{"n":-1,"x":0.5,"s":"a,\"b\"","b":true,"l":[1,null]}"#;
    let second = r#"{"n":null,"x":null,"s":null,"b":null,"l":null}"#;
    check(Format::Json, 2, &format!("[{first},{second}]"));
    check(Format::Ndjson, 2, &format!("{first}\n{second}\n"));
    check(Format::Csv, 2, "n,x,s,b,l\n-1,0.5,\"a,\"\"b\"\"\",true,\"[1,null]\"\n,NaN,,,\n");
    let columns = r#"{"n":[-1,null],"x":[0.5,null],"s":["a,\"b\"",null],"b":[true,null],"l":[[1,null],null]}"#;
    check(Format::JsonColumns, 2, columns);
}

#[test]
fn an_answer_over_the_bound_is_refused_in_every_format() {
    let (schema, batch) = table();
    for format in Format::ALL {
        let whole = encode(format, &schema, std::slice::from_ref(&batch)).len();
        assert!(format.encode(&schema, std::slice::from_ref(&batch), whole).is_ok());
        let error = format.encode(&schema, std::slice::from_ref(&batch), whole - 1).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { .. }), "{format:?}: {error}");
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
        let empty = batch.slice(0, 0);
        assert_eq!(encode(format, &schema, &[]), encode(format, &schema, &[empty.clone(), empty]), "{format:?}");
    }
    assert_eq!(encode(Format::MessagePack, &schema, &[]), b"\x90");
}

#[test]
fn rows_without_columns_are_counted() {
    let schema: SchemaRef = Arc::new(Schema::empty());
    let rows = RecordBatchOptions::new().with_row_count(Some(2));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), vec![], &rows).unwrap();
    check_text(Format::Json, &schema, &batch, "[{},{}]");
    check_text(Format::JsonColumns, &schema, &batch, "{}");
    check_text(Format::Ndjson, &schema, &batch, "{}\n{}\n");
    check_text(Format::Csv, &schema, &batch, "\"\"\n\"\"\n\"\"\n");
    let batches = std::slice::from_ref(&batch);
    assert_eq!(encode(Format::MessagePack, &schema, batches), b"\x92\x80\x80");
    for format in [Format::Arrow, Format::ArrowFile] {
        assert_eq!(round_trips::read(format, encode(format, &schema, batches))[0].num_rows(), 2, "{format:?}");
    }
    let error = Format::Parquet.encode(&schema, batches, usize::MAX).unwrap_err();
    assert!(matches!(error, EncodeError::Unsupported { format: "parquet", .. }), "{error}");
}

#[test]
fn names_of_columns_are_escaped_and_may_repeat() {
    let one = || Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let (schema, batch) = batch_of(vec![("a\"b", one()), ("a\"b", one()), ("=x,\n", one()), ("", one())]);
    check_text(Format::Json, &schema, &batch, r#"[{"a\"b":1,"a\"b":1,"=x,\n":1,"":1}]"#);
    check_text(Format::JsonColumns, &schema, &batch, r#"{"a\"b":[1],"a\"b":[1],"=x,\n":[1],"":[1]}"#);
    check_text(Format::Csv, &schema, &batch, "\"a\"\"b\",\"a\"\"b\",\"'=x,\n\",\"\"\n1,1,1,1\n");
    check_text(Format::CsvRaw, &schema, &batch, "\"a\"\"b\",\"a\"\"b\",\"=x,\n\",\"\"\n1,1,1,1\n");
}

#[test]
fn a_spreadsheet_runs_nothing_unless_it_is_asked_for_raw() {
    let texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=\"a\"", "a=1", "", "'=1"];
    let escaped = "'=1+1\n'+1\n'-1\n'@SUM(A1)\n'\tx\n\"'\rx\"\n\"'=\"\"a\"\"\"\na=1\n\"\"\n'=1\n";
    let raw = "=1+1\n+1\n-1\n@SUM(A1)\n\tx\n\"\rx\"\n\"=\"\"a\"\"\"\na=1\n\"\"\n'=1\n";
    let array = StringArray::from(texts.to_vec());
    let forms: [ArrayRef; 4] = [
        arrow::compute::cast(&array, &DataType::Utf8View).unwrap(),
        Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
        arrow::compute::cast(&array, &DataType::LargeUtf8).unwrap(),
        Arc::new(array),
    ];
    for form in forms {
        let (schema, batch) = batch_of(vec![("s", form)]);
        check_text(Format::Csv, &schema, &batch, &format!("s\n{escaped}"));
        check_text(Format::CsvRaw, &schema, &batch, &format!("s\n{raw}"));
    }
    let (schema, batch) = batch_of(vec![("n", Arc::new(Int64Array::from(vec![-5])))]);
    check_text(Format::Csv, &schema, &batch, "n\n-5\n");
}

/// Batches of many rows: numbers, texts of which some are long, dictionaries that differ.
fn many_rows() -> (SchemaRef, Vec<RecordBatch>) {
    let batches: Vec<_> = (0..4_i64)
        .map(|part| {
            let rows = part * 10_000..part * 10_000 + 9_000;
            let text = |i: i64| if i % 3_000 == 7 { "long ".repeat(120_000) } else { format!("text {i}") };
            let kind = |i: i64| ["a", "b", "c"][(i % 3) as usize].repeat(part as usize + 1);
            let kinds: Vec<String> = rows.clone().map(kind).collect();
            batch_of(vec![
                ("n", Arc::new(Int64Array::from_iter_values(rows.clone()))),
                ("s", Arc::new(StringArray::from_iter_values(rows.map(text)))),
                ("d", Arc::new(kinds.iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>())),
            ])
        })
        .collect();
    (Arc::clone(&batches[0].0), batches.into_iter().map(|(_, batch)| batch).collect())
}

#[test]
fn chunks_and_pushes_make_the_bytes_of_the_whole_and_no_chunk_is_large() {
    let (schema, batches) = many_rows();
    for format in Format::ALL {
        let whole = encode(format, &schema, &batches);
        let chunks = Chunks::new(format, &schema, batches.clone()).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        // Parquet makes little of so much repetition.
        assert!(chunks.len() > 1 || format == Format::Parquet, "{format:?}");
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()), "{format:?}");
        assert!(chunks.iter().all(|chunk| chunk.len() <= 2 * CHUNK_BYTES), "{format:?}");
        assert!(chunks.concat() == whole, "{format:?}: chunks");
        let mut encoder = Encoder::new(format, &schema).unwrap();
        let mut pushed = Vec::new();
        for batch in &batches {
            encoder.push(batch, &mut pushed).unwrap();
        }
        encoder.finish(&mut pushed).unwrap();
        assert!(pushed == whole, "{format:?}: pushes");
    }
}

#[test]
fn what_is_pushed_comes_out_at_once_where_the_format_allows_it() {
    let (schema, batch) = table();
    for (format, comes_out) in
        [(Format::Json, true), (Format::Csv, true), (Format::Arrow, true), (Format::JsonColumns, false)]
    {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(format, &schema).unwrap();
        encoder.push(&batch, &mut out).unwrap();
        assert_eq!(!out.is_empty(), comes_out, "{format:?}");
    }
}

#[test]
fn a_format_that_cannot_carry_a_type_says_so() {
    let fields = [(0_i8, Arc::new(Field::new("n", DataType::Int64, true)))].into_iter().collect();
    let union = arrow::array::UnionArray::try_new(
        fields,
        vec![0_i8].into(),
        None,
        vec![Arc::new(Int64Array::from(vec![1])) as ArrayRef],
    );
    let (schema, batch) = batch_of(vec![("u", Arc::new(union.unwrap()))]);
    for format in Format::ALL.into_iter().filter(|format| !matches!(format, Format::Arrow | Format::ArrowFile)) {
        let error = format.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap_err();
        assert!(matches!(error, EncodeError::Unsupported { .. }), "{format:?}: {error}");
    }
}
