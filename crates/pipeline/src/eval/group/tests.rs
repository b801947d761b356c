//! Groups against a plain oracle: a map of what is printed of the keys to the rows, in order of first appearance.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, StringViewArray, Time32SecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, SchemaRef};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::query::{Aggregate, BoundAggregate, OutputColumn};

const TEXTS: [&str; 7] =
    ["", "a", "b", "twelve bytes", "thirteen byte", "thirteen bytf", "ä long text that differs at its end"];

/// The columns of a random table: some of few values, with nulls, zeros of both signs and NaNs.
fn table(rows: &[(Index, Index, Option<i8>)]) -> RecordBatch {
    let text = |at: &Index| Some(*at.get(&TEXTS)).filter(|text| *text != "b");
    let texts: Vec<Option<&str>> = rows.iter().map(|(text_at, _, _)| text(text_at)).collect();
    let numbers: Vec<Option<i64>> = rows.iter().map(|(_, _, number)| number.map(i64::from)).collect();
    let float = |at: &Index| Some(*at.get(&[0.0, -0.0, 1.5, f64::NAN, -f64::NAN, -7.25, 1e300])).filter(|v| *v != 1.5);
    let floats: Vec<Option<f64>> = rows.iter().map(|(_, at, _)| float(at)).collect();
    let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
    let decimals = Decimal128Array::from_iter(numbers.iter().map(|n| n.map(i128::from)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("view", Arc::new(StringViewArray::from(texts.clone()))),
        ("text", Arc::new(StringArray::from(texts.clone()))),
        ("large", Arc::new(LargeStringArray::from(texts.clone()))),
        ("dict", Arc::new(dictionary)),
        ("n", Arc::new(Int64Array::from(numbers.clone()))),
        ("small", Arc::new(Int32Array::from_iter(numbers.iter().map(|n| n.map(|n| (n % 3) as i32))))),
        ("x", Arc::new(Float64Array::from(floats))),
        ("yes", Arc::new(BooleanArray::from_iter(numbers.iter().map(|n| n.map(|n| n > 0))))),
        ("price", Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter(numbers.iter().copied()))),
        ("of_day", Arc::new(Time32SecondArray::from_iter(numbers.iter().map(|n| n.map(|n| n.abs() as i32))))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

/// What is printed of a cell; the zeros are one value, and so are the NaNs.
fn cell(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        let value = floats.value(row);
        return Some(if value.is_nan() { "NaN".to_owned() } else { (value + 0.0).to_string() });
    }
    let column = arrow::compute::cast(column, &DataType::Utf8).unwrap();
    (!column.is_null(row)).then(|| column.as_string::<i32>().value(row).to_owned())
}

fn grouping(
    schema: &SchemaRef,
    keys: &[usize],
    aggregates: Vec<(Aggregate, Option<usize>)>,
) -> (BoundQuery, BoundGroup) {
    let keys = keys.iter().map(|key| OutputColumn::plain(*key, schema)).collect();
    let aggregates = aggregates.into_iter().enumerate().map(|(at, (function, column))| BoundAggregate {
        function,
        column,
        cast: None,
        name: format!("a{at}").into(),
        data_type: match (function, column) {
            (Aggregate::Count | Aggregate::CountDistinct, _) => DataType::Int64,
            (Aggregate::Avg | Aggregate::Median, _) => DataType::Float64,
            (Aggregate::Sum, Some(column)) if schema.field(column).data_type() == &DataType::Float64 => {
                DataType::Float64
            }
            (Aggregate::Sum, Some(8)) => DataType::Decimal128(38, 2),
            (Aggregate::Sum, _) => DataType::Int64,
            (_, Some(column)) => match schema.field(column).data_type() {
                DataType::Dictionary(_, values) => (**values).clone(),
                other => other.clone(),
            },
            (_, None) => DataType::Int64,
        },
    });
    let group = BoundGroup::new(keys, aggregates.collect(), schema);
    let mut query = BoundQuery::all(schema.clone());
    query.group = Some(group.clone());
    (query, group)
}

/// The groups of the rows, each with its key and its rows, in order of first appearance.
fn by_oracle(batch: &RecordBatch, keys: &[usize]) -> Vec<(Vec<Option<String>>, Vec<usize>)> {
    let mut found: Vec<(Vec<Option<String>>, Vec<usize>)> = Vec::new();
    let mut places: HashMap<Vec<Option<String>>, usize> = HashMap::new();
    for row in 0..batch.num_rows() {
        let key: Vec<_> = keys.iter().map(|key| cell(batch.column(*key), row)).collect();
        let place = *places.entry(key.clone()).or_insert_with(|| {
            found.push((key, Vec::new()));
            found.len() - 1
        });
        found[place].1.push(row);
    }
    found
}

/// Cuts a table into batches.
fn cut(batch: &RecordBatch, cuts: &[Index]) -> Vec<RecordBatch> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(batch.num_rows() + 1)).collect();
    at.extend([0, batch.num_rows()]);
    at.sort_unstable();
    at.windows(2).map(|pair| batch.slice(pair[0], pair[1] - pair[0])).filter(|part| part.num_rows() > 0).collect()
}

