//! Projection, filters and limit: whatever is pushed down, the rows are those that a plain reading
//! and a plain filter give.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, NullArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, is_not_null};
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use plugin_sdk::{Applied, DataSource, ErrorCode, Filter, FilterOp, ScanRequest, filter};

use super::formats::{sample, write_all};
use super::tree::{Tree, ctx, read, recorder, rows};

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.iter().copied()))
}

fn none() -> ArrayRef {
    Arc::new(NullArray::new(0))
}

fn filter_of(column: usize, op: FilterOp, values: ArrayRef) -> Filter {
    Filter { column, op, values }
}

fn request(dataset: &str, projection: Option<&[usize]>, filters: &[Filter], limit: Option<u64>) -> ScanRequest {
    let projection = projection.map(<[usize]>::to_vec);
    ScanRequest { dataset: dataset.into(), projection, filters: filters.to_vec(), limit }
}

/// Every combination of projections, filters and limits gives what a plain filter gives, in every format.
#[test]
fn pushdown_equals_a_plain_filter() {
    use FilterOp::*;
    let batch = concat_batches(&sample().schema(), &[sample(), sample(), sample().slice(1, 2)]).unwrap();
    let tree = Tree::new(&[]);
    let datasets = write_all(&tree, &batch);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["00123", "b", "c", "d", "e", "ä"]));
    let zero: ArrayRef = Arc::new(Float64Array::from(vec![0.0]));
    let cases: Vec<Vec<Filter>> = vec![
        vec![],
        vec![filter_of(0, GtEq, ints(&[2]))],
        vec![filter_of(0, NotEq, ints(&[2]))],
        vec![filter_of(0, Eq, ints(&[77]))],
        vec![filter_of(0, In, ints(&[1, 4, 9]))],
        vec![filter_of(0, IsNull, none())],
        vec![filter_of(1, Lt, zero), filter_of(2, IsNull, none())],
        vec![filter_of(2, In, names), filter_of(1, IsNotNull, none())],
        vec![filter_of(4, Gt, batch.column(4).slice(0, 1))],
        vec![filter_of(5, LtEq, batch.column(5).slice(3, 1)), filter_of(3, Eq, batch.column(3).slice(0, 1))],
    ];
    let projections: [Option<&[usize]>; 5] = [None, Some(&[]), Some(&[2]), Some(&[5, 0]), Some(&[3, 3, 1])];
    for dataset in datasets {
        let source = tree.source();
        for filters in &cases {
            let plain = filter::apply(&batch, filters).unwrap();
            for projection in projections {
                let expected = projection.map_or_else(|| plain.clone(), |p| plain.project(p).unwrap());
                for limit in [None, Some(0), Some(1), Some(1000)] {
                    let cut = limit.map_or(expected.num_rows(), |l| expected.num_rows().min(l as usize));
                    let (found, applied) = read(&source, &request(dataset, projection, filters, limit)).unwrap();
                    assert!(applied.iter().all(|a| *a == Applied::Exact));
                    assert_eq!(found.num_rows(), cut, "{dataset} {filters:?} {projection:?} {limit:?}");
                    assert_eq!(rows(&found), rows(&expected.slice(0, cut)), "{dataset} {filters:?} {projection:?}");
                }
            }
        }
    }
}

#[test]
fn a_filter_that_cannot_be_applied_is_left_to_the_caller_with_the_limit() {
    let tree = Tree::new(&[("t.ndjson", "{\"a\": [1]}\n{\"a\": [2]}\n{\"a\": null}\n")]);
    let source = tree.source();
    let lists = read(&source, &ScanRequest::all("t")).unwrap().0.column(0).slice(1, 1);
    let filters = [filter_of(0, FilterOp::Eq, lists), filter_of(0, FilterOp::IsNotNull, none())];
    let (found, applied) = read(&source, &request("t", None, &filters, Some(1))).unwrap();
    assert_eq!(applied, [Applied::No, Applied::Exact]);
    assert_eq!(found.num_rows(), 2);
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    let tree = Tree::new(&[("t.csv", "a\n1\n")]);
    let refused = |request: &ScanRequest| tree.source().scan(&ctx(), request).unwrap_err().code;
    assert_eq!(refused(&request("t", Some(&[1]), &[], None)), ErrorCode::InvalidRequest);
    let filters = [filter_of(7, FilterOp::Eq, ints(&[1]))];
    assert_eq!(refused(&request("t", None, &filters, None)), ErrorCode::InvalidRequest);
}

/// 10 row groups of 1,000 rows: `id` ascends; `part` is constant in each group; `gap` is null in all
/// rows of even groups.
fn grouped(tree: &Tree) -> RecordBatch {
    let id = Int64Array::from_iter_values(0..10_000);
    let part = StringArray::from_iter_values((0..10_000).map(|i| format!("part {}", i / 1_000)));
    let gap = Int64Array::from_iter((0..10_000).map(|i| (i / 1_000 % 2 == 1).then_some(i)));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(id) as ArrayRef, true),
        ("part", Arc::new(part), true),
        ("gap", Arc::new(gap), true),
    ])
    .unwrap();
    write_groups(tree, &batch, 1_000);
    batch
}

