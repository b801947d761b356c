//! A query on a cached table of a million rows that keeps a third of them: evaluation alone.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use pipeline::eval;
use pipeline::query::{Rules, parse};

use crate::report::{line, median};

const ROWS: i64 = 1_000_000;
const BATCH_ROWS: i64 = 64 * 1024;
const RUNS: usize = 101;

/// Prints the times.
pub(crate) fn run() -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().context("start two threads")?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("year", DataType::Int32, false),
        Field::new("amount", DataType::Float64, false),
        Field::new("region", DataType::Utf8, false),
    ]));
    let batches: Vec<RecordBatch> = (0..ROWS)
        .step_by(BATCH_ROWS as usize)
        .map(|start| batch(&schema, start, (start + BATCH_ROWS).min(ROWS)))
        .collect::<Result<_, _>>()
        .context("make the table")?;
    for (what, text, goal) in [
        ("1 M rows, keep a third, two columns of numbers", "select=id,amount&year=gte.2020", "< 5 ms"),
        ("1 M rows, keep a third, all columns", "year=gte.2020", "< 5 ms"),
        ("1 M rows, keep a third, top ten", "year=gte.2020&order=amount.desc&limit=10", "-"),
    ] {
        let query = parse(text, &schema, &Rules::default()).context("parse the query")?;
        let mut times = Vec::with_capacity(RUNS);
        let mut rows = 0;
        for _ in 0..RUNS {
            let started = Instant::now();
            rows = eval::evaluate(&query, eval::Input { schema: &schema, batches: &batches }, &eval::Run::unbounded())
                .context("evaluate the query")?
                .num_rows();
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        line(what, format!("{:.2} ms ({rows} rows)", median(&mut times)), goal);
    }
    Ok(())
}

fn batch(schema: &Arc<Schema>, from: i64, to: i64) -> Result<RecordBatch, arrow::error::ArrowError> {
    const REGIONS: [&str; 4] = ["north", "south", "east", "west"];
    // A multiplicative hash scatters the years, so that the filter keeps a third of every batch.
    let scatter = |i: i64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) as u64) >> 40;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(from..to)),
        Arc::new(Int32Array::from_iter_values((from..to).map(|i| 2008 + (scatter(i) % 18) as i32))),
        Arc::new(Float64Array::from_iter_values((from..to).map(|i| scatter(i) as f64 / 7.0))),
        Arc::new(StringArray::from_iter_values((from..to).map(|i| REGIONS[(scatter(i) % 4) as usize]))),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}
