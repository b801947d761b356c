//! Evaluation against a plain oracle that looks at one row after another. The oracle has its own values, its own
//! three-valued logic and its own texts; all that it shares with the code under test is the table.

mod oracle;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StringViewArray, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use proptest::prelude::*;

use super::*;
use crate::fetch::Flow;
use crate::query::{Direction, Limits, Nulls, OrderBy, Query, parse};
use crate::stored::{self, Stored};
use oracle::{Asked, Table};

fn answered(query: &BoundQuery, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Evaluated, EvalError> {
    evaluate(query, Input { schema, batches }, &Run::unbounded())
}

/// The numbers in the column `id` of the answer: which rows it is made of.
fn ids(answer: &Evaluated) -> Vec<i64> {
    let column = answer.schema().index_of("id").expect("id is selected");
    answer
        .batches()
        .iter()
        .flat_map(|batch| batch.column(column).as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

fn by_oracle(table: &Table, asked: &Asked) -> Vec<i64> {
    let mut rows: Vec<usize> = (0..table.rows())
        .filter(|row| asked.filter.as_ref().is_none_or(|filter| filter.holds(table, *row) == Some(true)))
        .collect();
    rows.sort_by(|left, right| asked.compare(table, *left, *right));
    let take = asked.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    rows.into_iter().skip(usize::try_from(asked.offset).unwrap()).take(take).map(|row| row as i64).collect()
}

fn bind(asked: &Asked, schema: &SchemaRef) -> BoundQuery {
    let order = asked.order.iter().map(|key| OrderBy {
        column: oracle::COLUMNS[key.column].0.into(),
        direction: if key.descending { Direction::Desc } else { Direction::Asc },
        nulls: key.nulls_first.map(|first| if first { Nulls::First } else { Nulls::Last }),
    });
    let query = Query {
        select: asked.select.clone().map(|names| names.into_iter().map(Into::into).collect()),
        filter: asked.filter.as_ref().map(oracle::Asks::to_expr),
        order: order.collect(),
        limit: asked.limit,
        offset: asked.offset,
        ..Query::default()
    };
    BoundQuery::bind(&query, schema, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {query:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn answers_are_those_of_a_row_by_row_evaluation((table, asked) in oracle::questions()) {
        let whole = table.batch();
        let query = bind(&asked, &whole.schema());
        let expected = by_oracle(&table, &asked);
        let batches = table.cut(&whole);

        let answer = answered(&query, &whole.schema(), &batches).unwrap();
        prop_assert_eq!(&ids(&answer), &expected, "{}", query.canonical());

        // The other columns come from the same rows.
        let rows = UInt64Array::from_iter_values(expected.iter().map(|row| *row as u64));
        let columns: Vec<usize> = query.selected_columns();
        let rows = take_record_batch(&whole.project(&columns).unwrap(), &rows).unwrap();
        prop_assert_eq!(&concat_batches(answer.schema(), answer.batches()).unwrap(), &rows);

        // A table that keeps some of its texts by number.
        let stored = Stored::numbered(&whole.schema(), batches.clone(), 3).unwrap();
        let answer = answered(&query.on_stored(&stored.schema), &stored.schema, &stored.batches).unwrap();
        let declared = answer.batches().iter().map(|batch| stored::as_declared(batch, &query.output_schema()).unwrap());
        prop_assert_eq!(concat_batches(&query.output_schema(), &declared.collect::<Vec<_>>()).unwrap(), rows);

        let mut streaming = Streaming::new(&query, &Run::unbounded());
        for batch in &batches {
            if streaming.push(batch).unwrap() == Flow::Done {
                break;
            }
        }
        prop_assert_eq!(&ids(&streaming.finish().unwrap()), &expected);

        // The canonical text asks the same.
        let again = parse(&query.canonical(), &whole.schema(), &Default::default()).unwrap();
        prop_assert_eq!(&again.canonical(), &query.canonical());
        prop_assert_eq!(&again, &query);
        prop_assert_eq!(&ids(&answered(&again, &whole.schema(), &batches).unwrap()), &expected);

        // A source that does all it is asked to gives no row too few.
        let asked_of_source = pushdown(&query);
        let given: Vec<RecordBatch> = batches.iter().map(|batch| oracle::scan(batch, &asked_of_source)).collect();
        let rest = match &asked_of_source.projection {
            Some(projection) => query.project(projection).unwrap(),
            None => query.clone(),
        };
        prop_assert_eq!(&ids(&answered(&rest, rest.schema(), &given).unwrap()), &expected);
    }
}

/// A table that is large enough for several threads: `id`, `n` (nine values and null) and `name` (seven).
struct Large {
    n: Vec<Option<i64>>,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

static LARGE: LazyLock<Large> = LazyLock::new(|| {
    let rows = 100_000i64;
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64
    };
    let n: Vec<Option<i64>> = (0..rows).map(|_| Some(next() % 10).filter(|n| *n < 9)).collect();
    let names: Vec<String> = (0..rows).map(|_| format!("name-{}", next() % 7)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..rows)),
        Arc::new(Int64Array::from(n.clone())),
        Arc::new(StringArray::from(names)),
    ];
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("n", DataType::Int64, true),
        Field::new("name", DataType::Utf8, false),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let cuts = [0, 1, 70_000, 70_500, 100_000];
    let batches = cuts.windows(2).map(|pair| batch.slice(pair[0], pair[1] - pair[0])).collect();
    Large { n, schema, batches }
});

/// The filter, if there is one, is that `n` is at least 3 or null; the order, if there is one, is that of `n`, nulls last.
#[track_caller]
fn check_large(params: &str) {
    let Large { n, schema, batches } = &*LARGE;
    let query = parse(params, schema, &Default::default()).unwrap();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| answered(&query, schema, batches)).unwrap()
    };
    let answer = on(3);
    assert!(on(1).batches() == answer.batches(), "{params}: the number of threads shows");
    let fulfils = |n: &Option<i64>| query.filter().is_none() || n.is_none_or(|n| n >= 3);
    let mut rows: Vec<i64> = (0..).zip(n).filter(|(_, n)| fulfils(n)).map(|(row, _)| row).collect();
    if let Some(key) = query.order().first() {
        let sign = if key.options.descending { -1 } else { 1 };
        rows.sort_by_key(|row| n[usize::try_from(*row).unwrap()].map_or((1, 0), |n| (0, sign * n)));
    }
    let take = query.limit().map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    let rows: Vec<i64> = rows.into_iter().skip(usize::try_from(query.offset()).unwrap()).take(take).collect();
    assert!(ids(&answer) == rows, "{params}: {} rows, not {}", answer.num_rows(), rows.len());

    let mut streaming = Streaming::new(&query, &Run::unbounded());
    let mut most = 0;
    for batch in batches {
        let flow = streaming.push(batch).unwrap();
        most = most.max(streaming.held_bytes());
        if flow == Flow::Done {
            break;
        }
    }
    assert!(ids(&streaming.finish().unwrap()) == rows, "{params}: streaming");
    if query.limit().is_some_and(|limit| limit + query.offset() < 1_000) {
        assert!(most < 4 << 20, "{params}: {most} bytes held");
    }
}

#[test]
fn large_tables_are_answered_as_small_ones_are() {
    for filter in ["", "or=(n.gte.3,n.is.null)&"] {
        for rest in [
            "",
            "limit=10",
            "limit=10&offset=99000",
            "offset=20000",
            "limit=90000&offset=10",
            "order=n.asc.nullslast",
            "order=n.desc.nullslast&limit=7",
            "order=n.desc.nullslast&limit=70&offset=40000",
            "order=n.asc.nullslast,id&limit=5",
            "order=n.desc.nullslast,id.asc&offset=99990",
            "order=n.desc.nullslast,id&limit=80000",
            "limit=0",
            "limit=0&order=n",
        ] {
            check_large(&format!("{filter}{rest}"));
        }
    }
}

#[test]
fn a_table_of_another_schema_is_refused() {
    let Large { schema, batches, .. } = &*LARGE;
    let query = parse("n=gt.3", schema, &Default::default()).unwrap();
    let other = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    assert!(matches!(answered(&query, &other, batches), Err(EvalError::SchemaMismatch)));
    let narrower = batches[0].project(&[1]).unwrap();
    assert!(matches!(answered(&query, schema, std::slice::from_ref(&narrower)), Err(EvalError::SchemaMismatch)));
    assert!(matches!(Streaming::new(&query, &Run::unbounded()).push(&narrower), Err(EvalError::SchemaMismatch)));
    assert!(matches!(query.project(&[0, 2]), Err(EvalError::MissingColumn { column }) if column == "n"));
}

#[test]
fn columns_that_share_a_buffer_are_counted_once() {
    let numbers = Int64Array::from_iter_values(0..1_000);
    let shared: Vec<(String, ArrayRef)> =
        (0..10).map(|at| (format!("c{at}"), Arc::new(numbers.slice(at * 100, 100)) as ArrayRef)).collect();
    let batch = RecordBatch::try_from_iter(shared).unwrap();
    assert_eq!(batch_bytes(&batch), 8_000);
    let names = StringViewArray::from(vec!["short", "a text of more than twelve bytes", "x"]);
    let batch = RecordBatch::try_from_iter([("v", Arc::new(names.slice(0, 2)) as ArrayRef)]).unwrap();
    assert_eq!(batch_bytes(&batch), 2 * 16 + 32);
}

#[test]
fn pushdown_asks_for_no_more_than_is_needed() {
    let schema = &LARGE.schema;
    let ask = |params: &str| pushdown(&parse(params, schema, &Default::default()).unwrap());
    let none = ask("");
    assert!(none.projection.is_none() && none.filters.is_empty() && none.limit.is_none());
    let some = ask("select=name&n=gte.3&limit=5&offset=2");
    assert_eq!(some.projection, Some(vec![1, 2]));
    assert_eq!((some.filters.len(), some.limit), (1, Some(8)));
    assert_eq!(ask("n=gte.3&limit=5&order=n").limit, None);
    assert_eq!(ask("or=(n.eq.3,name.eq.x)&limit=5").limit, None);
    let partly = ask("n=gte.3&name=like.a*&limit=5");
    assert_eq!((partly.filters.len(), partly.limit), (1, None));
    assert_eq!(ask("n=not.in.(1,2)&limit=5").filters.len(), 2);
}

#[test]
fn a_float_zero_has_one_sign_and_nan_equals_nan() {
    let values = [f64::NAN, -f64::NAN, 0.0, -0.0, 1.0, -1.0, f64::INFINITY];
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..7))),
        ("f", Arc::new(arrow::array::Float64Array::from(values.to_vec()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let check = |params: &str, expected: &[i64]| {
        let query = parse(params, &batch.schema(), &Default::default()).unwrap();
        let answer = answered(&query, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        assert_eq!(ids(&answer), expected, "{params}");
    };
    check("f=eq.0", &[2, 3]);
    check("f=neq.-0", &[0, 1, 4, 5, 6]);
    check("f=gt.0", &[0, 4, 6]);
    check("f=gt.-0", &[0, 4, 6]);
    check("f=gte.0", &[0, 2, 3, 4, 6]);
    check("f=lt.0", &[1, 5]);
    check("f=lte.-0", &[1, 2, 3, 5]);
    check("f=eq.nan", &[0, 1]);
    check("f=in.(NaN,1)", &[0, 1, 4]);
    check("f=gt.inf", &[0]);
    check("order=f.asc", &[5, 2, 3, 4, 6, 0, 1]);
    check("order=f.asc,id.desc", &[5, 3, 2, 4, 6, 1, 0]);
}

#[test]
fn a_value_between_two_decimals_is_not_rounded() {
    let prices = arrow::array::Decimal128Array::from(vec![Some(100), Some(101), None, Some(-101)])
        .with_precision_and_scale(9, 2)
        .unwrap();
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from_iter_values(0..4))), ("price", Arc::new(prices))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let check = |params: &str, expected: &[i64]| {
        let query = parse(params, &batch.schema(), &Default::default()).unwrap();
        let answer = answered(&query, &batch.schema(), std::slice::from_ref(&batch)).unwrap();
        assert_eq!(ids(&answer), expected, "{params}");
    };
    check("price=gt.1.005", &[1]);
    check("price=gte.1.005", &[1]);
    check("price=lt.1.005", &[0, 3]);
    check("price=lte.-1.005", &[3]);
    check("price=eq.1.005", &[]);
    check("price=neq.1.005", &[0, 1, 3]);
    check("price=not.eq.1.005", &[0, 1, 3]);
    check("price=in.(1.005)", &[]);
    check("price=not.in.(1.005)", &[0, 1, 3]);
    check("price=in.(1.005,1.010)", &[1]);
    check("price=in.()", &[]);
    check("price=not.in.()", &[0, 1, 2, 3]);
}

#[test]
fn a_few_texts_do_not_hold_the_table_that_they_are_from() {
    let texts =
        StringViewArray::from_iter_values((0..10_000).map(|at| format!("a text of many bytes, number {at:05}")));
    let ids = Int64Array::from_iter_values(0..10_000);
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("text", Arc::new(texts))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let held = |answer: Evaluated| -> usize {
        let texts = answer.batches().iter().map(|batch| batch.column(1).as_string_view().data_buffers().iter());
        texts.flatten().map(|buffer| buffer.capacity()).sum()
    };
    for params in ["order=id.desc&limit=5", "id=gte.9000&limit=5", "text=like.*00&limit=5&order=text.desc"] {
        let query = parse(params, &batch.schema(), &Default::default()).unwrap();
        let mut streaming = Streaming::new(&query, &Run::unbounded());
        let _ = streaming.push(&batch).unwrap();
        assert!(held(streaming.finish().unwrap()) < 4_096, "{params}");
    }
}

#[test]
fn the_longest_patterns_are_evaluated() {
    let texts: ArrayRef =
        Arc::new(StringArray::from(vec!["a".repeat(5_000), "b".to_owned(), "A%_\n".to_owned(), "A*_\n".to_owned()]));
    let batch =
        RecordBatch::try_from_iter([("id", Arc::new(Int64Array::from(vec![0, 1, 2, 3])) as ArrayRef), ("s", texts)]);
    let batch = batch.unwrap();
    let check = |operator: &str, pattern: &str, expected: &[i64]| {
        let value = format!("{operator}.{pattern}");
        let query = crate::query::parse_pairs([("s", value.as_str())], &batch.schema(), &Default::default()).unwrap();
        assert_eq!(ids(&answered(&query, &batch.schema(), std::slice::from_ref(&batch)).unwrap()), expected, "{value}");
    };
    check("like", &"a*".repeat(512), &[0]);
    check("ilike", &"_*".repeat(512), &[0]);
    check("ilike", &"É*".repeat(341), &[]);
    check("like", &"_".repeat(1_024), &[]);
    check("like", "A\\%\\_*", &[2]);
    check("like", "A\\*_\n", &[3]);
    check("like", "*%", &[0, 1, 2, 3]);
}
