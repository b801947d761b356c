//! Every operator on every type, judged by the oracle.

use std::sync::Mutex;

use arrow::array::RecordBatch;
use tests::cell::{Cell, Column, Kind, Table};
use tests::http::Client;
use tests::literal::render;
use tests::oracle::answer;
use tests::question::{Condition, Question};
use tests::tables::{self, Types};
use tests::{Server, oracle};

const COMPARISONS: [&str; 6] = ["eq", "neq", "gt", "gte", "lt", "lte"];

#[test]
fn every_operator_on_every_type_of_a_parquet_file_is_right() {
    check_all(Types::Parquet, |path, batch| tables::write_parquet(&path.join("types.parquet"), batch, 16));
}

#[test]
fn every_operator_on_every_type_of_an_arrow_file_is_right() {
    check_all(Types::Arrow, |path, batch| tables::write_ipc_file(&path.join("types.arrow"), batch, 20));
}

#[test]
fn every_operator_on_every_type_of_an_arrow_stream_is_right() {
    check_all(Types::Arrow, |path, batch| tables::write_ipc_stream(&path.join("types.arrow"), batch, 7));
}

#[track_caller]
fn check_all(types: Types, write: impl FnOnce(&std::path::Path, &RecordBatch)) {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(types);
    write(folder.path(), &batch);
    let table = Table::of(&[batch]);
    let server = Server::over(folder.path());
    let mut conditions: Vec<Condition> = table.columns.iter().flat_map(conditions_of).collect();
    conditions.extend(finer_than_the_column());
    let asked = conditions.len();
    check(&server.client(), &table, conditions);
    assert!(asked > 1_000, "only {asked} conditions were tried");
}

