//! Tables with texts by number, beside the rows that they were made of.

use arrow::array::{Array, Int64Array, LargeStringArray, StringViewArray};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::io::Cursor;

use super::*;
use crate::answer::Next;
use crate::eval::{Input, Run, evaluate};
use crate::format::Format;
use crate::query::{BoundQuery, parse};
use crate::table::Table;

const ROWS: usize = 70_000;

/// Texts of few values in all three types, one of many, and numbers.
fn rows() -> RecordBatch {
    let state = |n: usize| ["new", "a state of many letters", "", "done", "=1+1", "ä,\"b"].get(n * n % 7).copied();
    let city = |n: usize| format!("city {:03}", n % 997 % 131);
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        ("state", Arc::new(StringViewArray::from_iter((0..ROWS).map(state)))),
        ("city", Arc::new(StringArray::from_iter_values((0..ROWS).map(city)))),
        ("code", Arc::new(LargeStringArray::from_iter_values((0..ROWS).map(|n| (n % 300).to_string())))),
        ("note", Arc::new(StringViewArray::from_iter_values((0..ROWS).map(|n| format!("a note with number {n}"))))),
        ("n", Arc::new(Int64Array::from_iter((0..ROWS as i64).map(|n| (n % 5 > 0).then_some(n * 7919 % 1_000))))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn table(rows: &RecordBatch) -> Table {
    let batches = (0..ROWS).step_by(10_000).map(|start| rows.slice(start, 10_000.min(ROWS - start)));
    Table::new(&rows.schema(), batches).unwrap()
}

#[test]
fn columns_of_few_texts_are_numbered_and_no_others() {
    let rows = rows();
    let table = table(&rows);
    assert_eq!(table.schema, rows.schema());
    assert_eq!(numbered_columns(&table.schema, &table.stored), [1, 2, 3]);
    assert_eq!(declared(&table.stored, &[1, 2, 3]), Some(rows.schema()));
    assert_eq!(declared(&table.stored, &[4]), None);
    assert_eq!(declared(&table.stored, &[9]), None);
    let back: Vec<_> = table.batches.iter().map(|batch| as_declared(batch, &table.schema).unwrap()).collect();
    assert_eq!(concat_batches(&table.schema, &back).unwrap(), rows);
    for column in [1, 2, 3] {
        let dictionary = |batch: &RecordBatch| batch.column(column).as_any_dictionary().values().to_data();
        assert!(table.batches.iter().all(|batch| dictionary(batch).ptr_eq(&dictionary(&table.batches[0]))));
    }
    // Numbers of two bytes where there were views of sixteen, or texts and their ends.
    let plain = eval::batch_bytes(&rows) as u64;
    assert!(table.bytes < plain * 2 / 3, "{} bytes of {plain}", table.bytes);
    for (batch, column) in table.batches.iter().flat_map(|batch| [1, 2, 3].map(|column| (batch, column))) {
        let held = batch.column(column).get_array_memory_size();
        assert!(held < batch.num_rows() * 9 / 4 + 8_192, "column {column} holds {held} bytes");
    }
}

#[test]
fn small_tables_and_columns_without_text_stay_as_they_are() {
    let rows = rows();
    for part in [rows.slice(0, 100), rows.project(&[0, 4, 5]).unwrap(), RecordBatch::new_empty(rows.schema())] {
        let stored = Stored::new(&part.schema(), vec![part.clone()]).unwrap();
        assert_eq!((&stored.schema, stored.batches.as_slice()), (&part.schema(), std::slice::from_ref(&part)));
        assert_eq!(stored.bytes, eval::batch_bytes(&part) as u64);
    }
    let nulls: ArrayRef = arrow::array::new_null_array(&DataType::Utf8, ROWS);
    let nulls = RecordBatch::try_from_iter([("nothing", nulls)]).unwrap();
    assert_eq!(Stored::new(&nulls.schema(), vec![nulls.clone()]).unwrap().schema, nulls.schema());
}

#[test]
fn what_is_left_of_a_message_moves_out_of_its_memory() {
    let message = Buffer::from_vec((0..ROWS as i64 * 4).collect::<Vec<_>>());
    let numbers = arrow::buffer::ScalarBuffer::<i64>::new(message, 0, ROWS);
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::new(numbers, None))),
        ("text", Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| ["a", "b"][n % 2])))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let stored = Stored::new(&batch.schema(), vec![batch.clone()]).unwrap();
    assert_eq!(stored.batches[0].column(0), batch.column(0));
    assert!(stored.batches[0].get_array_memory_size() < ROWS * 11);
}

/// All columns of an answer as one batch, read back from a format that has types.
fn read_back(format: Format, bytes: Vec<u8>) -> RecordBatch {
    let (schema, batches): (SchemaRef, Result<Vec<_>, _>) = match format {
        Format::Arrow => {
            let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
            (reader.schema(), reader.collect())
        }
        Format::ArrowFile => {
            let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
            (reader.schema(), reader.collect())
        }
        _ => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
            (arrow::array::RecordBatchReader::schema(&reader), reader.collect())
        }
    };
    concat_batches(&schema, &batches.unwrap()).unwrap()
}

#[test]
fn every_answer_is_that_of_the_rows_as_they_came() {
    let rows = rows();
    let table = table(&rows);
    let plain = Input { schema: &rows.schema(), batches: std::slice::from_ref(&rows) };
    for question in [
        "",
        "state=eq.done",
        "state=neq.done&limit=500",
        "city=in.(city 001,city 130,nowhere)&state=not.is.null",
        "state=is.null&select=id,state",
        "city=like.city 01*&code=gte.27",
        "state=match.^a.*s$",
        "or=(state.eq.,code.lt.12)&limit=99&offset=7",
        "order=state.desc.nullsfirst,code,id.desc&limit=250",
        "order=city,n.desc,id&offset=69000",
        "select=place:city,code::int4,state::text&n=gt.900",
        "select=state,count(),n.sum(),city.min(),state.max(),code.count_distinct()&order=state",
        "select=city,state,n.avg()&having=count().gt.60&order=city,state",
        "select=code&distinct=true&order=code.desc&limit=20",
        "select=state,city&distinct=true",
        "select=city.count_distinct(),state.min(),state.count()",
        "select=code::int8,count()&order=count.desc,code&limit=12",
    ] {
        let query = parse(question, &rows.schema(), &Default::default()).unwrap_or_else(|e| panic!("{question}: {e}"));
        let run = Run::unbounded();
        let (expected, answer) = (evaluate(&query, plain, &run).unwrap(), table.evaluate(&query, &run).unwrap());
        let next = |evaluated: &eval::Evaluated| evaluated.end().map(|end| Next::after(&query, end, 10));
        assert_eq!(next(&answer), next(&expected), "{question}: the next page");
        assert_eq!(table.count(&query, &run).unwrap(), eval::count(&query, plain, &run).unwrap(), "{question}");
        let schema = query.output_schema();
        for format in Format::ALL {
            let [ours, theirs] =
                [&answer, &expected].map(|it| format.encode(&schema, it.batches(), usize::MAX).unwrap());
            if format.has_types() {
                assert_eq!(read_back(format, ours), read_back(format, theirs), "{question} as {}", format.name());
            } else {
                assert!(ours == theirs, "{question} as {}", format.name());
            }
        }
    }
    // A query of no column that is numbered is the same one.
    let query = BoundQuery::all(rows.schema());
    assert_eq!(query.on_stored(&rows.schema()), query);
}
