//! Each format, read back by a reader of that format, holds the table that went in.

use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};
use tests::Server;
use tests::cell::{Cell, Kind, Table, cell};
use tests::literal::{parse, render};
use tests::oracle::compare;
use tests::tables::{self, Types};

/// Every format: its name, and what `Accept` and `Content-Type` call it.
pub(crate) const FORMATS: [(&str, &str); 8] = [
    ("json", "application/json"),
    ("json-columns", "application/vnd.larder.columns+json"),
    ("ndjson", "application/x-ndjson"),
    ("csv", "text/csv"),
    ("msgpack", "application/vnd.msgpack"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("arrow-file", "application/vnd.apache.arrow.file"),
    ("parquet", "application/vnd.apache.parquet"),
];

/// The table, as the source has it and as the server gives it.
pub(crate) struct Fixture {
    pub(crate) server: Server,
    pub(crate) batch: RecordBatch,
    pub(crate) table: Table,
    _folder: tempfile::TempDir,
}

#[track_caller]
pub(crate) fn fixture(types: Types) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(types);
    match types {
        Types::Parquet => tables::write_parquet(&folder.path().join("types.parquet"), &batch, 25),
        Types::Arrow => tables::write_ipc_file(&folder.path().join("types.arrow"), &batch, 25),
    }
    let server = Server::over(folder.path());
    Fixture { server, table: Table::of(std::slice::from_ref(&batch)), batch, _folder: folder }
}

impl Fixture {
    #[track_caller]
    pub(crate) fn body(&self, accept: &str) -> Vec<u8> {
        let answer = self.server.get_with("/api/v1/datasets/types/rows", &[("accept", accept)]).expect(200);
        assert!(answer.header("content-type").starts_with(accept), "{}", answer.header("content-type"));
        let known = FORMATS.iter().find(|(_, media_type)| *media_type == accept);
        let (name, _) = known.expect("a format");
        let same = self.server.get(&format!("/api/v1/datasets/types/rows?format={name}")).expect(200);
        assert!(same.body == answer.body, "format={name} and Accept: {accept} differ");
        answer.body
    }

    /// Each row of objects against the table.
    #[track_caller]
    pub(crate) fn check_objects(&self, rows: &[Value]) {
        self.check_columns(&self.table, rows);
    }

    /// Each row of objects against some columns of the table.
    #[track_caller]
    pub(crate) fn check_columns(&self, table: &Table, rows: &[Value]) {
        assert_eq!(rows.len(), table.rows);
        for (row, object) in rows.iter().enumerate() {
            let object = object.as_object().expect("an object");
            let names: Vec<&String> = object.keys().collect();
            assert_eq!(names, table.columns.iter().map(|column| &column.name).collect::<Vec<_>>());
            for column in &table.columns {
                let value = &object[&column.name];
                let array = self.batch.column_by_name(&column.name).expect("a column");
                if column.kind == Kind::Opaque && !matches!(array.data_type(), DataType::Duration(_)) {
                    assert_eq!(*value, json_of(array.as_ref(), row), "{} of row {row}", column.name);
                } else {
                    check_json(&column.name, row, column.kind, &column.cells[row], value);
                }
            }
        }
    }
}

#[track_caller]
fn check_json(name: &str, row: usize, kind: Kind, cell: &Cell, value: &Value) {
    let text = match (cell, value) {
        (Cell::Null, _) => return assert_eq!(*value, Value::Null, "{name} of row {row}"),
        // JSON has no NaN and no infinity.
        (Cell::Float(x), Value::Null) if !x.is_finite() => return,
        (Cell::Opaque, value) => return assert!(!value.is_null(), "{name} of row {row}"),
        (Cell::Bool(_), Value::Bool(value)) => value.to_string(),
        // A JSON reader of doubles rounds; that all digits are there is checked in the text.
        (Cell::Decimal { .. }, Value::Number(number)) => {
            let nearest: f64 = render(cell, false).parse().expect("a number");
            let read = number.as_f64().expect("a double");
            return assert!((read - nearest).abs() <= nearest.abs() * 1e-15, "{name} of row {row}: {read}");
        }
        (Cell::Int(_) | Cell::Float(_), Value::Number(number)) => number.to_string(),
        (_, Value::String(text)) => text.clone(),
        _ => panic!("{name} of row {row}: {cell:?} became {value}"),
    };
    check_text(name, row, kind, cell, &text);
}

