//! Formats: what is written, and that it is what Arrow's own writers make of it.

use arrow::array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::*;

fn table() -> (SchemaRef, RecordBatch) {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("x", DataType::Float64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("b", DataType::Boolean, true),
        Field::new("l", list.data_type().clone(), true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(-1), None])),
        Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)])),
        Arc::new(StringArray::from(vec![Some("a,\"b\""), None])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(list),
    ];
    (Arc::clone(&schema), RecordBatch::try_new(schema, columns).unwrap())
}

#[track_caller]
fn check(format: Format, rows: usize, expected: &str) {
    let (schema, batch) = table();
    let bytes = format.encode(&schema, &[batch.slice(0, rows)], usize::MAX).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn text_formats_write_every_column_and_every_null() {
    let first = r#"{"n":-1,"x":0.5,"s":"a,\"b\"","b":true,"l":[1,null]}"#;
    let second = r#"{"n":null,"x":null,"s":null,"b":null,"l":null}"#;
    check(Format::Json, 2, &format!("[{first},{second}]"));
    check(Format::Ndjson, 2, &format!("{first}\n{second}\n"));
    check(Format::Csv, 2, "n,x,s,b,l\n-1,0.5,\"a,\"\"b\"\"\",true,\"[1,null]\"\n,NaN,,,\n");
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

#[test]
fn a_result_without_rows_is_still_a_document() {
    check(Format::Json, 0, "[]");
    check(Format::Ndjson, 0, "");
    check(Format::Csv, 0, "n,x,s,b,l\n");
    let (schema, _) = table();
    assert_eq!(Format::Json.encode(&schema, &[], usize::MAX).unwrap(), b"[]");
    assert_eq!(Format::Csv.encode(&schema, &[], usize::MAX).unwrap(), b"n,x,s,b,l\n");
    let bytes = Format::Arrow.encode(&schema, &[], usize::MAX).unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.schema(), schema);
    assert_eq!(reader.count(), 0);
}
