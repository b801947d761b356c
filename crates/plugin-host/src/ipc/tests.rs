//! Batches there and back, and frames that were damaged on the way.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    ListArray, NullArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};

use super::*;

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(i, column)| (format!("c{i}"), column, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

/// The frames of a batch, each in one buffer as a reader would have it.
fn frames(encoder: &mut Encoder, batch: &RecordBatch) -> Vec<Buffer> {
    let mut frames = Vec::new();
    encoder
        .encode(batch, |parts| {
            let mut frame = arrow::buffer::MutableBuffer::new(0);
            parts.iter().for_each(|part| frame.extend_from_slice(part));
            frames.push(frame.into());
            Ok(())
        })
        .unwrap();
    frames
}

fn decoder(schema: &SchemaRef) -> Decoder {
    Decoder::new(schema_from_bytes(&schema_to_bytes(schema).unwrap()).unwrap(), schema.clone())
}

#[track_caller]
fn check(batches: &[RecordBatch]) -> usize {
    let schema = batches[0].schema();
    let (mut encoder, mut decoder) = (Encoder::new(schema.clone()).unwrap(), decoder(&schema));
    let mut count = 0;
    for batch in batches {
        let frames = frames(&mut encoder, batch);
        count += frames.len();
        let pieces: Vec<_> = frames.into_iter().map(|frame| decoder.decode(frame).unwrap()).collect();
        assert_eq!(pieces.iter().map(RecordBatch::num_rows).sum::<usize>(), batch.num_rows());
        if !schema.fields().is_empty() {
            assert_eq!(&arrow::compute::concat_batches(&schema, &pieces).unwrap(), batch);
        }
    }
    count
}

fn views(rows: usize) -> ArrayRef {
    Arc::new(StringViewArray::from_iter((0..rows).map(|n| (n % 5 != 0).then(|| format!("a text of some length {n}")))))
}

#[test]
fn batches_of_every_kind_come_back_as_they_were() {
    let words: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    let all: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(Float64Array::from(vec![0.5, f64::NAN, -0.0])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(StringArray::from(vec![Some("ä"), None, Some("")])),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\xff"), None, Some(b"")])),
        Arc::new(Date32Array::from(vec![1, 2, 3])),
        Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC")),
        Arc::new(Decimal128Array::from(vec![1, 2, 3]).with_precision_and_scale(20, 2).unwrap()),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])])),
        Arc::new(NullArray::new(3)),
        Arc::new(words),
        views(3),
    ];
    let whole = batch(all);
    check(&[whole.clone(), whole.slice(1, 1), whole.slice(0, 0), whole]);
}

#[test]
fn a_large_batch_travels_in_pieces() {
    let rows = 1_000_003;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..rows as i64).map(|n| (n % 7 != 0).then_some(n))));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| n.to_string())));
    let words: ArrayRef =
        Arc::new((0..rows).map(|n| ["red", "green", "blue"][n % 3]).collect::<DictionaryArray<Int32Type>>());
    assert!(check(&[batch(vec![numbers, texts, words])]) > 5);
    assert!(check(&[batch(vec![views(100_000)])]) > 1);
}

#[test]
fn a_slice_of_views_leaves_behind_what_it_does_not_show() {
    let whole = batch(vec![views(100_000)]);
    let slice = whole.slice(50_000, 10);
    let sent = frames(&mut Encoder::new(whole.schema()).unwrap(), &slice);
    assert!(sent.iter().map(Buffer::len).sum::<usize>() < 4096);
    check(&[slice]);
}

#[test]
fn rows_without_columns_are_still_counted() {
    let options = RecordBatchOptions::new().with_row_count(Some(123));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    check(&[batch.clone(), batch]);
}

#[test]
fn a_dictionary_that_changes_is_sent_again() {
    let words = |words: [&str; 2]| batch(vec![Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>())]);
    check(&[words(["a", "b"]), words(["c", "d"]), words(["a", "b"])]);
}

