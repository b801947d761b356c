//! The text of every value is what `arrow-json` and `arrow-csv` write.

use arrow::array::{Array, ArrayRef, DictionaryArray, Int8Array, StringArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field};
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use proptest::prelude::*;

use super::table::{Bits, Times, columns};
use super::*;

fn json<F: JsonFormat>(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner()
}

fn csv(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let (fields, columns): (Vec<_>, Vec<_>) = batch
        .columns()
        .iter()
        .zip(batch.schema_ref().fields())
        .map(|(column, field)| {
            let column = flat(column);
            (Field::new(field.name(), column.data_type().clone(), true), column)
        })
        .unzip();
    let mut bytes = Vec::new();
    arrow::csv::WriterBuilder::new()
        .build(&mut bytes)
        .write(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())?;
    Ok(bytes)
}

/// A nested column as JSON text, any other as it is.
fn flat(column: &ArrayRef) -> ArrayRef {
    if !column.data_type().is_nested() {
        return Arc::clone(column);
    }
    let (_, batch) = batch([("v", Arc::clone(column))]);
    let text = String::from_utf8(json::<LineDelimited>(&batch)).unwrap();
    let values = text.lines().enumerate().map(|(row, line)| {
        let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
        if column.is_null(row) { None } else { value }
    });
    Arc::new(StringArray::from_iter(values))
}

#[track_caller]
fn check_column(column: &ArrayRef) {
    let (schema, batch) = batch([("v", Arc::clone(column)), ("w", Arc::clone(column))]);
    for part in [batch.clone(), batch.slice(batch.num_rows() / 3, batch.num_rows() / 2)] {
        let ours = |format: Format| format.encode(&schema, std::slice::from_ref(&part), usize::MAX).unwrap();
        let kind = column.data_type();
        assert_same(kind, ours(Format::Json), json::<JsonArray>(&part));
        assert_same(kind, ours(Format::Ndjson), json::<LineDelimited>(&part));
        assert_same(kind, ours(Format::CsvRaw), csv(&part).unwrap());
    }
}

/// Of a float that lies just between two shortest texts (2807705.25), `arrow-json` writes the upper one; here, as in `arrow-csv`,
/// it is the even one. Both are read back as the same number.
#[track_caller]
fn assert_same(kind: &DataType, ours: Vec<u8>, theirs: Vec<u8>) {
    let (ours, theirs) = (String::from_utf8(ours).unwrap(), String::from_utf8(theirs).unwrap());
    if ours == theirs || !matches!(kind, DataType::Float32 | DataType::Float64) {
        return assert_eq!(ours, theirs, "{kind}");
    }
    const AROUND: [char; 6] = ['{', ',', ':', '}', ']', '\n'];
    assert_eq!(ours.split(AROUND).count(), theirs.split(AROUND).count());
    for (ours, theirs) in ours.split(AROUND).zip(theirs.split(AROUND)).filter(|(ours, theirs)| ours != theirs) {
        let same = match kind {
            DataType::Float32 => ours.parse::<f32>().unwrap() == theirs.parse::<f32>().unwrap(),
            _ => ours.parse::<f64>().unwrap() == theirs.parse::<f64>().unwrap(),
        };
        assert!(same && ours.len() == theirs.len(), "{kind}: {ours} instead of {theirs}");
    }
}

fn bits() -> impl Strategy<Value = Vec<Bits>> {
    let value = prop_oneof![
        1 => Just(None),
        4 => any::<u64>().prop_map(Some),
        1 => (0..1_000_u64).prop_map(Some),
        1 => (0..1_000_u64).prop_map(|n| Some(n.wrapping_neg())),
        1 => any::<f64>().prop_map(|x| Some(x.to_bits())),
    ];
    prop::collection::vec(value, 1..40)
}

