//! Queries on a table in memory, through parser and evaluation, beside Polars and DuckDB: the same rows, the same two
//! cores, in turn, with answers that are checked to be equal.
//!
//! The peers live in a Python process ([`peers`]), with their tables in memory too. What is measured is the whole query,
//! from its text to an answer in memory that can be read: Arrow record batches, a Polars frame, an Arrow table.

mod agreement;
mod peers;
mod sales;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use pipeline::query::{Rules, parse};
use pipeline::{Table, eval};

use crate::report::{Goal, line, median, median_ratio, ratio};
use peers::Peers;

/// Turns; in each, every contender answers [`IN_A_ROW`] times, and its median is its time of the turn.
const ROUNDS: usize = 7;
/// An answer right after another contender's pays for what that one left behind: threads that still free memory, and a
/// scheduler that puts both threads of the next on one core. So it rests for [`SETTLE`], and of five answers the median counts.
const IN_A_ROW: usize = 5;
const SETTLE: Duration = Duration::from_millis(20);
const SIZES: [(&str, usize); 2] = [("1 M rows", 1_000_000), ("10 M rows", 10_000_000)];

/// One question, which the peers know by its name.
struct Question {
    name: &'static str,
    what: &'static str,
    text: &'static str,
    /// Whether the rows of the answer have an order that must agree; otherwise they are compared by their first column.
    ordered: bool,
    goal: Goal,
}

const QUESTIONS: [Question; 7] = [
    question("filter", "filter, a third, all columns", "year=gte.2017"),
    question("filter_numbers", "filter, a third, two columns", "select=id,amount&year=gte.2017"),
    Question { ordered: true, ..question("top", "filter, top ten", "year=gte.2017&order=amount.desc&limit=10") },
    question("region", "group by 8 strings", "select=region,total:amount.sum(),mean:amount.avg(),n:count()"),
    question("distinct", "distinct count of 100,000 strings", "select=codes:code.count_distinct()"),
    question(
        "region_distinct",
        "group by 8 strings with distinct count",
        "select=region,total:amount.sum(),mean:amount.avg(),n:count(),codes:code.count_distinct()",
    ),
    Question {
        goal: Goal::AtMost(1.5),
        ..question("code", "group by 100,000 strings", "select=code,total:amount.sum(),n:count()")
    },
];

const fn question(name: &'static str, what: &'static str, text: &'static str) -> Question {
    Question { name, what, text, ordered: false, goal: Goal::Below(1.0) }
}

/// Prints the times. `args` may have `--python PROGRAM`, one with the peers, and the names of the questions to ask.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().context("start two threads")?;
    let (python, names) = match args {
        [flag, python, names @ ..] if flag == "--python" => (Some(python), names),
        names => (None, names),
    };
    if let Some(unknown) = names.iter().find(|name| QUESTIONS.iter().all(|question| question.name != *name)) {
        bail!("ask '{unknown}': there are {}", QUESTIONS.map(|question| question.name).join(" "));
    }
    if python.is_none() {
        println!("Polars and DuckDB are missing and were left out (they need python3 with venv and pip)");
    }
    let mut failed = 0;
    for (size, rows) in SIZES {
        let file = sales::file(rows)?;
        let table = sales::table(&file)?;
        let mut peers = python.map(|python| Peers::start(python, &file)).transpose()?;
        if let Some(peers) = &peers {
            println!("{size}: {}", peers.versions());
        }
        for question in QUESTIONS.iter().filter(|question| names.is_empty() || names.contains(&question.name.into())) {
            // One question that fails hides nothing of the others.
            if let Err(error) = measure(size, question, &table, peers.as_mut()) {
                println!("{size}, {}: failed to {error:#}", question.what);
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!("answer {failed} of the questions");
    }
    Ok(())
}

fn measure(size: &str, question: &Question, table: &Table, peers: Option<&mut Peers>) -> anyhow::Result<()> {
    let what = format!("{size}, {}", question.what);
    let answer = ours(question, table)?;
    let mut times = Vec::with_capacity(ROUNDS);
    let Some(peers) = peers else {
        for _ in 0..ROUNDS {
            times.push(turn(|| timed(question, table))?);
        }
        line(&what, format!("{:.2} ms", median(&mut times)), "-");
        return Ok(());
    };
    for peer in peers::NAMES {
        let theirs = peers.answer(peer, question.name)?;
        agreement::check(&answer, &theirs, question.ordered).with_context(|| format!("agree with {peer}"))?;
    }
    drop(answer);
    let mut peer_times = peers::NAMES.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        times.push(turn(|| timed(question, table))?);
        for (peer, times) in peers::NAMES.into_iter().zip(&mut peer_times) {
            times.push(turn(|| peers.time(peer, question.name))?);
        }
    }
    let mut figures = format!("{:<58} {:.2} ms", what, median(&mut times.clone()));
    for (peer, times) in peers::NAMES.into_iter().zip(&peer_times) {
        figures.push_str(&format!(", {peer} {:.2}", median(&mut times.clone())));
    }
    println!("{figures}");
    let of_better = peer_times.iter().map(|peer| median_ratio(&times, peer)).fold(0.0, f64::max);
    ratio("  of the better peer", of_better, question.goal);
    Ok(())
}

/// A contender's time of a turn.
fn turn(mut answer: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    std::thread::sleep(SETTLE);
    let mut times = (0..IN_A_ROW).map(|_| answer()).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(median(&mut times))
}

/// Milliseconds from the text of a question to its answer; freeing the answer is not counted, for no one.
fn timed(question: &Question, table: &Table) -> anyhow::Result<f64> {
    let started = Instant::now();
    let answer = evaluated(question, table)?;
    let time = started.elapsed().as_secs_f64() * 1e3;
    drop(answer);
    Ok(time)
}

/// The answer in one batch.
fn ours(question: &Question, table: &Table) -> anyhow::Result<RecordBatch> {
    let (schema, batches) = evaluated(question, table)?.into_parts();
    concat_batches(&schema, &batches).context("join the batches of an answer")
}

fn evaluated(question: &Question, table: &Table) -> anyhow::Result<eval::Evaluated> {
    let query = parse(question.text, &table.schema, &Rules::default()).context("parse the query")?;
    table.evaluate(&query, &eval::Run::unbounded()).context("evaluate the query")
}
