//! Answers with zones are those without, and batches are skipped where they should be.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, StringViewArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::Int8Type;
use proptest::prelude::*;

use super::*;
use crate::eval::{Input, QueryMemory, count, count_zoned, evaluate, evaluate_zoned};
use crate::query::parse;

/// One row: a small number that its other values are made of, and which of them are null.
type Row = (i8, u8);

const FLOATS: [f64; 9] = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 0.5, 2.0, f64::INFINITY, f64::NAN, -f64::NAN];

fn batch(first: i64, rows: &[Row]) -> RecordBatch {
    let of = |bit: u8| move |row: &Row| (row.1 >> bit & 1 == 0).then_some(row.0);
    let texts = |bit: u8| rows.iter().map(of(bit)).map(|value| value.map(|value| format!("t{value}")));
    let float = |value: i8| FLOATS[value.unsigned_abs() as usize % FLOATS.len()];
    let keys: Vec<Option<i8>> = rows.iter().map(of(4)).map(|value| value.map(|value| value.rem_euclid(5))).collect();
    let names = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]));
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(first..first + rows.len() as i64)), false),
        ("n", Arc::new(Int32Array::from_iter(rows.iter().map(of(0)).map(|value| value.map(i32::from)))), true),
        ("f", Arc::new(Float64Array::from_iter(rows.iter().map(of(1)).map(|value| value.map(float)))), true),
        ("s", Arc::new(StringArray::from_iter(texts(2))), true),
        ("v", Arc::new(StringViewArray::from_iter(texts(3))), true),
        ("k", Arc::new(DictionaryArray::<Int8Type>::new(keys.into(), names)), true),
        (
            "b",
            Arc::new(BooleanArray::from_iter(rows.iter().map(of(5)).map(|value| value.map(|value| value > 0)))),
            true,
        ),
        ("d", Arc::new(Date32Array::from_iter(rows.iter().map(of(6)).map(|value| value.map(i32::from)))), true),
        (
            "p",
            Arc::new(
                Decimal128Array::from_iter(rows.iter().map(of(7)).map(|value| value.map(i128::from)))
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn conditions() -> impl Strategy<Value = String> {
    let operator = || prop::sample::select(vec!["eq", "neq", "gt", "gte", "lt", "lte"]);
    let not = || prop::sample::select(vec!["", "not."]);
    prop_oneof![
        (not(), operator(), -9..9i8).prop_map(|(not, op, value)| format!("n={not}{op}.{value}")),
        (not(), operator(), prop::sample::select(FLOATS.to_vec()))
            .prop_map(|(not, op, value)| format!("f={not}{op}.{value}")),
        (not(), operator(), -9..9i8).prop_map(|(not, op, value)| format!("s={not}{op}.t{value}")),
        (not(), operator(), -9..9i8).prop_map(|(not, op, value)| format!("v={not}{op}.t{value}")),
        (not(), operator(), "[a-f]").prop_map(|(not, op, value)| format!("k={not}{op}.{value}")),
        (not(), operator(), 0..9i8).prop_map(|(not, op, value)| format!("d={not}{op}.1970-01-0{}", value + 1)),
        (not(), operator(), -9..9i8).prop_map(|(not, op, value)| format!("p={not}{op}.{}", f64::from(value) / 100.0)),
        (not(), prop::collection::vec(-9..9i8, 0..12)).prop_map(|(not, values)| {
            let values: Vec<String> = values.iter().map(i8::to_string).collect();
            format!("n={not}in.({})", values.join(","))
        }),
        (not(), prop::collection::vec(prop::sample::select(FLOATS.to_vec()), 0..4)).prop_map(|(not, values)| {
            let values: Vec<String> = values.iter().map(f64::to_string).collect();
            format!("f={not}in.({})", values.join(","))
        }),
        (not(), prop::sample::select(vec!["null", "true", "false", "unknown"]))
            .prop_map(|(not, truth)| format!("b={not}is.{truth}")),
        (not(), prop::sample::select(vec!["n", "f", "s", "v", "k", "d", "p"]))
            .prop_map(|(not, column)| format!("{column}={not}is.null")),
        not().prop_map(|not| format!("s={not}like.*3*")),
        not().prop_map(|not| format!("v={not}match.[12]")),
    ]
}

/// Batches whose numbers lie in a narrow range each, so that some can be ruled out.
fn tables() -> impl Strategy<Value = Vec<RecordBatch>> {
    let nulls = prop_oneof![4 => Just(0u8), 2 => any::<u8>(), 1 => Just(255)];
    let part = (-9..9i8, 1..4i8, nulls).prop_flat_map(|(from, width, nulls)| {
        prop::collection::vec((from..from + width, prop_oneof![Just(0u8), Just(nulls)]), 0..6)
    });
    prop::collection::vec(part, 2..8).prop_map(|parts| {
        let mut first = 0;
        let make = |rows: Vec<Row>| {
            let batch = batch(first, &rows);
            first += rows.len() as i64;
            batch
        };
        parts.into_iter().map(make).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn answers_with_zones_are_those_without(
        batches in tables(),
        conditions in prop::collection::vec(conditions(), 1..4),
        any in any::<bool>(),
        rest in prop::sample::select(vec![
            "", "&limit=3", "&order=n.desc,id&limit=4", "&order=f", "&select=k,count()", "&offset=2&order=s.desc",
        ]),
    ) {
        let filter = if any {
            let parts: Vec<String> = conditions.iter().map(|part| part.replacen('=', ".", 1)).collect();
            format!("or=({})", parts.join(","))
        } else {
            conditions.join("&")
        };
        let params = format!("{filter}{rest}");
        let schema = batches[0].schema();
        let query = parse(&params, &schema, &Default::default()).unwrap_or_else(|error| panic!("{error}: {params}"));
        let input = Input { schema: &schema, batches: &batches };
        let (zones, run) = (Zones::new(&schema), Run::unbounded());
        let plain = evaluate(&query, input, &run).unwrap();
        for _ in 0..2 {
            let zoned = evaluate_zoned(&query, input, Some(&zones), &run).unwrap();
            let [found, expected] =
                [&zoned, &plain].map(|answer| concat_batches(answer.schema(), answer.batches()).unwrap());
            prop_assert_eq!(found, expected, "{}", params);
            prop_assert_eq!(zoned.end().map(|end| end.ties), plain.end().map(|end| end.ties));
            prop_assert_eq!(zoned.stats().batches, batches.len() as u64);
        }
        prop_assert_eq!(count_zoned(&query, input, Some(&zones), &run).unwrap(), count(&query, input, &run).unwrap());
    }
}

/// Ten batches of a hundred rows; `n` of a batch is its number, and null in its last row.
fn ten() -> Vec<RecordBatch> {
    let batch = |at: i8| batch(i64::from(at) * 100, &(0..100).map(|row| (at, u8::from(row == 99))).collect::<Vec<_>>());
    (0..10).map(batch).collect()
}

#[track_caller]
fn check(params: &str, skipped: u64, tested: u64) {
    let batches = ten();
    let schema = batches[0].schema();
    let query = parse(params, &schema, &Default::default()).unwrap();
    let input = Input { schema: &schema, batches: &batches };
    let zones = Zones::new(&schema);
    let stats = evaluate_zoned(&query, input, Some(&zones), &Run::unbounded()).unwrap().stats();
    assert_eq!((stats.batches, stats.batches_skipped, stats.rows_tested), (10, skipped, tested), "{params}");
}

#[test]
fn batches_that_cannot_match_are_skipped_and_those_that_must_are_not_tested() {
    check("n=gt.7", 8, 200);
    check("n=eq.3", 9, 100);
    check("n=eq.30", 10, 0);
    check("n=neq.3", 1, 900);
    check("n=in.(2,4)", 8, 200);
    check("n=not.in.(2,4)", 2, 800);
    check("n=not.is.null", 0, 1_000);
    check("n=is.null", 0, 1_000);
    check("id=gte.500", 5, 0);
    check("id=gte.550", 5, 100);
    check("id=gte.550&n=lt.7", 8, 200);
    check("or=(id.lt.100,n.eq.9)", 8, 100);
    check("s=eq.t4", 9, 0);
    check("v=gte.t8", 8, 0);
    check("k=eq.b", 8, 0);
    check("b=is.false", 9, 0);
    check("s=like.t4*", 0, 1_000);
    check("id=gte.500&select=k,count()", 5, 0);
}

#[test]
fn zones_say_nothing_about_other_batches() {
    let (batches, others) = (ten(), ten());
    let schema = batches[0].schema();
    let query = parse("n=gt.7", &schema, &Default::default()).unwrap();
    let zones = Zones::new(&schema);
    let skipped = |batches: &[RecordBatch]| {
        let input = Input { schema: &schema, batches };
        evaluate_zoned(&query, input, Some(&zones), &Run::unbounded()).unwrap().stats().batches_skipped
    };
    assert_eq!(skipped(&batches), 8);
    assert_eq!(skipped(&others), 0);
    assert_eq!(skipped(&batches[..5]), 0);
    let reversed: Vec<RecordBatch> = batches.iter().rev().cloned().collect();
    assert_eq!(skipped(&reversed), 0);
    assert_eq!(skipped(&batches), 8);
}

#[test]
fn zones_stop_with_their_run_and_hold_no_more_than_they_say() {
    let batches = ten();
    let schema = batches[0].schema();
    let query = parse("n=gt.7", &schema, &Default::default()).unwrap();
    let zones = Zones::new(&schema);
    let late = Run::new(&QueryMemory::new(1 << 20, 1 << 20), Some(std::time::Instant::now()));
    assert!(matches!(zones.column(1, &batches, &late), Err(EvalError::TimedOut)));
    let input = Input { schema: &schema, batches: &batches };
    assert!(matches!(evaluate_zoned(&query, input, Some(&zones), &late), Err(EvalError::TimedOut)));

    let held = |column: usize| {
        let edges = zones.column(column, &batches, &Run::unbounded()).unwrap().unwrap();
        crate::eval::weight::array_bytes(&edges.min) + crate::eval::weight::array_bytes(&edges.max)
    };
    let held: usize = (0..schema.fields().len()).map(held).sum();
    assert!(held as u64 <= Zones::max_bytes(&schema, batches.len()), "{held} bytes");
    assert_eq!(Zones::max_bytes(&schema, 1), 0);
}

#[test]
fn long_texts_are_no_edges() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(TEXT_BYTES + 1)]));
    let batch = RecordBatch::try_from_iter([("s", texts)]).unwrap();
    let zones = Zones::new(&batch.schema());
    let batches = [batch.clone(), batch];
    let edges = zones.column(0, &batches, &Run::unbounded()).unwrap().unwrap();
    assert!(!edges.known.has_true());
}