#[test]
fn compressed_batches_and_dictionaries_are_refused_before_they_are_decoded() {
    let numbers = batch(vec![Arc::new(Int64Array::from(Vec::<i64>::new()))]);
    let no_numbers: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
    let words = batch(vec![Arc::new(DictionaryArray::<Int32Type>::new(Vec::<i32>::new().into(), no_numbers))]);
    let options =
        IpcWriteOptions::default().try_with_compression(Some(arrow::ipc::CompressionType::LZ4_FRAME)).unwrap();
    for batch in [numbers, words] {
        let schema = batch.schema();
        let stream = StreamEncoder::try_new_with_options(&schema, options.clone()).unwrap();
        let sent = frames(&mut Encoder { stream, schema: schema.clone() }, &batch).remove(0);
        let error = decoder(&schema).decode(sent).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidData);
        assert!(error.message.contains("is compressed"), "{error}");
    }
}

#[test]
fn values_of_filters_survive_their_bytes() {
    for values in [Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef, Arc::new(StringArray::from(vec!["x"]))] {
        assert_eq!(&values_from_bytes(&values_to_bytes(&values).unwrap()).unwrap(), &values);
    }
    assert!(values_from_bytes(b"nonsense").is_err());
}

/// A cheap generator of numbers that look random: xorshift.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

#[test]
fn damaged_frames_are_errors_or_other_valid_data_and_never_a_panic() {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..50).map(|n| format!("text {n}"))));
    let words: ArrayRef = Arc::new((0..50).map(|n| ["red", "green"][n % 2]).collect::<DictionaryArray<Int32Type>>());
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..50).map(|n| Some(vec![Some(n), None]))));
    let whole = batch(vec![texts, words, lists, views(50)]);
    let schema = whole.schema();
    let good = frames(&mut Encoder::new(schema.clone()).unwrap(), &whole).remove(0);
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut refused = 0;
    for round in 0..3000 {
        let mut bytes = good.to_vec();
        if round % 3 == 0 {
            bytes.truncate(random(&mut state) % bytes.len());
        }
        for _ in 0..=random(&mut state) % 4 {
            if !bytes.is_empty() {
                let at = random(&mut state) % bytes.len();
                bytes[at] = random(&mut state) as u8;
            }
        }
        match decoder(&schema).decode(Buffer::from(bytes)) {
            Ok(batch) => assert_eq!(batch.schema(), schema),
            Err(error) => {
                assert_eq!(error.code, ErrorCode::InvalidData);
                refused += 1;
            }
        }
    }
    assert!(refused > 1000, "{refused}");
    let schema_bytes = schema_to_bytes(&schema).unwrap();
    for round in 0..1000 {
        let mut bytes = schema_bytes.clone();
        bytes.truncate(if round % 2 == 0 { random(&mut state) % bytes.len() } else { bytes.len() });
        if let Some(len) = bytes.len().checked_sub(1).filter(|len| *len > 0) {
            bytes[random(&mut state) % len] = random(&mut state) as u8;
        }
        let _ = schema_from_bytes(&bytes);
    }
}

#[test]
fn a_stream_of_other_columns_is_told_from_the_declared_one() {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let declared = Schema::new(vec![field("a", DataType::Int64), field("b", DataType::Utf8)]);
    let same = |found: Vec<Field>| same_columns(&declared, &Schema::new(found));
    let strict = Field::new("a", DataType::Int64, false)
        .with_metadata(std::collections::HashMap::from([("unit".to_owned(), "m".to_owned())]));
    assert_eq!(same(vec![strict, field("b", DataType::Utf8)]), Ok(()));
    assert!(same(vec![field("a", DataType::Int64)]).unwrap_err().contains("1 came"));
    let renamed = same(vec![field("x", DataType::Int64), field("b", DataType::Utf8)]);
    assert!(renamed.unwrap_err().contains("'x' came"));
    let retyped = same(vec![field("a", DataType::Int32), field("b", DataType::Utf8)]);
    assert!(retyped.unwrap_err().contains("Int32 came"));
}
