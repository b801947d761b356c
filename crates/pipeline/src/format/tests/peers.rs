//! Every type's text beside that of the Arrow project's writers.

use arrow::array::{Array, BinaryArray, Date32Array, Date64Array, FixedSizeBinaryArray, FixedSizeListArray, NullArray};
use arrow::array::{Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array, LargeBinaryArray, MapBuilder};
use arrow::array::{DurationMicrosecondArray, DurationSecondArray, Int8Array, Int64Builder, PrimitiveArray, RunArray};
use arrow::array::{
    IntervalDayTimeArray, IntervalMonthDayNanoArray, IntervalYearMonthArray, StringBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{Float16Type, IntervalDayTime, IntervalMonthDayNano, TimeUnit, i256};
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use proptest::prelude::*;

use super::*;

type Values = [Option<i64>];

fn of<T: FromIterator<Option<U>> + Array + 'static, U>(values: &Values, value: impl Fn(i64) -> U) -> ArrayRef {
    Arc::new(values.iter().map(|item| item.map(&value)).collect::<T>())
}

fn as_type(values: &Values, data_type: DataType) -> ArrayRef {
    let wide = Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let narrow = of::<arrow::array::Int32Array, _>(values, |v| v as i32);
    let fits_narrow = cast(&narrow, &data_type).ok().filter(|array| array.null_count() == narrow.null_count());
    let fits_wide = cast(&wide, &data_type).ok().filter(|array| array.null_count() == wide.null_count());
    fits_wide.or(fits_narrow).unwrap_or_else(|| panic!("{data_type}"))
}

/// Columns of numbers and times that have these values, whatever those mean.
fn columns(values: &Values) -> Vec<ArrayRef> {
    let mut all: Vec<ArrayRef> = vec![
        of::<Int8Array, _>(values, |v| v as i8),
        of::<arrow::array::Int16Array, _>(values, |v| v as i16),
        of::<arrow::array::Int32Array, _>(values, |v| v as i32),
        of::<Int64Array, _>(values, |v| v),
        of::<arrow::array::UInt8Array, _>(values, |v| v as u8),
        of::<arrow::array::UInt16Array, _>(values, |v| v as u16),
        of::<arrow::array::UInt32Array, _>(values, |v| v as u32),
        of::<arrow::array::UInt64Array, _>(values, |v| v as u64),
        of::<Float64Array, _>(values, |v| f64::from_bits(v as u64)),
        of::<Float64Array, _>(values, |v| v as f64),
        of::<Float64Array, _>(values, |v| v as f64 / 1e3),
        of::<arrow::array::Float32Array, _>(values, |v| f32::from_bits(v as u32)),
        of::<arrow::array::Float32Array, _>(values, |v| v as f32 / 1e2),
        cast(&of::<arrow::array::Float32Array, _>(values, |v| (v as f32) / 64.0), &DataType::Float16).unwrap(),
        of::<BooleanArray, _>(values, |v| v % 2 == 0),
        of::<Date32Array, _>(values, |v| v as i32),
        of::<Date64Array, _>(values, |v| v),
        of::<DurationSecondArray, _>(values, |v| v / 1_000),
        of::<DurationMicrosecondArray, _>(values, |v| v),
        of::<IntervalYearMonthArray, _>(values, |v| v as i32),
        of::<IntervalDayTimeArray, _>(values, |v| IntervalDayTime::new(v as i32, (v >> 32) as i32)),
        of::<IntervalMonthDayNanoArray, _>(values, |v| IntervalMonthDayNano::new(v as i32, (v >> 16) as i32, v)),
        Arc::new(NullArray::new(values.len())),
    ];
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        let zones = [None, Some("UTC"), Some("+00:00"), Some("-03:30"), Some("Europe/Berlin"), Some("Asia/Kolkata")];
        all.extend(zones.map(|zone| as_type(values, DataType::Timestamp(unit, zone.map(Into::into)))));
        all.push(as_type(
            values,
            match unit {
                TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
                _ => DataType::Time64(unit),
            },
        ));
    }
    for scale in [-3, 0, 2, 9] {
        let precise = |array: Decimal32Array| array.with_precision_and_scale(9, scale).unwrap();
        let array: Decimal32Array = values.iter().map(|v| v.map(|v| (v % 1_000_000_000) as i32)).collect();
        all.push(Arc::new(precise(array)));
        let array: Decimal64Array = values.iter().map(|v| v.map(|v| v % 1_000_000_000_000_000_000)).collect();
        all.push(Arc::new(array.with_precision_and_scale(18, scale).unwrap()));
        let array: Decimal128Array = values.iter().map(|v| v.map(|v| i128::from(v) * i128::from(v % 977))).collect();
        all.push(Arc::new(array.with_precision_and_scale(38, scale).unwrap()));
        let array: Decimal256Array = values.iter().map(|v| v.map(|v| i256::from_i128(i128::from(v)))).collect();
        all.push(Arc::new(array.with_precision_and_scale(76, scale).unwrap()));
    }
    all
}

