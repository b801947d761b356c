//! Tables with texts by number, beside the rows that they were made of.

use std::io::Cursor;

use arrow::array::{Array, Int64Array, LargeStringArray, StringViewArray};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::answer::Next;
use crate::eval::{Input, Run, evaluate};
use crate::format::{Chunks, Format};
use crate::query::parse;
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
    // What these lie in cannot be left behind.
    let texts: DictionaryArray<UInt16Type> = (0..ROWS).map(|n| ["a", "b"][n % 2]).collect();
    let few: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| ["a", "b"][n % 2])));
    let both = RecordBatch::try_from_iter([("few", Arc::clone(&few)), ("own", Arc::new(texts) as ArrayRef)]).unwrap();
    assert_eq!(Stored::new(&both.schema(), vec![both.clone()]).unwrap().schema, both.schema());
    let nested = |inner| DataType::Struct(vec![Field::new_list_field(inner, true)].into());
    assert!(can_be_copied(&nested(DataType::Utf8)) && !can_be_copied(&nested(DataType::Utf8View)));

    let nulls: ArrayRef = arrow::array::new_null_array(&DataType::Utf8, ROWS);
    let nulls = RecordBatch::try_from_iter([("nothing", nulls)]).unwrap();
    assert_eq!(Stored::new(&nulls.schema(), vec![nulls.clone()]).unwrap().schema, nulls.schema());
}

#[test]
fn long_texts_and_large_dictionaries_stay_as_they_are() {
    let check = |text: &dyn Fn(usize) -> String, is_numbered: bool| {
        let texts: ArrayRef = Arc::new(LargeStringArray::from_iter_values((0..ROWS).map(text)));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let stored = Stored::new(&batch.schema(), vec![batch.clone()]).unwrap();
        assert_eq!(stored.schema != batch.schema(), is_numbered, "{}", text(0));
    };
    check(&|n| format!("{:01024}", n % 256), true);
    check(&|n| format!("{:01024}", n % 257), false);
    check(&|n| "x".repeat(if n == 60_000 { 1025 } else { 3 }), false);
    check(&|n| (n % 4096).to_string(), true);
    check(&|n| (n % 4097).to_string(), false);
}

#[test]
fn what_is_left_of_a_message_moves_out_of_its_memory() {
    // As batches come from a worker: all columns of one lie in one piece of memory.
    let long = |n: usize| format!("a note that is longer than a view, {n}");
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        ("short", Arc::new(StringViewArray::from_iter_values((0..ROWS).map(|n| n.to_string())))),
        ("long", Arc::new(StringViewArray::from_iter_values((0..ROWS).map(long)))),
        ("plain", Arc::new(StringArray::from_iter_values((0..ROWS).map(long)))),
        ("few", Arc::new(StringViewArray::from_iter((0..ROWS).map(|n| [Some("a"), Some("b"), None][n % 3])))),
        ("few long", Arc::new(StringArray::from_iter_values((0..ROWS).map(|n| ["a", "b"][n % 2].repeat(100))))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let mut message = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    message.write(&batch).unwrap();
    let mut message = Buffer::from(message.into_inner().unwrap());
    let mut decoder = arrow::ipc::reader::StreamDecoder::new();
    let came = decoder.decode(&mut message).unwrap().unwrap();
    let held = |batch: &RecordBatch| {
        let mut pieces = HashMap::new();
        batch.columns().iter().for_each(|column| push_memory(&column.to_data(), &mut pieces));
        pieces.values().sum::<usize>() as u64
    };
    let stored = Stored::new(&came.schema(), vec![came.clone()]).unwrap();
    assert_eq!(numbered_columns(&came.schema(), &stored.schema), [4, 5]);
    assert_eq!(as_declared(&stored.batches[0], &came.schema()).unwrap(), batch);
    let now = held(&stored.batches[0]);
    assert!(now < held(&came) / 2 && now < stored.bytes * 11 / 10, "{now} of {}, not {}", held(&came), stored.bytes);
}

#[test]
fn rows_that_are_picked_have_the_tables_own_dictionary() {
    let table = table(&rows());
    for question in ["order=city,id&limit=5", "order=id.desc&limit=3", "city=eq.city 001", "order=state,code"] {
        let query = parse(question, &table.schema, &Default::default()).unwrap();
        let answer = table.evaluate(&query, &Run::unbounded()).unwrap();
        for (batch, column) in answer.batches().iter().flat_map(|batch| [1, 2, 3].map(|column| (batch, column))) {
            let [own, theirs] = [&table.batches[0], batch].map(|batch| batch.column(column).as_any_dictionary());
            assert!(Arc::ptr_eq(own.values(), theirs.values()), "{question}: column {column}");
        }
        let plain: usize = answer.batches().iter().map(RecordBatch::num_rows).sum::<usize>() * 48;
        let bytes = answer_bytes(answer.batches(), &table.schema) as usize;
        assert!((plain..plain * 4).contains(&bytes), "{question}: {bytes} bytes, of which {plain} are numbered texts");
    }
    let other = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let query = parse("id=gt.3", &other, &Default::default()).unwrap();
    assert!(matches!(table.evaluate(&query, &Run::unbounded()), Err(eval::EvalError::SchemaMismatch)));
    assert!(matches!(table.count(&query, &Run::unbounded()), Err(eval::EvalError::SchemaMismatch)));
}

#[test]
fn long_texts_by_number_are_written_in_small_parts() {
    let text = |n: usize| format!("{:01000}", n % 200);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(text)));
    let rows = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let table = Table::new(&rows.schema(), [rows.clone()]).unwrap();
    assert!(table.bytes < 1 << 20);
    for format in [Format::Arrow, Format::ArrowFile] {
        let chunks = Chunks::new(format, &table.schema, table.batches.clone()).unwrap().map(Result::unwrap);
        let sizes: Vec<usize> = chunks.map(|chunk| chunk.len()).collect();
        assert!(sizes.iter().all(|size| *size < 12 << 20), "{sizes:?}");
        assert!(sizes.iter().sum::<usize>() > ROWS * 1000);
    }
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
            if matches!(format, Format::Arrow | Format::ArrowFile | Format::Parquet) {
                assert_eq!(read_back(format, ours), read_back(format, theirs), "{question} as {}", format.name());
            } else {
                assert!(ours == theirs, "{question} as {}", format.name());
            }
        }
    }
}
