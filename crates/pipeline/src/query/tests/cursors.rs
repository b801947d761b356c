//! Cursors: the rows at or after a page's end, for every type and order, and tokens that are none.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, make_comparator,
};
use arrow::compute::{SortOptions, cast, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::collection::vec;
use proptest::prelude::*;

use super::SCHEMA;
use crate::eval::{PageEnd, filter_mask};
use crate::query::{BoundQuery, QueryError, Rules, parse};

/// Values of many types, nulls and extremes among them, each twice.
fn samples() -> Vec<ArrayRef> {
    let whole = || Int64Array::from(vec![Some(5), None, Some(0), Some(-3), Some(100), None]);
    let extremes = Int64Array::from(vec![Some(i64::MIN), Some(0), None, Some(i64::MAX), Some(-1)]);
    let floats = Float64Array::from(vec![
        Some(0.0),
        Some(-0.0),
        None,
        Some(f64::NAN),
        Some(-f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(1.5),
        Some(-1.5),
        Some(f64::from_bits(f64::NAN.to_bits() + 7)),
        Some(0.1),
        Some(65_504.0),
    ]);
    let texts = StringArray::from(vec![
        Some("a"),
        Some(""),
        None,
        Some("é\u{0}\n"),
        Some("null"),
        Some("a, and more than twelve"),
    ]);
    let bytes = BinaryArray::from_opt_vec(vec![Some(b"ab".as_slice()), None, Some(&[0, 255]), Some(&[255, 0])]);
    let booleans = BooleanArray::from(vec![Some(true), None, Some(false)]);
    let small = [
        DataType::Int8,
        DataType::Int32,
        DataType::Decimal32(5, 1),
        DataType::Decimal64(9, 2),
        DataType::Decimal128(20, 2),
        DataType::Decimal256(60, 3),
        DataType::Decimal64(6, -2),
    ];
    let wide = [
        DataType::Int64,
        DataType::Date64,
        DataType::Duration(TimeUnit::Millisecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
        DataType::Time64(TimeUnit::Nanosecond),
    ];
    let unsigned = Int64Array::from(vec![Some(5), None, Some(0), Some(200)]);
    let mut samples: Vec<ArrayRef> = vec![Arc::new(booleans), Arc::new(bytes.clone())];
    samples.extend(small.iter().map(|to| cast(&whole(), to).unwrap()));
    samples.extend(wide.iter().map(|to| cast(&extremes, to).unwrap()));
    samples.extend([DataType::UInt8, DataType::UInt64].iter().map(|to| cast(&unsigned, to).unwrap()));
    let days = cast(&whole(), &DataType::Int32).unwrap();
    samples.extend([DataType::Date32, DataType::Time32(TimeUnit::Second)].iter().map(|to| cast(&days, to).unwrap()));
    samples
        .extend([DataType::Float16, DataType::Float32, DataType::Float64].iter().map(|to| cast(&floats, to).unwrap()));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    samples.extend(
        [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary]
            .iter()
            .map(|to| cast(&texts, to).unwrap()),
    );
    samples.extend(
        [DataType::LargeBinary, DataType::BinaryView, DataType::FixedSizeBinary(2)]
            .iter()
            .map(|to| cast(&bytes, to).unwrap()),
    );
    samples
}

/// How an order compares two rows; zeros are equal, and all NaNs, which are above all numbers.
fn comparator(column: &ArrayRef, options: SortOptions) -> Box<dyn Fn(usize, usize) -> Ordering + Send + Sync> {
    let plain = match column.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(column, &DataType::Float64).unwrap();
            let wide = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&wide).clone();
            Arc::new(wide.unary::<_, arrow::datatypes::Float64Type>(|f| if f.is_nan() { f64::NAN } else { f + 0.0 }))
        }
        DataType::Dictionary(_, values) => cast(column, values).unwrap(),
        _ => column.clone(),
    };
    make_comparator(&plain, &plain, options).unwrap()
}