/// Columns of texts and bytes.
fn texts(values: &[Option<String>]) -> Vec<ArrayRef> {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let bytes = values.iter().map(|v| v.as_ref().map(String::as_bytes));
    let sixteen = values.iter().map(|v| v.as_ref().map(|v| xxhash_rust::xxh3::xxh3_128(v.as_bytes()).to_be_bytes()));
    let bytes: BinaryArray = bytes.collect();
    vec![
        cast(&array, &DataType::LargeUtf8).unwrap(),
        cast(&array, &DataType::Utf8View).unwrap(),
        cast(&array, &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))).unwrap(),
        cast(&array, &DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::LargeUtf8))).unwrap(),
        Arc::new(values.iter().map(Option::as_deref).collect::<RunArray<Int32Type>>()),
        cast(&bytes, &DataType::BinaryView).unwrap(),
        Arc::new(LargeBinaryArray::from_iter(values.iter().map(|v| v.as_ref().map(String::as_bytes)))),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(sixteen, 16).unwrap()),
        Arc::new(bytes),
        array,
    ]
}

/// Lists, objects and maps of a column.
fn nested(column: &ArrayRef) -> Vec<ArrayRef> {
    let item = Arc::new(Field::new_list_field(column.data_type().clone(), true));
    let even = column.slice(0, column.len() / 2 * 2);
    let pairs = FixedSizeListArray::try_new(item, 2, even, None).unwrap();
    let pairs: ArrayRef = Arc::new(pairs);
    let names = Arc::new(StringArray::from_iter_values((0..column.len()).map(|i| format!("\"{i}"))));
    let object = StructArray::from(vec![
        (Arc::new(Field::new("a \"name\"", column.data_type().clone(), true)), Arc::clone(column)),
        (Arc::new(Field::new("b", DataType::Utf8, true)), names as ArrayRef),
    ]);
    let item = || column.data_type().clone();
    let mut all: Vec<ArrayRef> = vec![Arc::new(object)];
    let list = |wrap: fn(Arc<Field>) -> DataType| cast(&pairs, &wrap(Arc::new(Field::new_list_field(item(), true))));
    all.extend([list(DataType::List), list(DataType::LargeList)].into_iter().flatten());
    all.push(pairs);
    all
}

fn map(values: &[Option<String>]) -> ArrayRef {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for value in values {
        for part in value.as_deref().unwrap_or_default().split(' ') {
            map.keys().append_value(part);
            map.values().append_option((part.len() > 1).then_some(part.len() as i64));
        }
        map.append(value.is_some()).unwrap();
    }
    Arc::new(map.finish())
}

fn arrow_json<F: JsonFormat>(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut out = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, F>(&mut out);
    writer.write(batch)?;
    writer.finish()?;
    Ok(out)
}

/// What stands for an empty text, which arrow-csv writes as it writes null.
const EMPTY: &str = "noletteratall";

/// A nested column as JSON text, one of texts without an empty one, any other as it is.
fn flat(column: &ArrayRef) -> ArrayRef {
    if !column.data_type().is_nested() && column.data_type().to_string().contains("Utf8") {
        let texts = arrow::compute::cast(column, &DataType::Utf8).unwrap();
        let text = |text: Option<&str>| text.map(|text| if text.is_empty() { EMPTY } else { text }.to_owned());
        return Arc::new(arrow::array::AsArray::as_string::<i32>(&texts).iter().map(text).collect::<StringArray>());
    }
    if !column.data_type().is_nested() {
        return Arc::clone(column);
    }
    let (_, batch) = batch_of(vec![("v", Arc::clone(column))]);
    let lines = String::from_utf8(arrow_json::<LineDelimited>(&batch).unwrap()).unwrap();
    let value = |line: &str| line["{\"v\":".len()..line.len() - 1].to_owned();
    let values = lines.lines().enumerate().map(|(row, line)| column.is_valid(row).then(|| value(line)));
    Arc::new(StringArray::from_iter(values))
}

/// `None` where a value is one that arrow-csv stops at.
fn arrow_csv(columns: &[(&str, ArrayRef)]) -> Option<Vec<u8>> {
    let (_, batch) = batch_of(columns.iter().map(|(name, column)| (*name, flat(column))).collect());
    let mut out = Vec::new();
    arrow::csv::WriterBuilder::new().build(&mut out).write(&batch).ok()?;
    Some(String::from_utf8(out).ok()?.replace(EMPTY, "\"\"").into_bytes())
}