fn write_groups(tree: &Tree, batch: &RecordBatch, rows: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build();
    let file = File::create(tree.path("t.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn row_groups_without_a_match_are_not_read() {
    use FilterOp::*;
    let tree = Tree::new(&[]);
    let batch = grouped(&tree);
    let source = tree.source();
    let bytes = |filters: &[Filter]| {
        let (recorder, ctx) = recorder();
        let scan = source.scan(&ctx, &request("t", None, filters, None)).unwrap();
        let found: Vec<_> = scan.batches.map(Result::unwrap).collect();
        let found = concat_batches(&batch.schema(), &found).unwrap();
        assert_eq!(found, filter::apply(&batch, filters).unwrap());
        recorder.progress.lock().unwrap().last().map_or(0, |p| p.bytes)
    };
    let all = bytes(&[]);
    let parts: ArrayRef = Arc::new(StringArray::from(vec!["part 3", "part 7"]));
    for (filters, most) in [
        (vec![filter_of(0, GtEq, ints(&[9_500]))], all / 4),
        (vec![filter_of(0, Lt, ints(&[10]))], all / 4),
        (vec![filter_of(0, In, ints(&[5, 6, 7, 8, 9_999]))], all / 3),
        (vec![filter_of(1, In, parts)], all / 3),
        (vec![filter_of(2, IsNotNull, none())], all * 3 / 4),
        (vec![filter_of(2, IsNull, none())], all * 3 / 4),
        (vec![filter_of(0, Eq, ints(&[-1]))], 0),
        (vec![filter_of(0, NotEq, ints(&[-1]))], all),
    ] {
        let read = bytes(&filters);
        assert!(read <= most, "{filters:?}: {read} of {all} bytes");
    }
}

/// The statistics of every type lead to no wrong answer: 12 row groups of 8 rows, some values near each
/// other, some far, some null.
#[test]
fn skipped_row_groups_hold_no_match_whatever_the_type() {
    use DataType::*;
    let at = |unit| Timestamp(unit, None);
    let signed = [
        Int8,
        Int16,
        Int32,
        Int64,
        Float32,
        Float64,
        Decimal128(20, 3),
        Decimal256(50, 3),
        Date32,
        Date64,
        at(TimeUnit::Second),
        at(TimeUnit::Millisecond),
        at(TimeUnit::Nanosecond),
        Duration(TimeUnit::Microsecond),
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        BinaryView,
        Dictionary(Box::new(Int32), Box::new(Utf8)),
        Boolean,
    ];
    let unsigned = [UInt8, UInt16, UInt32, UInt64, Time32(TimeUnit::Millisecond), Time64(TimeUnit::Microsecond)];
    let value = |i: i64| (i % 7 != 3).then_some((i / 8 * 17 + i * i % 13) % 127);
    let plain: ArrayRef = Arc::new((0..96).map(value).collect::<Int64Array>());
    let both: ArrayRef = Arc::new((0..96).map(|i| Some(value(i)? - 60)).collect::<Int64Array>());
    for (base, data_type) in signed.iter().map(|t| (&both, t)).chain(unsigned.iter().map(|t| (&plain, t))) {
        let through: ArrayRef = match data_type {
            Binary | BinaryView => cast(base, &Utf8).unwrap(),
            Date32 | Time32(_) | Int8 | Int16 | UInt8 | UInt16 => cast(base, &Int32).unwrap(),
            _ => Arc::clone(base),
        };
        let column = cast(&through, data_type).unwrap();
        let batch = RecordBatch::try_from_iter_with_nullable([("x", Arc::clone(&column), true)]).unwrap();
        let tree = Tree::new(&[]);
        write_groups(&tree, &batch, 8);
        let source = tree.source();
        for op in (1..=9).filter_map(FilterOp::from_abi) {
            for row in [0, 41, 95] {
                let values = match op {
                    FilterOp::In => column.slice(row / 2, 2),
                    _ => column.slice(row, 1),
                };
                let filters = [filter_of(0, op, drop_nulls(&values))];
                let (found, _) = read(&source, &request("t", None, &filters, None)).unwrap();
                assert_eq!(found, filter::apply(&batch, &filters).unwrap(), "{data_type} {op:?} {values:?}");
            }
        }
    }
}

fn drop_nulls(values: &ArrayRef) -> ArrayRef {
    arrow::compute::filter(values, &is_not_null(values).unwrap()).unwrap()
}

#[test]
fn a_filter_on_a_column_that_some_files_lack_sees_null_there() {
    let tree = Tree::new(&[("d/1.csv", "id\n1\n2\n"), ("d/2.csv", "id,note\n3,\n4.5,x\n")]);
    let found = |filter: Filter| rows(&read(&tree.source(), &request("d", Some(&[0]), &[filter], None)).unwrap().0);
    assert_eq!(found(filter_of(1, FilterOp::IsNull, none())), ["1.0", "2.0", "3.0"]);
    let x: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    assert_eq!(found(filter_of(1, FilterOp::Eq, x)), ["4.5"]);
    let two: ArrayRef = Arc::new(Float64Array::from(vec![2.0]));
    assert_eq!(found(filter_of(0, FilterOp::GtEq, two)), ["2.0", "3.0", "4.5"]);
}

#[test]
fn a_limit_ends_the_reading() {
    let tree = Tree::new(&[]);
    grouped(&tree);
    let source = tree.source();
    source.schema(&ctx(), "t").unwrap();
    let bytes_for = |limit| {
        let (recorder, ctx) = recorder();
        let batches = source.scan(&ctx, &request("t", Some(&[0]), &[], limit)).unwrap().batches;
        let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        let bytes = recorder.progress.lock().unwrap().last().unwrap().bytes;
        (rows, bytes)
    };
    let (all, all_bytes) = bytes_for(None);
    let (some, some_bytes) = bytes_for(Some(3));
    assert_eq!((all, some), (10_000, 3));
    assert!(some_bytes < all_bytes / 2, "{some_bytes} of {all_bytes}");
}
