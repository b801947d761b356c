//! What each format reads, whole files and folders.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use plugin_sdk::{DataSource, ScanRequest};

use super::tree::{Tree, ctx, read_all, recorder, rows, types};

/// A table of the types that all formats can carry, with nulls.
pub(super) fn sample() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(4)]))),
        ("rate", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(-2.25), Some(1e6)]))),
        ("name", Arc::new(StringArray::from(vec![Some("a, \"b\"\nc"), Some("ä"), None, Some("00123")]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), None, Some(20_000), Some(-1)]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), Some(1_750_000_000_123_456), None, Some(7)]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, c)| (name, c, true))).unwrap()
}

/// Writes a batch as a file of every format.
pub(super) fn write_all(tree: &Tree, batch: &RecordBatch) -> Vec<&'static str> {
    let create = |name: &str| File::create(tree.path(name)).unwrap();
    arrow::csv::Writer::new(create("csv.csv")).write(batch).unwrap();
    arrow::csv::WriterBuilder::new().with_delimiter(b'\t').build(create("tsv.tsv")).write(batch).unwrap();
    let mut gzip = GzEncoder::new(create("gzip.csv.gz"), flate2::Compression::fast());
    gzip.write_all(&std::fs::read(tree.path("csv.csv")).unwrap()).unwrap();
    gzip.finish().unwrap();
    let mut json = arrow::json::ArrayWriter::new(create("json.json"));
    json.write(batch).unwrap();
    json.finish().unwrap();
    arrow::json::LineDelimitedWriter::new(create("ndjson.ndjson")).write(batch).unwrap();
    write_typed(tree, batch);
    vec!["csv", "tsv", "gzip", "json", "ndjson", "parquet", "ipc_file", "ipc_stream"]
}

fn write_typed(tree: &Tree, batch: &RecordBatch) {
    let create = |name: &str| File::create(tree.path(name)).unwrap();
    let mut parquet = ArrowWriter::try_new(create("parquet.parquet"), batch.schema(), None).unwrap();
    parquet.write(batch).unwrap();
    parquet.close().unwrap();
    let mut file = arrow::ipc::writer::FileWriter::try_new(create("ipc_file.feather"), &batch.schema()).unwrap();
    file.write(batch).unwrap();
    file.finish().unwrap();
    let mut stream = arrow::ipc::writer::StreamWriter::try_new(create("ipc_stream.arrow"), &batch.schema()).unwrap();
    stream.write(batch).unwrap();
    stream.finish().unwrap();
}

#[test]
fn every_format_reads_what_was_written() {
    let tree = Tree::new(&[]);
    let sample = sample();
    for dataset in write_all(&tree, &sample) {
        assert_eq!(read_all(&tree.source(), dataset), sample, "{dataset}");
    }
}

#[test]
fn unusual_types_of_typed_formats_pass_as_they_are() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("dictionary", Arc::new([Some("a"), None, Some("a")].into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("view", Arc::new(StringViewArray::from(vec![Some("x"), None, Some("a long enough string")]))),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)]), None, Some([None])]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let tree = Tree::new(&[]);
    write_typed(&tree, &batch);
    for dataset in ["parquet", "ipc_file", "ipc_stream"] {
        assert_eq!(read_all(&tree.source(), dataset), batch, "{dataset}");
    }
}

#[test]
fn a_type_is_told_from_the_last_row_as_from_the_first() {
    let mut text = String::from("a,b,c\n");
    (0..50_000).for_each(|i| text.push_str(&format!("{i},{i},\n")));
    text.push_str("0.5,x,true\n");
    let tree = Tree::new(&[("t.csv", &text)]);
    assert_eq!(types(&tree.source(), "t"), ["a: Float64", "b: Utf8", "c: Boolean"]);
    assert_eq!(read_all(&tree.source(), "t").num_rows(), 50_001);
}

#[test]
fn headers_are_made_whole_and_unique() {
    let tree = Tree::new(&[("t.csv", "\u{feff}a, b ,,a\r\n1,2,3,4\r\n")]);
    assert_eq!(types(&tree.source(), "t"), ["a: Int64", "b: Int64", "column_3: Int64", "a_2: Int64"]);
    assert_eq!(rows(&read_all(&tree.source(), "t")), ["1|2|3|4"]);
}