/// Ends a page at every row of the ordered table, and looks at where the next one begins.
fn check(columns: &[ArrayRef], options: &[SortOptions]) {
    let fields =
        columns.iter().enumerate().map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(schema.clone(), columns.to_vec()).unwrap();
    let order: Vec<String> = options
        .iter()
        .enumerate()
        .map(|(at, options)| {
            format!(
                "c{at}{}{}",
                if options.descending { ".desc" } else { ".asc" },
                if options.nulls_first { ".nullsfirst" } else { ".nullslast" }
            )
        })
        .collect();
    let params = format!("order={}", order.join(","));
    let query = parse(&params, &schema, &Rules::default()).unwrap();
    let comparators: Vec<_> =
        columns.iter().zip(options).map(|(column, options)| comparator(column, *options)).collect();
    let compare = |left: usize, right: usize| {
        comparators.iter().map(|compare| compare(left, right)).fold(Ordering::Equal, Ordering::then)
    };
    let mut rows: Vec<usize> = (0..batch.num_rows()).collect();
    rows.sort_by(|left, right| compare(*left, *right));
    for (at, row) in rows.iter().enumerate() {
        let ties = rows[..=at].iter().filter(|earlier| compare(**earlier, *row).is_eq()).count() as u64;
        let end = PageEnd { keys: columns.iter().map(|column| column.slice(*row, 1)).collect(), ties };
        let token = query.cursor_after(&end, at as u64 + 1).expect("a cursor");
        let next = parse(&format!("{params}&cursor={token}"), &schema, &Rules::default())
            .unwrap_or_else(|error| panic!("{params}: row {row}: {error}"));
        assert_eq!((next.rows_before(), next.offset()), (at as u64 + 1, ties));
        let expected: Vec<bool> = (0..batch.num_rows()).map(|other| compare(other, *row).is_ge()).collect();
        let found: Vec<bool> = match next.cursor().and_then(|cursor| cursor.from.as_ref()) {
            None => vec![true; batch.num_rows()],
            Some(from) => filter_mask(from, &batch).unwrap().values().iter().collect(),
        };
        assert_eq!(found, expected, "{params}: at row {row} of {columns:?}");
        // The rows from there, without those that are given already, are the rest.
        let rest = rows.iter().filter(|row| found[**row]).skip(usize::try_from(ties).unwrap());
        assert!(rest.eq(&rows[at + 1..]), "{params}: after row {row}");
        let again = parse(&next.canonical(), &schema, &Rules::default()).unwrap();
        assert_eq!((again.canonical(), &again), (next.canonical(), &next));
    }
}

fn orders() -> [SortOptions; 4] {
    [(false, false), (false, true), (true, false), (true, true)]
        .map(|(descending, nulls_first)| SortOptions { descending, nulls_first })
}