#[track_caller]
fn check_beside_arrow(columns: Vec<ArrayRef>) {
    for column in columns {
        let data_type = column.data_type().clone();
        let named = vec![("a \"name\"", Arc::clone(&column)), ("b", column)];
        let (schema, batch) = batch_of(named.clone());
        let text = |format| String::from_utf8(encode(format, &schema, std::slice::from_ref(&batch))).unwrap();
        let peer = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let spoiled = |text: &str| text.contains("ERROR: ");
        let json = peer(arrow_json::<JsonArray>(&batch).unwrap());
        if !spoiled(&json) {
            assert_same(&text(Format::Json), &json, &data_type);
            assert_same(&text(Format::Ndjson), &peer(arrow_json::<LineDelimited>(&batch).unwrap()), &data_type);
            let csv = peer(arrow_csv(&named).unwrap());
            assert_same(&text(Format::CsvRaw), &csv, &data_type);
        }
    }
}

/// The same text; but where several fractions are equally short or near and read back as one number, any of them.
#[track_caller]
fn assert_same(ours: &str, theirs: &str, data_type: &DataType) {
    if ours == theirs {
        return;
    }
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c);
    let pairs: Vec<_> = ours.split(is_separator).zip(theirs.split(is_separator)).collect();
    assert_eq!((pairs.len(), pairs.len()), (ours.split(is_separator).count(), theirs.split(is_separator).count()));
    for (ours, theirs) in pairs.into_iter().filter(|(ours, theirs)| ours != theirs) {
        let is_single = matches!(data_type, DataType::Float32 | DataType::Float16);
        let same = match (ours.parse::<f64>(), theirs.parse::<f64>()) {
            (Ok(a), Ok(b)) if is_single || data_type.is_nested() => a as f32 == b as f32,
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        assert!(same && ours.contains('e') == theirs.contains('e'), "{data_type}: {ours}, {theirs}");
    }
}

fn value() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        1 => Just(None),
        2 => any::<i64>().prop_map(Some),
        2 => (-100_000_i64..100_000).prop_map(Some),
        2 => (0_i64..86_400).prop_map(Some),
        2 => (-1_000_000_000_000_i64..3_000_000_000_000).prop_map(Some),
        1 => (0_u32..19, -9_i64..10).prop_map(|(power, digit)| Some(10_i64.saturating_pow(power).saturating_mul(digit))),
    ]
}

fn text() -> impl Strategy<Value = Option<String>> {
    let characters = prop_oneof![
        3 => prop::char::range('a', 'z'),
        1 => prop::sample::select(vec!['"', '\\', '\n', '\r', '\t', '\u{8}', '\u{c}', '\0', '\u{1f}', '\u{7f}', ',', '=', ' ']),
        1 => any::<char>(),
    ];
    let plain = "[a-z ]{0,80}".prop_map(Some);
    prop_oneof![1 => Just(None), 3 => prop::collection::vec(characters, 0..70).prop_map(|c| Some(c.into_iter().collect())), 2 => plain]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn numbers_and_times_are_spelled_as_arrow_spells_them(values in prop::collection::vec(value(), 1..12)) {
        check_beside_arrow(columns(&values));
        // One value alone: no value of a column spoils the comparison of others.
        for value in values {
            check_beside_arrow(columns(&[value]));
        }
    }

    #[test]
    fn texts_are_spelled_as_arrow_spells_them(values in prop::collection::vec(text(), 1..12), from in 0_usize..12) {
        check_beside_arrow(texts(&values));
        let from = from.min(values.len() - 1);
        check_beside_arrow(texts(&values).iter().map(|column| column.slice(from, values.len() - from)).collect());
    }

    #[test]
    fn nested_values_are_spelled_as_arrow_spells_them(
        values in prop::collection::vec(value(), 2..12),
        words in prop::collection::vec(text(), 2..12),
    ) {
        let simple = columns(&values).into_iter().filter(|column| *column.data_type() != DataType::Null);
        let nested: Vec<_> = simple.chain(texts(&words)).flat_map(|column| nested(&column)).collect();
        check_beside_arrow(nested.iter().flat_map(nested_again).collect());
        check_beside_arrow(nested);
        check_beside_arrow(vec![map(&words)]);
    }
}

/// A list in an object and the like.
fn nested_again(column: &ArrayRef) -> Vec<ArrayRef> {
    nested(column).into_iter().take(1).collect()
}