#[test]
fn a_file_without_rows_has_text_columns() {
    let tree = Tree::new(&[("t.csv", "a,b\n")]);
    assert_eq!(types(&tree.source(), "t"), ["a: Utf8", "b: Utf8"]);
    assert_eq!(read_all(&tree.source(), "t").num_rows(), 0);
}

#[test]
fn nested_and_irregular_json_is_read() {
    let text = r#"[{"a": {"x": 1, "y": [1, 2]}, "b": 1}, {"a": {"x": null}, "b": {"k": ["v\"", null, {"z": true}]}},
        {"b": "plain"}, {"b": [1.50, []]}, {"b": null}]"#;
    let tree = Tree::new(&[("t.json", text)]);
    let schema = types(&tree.source(), "t");
    assert!(schema[0].starts_with("a: Struct"), "{schema:?}");
    assert_eq!(schema[1], "b: Utf8");
    let read = read_all(&tree.source(), "t");
    assert_eq!(
        rows(&read.project(&[1]).unwrap()),
        ["1", r#"{"k":["v\"",null,{"z":true}]}"#, "plain", "[1.50,[]]", "null"]
    );
    assert_eq!(rows(&read.project(&[0]).unwrap())[0], "{x: 1, y: [1, 2]}");
}

#[test]
fn integers_beyond_64_bits_keep_their_digits() {
    let tree = Tree::new(&[("t.ndjson", "{\"id\": 9007199254740993}\n{\"id\": 18446744073709551616}\n")]);
    assert_eq!(rows(&read_all(&tree.source(), "t")), ["9007199254740993", "18446744073709551616"]);
}

#[test]
fn files_of_a_folder_are_merged_by_the_names_of_columns() {
    let tree = Tree::new(&[
        ("d/1.csv", "id,value,code\n1,10,\n"),
        ("d/2.csv", "value,id,note\n2.5,2,x\n"),
        ("d/3.csv.gz", ""),
        ("d/4.csv", "id,value,code\n3,,1\nfour,7,2\n"),
    ]);
    let mut gzip = GzEncoder::new(File::create(tree.path("d/3.csv.gz")).unwrap(), flate2::Compression::fast());
    gzip.write_all(b"id,code\n5,true\n").unwrap();
    gzip.finish().unwrap();
    let source = tree.source();
    assert_eq!(types(&source, "d"), ["id: Utf8", "value: Float64", "code: Utf8", "note: Utf8"]);
    assert_eq!(
        rows(&read_all(&source, "d")),
        ["1|10.0|null|null", "2|2.5|null|x", "5|null|true|null", "3|null|1|null", "four|7.0|2|null"]
    );
}