/// Asks all from a few threads and tells all that is wrong at once.
#[track_caller]
fn check(client: &Client, table: &Table, conditions: Vec<Condition>) {
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in conditions.chunks(conditions.len().div_ceil(4)) {
            scope.spawn(|| {
                part.iter().for_each(|condition| wrong.lock().expect("a list").extend(judge(client, table, condition)))
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        conditions.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}

fn judge(client: &Client, table: &Table, condition: &Condition) -> Option<String> {
    let question = Question { select: vec!["id".into()], conditions: vec![condition.clone()], ..Question::default() };
    let answered = client.get(&format!("/api/v1/datasets/types/rows?{}", question.url()));
    if answered.status != 200 {
        return Some(format!("{condition:?} gave {}: {}", answered.status, answered.text()));
    }
    let rows: Vec<usize> = answered
        .json()
        .as_array()?
        .iter()
        .map(|row| row["id"].as_u64().and_then(|id| usize::try_from(id).ok()).expect("an id"))
        .collect();
    let expected = oracle::answer(table, &question);
    (rows != expected).then(|| format!("{condition:?} gave {rows:?}, not {expected:?}"))
}

fn conditions_of(column: &Column) -> Vec<Condition> {
    let name = column.name.as_str();
    let mut conditions: Vec<Condition> =
        ["null", "not_null"].iter().map(|value| Condition::test(name, "is", &[value])).collect();
    if column.kind == Kind::Bool {
        conditions.extend(["true", "false", "unknown"].iter().map(|value| Condition::test(name, "is", &[value])));
    }
    let literals = literals(column);
    let operators = if column.kind == Kind::Bytes { &COMPARISONS[..2] } else { &COMPARISONS[..] };
    for (at, literal) in literals.iter().enumerate() {
        for operator in operators {
            conditions.push(Condition::test(name, operator, &[literal]));
        }
        let list: Vec<&str> =
            literals.iter().cycle().skip(at).step_by(2).take(1 + at % 4).map(String::as_str).collect();
        conditions.push(Condition::test(name, "in", &list));
    }
    if column.kind == Kind::Text {
        for pattern in
            ["*", "a*", "*A", "_", "%b%", "*\\*y", "50\\%", "a\\_b", "ÄRGER", "*日*", "", "technology", "T_chn*"]
        {
            conditions.push(Condition::test(name, "like", &[pattern]));
            conditions.push(Condition::test(name, "ilike", &[pattern]));
        }
    }
    let negated: Vec<Condition> = conditions.iter().map(|condition| condition.clone().negated()).collect();
    conditions.extend(negated);
    conditions
}

/// Values of the column, as many different ones as make sense, and some that it does not have.
fn literals(column: &Column) -> Vec<String> {
    let mut literals: Vec<String> = Vec::new();
    let mut add = |cell: &Cell| {
        let literal = render(cell, matches!(column.kind, Kind::Instant { zoned: true, .. }));
        if !literals.contains(&literal) {
            literals.push(literal);
        }
    };
    if column.kind == Kind::Opaque {
        return literals;
    }
    let many = if column.kind == Kind::Text { usize::MAX } else { 8 };
    let present = column.cells.iter().filter(|cell| **cell != Cell::Null);
    present.clone().take(many).for_each(&mut add);
    if let Some(cell) = present.clone().nth(20) {
        neighbours(column.kind, cell).iter().for_each(&mut add);
    }
    literals
}

fn neighbours(kind: Kind, cell: &Cell) -> Vec<Cell> {
    match (kind, cell) {
        (Kind::Int { low, high }, Cell::Int(n)) => vec![Cell::Int((n + 1).min(high)), Cell::Int((n - 1).max(low))],
        (_, Cell::Float(x)) => vec![Cell::Float(x + 0.5)],
        (_, Cell::Day(day)) => vec![Cell::Day(day + 1), Cell::Day(day - 1)],
        (_, Cell::Decimal { unscaled, scale }) => {
            vec![
                Cell::Decimal { unscaled: unscaled + 1, scale: *scale },
                Cell::Decimal { unscaled: -unscaled, scale: *scale },
            ]
        }
        (Kind::Instant { step, .. }, Cell::Instant(ns)) => vec![Cell::Instant(ns + i128::from(step))],
        (_, Cell::Text(text)) => vec![Cell::Text(format!("{text}!"))],
        _ => vec![],
    }
}

/// Values that lie between two values that the column can hold.
fn finer_than_the_column() -> Vec<Condition> {
    let values = [
        ("dec", "0.051"),
        ("dec", "-0.055"),
        ("dec", "1"),
        ("dec", "1.000"),
        ("dec0", "6.5"),
        ("dec0", "-7.000"),
        ("ts_s", "1970-01-01T00:00:00.5"),
        ("ts_ms", "2024-01-01T00:00:00.0005"),
        ("ts_us", "1969-12-31T23:59:59.0000001"),
        ("ts_utc", "2024-01-01T00:00:00+02:00"),
        ("ts_utc", "2024-01-01T02:00:00+02:00"),
        ("ts_zone", "2000-02-28T22:00:00-02:00"),
        ("ts_zone", "1970-01-01"),
        ("ts_ns", "1970-01-01 00:00:00"),
        ("t_s", "23:59:58.5"),
    ];
    let ordered = ["gt", "gte", "lt", "lte"];
    let mut conditions = Vec::new();
    for (column, value) in values {
        conditions.extend(ordered.iter().map(|operator| Condition::test(column, operator, &[value])));
    }
    conditions
}

#[test]
fn a_fraction_splits_whole_numbers_and_equals_none() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("n.csv"), "id,n\n0,-2\n1,-1\n2,0\n3,1\n4,2\n").expect("a file");
    let server = Server::over(folder.path());
    for (query, expected) in [
        ("n=gt.0.5", vec![3, 4]),
        ("n=gte.-1.5", vec![1, 2, 3, 4]),
        ("n=lt.-0.5", vec![0, 1]),
        ("n=lte.1.0", vec![0, 1, 2, 3]),
        ("n=eq.1.0", vec![3]),
    ] {
        let ids: Vec<i64> = server.rows("n", query).iter().map(|row| row["id"].as_i64().expect("an id")).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let refused = server.get("/api/v1/datasets/n/rows?n=eq.0.5").expect(400).json();
    assert_eq!(refused["code"], "bad_value", "{refused:#}");
}

#[test]
fn a_column_of_any_name_can_be_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let header = "id,odd name,größe,a.b,\"x,y\",(z)";
    std::fs::write(folder.path().join("odd.csv"), format!("{header}\n1,1,1,1,1,1\n2,2,2,2,2,2\n")).expect("a file");
    let server = Server::over(folder.path());
    for query in [
        "odd%20name=eq.2",
        "odd+name=eq.2",
        "gr%C3%B6%C3%9Fe=eq.2",
        "a.b=eq.2",
        "x%2Cy=eq.2",
        "%28z%29=eq.2",
        "and=(%22odd+name%22.eq.2,%22a.b%22.gt.1)",
        "order=%22x,y%22.desc&limit=1",
    ] {
        let ids: Vec<i64> = server.rows("odd", query).iter().map(|row| row["id"].as_i64().expect("an id")).collect();
        assert_eq!(ids, [2], "{query}");
    }
    let rows = server.rows("odd", "select=%22x,y%22,odd+name&limit=1");
    assert_eq!(rows[0].to_string(), r#"{"x,y":1,"odd name":1}"#);
}

#[test]
fn the_oracle_and_the_server_agree_that_nothing_is_a_number_that_is_not() {
    let batch = tables::every_type(Types::Parquet);
    let table = Table::of(&[batch]);
    let question = Question { conditions: vec![Condition::test("f64", "eq", &["nan"])], ..Question::default() };
    assert!(!answer(&table, &question).is_empty(), "the table must hold a NaN for the other tests to mean something");
}
