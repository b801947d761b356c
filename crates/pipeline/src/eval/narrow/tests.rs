//! The first rows under a limit are those of the whole order, and what a search takes is bounded and given back.

use std::sync::LazyLock;
use std::time::Instant;

use arrow::array::{
    Decimal64Array, Float32Array, Float64Array, Int64Array, RecordBatch, Time32SecondArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::compute::concat_batches;

use super::*;
use crate::eval::{Evaluated, Input, PIECE_ROWS, QueryMemory, batch_bytes, evaluate};
use crate::query::parse;

/// 40,000 rows in five batches: few and many values, both zeros, NaNs of both signs, and nulls.
static BATCHES: LazyLock<Vec<RecordBatch>> = LazyLock::new(|| {
    let rows = 40_000u64;
    let scatter = |row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let of = |row: u64| (scatter(row) % 11 != 0).then(|| scatter(row));
    let double = |value: u64| match value % 97 {
        0 => f64::NAN,
        1 => -f64::NAN,
        2 => -0.0,
        3 => 0.0,
        4 => f64::NEG_INFINITY,
        _ => (value % 5_000) as f64 - 2_500.0,
    };
    let signed = |value: u64| (value % 20_011).cast_signed() - 10_000;
    let each = || (0..rows).map(of);
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows.cast_signed())), false),
        ("few", Arc::new(Int64Array::from_iter(each().map(|value| value.map(|value| signed(value) % 3)))), true),
        ("u", Arc::new(UInt64Array::from_iter(each().map(|value| value.map(|value| u64::MAX - value % 999)))), true),
        ("f", Arc::new(Float64Array::from_iter(each().map(|value| value.map(double)))), true),
        ("f32", Arc::new(Float32Array::from_iter(each().map(|value| value.map(|value| double(value) as f32)))), true),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter(each().map(|value| value.map(signed)))), true),
        (
            "t",
            Arc::new(Time32SecondArray::from_iter(each().map(|value| value.map(|value| (value % 86_400) as i32)))),
            true,
        ),
        ("p", Arc::new(Decimal64Array::from_iter(each().map(|value| value.map(signed)))), true),
    ];
    let whole = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let cuts = [0, 3, 1_000, 18_000, 18_500, 40_000];
    cuts.windows(2).map(|pair| whole.slice(pair[0], pair[1] - pair[0])).collect()
});

fn answered(params: &str, run: &Run) -> Result<Evaluated, EvalError> {
    let schema = BATCHES[0].schema();
    let query = parse(params, &schema, &Default::default()).unwrap();
    evaluate(&query, Input { schema: &schema, batches: &BATCHES }, run)
}

#[track_caller]
fn check(params: &str, whole: &RecordBatch, limit: usize) {
    let answer = answered(&format!("{params}&limit={limit}"), &Run::unbounded()).unwrap();
    let found = concat_batches(answer.schema(), answer.batches()).unwrap();
    assert!(found == whole.slice(0, limit.min(whole.num_rows())), "{params}, the first {limit}");
    assert_eq!(answer.end().is_some(), limit < whole.num_rows(), "{params}, the first {limit}");
}

#[test]
fn the_first_rows_are_those_of_the_whole_order() {
    for filter in ["", "few=gt.0&"] {
        for column in ["few", "u", "f", "f32", "at", "t", "p"] {
            for order in ["asc.nullsfirst", "desc.nullslast", "asc.nullslast,id.desc", "desc.nullsfirst,f"] {
                let params = format!("{filter}select=id,{column}&order={column}.{order}");
                let whole = answered(&params, &Run::unbounded()).unwrap();
                let whole = concat_batches(whole.schema(), whole.batches()).unwrap();
                check(&params, &whole, 1);
                check(&params, &whole, 10);
                check(&params, &whole, 2_000);
            }
        }
    }
}

#[test]
fn rows_beyond_the_first_ones_found_are_not_tested() {
    let schema = BATCHES[0].schema();
    let sorted: Vec<RecordBatch> = (0..20)
        .map(|at| {
            let id = Int64Array::from_iter_values(at * 10_000..(at + 1) * 10_000);
            RecordBatch::try_from_iter([("id", Arc::new(id) as ArrayRef)]).unwrap()
        })
        .collect();
    let narrow = sorted[0].schema();
    assert_ne!(schema, narrow);
    let query = parse("id=neq.5&order=id.asc&limit=10", &narrow, &Default::default()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let input = Input { schema: &narrow, batches: &sorted };
    let answer = pool.install(|| evaluate(&query, input, &Run::unbounded())).unwrap();
    assert!(answer.stats().rows_tested <= 20_000, "{:?}", answer.stats());
    assert_eq!(answer.num_rows(), 10);
}

#[test]
fn an_ordered_answer_holds_its_rows_and_no_more() {
    let memory = QueryMemory::new(64 << 20, 64 << 20);
    for params in
        ["order=f.desc&limit=50", "order=f,id&limit=50", "order=f", "order=f,id", "few=eq.1", "few=eq.1&limit=9"]
    {
        let run = Run::new(&memory, None);
        let answer = answered(params, &run).unwrap();
        let rows: usize = answer.batches().iter().map(batch_bytes).sum();
        let slack = if params.contains("limit") { PIECE_ROWS * 128 } else { rows / 2 };
        assert!(run.taken() <= (rows + slack) as u64, "{params}: {} taken for {rows}", run.taken());
        drop((answer, run));
        assert_eq!(memory.used(), 0, "{params}");
    }
}

#[test]
fn too_much_is_refused_and_given_back_and_a_deadline_ends_the_work() {
    let memory = QueryMemory::new(100_000, 1 << 30);
    for params in ["order=f", "order=f,id", "few=eq.1", "select=x:few::text,few"] {
        let run = Run::new(&memory, None);
        assert!(matches!(answered(params, &run), Err(EvalError::TooLarge { max_bytes: 100_000 })), "{params}");
        drop(run);
        assert_eq!(memory.used(), 0, "{params}");
        let late = Run::new(&memory, Some(Instant::now()));
        assert!(matches!(answered(params, &late), Err(EvalError::TimedOut)), "{params}");
    }
}
