//! The formats that programs read: columns of JSON, MessagePack, Arrow files and Parquet hold the table as well; and an
//! answer without rows is whole in each.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::{Map, Value, json};
use tests::Server;
use tests::cell::{Cell, Kind, Table};
use tests::read;
use tests::tables::Types;

use crate::formats::{FORMATS, Fixture, both, fixture};

#[test]
fn columns_of_json_hold_the_table() {
    both(|fixture| {
        let columns: Map<String, Value> =
            serde_json::from_slice(&fixture.body("application/vnd.larder.columns+json")).expect("an object");
        let rows = (0..fixture.table.rows).map(|row| {
            let row = columns.iter().map(|(name, values)| (name.clone(), values[row].clone()));
            Value::Object(row.collect())
        });
        fixture.check_objects(&rows.collect::<Vec<_>>());
        assert!(columns.values().all(|values| values.as_array().map(Vec::len) == Some(fixture.table.rows)));
    });
}

/// Bytes as MessagePack has them, which JSON's values have not.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;
        impl Visitor<'_> for Taker {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Taker)
    }
}

#[test]
fn messagepack_holds_the_table() {
    both(|fixture| {
        let (bytes, others): (Vec<_>, Vec<_>) =
            fixture.table.columns.iter().partition(|column| column.kind == Kind::Bytes);
        let ask = |columns: &[String]| {
            let path = format!("/api/v1/datasets/types/rows?format=msgpack&select={}", columns.join(","));
            let answer = fixture.server.get(&path).expect(200);
            assert_eq!(answer.header("content-type"), "application/vnd.msgpack");
            answer.body
        };
        let names: Vec<String> = others.iter().map(|column| column.name.clone()).collect();
        let rows: Vec<Value> = rmp_serde::from_slice(&ask(&names)).expect("MessagePack");
        let subset = Table { columns: others.into_iter().cloned().collect(), rows: fixture.table.rows };
        fixture.check_columns(&subset, &rows);
        for column in bytes {
            let rows: Vec<BTreeMap<String, Option<Bytes>>> =
                rmp_serde::from_slice(&ask(std::slice::from_ref(&column.name))).expect("MessagePack");
            for (row, cell) in rows.iter().zip(&column.cells) {
                let read = row[&column.name].as_ref().map_or(Cell::Null, |bytes| Cell::Bytes(bytes.0.clone()));
                assert_eq!(read, *cell, "{}", column.name);
            }
        }
        let rows: Vec<BTreeMap<String, Option<f64>>> =
            rmp_serde::from_slice(&ask(&["f64".to_owned()])).expect("MessagePack");
        for (row, cell) in rows.iter().zip(&fixture.table.column("f64").cells) {
            let expected = if let Cell::Float(number) = cell { Some(*number) } else { None };
            let same = row["f64"].map(f64::to_bits) == expected.map(f64::to_bits)
                || row["f64"].zip(expected).is_some_and(|(a, b)| a.is_nan() && b.is_nan());
            assert!(same, "{:?} became {:?}: MessagePack has every float", expected, row["f64"]);
        }
    });
}

#[track_caller]
fn check_batches(fixture: &Fixture, batches: &[RecordBatch]) {
    assert_eq!(tests::read::difference(&fixture.table, &Table::of(batches)), None);
    let read = concat_batches(&batches[0].schema(), batches).expect("one batch");
    for (at, field) in fixture.batch.schema().fields().iter().enumerate() {
        assert_eq!(read.column(at).data_type(), field.data_type(), "{}", field.name());
        if Kind::of(field.data_type()) == Kind::Opaque {
            assert_eq!(read.column(at), fixture.batch.column(at), "{}", field.name());
        }
    }
}

#[test]
fn an_arrow_file_holds_the_table_and_its_types() {
    both(|fixture| {
        check_batches(fixture, &read::arrow_file(&fixture.body("application/vnd.apache.arrow.file")));
    });
}

#[test]
fn a_parquet_file_holds_the_table_and_its_types() {
    let fixture = fixture(Types::Parquet);
    check_batches(&fixture, &read::parquet(&fixture.body("application/vnd.apache.parquet")));
}

#[test]
fn what_parquet_cannot_hold_is_refused_with_what_can() {
    let fixture = fixture(Types::Arrow);
    let answer = fixture.server.get("/api/v1/datasets/types/rows?format=parquet");
    if answer.status == 200 {
        assert_eq!(read::difference(&fixture.table, &Table::of(&read::parquet(&answer.body))), None);
        return;
    }
    let problem = answer.expect(406).json();
    assert_eq!(problem["code"], "not_encodable", "{problem:#}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("arrow")), "{problem:#}");
}

#[test]
fn an_answer_without_rows_is_whole_in_every_format() {
    let fixture = fixture(Types::Parquet);
    let get = |format: &str| {
        let path = format!("/api/v1/datasets/types/rows?select=id,s&id=lt.0&format={format}");
        fixture.server.get(&path).expect(200).body
    };
    assert_eq!(get("json"), b"[]");
    assert_eq!(get("ndjson"), b"");
    assert_eq!(get("csv"), b"id,s\n");
    let columns: Value = serde_json::from_slice(&get("json-columns")).expect("JSON");
    assert_eq!(columns, json!({"id": [], "s": []}));
    let packed: Vec<Value> = rmp_serde::from_slice(&get("msgpack")).expect("MessagePack");
    assert!(packed.is_empty());
    let (stream, file, parquet) = (get("arrow"), get("arrow-file"), get("parquet"));
    for batches in [read::arrow_stream(&stream), read::arrow_file(&file), read::parquet(&parquet)] {
        let table = Table::of(&batches);
        assert_eq!((table.columns.len(), table.rows), (2, 0));
    }
}

#[test]
fn the_accept_header_is_weighed() {
    let server = Server::bundled();
    let path = "/api/v1/datasets/tech_stack/rows";
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("application/json;q=0.1, text/csv;q=0.9", "text/csv"),
        ("text/*", "text/csv"),
        ("image/png, application/vnd.apache.parquet;q=0.01", "application/vnd.apache.parquet"),
        ("application/json;q=0, application/vnd.msgpack;q=0.3, */*;q=0.1", "application/vnd.msgpack"),
        ("application/msgpack", "application/vnd.msgpack"),
        ("application/x-msgpack", "application/vnd.msgpack"),
        ("application/x-parquet", "application/vnd.apache.parquet"),
        ("application/x-ndjson;q=0.999, application/vnd.apache.arrow.file;q=1.0", "application/vnd.apache.arrow.file"),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", "application/vnd.apache.arrow.stream"),
    ] {
        let answer = server.get_with(path, &[("accept", accept)]).expect(200);
        assert!(answer.header("content-type").starts_with(expected), "{accept}: {}", answer.header("content-type"));
    }
    let answer = server.get_with(&format!("{path}?format=csv"), &[("accept", "application/json")]).expect(200);
    assert!(answer.header("content-type").starts_with("text/csv"), "format= is stronger than Accept");
}

#[test]
fn a_format_that_nobody_writes_is_406_with_a_list_of_all_that_are() {
    let server = Server::bundled();
    for path in ["/api/v1/datasets/tech_stack/rows", "/api/v1/datasets/tech_stack/rows?select=count()"] {
        let problem = server.get_with(path, &[("accept", "image/png")]).expect(406).json();
        let hint = problem["hint"].as_str().unwrap_or_default();
        for (name, media_type) in FORMATS {
            assert!(hint.contains(name) && hint.contains(media_type), "{name} is not in: {hint}");
        }
    }
}
