//! Pages by cursors are the whole answer, each row once.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int8Type, TimeUnit};
use arrow::util::display::array_value_to_string;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::eval::{Evaluated, Input, Run, evaluate};
use crate::query::{BoundQuery, Rules, parse};

/// A table of few values, which often meet.
fn tables() -> impl Strategy<Value = RecordBatch> {
    let floats = vec![0.0, -0.0, 1.5, -1.5, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let row = (
        weighted(0.8, 0..4i32),
        weighted(0.8, select(floats)),
        weighted(0.8, select(vec!["a", "b", "", "é"])),
        weighted(0.8, -2..3i64),
    );
    vec(row, 0..40).prop_map(|rows| {
        let numbers = Int64Array::from_iter(rows.iter().map(|row| row.3));
        let texts = StringArray::from_iter(rows.iter().map(|row| row.2));
        let dictionary: DictionaryArray<Int8Type> = rows.iter().map(|row| row.2).collect();
        let columns: [(&str, ArrayRef); 7] = [
            ("id", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64))),
            ("a", Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.0)))),
            ("f", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.1)))),
            ("s", Arc::new(texts)),
            ("d", Arc::new(dictionary)),
            ("t", cast(&numbers, &DataType::Timestamp(TimeUnit::Millisecond, Some("+02:00".into()))).unwrap()),
            ("p", cast(&numbers, &DataType::Decimal128(9, 2)).unwrap()),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    })
}

/// A question without a window, about rows or about groups.
fn questions() -> impl Strategy<Value = String> {
    let keys = |names: Vec<&'static str>| {
        let key = (select(vec!["", ".desc"]), select(vec!["", ".nullsfirst", ".nullslast"]));
        let modifiers = vec(key, 4);
        (subsequence(names.clone(), 0..=names.len().min(3)).prop_shuffle(), modifiers).prop_map(|(names, modifiers)| {
            let keys =
                names.iter().zip(modifiers).map(|(name, (direction, nulls))| format!("{name}{direction}{nulls}"));
            let keys: Vec<String> = keys.collect();
            if keys.is_empty() { String::new() } else { format!("&order={}", keys.join(",")) }
        })
    };
    let shapes = prop_oneof![
        (Just("select=id,x:a::text,f"), keys(vec!["a", "f", "s", "d", "t", "p", "id"])),
        (Just("select=s,a&distinct=true"), keys(vec!["a", "s"])),
        (Just("select=d,f,n:count(),m:f.max()"), keys(vec!["n", "m", "f", "d", "t.max()", "p.sum()"])),
        (Just("select=t,c:a.avg()&having=count().gte.1"), keys(vec!["t", "c", "id.min()", "s.max()"])),
        (Just("select=n:count()"), keys(vec!["n", "a.sum()"])),
    ];
    let filter = select(vec!["", "&a=gt.0", "&or=(f.gt.0,s.is.null)", "&s=match.%5Ba-b%5D"]);
    (shapes, filter).prop_map(|((shape, order), filter)| format!("{shape}{order}{filter}"))
}

fn rows(answer: &Evaluated) -> Vec<String> {
    let row = |batch: &RecordBatch, at: usize| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, at).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    answer.batches().iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pages_are_the_whole_answer(
        table in tables(),
        question in questions(),
        limits in vec(1..9u64, 1..5),
        offset in 0..3usize,
        cut in any::<Index>(),
    ) {
        let schema = table.schema();
        let read = |params: &str| -> BoundQuery {
            parse(params, &schema, &Rules::default()).unwrap_or_else(|error| panic!("{params}: {error}"))
        };
        let at = cut.index(table.num_rows() + 1);
        let batches = [table.slice(0, at), table.slice(at, table.num_rows() - at)];
        let answer = |query: &BoundQuery| {
            evaluate(query, Input { schema: &schema, batches: &batches }, &Run::unbounded()).unwrap()
        };
        let whole = rows(&answer(&read(&question)));

        let mut found = Vec::new();
        let mut from = if offset > 0 { format!("&offset={offset}") } else { String::new() };
        for page in 0.. {
            let limit = limits[page % limits.len()];
            let query = read(&format!("{question}&limit={limit}{from}"));
            prop_assert_eq!(query.rows_before(), (offset + found.len()) as u64);
            let given = answer(&query);
            found.extend(rows(&given));
            match given.end() {
                None => break,
                Some(end) => {
                    prop_assert_eq!(given.num_rows() as u64, limit, "only a full page has more behind it");
                    from = format!("&cursor={}", query.cursor_after(end, limit).unwrap());
                }
            }
        }
        prop_assert_eq!(&found, &whole[offset.min(whole.len())..], "{}", question);
    }
}