#[track_caller]
fn check_text(name: &str, row: usize, kind: Kind, cell: &Cell, text: &str) {
    // A day may be written as its midnight.
    let text = if kind == Kind::Day { text.split('T').next().unwrap_or_default() } else { text };
    let read = parse(kind, text).unwrap_or_else(|| panic!("{name} of row {row}: '{text}' is no {kind:?}"));
    assert!(compare(cell, &read).is_some_and(|o| o.is_eq()), "{name} of row {row}: {cell:?} became '{text}'");
}

/// A nested value by hand.
fn json_of(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let numbers = list.as_primitive::<Int32Type>();
            numbers.iter().map(|number| json!(number)).collect()
        }
        DataType::Struct(_) => {
            let part = array.as_struct();
            let number = part.column(0).as_primitive::<Int32Type>();
            let name = part.column(1).as_string::<i32>();
            let number = number.is_valid(row).then(|| number.value(row));
            json!({"number": number, "name": name.is_valid(row).then(|| name.value(row))})
        }
        other => panic!("{other} is not in the table"),
    }
}

pub(crate) fn both(check: impl Fn(&Fixture)) {
    check(&fixture(Types::Parquet));
    check(&fixture(Types::Arrow));
}

#[test]
fn json_holds_the_table() {
    both(|fixture| {
        let rows: Value = serde_json::from_slice(&fixture.body("application/json")).expect("JSON");
        fixture.check_objects(rows.as_array().expect("an array"));
    });
}

#[test]
fn ndjson_holds_the_table() {
    both(|fixture| {
        let text = String::from_utf8(fixture.body("application/x-ndjson")).expect("UTF-8");
        assert!(text.ends_with('\n'));
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        fixture.check_objects(&rows);
        for column in fixture.table.columns.iter().filter(|column| matches!(column.kind, Kind::Decimal { .. })) {
            for (line, cell) in text.lines().zip(&column.cells).filter(|(_, cell)| **cell != Cell::Null) {
                let digits = format!("\"{}\":{},", column.name, render(cell, false));
                assert!(line.contains(&digits), "{line} has not all digits of {digits}");
            }
        }
    });
}

#[test]
fn csv_holds_the_table() {
    both(|fixture| {
        let body = fixture.body("text/csv");
        let fields: Vec<Field> =
            fixture.table.columns.iter().map(|column| Field::new(&column.name, DataType::Utf8, true)).collect();
        let header = String::from_utf8_lossy(&body).lines().next().expect("a header").to_owned();
        assert_eq!(header, fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(","));
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_header(true).build(&body[..]);
        let batches: Vec<RecordBatch> = reader.expect("a reader").map(|batch| batch.expect("CSV")).collect();
        let read = Table::of(&batches);
        assert_eq!(read.rows, fixture.table.rows);
        for (at, column) in fixture.table.columns.iter().enumerate() {
            for (row, cell) in column.cells.iter().enumerate() {
                let text = match &read.columns[at].cells[row] {
                    Cell::Text(text) => text.as_str(),
                    _ => "",
                };
                match cell {
                    Cell::Null => assert_eq!(text, "", "{} of row {row}", column.name),
                    Cell::Opaque => assert_ne!(text, "", "{} of row {row}", column.name),
                    cell => check_text(&column.name, row, column.kind, cell, text),
                }
            }
        }
    });
}

#[test]
fn an_arrow_stream_holds_the_table_and_its_types() {
    both(|fixture| {
        let body = fixture.body("application/vnd.apache.arrow.stream");
        let reader = StreamReader::try_new(&body[..], None).expect("an Arrow stream");
        let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
        let read = concat_batches(&batches[0].schema(), &batches).expect("one batch");
        assert_eq!(read.num_rows(), fixture.batch.num_rows());
        for (at, field) in fixture.batch.schema().fields().iter().enumerate() {
            assert_eq!(read.schema().field(at).name(), field.name());
            assert_eq!(read.column(at).data_type(), field.data_type(), "{}", field.name());
            if Kind::of(field.data_type()) == Kind::Opaque {
                assert_eq!(read.column(at), fixture.batch.column(at), "{}", field.name());
                continue;
            }
            for row in 0..read.num_rows() {
                let (was, is) = (&fixture.table.columns[at].cells[row], cell(read.column(at).as_ref(), row));
                let same = (*was == Cell::Null && is == Cell::Null) || compare(was, &is).is_some_and(|o| o.is_eq());
                assert!(same, "{} of row {row}: {was:?} became {is:?}", field.name());
            }
        }
    });
}
