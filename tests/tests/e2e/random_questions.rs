//! Random questions, seeded: filters of any shape, order, limit and offset, judged by the oracle.

use tests::Server;
use tests::cell::{Cell, Column, Kind, Table};
use tests::literal::render;
use tests::oracle::answer;
use tests::question::{Condition, Order, Question};
use tests::rng::Rng;
use tests::tables::{self, Types};

const QUESTIONS: u64 = 600;

#[test]
fn random_questions_to_a_table_that_is_kept_are_answered_as_the_oracle_does() {
    check("", 1_000);
}

#[test]
fn random_questions_pushed_to_the_source_are_answered_as_the_oracle_does() {
    check("[policy]\nmode = \"query\"\n", 2_000);
}

#[track_caller]
fn check(policy: &str, seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(Types::Parquet);
    tables::write_parquet(&folder.path().join("types.parquet"), &batch, 16);
    let table = Table::of(&[batch]);
    let server = Server::options().plugin("files").file("files.toml", policy).data(folder.path()).start();
    for seed in seed..seed + QUESTIONS {
        let question = question(&table, &mut Rng::new(seed));
        let url = question.url();
        let got: Vec<usize> = server
            .rows("types", &url)
            .iter()
            .map(|row| usize::try_from(row["id"].as_u64().expect("an id")).expect("a row"))
            .collect();
        let expected = answer(&table, &question);
        assert_eq!(got, expected, "seed {seed}: {question:#?}\n{url}");
    }
}

fn question(table: &Table, rng: &mut Rng) -> Question {
    let mut select = vec!["id".to_owned()];
    for column in &table.columns[1..] {
        if rng.one_in(12) {
            select.push(column.name.clone());
        }
    }
    let sortable: Vec<&Column> = table.columns.iter().filter(|column| column.kind != Kind::Opaque).collect();
    let mut order: Vec<Order> = Vec::new();
    for _ in 0..rng.below(4) {
        let column = rng.pick(&sortable).name.clone();
        if order.iter().all(|known| known.column != column) {
            let nulls_first = *rng.pick(&[None, Some(true), Some(false)]);
            order.push(Order { column, descending: rng.one_in(2), nulls_first });
        }
    }
    Question {
        select,
        conditions: (0..rng.below(4)).map(|_| condition(table, rng, 3)).collect(),
        order,
        limit: rng.one_in(2).then(|| rng.below(30)),
        offset: if rng.one_in(3) { rng.below(12) } else { 0 },
    }
}

fn condition(table: &Table, rng: &mut Rng, depth: usize) -> Condition {
    if depth > 0 {
        match rng.below(8) {
            0 => return Condition::And((0..=rng.below(3)).map(|_| condition(table, rng, depth - 1)).collect()),
            1 | 2 => return Condition::Or((0..=rng.below(3)).map(|_| condition(table, rng, depth - 1)).collect()),
            3 => return condition(table, rng, depth - 1).negated(),
            _ => {}
        }
    }
    let column = rng.pick(&table.columns);
    test_of(column, rng)
}

fn test_of(column: &Column, rng: &mut Rng) -> Condition {
    let is = ["null", "not_null"];
    if column.kind == Kind::Opaque || rng.one_in(8) {
        return Condition::test(&column.name, "is", &[*rng.pick(&is)]);
    }
    if column.kind == Kind::Text && rng.one_in(4) {
        let operator = *rng.pick(&["like", "ilike"]);
        return Condition::test(
            &column.name,
            operator,
            &[*rng.pick(&["*a*", "a%", "*B", "_*", "*e_*", "a_b", "*(*)*"])],
        );
    }
    let literal = |rng: &mut Rng| loop {
        let cell = rng.pick(&column.cells);
        if *cell != Cell::Null {
            return render(cell, matches!(column.kind, Kind::Instant { zoned: true, .. }));
        }
    };
    if rng.one_in(5) {
        let values: Vec<String> = (0..=rng.below(12)).map(|_| literal(rng)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        return Condition::test(&column.name, "in", &values);
    }
    let operators: &[&'static str] =
        if column.kind == Kind::Bytes { &["eq", "neq"] } else { &["eq", "neq", "gt", "gte", "lt", "lte"] };
    let value = literal(rng);
    let operator: &'static str = operators[rng.below(operators.len())];
    Condition::test(&column.name, operator, &[&value])
}