proptest! {
    // Each case is a hundred columns.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_type_is_written_as_arrow_writes_it(bits in bits()) {
        for column in columns(&bits, Times::Usual) {
            check_column(&column);
        }
    }

    #[test]
    fn columns_hold_the_values_of_the_rows(bits in bits()) {
        for column in columns(&bits, Times::Usual) {
            let (schema, batch) = batch([("v", column)]);
            let rows = Format::Json.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap();
            let columns = Format::JsonColumns.encode(&schema, &[batch], usize::MAX).unwrap();
            let rows = String::from_utf8(rows).unwrap();
            let values = rows.strip_prefix("[{\"v\":").unwrap().strip_suffix("}]").unwrap().replace("},{\"v\":", ",");
            prop_assert_eq!(String::from_utf8(columns).unwrap(), format!("{{\"v\":[{values}]}}"));
        }
    }

    #[test]
    fn times_beyond_all_calendars_are_written_as_arrow_writes_them(bits in bits()) {
        for column in columns(&bits, Times::Any) {
            let (schema, batch) = batch([("v", Arc::clone(&column))]);
            let ours = |format: Format| format.encode(&schema, std::slice::from_ref(&batch), usize::MAX);
            prop_assert_eq!(ours(Format::Json).unwrap(), json::<JsonArray>(&batch), "{}", column.data_type());
            // CSV has no words for them.
            match csv(&batch) {
                Ok(expected) => prop_assert_eq!(ours(Format::CsvRaw).unwrap(), expected, "{}", column.data_type()),
                Err(_) => prop_assert!(ours(Format::CsvRaw).is_err()),
            }
        }
    }
}

#[test]
fn floats_turn_to_exponents_where_arrow_does() {
    let edges =
        [0.0, 1.0, 1e-5, 9.999e-6, 1.5e-7, 1e9, 9_999_999_999.0, 1e10, 12_345_678_901.5, 1e15, 1e16, 1e17, 1e21, 1e100]
            .into_iter()
            .chain([f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::EPSILON, f64::NAN, f64::INFINITY, 0.1 + 0.2]);
    let edges: Vec<f64> = edges.flat_map(|x| [x, -x, x.next_up(), x.next_down()]).collect();
    let single: Vec<f32> = edges.iter().map(|x| *x as f32).collect();
    check_column(&(Arc::new(arrow::array::Float64Array::from(edges)) as ArrayRef));
    check_column(&(Arc::new(arrow::array::Float32Array::from(single)) as ArrayRef));
}

#[test]
fn a_null_among_the_values_of_a_dictionary_is_null() {
    let values = StringArray::from(vec![Some("a"), None]);
    let keys = Int8Array::from(vec![Some(1), Some(0), None]);
    let column: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(values)));
    check_bytes(Format::JsonColumns, batch([("d", Arc::clone(&column))]), r#"{"d":[null,"a",null]}"#);
    check_bytes(Format::JsonColumns, batch([("d", column.slice(0, 1))]), r#"{"d":[null]}"#);
}

#[test]
fn a_time_without_a_text_is_a_message_in_json_that_can_be_read() {
    let column: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("+02:00"));
    let (schema, batch) = batch([("t", column)]);
    let bytes = Format::Json.encode(&schema, std::slice::from_ref(&batch), usize::MAX).unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert!(rows[0]["t"].as_str().unwrap().starts_with("ERROR: "), "{rows}");
    assert!(matches!(Format::Csv.encode(&schema, &[batch], usize::MAX), Err(EncodeError::Unsupported { .. })));
}

#[test]
fn an_unknown_zone_is_refused() {
    let column = TimestampSecondArray::from(vec![0]).with_timezone("+25:99");
    assert_eq!(column.data_type(), &DataType::Timestamp(arrow::datatypes::TimeUnit::Second, Some("+25:99".into())));
    let (schema, batch) = batch([("t", Arc::new(column) as ArrayRef)]);
    for format in [Format::Json, Format::Csv, Format::MessagePack] {
        assert!(matches!(
            format.encode(&schema, std::slice::from_ref(&batch), usize::MAX),
            Err(EncodeError::Unsupported { .. })
        ));
    }
}