#[test]
fn parquet_takes_a_type_or_says_that_it_cannot() {
    let values = [Some(1), None, Some(86_399)];
    let words = [Some("a b".to_owned()), None, Some("c".to_owned())];
    let flat: Vec<_> = columns(&values).into_iter().chain(texts(&words)).chain([map(&words)]).collect();
    let nested: Vec<_> = flat.iter().filter(|column| *column.data_type() != DataType::Null).flat_map(nested).collect();
    for column in flat.into_iter().chain(nested) {
        let data_type = column.data_type().clone();
        let (schema, batch) = batch_of(vec![("a", column)]);
        match Format::Parquet.encode(&schema, std::slice::from_ref(&batch), usize::MAX) {
            Ok(bytes) => {
                let back = round_trips::read(Format::Parquet, bytes).remove(0);
                // Runs are how values lie in memory, which Parquet has other means for.
                let is_same = back == batch || format!("{data_type}").contains("RunEndEncoded");
                assert!(is_same && back.num_rows() == batch.num_rows(), "{data_type}");
            }
            Err(error) => assert!(matches!(error, EncodeError::Unsupported { .. }), "{data_type}: {error}"),
        }
    }
}

#[test]
fn every_half_is_spelled_as_arrow_spells_it() {
    let all = (0..=u16::MAX).map(<Float16Type as arrow::array::ArrowPrimitiveType>::Native::from_bits);
    check_beside_arrow(vec![Arc::new(PrimitiveArray::<Float16Type>::from_iter_values(all))]);
}

#[test]
fn every_power_of_ten_and_of_two_is_spelled_as_arrow_spells_it() {
    let tens = (-330..310).map(|power| format!("1e{power}").parse::<f64>().unwrap());
    let twos = (-1_074..1_024).map(|power| 2_f64.powi(power));
    let values: Vec<f64> =
        tens.chain(twos).flat_map(|x| [x, -x, x.next_up(), x.next_down(), x * 1.5, x * 9.0]).collect();
    let singles = values.iter().map(|x| *x as f32).flat_map(|x| [x, x.next_up(), x.next_down()]);
    check_beside_arrow(vec![
        Arc::new(arrow::array::Float32Array::from_iter_values(singles)),
        Arc::new(Float64Array::from(values)),
    ]);
}

#[test]
fn every_day_of_four_centuries_is_spelled_as_arrow_spells_it() {
    let days = (-719_530..-719_000).chain(-1_000..150_000).chain(2_932_000..2_932_900);
    check_beside_arrow(vec![Arc::new(Date32Array::from_iter_values(days))]);
}

#[test]
fn a_time_that_no_calendar_has_is_written_as_its_number() {
    let (schema, batch) =
        batch_of(vec![("t", as_type(&[Some(i64::MAX)], DataType::Timestamp(TimeUnit::Second, None)))]);
    check_text(Format::Json, &schema, &batch, r#"[{"t":9223372036854775807}]"#);
    check_text(Format::Csv, &schema, &batch, "t\n9223372036854775807\n");
}

#[test]
fn lists_of_nothing_are_written() {
    let nothing = Arc::new(arrow::array::NullArray::new(0));
    let item = Arc::new(Field::new_list_field(DataType::Null, true));
    let lists = arrow::array::ListArray::new(item, arrow::buffer::OffsetBuffer::from_lengths([0, 0]), nothing, None);
    let (schema, batch) = batch_of(vec![("a", Arc::new(lists))]);
    check_text(Format::Json, &schema, &batch, r#"[{"a":[]},{"a":[]}]"#);
    check_text(Format::Csv, &schema, &batch, "a\n[]\n[]\n");
}

#[test]
fn decimals_of_any_scale_are_written() {
    let decimal = arrow::array::Decimal128Array::from(vec![1]).with_precision_and_scale(38, 38).unwrap();
    let (schema, batch) = batch_of(vec![("a", Arc::new(decimal))]);
    check_text(Format::Csv, &schema, &batch, &format!("a\n0.{}1\n", "0".repeat(37)));
    let data = arrow::array::ArrayData::builder(DataType::Decimal128(38, 127)).len(1);
    let data = data.add_buffer(arrow::buffer::Buffer::from_slice_ref([1_i128])).build().unwrap();
    let (schema, batch) = batch_of(vec![("a", arrow::array::make_array(data))]);
    check_text(Format::Csv, &schema, &batch, &format!("a\n0.{}1\n", "0".repeat(126)));
}

#[test]
fn an_empty_text_is_no_null_in_csv() {
    let texts = StringArray::from(vec![Some(""), None]);
    let numbers = arrow::array::Int64Array::from(vec![1, 2]);
    let (schema, batch) = batch_of(vec![("a", Arc::new(texts)), ("b", Arc::new(numbers))]);
    check_text(Format::Csv, &schema, &batch, "a,b\n\"\",1\n,2\n");
}

#[test]
fn a_null_among_the_values_of_a_dictionary_is_null() {
    let values = Arc::new(StringArray::from(vec![Some("a"), None]));
    let array = DictionaryArray::<Int32Type>::new(vec![0, 1, 0].into(), values);
    let (schema, batch) = batch_of(vec![("d", Arc::new(array))]);
    check_text(Format::Json, &schema, &batch, r#"[{"d":"a"},{"d":null},{"d":"a"}]"#);
}