#[test]
fn a_page_begins_where_the_one_before_ended_whatever_the_type() {
    for column in samples() {
        let twice = Int64Array::from_iter_values((0..column.len() as i64).chain(0..column.len() as i64));
        let column = take(&column, &twice, None).unwrap();
        for options in orders() {
            check(std::slice::from_ref(&column), &[options]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_page_begins_where_the_one_before_ended_whatever_the_order(
        picked in vec((any::<proptest::sample::Index>(), 0..4usize), 1..4),
        rows in vec(any::<[u8; 4]>(), 1..12),
    ) {
        let samples = samples();
        let columns: Vec<ArrayRef> = picked.iter().enumerate().map(|(at, (sample, _))| {
            let sample = &samples[sample.index(samples.len())];
            // Few values, so that rows are often equal in the first columns.
            let rows = rows.iter().map(|row| i64::from(row[at]) % (sample.len() as i64).min(3));
            take(sample, &Int64Array::from_iter_values(rows), None).unwrap()
        }).collect();
        let options: Vec<SortOptions> = picked.iter().map(|(_, order)| orders()[*order]).collect();
        check(&columns, &options);
    }

    #[test]
    fn no_text_is_a_cursor(text in ".{0,60}", bytes in vec(any::<u8>(), 0..80)) {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        for token in [text, encoded] {
            let error = crate::query::parse_pairs([("cursor", token)], &SCHEMA, &Rules::default()).unwrap_err();
            prop_assert_eq!(error.code(), "bad_cursor");
        }
    }
}

fn bound(params: &str) -> Result<BoundQuery, QueryError> {
    parse(params, &SCHEMA, &Rules::default())
}

fn year(year: i32) -> PageEnd {
    PageEnd { keys: vec![Arc::new(arrow::array::Int32Array::from(vec![year]))], ties: 1 }
}

#[track_caller]
fn refused(params: &str, message: &str) {
    let error = bound(params).expect_err(params);
    assert_eq!((error.code(), error.parameter()), ("bad_cursor", "cursor"), "{params}: {error}");
    assert!(error.to_string().contains(message) && error.hint().is_some(), "{params}: {error}");
}

#[test]
fn a_cursor_is_of_one_question() {
    let token = bound("order=year&region=eq.x&limit=5").unwrap().cursor_after(&year(7), 5).unwrap();
    for params in ["order=year&region=eq.x&limit=9", "limit=5&and=(region.eq.x)&order=year.asc.nullslast"] {
        let next = bound(&format!("{params}&cursor={token}")).unwrap();
        assert_eq!((next.rows_before(), next.offset()), (5, 1), "{params}");
    }
    for params in [
        "order=year",
        "region=eq.x",
        "order=year.desc&region=eq.x",
        "order=year&region=eq.y",
        "order=year,small&region=eq.x",
        "order=year&region=eq.x&select=year",
        "order=year&region=eq.x&select=year&distinct=true",
        "order=year&region=eq.x&select=year,count()",
    ] {
        refused(&format!("{params}&cursor={token}"), "another question");
    }
    refused(&format!("order=year&region=eq.x&offset=1&cursor={token}"), "offset");
    let other = Arc::new(Schema::new(vec![
        Field::new("year", DataType::Int64, true),
        Field::new("region", DataType::Utf8, true),
    ]));
    let error = parse(&format!("order=year&region=eq.x&cursor={token}"), &other, &Rules::default()).unwrap_err();
    assert_eq!(error.code(), "bad_cursor");
}

#[test]
fn a_damaged_cursor_is_refused() {
    let token = bound("order=year").unwrap().cursor_after(&year(7), 5).unwrap();
    assert!(bound(&format!("order=year&cursor={token}")).is_ok());
    for at in 0..token.len() {
        let mut damaged = token.clone().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        refused(&format!("order=year&cursor={}", String::from_utf8(damaged).unwrap()), "damaged");
        refused(&format!("order=year&cursor={}", &token[..at]), "damaged");
    }
    refused(&format!("order=year&cursor={token}A"), "damaged");
    refused(&format!("order=year&cursor={}", "A".repeat(100_000)), "damaged");
}

#[test]
fn without_an_order_a_cursor_counts_rows() {
    let query = bound("region=eq.x").unwrap();
    let end = PageEnd { keys: Vec::new(), ties: 12 };
    let next = bound(&format!("region=eq.x&cursor={}", query.cursor_after(&end, 12).unwrap())).unwrap();
    assert_eq!((next.rows_before(), next.offset()), (12, 12));
    assert!(next.cursor().unwrap().from.is_none());
    let end = PageEnd { keys: Vec::new(), ties: u64::MAX };
    let far = bound(&format!("region=eq.x&cursor={}", next.cursor_after(&end, u64::MAX).unwrap())).unwrap();
    assert_eq!((far.rows_before(), far.offset()), (u64::MAX, u64::MAX));
}

#[test]
fn groups_have_cursors_too() {
    let params = "select=region,total:year.sum()&order=total.desc,count()";
    let query = bound(params).unwrap();
    let keys: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![5])), Arc::new(Int64Array::from(vec![2]))];
    let end = PageEnd { keys, ties: 3 };
    let next = bound(&format!("{params}&cursor={}", query.cursor_after(&end, 10).unwrap())).unwrap();
    let from = next.cursor().unwrap().from.clone().unwrap();
    let stage = RecordBatch::try_new(
        next.stage_schema().clone(),
        vec![
            Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"])),
            Arc::new(Int64Array::from(vec![Some(6), Some(5), Some(5), Some(4), None])),
            Arc::new(Int64Array::from(vec![9, 1, 2, 0, 0])),
        ],
    )
    .unwrap();
    let kept: Vec<bool> = filter_mask(&from, &stage).unwrap().values().iter().collect();
    assert_eq!(kept, [false, false, true, true, false]);
}

#[test]
fn an_end_that_is_too_long_has_no_cursor() {
    let query = bound("order=region").unwrap();
    let end = |bytes: usize| PageEnd { keys: vec![Arc::new(StringArray::from(vec!["x".repeat(bytes)]))], ties: 1 };
    assert!(query.cursor_after(&end(4_000), 1).is_some());
    assert!(query.cursor_after(&end(7_000), 1).is_none());
    assert!(query.cursor_after(&PageEnd { keys: Vec::new(), ties: 1 }, 1).is_none());
}