/// The groups of batches, each batch a range of its own that is joined with the others.
fn by_ranges(query: &BoundQuery, group: &BoundGroup, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    joined_from(&Grouping::new(query, group), batches)
}

/// The same with values shared by the ranges, of which those are told to be many that are more than `few`; none if there
/// are no rows, or values that cannot be told so.
fn by_shared(query: &BoundQuery, group: &BoundGroup, batches: &[RecordBatch], few: usize) -> Option<Vec<RecordBatch>> {
    let mut sample = Grouping::new(query, group);
    sample.push(batches, 0, &Run::unbounded()).unwrap();
    let shared =
        sample.shared_if(|values| (values > few).then_some(values)).unwrap().filter(|_| !batches.is_empty())?;
    Some(joined_from(&shared, batches))
}

fn joined_from(empty: &Grouping, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let run = Run::unbounded();
    let part = |(at, batch): (usize, &RecordBatch)| {
        let mut part = empty.beside();
        part.push(std::slice::from_ref(batch), (at * PIECE_ROWS) as u64, &run).unwrap();
        part
    };
    let parts: Vec<Grouping> = batches.par_iter().enumerate().map(part).collect();
    match joined(parts, &run).unwrap() {
        Some(whole) => whole.finish(&run).unwrap(),
        None => empty.beside().finish(&run).unwrap(),
    }
}

fn floats(column: &ArrayRef) -> Vec<Option<f64>> {
    arrow::compute::cast(column, &DataType::Float64).unwrap().as_primitive::<Float64Type>().iter().collect()
}

/// The rows' values of a numeric column, nulls left out.
fn values(batch: &RecordBatch, column: usize, rows: &[usize]) -> Vec<f64> {
    let all = floats(batch.column(column));
    rows.iter().filter_map(|row| all[*row]).collect()
}

/// Whether two results are the same but for the order in which floats of this size were added.
fn same(left: Option<f64>, right: Option<f64>, size: f64) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            left == right || left.is_nan() && right.is_nan() || (left - right).abs() <= 1e-12 * size
        }
        (left, right) => left == right,
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(|left, right| left.is_nan().cmp(&right.is_nan()).then(left.total_cmp(right)));
    values
}

/// What an aggregate of a numeric column is, by the book.
fn expected(function: Aggregate, values: &[f64]) -> Option<f64> {
    let sorted = sorted(values.to_vec());
    let middle = sorted.len() / 2;
    let sum = values.iter().sum::<f64>();
    Some(match function {
        Aggregate::Count => values.len() as f64,
        _ if values.is_empty() && function != Aggregate::CountDistinct => return None,
        Aggregate::CountDistinct => {
            let mut bits: Vec<u64> = values.iter().map(|v| if v.is_nan() { 1 } else { (v + 0.0).to_bits() }).collect();
            bits.sort_unstable();
            bits.dedup();
            bits.len() as f64
        }
        Aggregate::Sum => sum,
        Aggregate::Avg => sum / values.len() as f64,
        Aggregate::Min => sorted[0],
        Aggregate::Max => sorted[sorted.len() - 1],
        Aggregate::Median if sorted.len() % 2 == 1 => sorted[middle],
        Aggregate::Median => sorted[middle - 1] / 2.0 + sorted[middle] / 2.0,
    })
}

const FUNCTIONS: [Aggregate; 7] = [
    Aggregate::Count,
    Aggregate::CountDistinct,
    Aggregate::Sum,
    Aggregate::Avg,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Median,
];