#[test]
fn values_that_no_time_holds_together_are_text_in_whichever_files_they_are() {
    let (fine, old) = ("2025-06-01T12:00:00.123456789", "1500-01-01");
    let tree = Tree::new(&[
        ("csv/1.csv", &format!("at\n{fine}\n")),
        ("csv/2.csv", &format!("at\n{old}\n")),
        ("json/1.json", &format!(r#"[{{"at": "{fine}", "in": {{"at": ["{old}"]}}}}]"#)),
        ("json/2.json", &format!(r#"[{{"at": "{old}", "in": {{"at": ["{fine}"]}}}}]"#)),
    ]);
    let source = tree.source();
    assert_eq!(types(&source, "csv"), ["at: Utf8"]);
    assert_eq!(rows(&read_all(&source, "csv")), [fine, old]);
    assert_eq!(types(&source, "json")[0], "at: Utf8");
    let expected = [format!("{fine}|{{at: [{old}]}}"), format!("{old}|{{at: [{fine}]}}")];
    assert_eq!(rows(&read_all(&source, "json")), expected);
}

#[test]
fn typed_files_of_a_folder_are_cast_or_refused() {
    let tree = Tree::new(&[]);
    let write = |name: &str, column: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(tree.path(name)).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write("d/1.parquet", Arc::new(Int64Array::from(vec![1])));
    write("d/2.parquet", Arc::new(Float64Array::from(vec![2.5])));
    assert_eq!(rows(&read_all(&tree.source(), "d")), ["1.0", "2.5"]);
    write("d/3.parquet", Arc::new(StringArray::from(vec!["x"])));
    let error = tree.source().schema(&ctx(), "d").unwrap_err();
    assert!(error.message.contains("'d/1.parquet'") && error.message.contains("'d/3.parquet'"), "{error}");
}

#[test]
fn a_long_file_comes_in_bounded_batches_with_progress() {
    const ROWS: usize = 200_000;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let tree = Tree::new(&[]);
    for dataset in write_all(&tree, &batch) {
        let (recorder, ctx) = recorder();
        let scan = tree.source().scan(&ctx, &ScanRequest::all(dataset)).unwrap();
        let mut next = 0;
        for batch in scan.batches {
            let batch = batch.unwrap();
            assert!(batch.num_rows() <= 64 << 10, "{dataset}: {}", batch.num_rows());
            assert_eq!(batch.column(0).as_ref(), &Int64Array::from_iter_values(next..next + batch.num_rows() as i64));
            next += batch.num_rows() as i64;
        }
        assert_eq!(next, ROWS as i64, "{dataset}");
        let progress = recorder.progress.lock().unwrap();
        assert!(progress.len() > 3, "{dataset}: {progress:?}");
        assert!(progress.windows(2).all(|w| w[0].rows <= w[1].rows && w[0].bytes <= w[1].bytes), "{dataset}");
        let last = progress.last().unwrap();
        assert_eq!(last.rows, ROWS as u64);
        assert!(last.bytes > 0, "{dataset}");
        let knows_total = !dataset.starts_with("ipc");
        assert_eq!(last.total_rows, knows_total.then_some(ROWS as u64), "{dataset}");
    }
}

#[test]
fn long_rows_come_in_batches_of_few() {
    const ROWS: usize = 1000;
    let text = "x".repeat(40_000);
    let tree = Tree::new(&[]);
    // The text is the same in every row: compressed or stored once, the file is small.
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&text, ROWS)));
    let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(tree.path("parquet.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let gzip = |name: &str, row: String| {
        let mut gzip = GzEncoder::new(File::create(tree.path(name)).unwrap(), flate2::Compression::fast());
        gzip.write_all(row.repeat(ROWS).as_bytes()).unwrap();
        gzip.finish().unwrap();
    };
    gzip("csv.csv.gz", format!("{text}\n"));
    gzip("declared.csv.gz", format!("{text}\n"));
    gzip("ndjson.ndjson.gz", format!("{{\"id\": \"{text}\"}}\n"));
    let source = tree.source_with(
        r#"{"declared": {"path": "declared.csv.gz", "header": false, "types": {"column_1": "utf8"}},
            "csv": {"path": "csv.csv.gz", "header": false}}"#,
    );
    for dataset in ["parquet", "csv", "declared", "ndjson"] {
        let scan = source.scan(&ctx(), &ScanRequest::all(dataset)).unwrap();
        let rows: Vec<usize> = scan.batches.map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(rows.iter().sum::<usize>(), ROWS, "{dataset}");
        assert!(rows.iter().all(|rows| rows * text.len() <= 20 << 20), "{dataset}: {rows:?}");
    }
}

#[test]
fn the_sample_data_is_read_with_its_types() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data");
    let config = format!(r#"{{"root": {}}}"#, serde_json::to_string(root).unwrap());
    let source = crate::Source::new(crate::config::Config::parse(&config).unwrap());
    assert_eq!(source.datasets(&ctx()).unwrap().len(), 11);
    let expected = ["sector: Utf8", "adoption_rate: Int64", "genai_adoption: Int64", "avg_roi: Float64"];
    assert_eq!(types(&source, "sector_analysis"), expected);
    assert_eq!(rows(&read_all(&source, "sector_analysis"))[0], "Technology|92|88|4.2");
    assert_eq!(types(&source, "historical_ai_data"), ["year: Int64", "ai_use: Int64", "genai_use: Int64"]);
}