proptest! {
    #[test]
    fn groups_are_those_of_the_oracle_however_the_table_is_cut(
        rows in proptest::collection::vec((any::<Index>(), any::<Index>(), proptest::option::of(-3i8..4)), 0..60),
        keys in proptest::sample::subsequence((0..11usize).collect::<Vec<_>>(), 0..4),
        cuts in proptest::collection::vec(any::<Index>(), 0..4),
        function in proptest::sample::select(FUNCTIONS.to_vec()),
        column in proptest::sample::select(vec![4usize, 5, 6, 8]),
    ) {
        let batch = table(&rows);
        let schema = batch.schema();
        let (query, group) = grouping(&schema, &keys, vec![(Aggregate::Count, None), (function, Some(column))]);
        let batches = cut(&batch, &cuts);
        let input = Input { schema: &schema, batches: &batches };
        let whole = grouped(&query, &group, input, &Run::unbounded(), &mut EvalStats::default()).unwrap();
        let ranges = by_ranges(&query, &group, &batches);
        let mut oracle = by_oracle(&batch, &keys);
        if keys.is_empty() && oracle.is_empty() {
            oracle.push((Vec::new(), Vec::new()));
        }
        let shared = [0, 3, usize::MAX].map(|few| by_shared(&query, &group, &batches, few));
        for found in [whole, ranges].into_iter().chain(shared.into_iter().flatten()) {
            let rows_found: usize = found.iter().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(rows_found, oracle.len());
            let Some(found) = found.first() else { continue };
            for (at, (key, rows)) in oracle.iter().enumerate() {
                let found_key: Vec<_> = (0..keys.len()).map(|key| cell(found.column(key), at)).collect();
                prop_assert_eq!(&found_key, key);
                let count = found.column(keys.len()).as_primitive::<Int64Type>().value(at);
                prop_assert_eq!(count, rows.len() as i64);
                let value = floats(found.column(keys.len() + 1))[at];
                let values = values(&batch, column, rows);
                let (wanted, size) = (expected(function, &values), values.iter().map(|v| v.abs()).sum());
                prop_assert!(same(value, wanted, size), "{:?} of {:?}: {:?}, not {:?}", function, rows, value, wanted);
            }
        }
    }

    #[test]
    fn extremes_and_distinct_values_of_any_type_are_those_of_the_oracle(
        rows in proptest::collection::vec((any::<Index>(), any::<Index>(), proptest::option::of(-3i8..4)), 0..60),
        cuts in proptest::collection::vec(any::<Index>(), 0..4),
        column in 0..11usize,
    ) {
        let batch = table(&rows);
        let schema = batch.schema();
        let wanted =
            vec![(Aggregate::Min, Some(column)), (Aggregate::Max, Some(column)), (Aggregate::CountDistinct, Some(column))];
        let (query, group) = grouping(&schema, &[5], wanted);
        let batches = cut(&batch, &cuts);
        let shared = [0, 3, usize::MAX].map(|few| by_shared(&query, &group, &batches, few));
        let all = [by_ranges(&query, &group, &batches)].into_iter().chain(shared.into_iter().flatten());
        let rows = by_oracle(&batch, &[5]);
        for (found, (at, (_, rows))) in all.flat_map(|found| rows.iter().enumerate().map(move |row| (found.clone(), row))) {
            let found = &found[0];
            let taken = arrow::array::UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
            let plain = match schema.field(column).data_type() {
                DataType::Dictionary(_, values) => arrow::compute::cast(batch.column(column), values).unwrap(),
                _ => batch.column(column).clone(),
            };
            let mine = arrow::compute::take(&plain, &taken, None).unwrap();
            let order = arrow::compute::sort(&mine, None).unwrap();
            let known = order.len() - order.null_count();
            let distinct: std::collections::HashSet<_> = (0..mine.len()).filter_map(|row| cell(&mine, row)).collect();
            prop_assert_eq!(found.column(3).as_primitive::<Int64Type>().value(at), distinct.len() as i64);
            // Arrow sorts a NaN with the sign bit first, where it is one with the others here.
            let signed = order.as_primitive_opt::<Float64Type>().is_some_and(|x| x.iter().flatten().any(f64::is_nan));
            if !signed {
                let first = order.null_count();
                prop_assert_eq!(cell(found.column(1), at), (known > 0).then(|| cell(&order, first)).flatten());
                prop_assert_eq!(cell(found.column(2), at), (known > 0).then(|| cell(&order, order.len() - 1)).flatten());
            }
        }
    }
}

#[test]
fn a_sum_beyond_64_bits_is_an_error_that_names_it() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 1]));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let (query, group) = grouping(&batch.schema(), &[], vec![(Aggregate::Sum, Some(0))]);
    let input = Input { schema: &batch.schema(), batches: std::slice::from_ref(&batch) };
    let error = grouped(&query, &group, input, &Run::unbounded(), &mut EvalStats::default()).unwrap_err();
    assert!(matches!(error, EvalError::SumOverflow { column } if column == "a0"));
}

#[test]
fn memory_beyond_the_bound_is_refused_and_given_back() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000_000));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let (query, group) = grouping(&batch.schema(), &[0], vec![(Aggregate::Count, None)]);
    let input = Input { schema: &batch.schema(), batches: std::slice::from_ref(&batch) };
    let memory = crate::eval::QueryMemory::new(4 << 20, 8 << 20);
    let run = Run::new(&memory, None);
    let error = grouped(&query, &group, input, &run, &mut EvalStats::default()).unwrap_err();
    assert!(matches!(error, EvalError::TooLarge { .. }), "{error}");
    drop(run);
    assert_eq!(memory.used(), 0);
}
