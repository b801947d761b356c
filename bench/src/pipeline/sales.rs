//! The rows that are asked about: made once, the same on every machine, kept as an Arrow file that everyone reads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use pipeline::Table;

use crate::server::target_dir;

/// As many as a cached table has in a batch.
const BATCH_ROWS: usize = 64 * 1024;
const REGIONS: [&str; 8] =
    ["Africa", "Antarctica", "Asia", "Caribbean", "Europe", "North America", "Oceania", "South America"];
const CODES: u64 = 100_000;
const SEED: u64 = 4;

/// The file with so many rows; makes it if there is none.
pub(super) fn file(rows: usize) -> anyhow::Result<PathBuf> {
    let folder = target_dir().join("bench");
    let path = folder.join(format!("sales-{rows}.arrow"));
    if path.is_file() {
        return Ok(path);
    }
    fs::create_dir_all(&folder).context("make a folder for the rows")?;
    // Half a file must not be taken for a whole one.
    let unfinished = path.with_extension("unfinished");
    let schema = schema(&DataType::Utf8);
    let out = File::create(&unfinished).context("write the rows")?;
    let mut writer = FileWriter::try_new_buffered(out, &schema).context("write the rows")?;
    let mut random = SEED;
    for start in (0..rows).step_by(BATCH_ROWS) {
        let batch = batch(&schema, start..(start + BATCH_ROWS).min(rows), &mut random);
        writer.write(&batch.context("make the rows")?).context("write the rows")?;
    }
    writer.finish().context("write the rows")?;
    fs::rename(&unfinished, &path).context("write the rows")?;
    Ok(path)
}

/// The rows of a file that [`file`] made, as a table that is cached.
pub(super) fn table(path: &Path) -> anyhow::Result<Table> {
    let schema = schema(&DataType::Utf8View);
    let reader = FileReader::try_new_buffered(File::open(path).context("read the rows")?, None);
    let batches = reader.context("read the rows")?.map(|batch| viewed(&schema, &batch?));
    let batches: Vec<_> = batches.collect::<Result<_, _>>().context("read the rows")?;
    Table::new(&schema, batches).context("keep the rows")
}

fn schema(text: &DataType) -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("year", DataType::Int32),
        field("amount", DataType::Float64),
        field("region", text.clone()),
        field("code", text.clone()),
    ]))
}

fn batch(
    schema: &SchemaRef,
    ids: std::ops::Range<usize>,
    random: &mut u64,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = ids.len();
    let mut numbers = || (0..rows).map(|_| next(random)).collect::<Vec<_>>();
    let (years, amounts, regions, codes) = (numbers(), numbers(), numbers(), numbers());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.map(|id| id as i64))),
        Arc::new(Int32Array::from_iter_values(years.iter().map(|n| 2000 + (n % 25) as i32))),
        // 53 bits, so that no two amounts are likely to be equal.
        Arc::new(Float64Array::from_iter_values(amounts.iter().map(|n| (n >> 11) as f64 / (1_u64 << 53) as f64 * 1e3))),
        Arc::new(StringArray::from_iter_values(regions.iter().map(|n| REGIONS[(n % 8) as usize]))),
        Arc::new(StringArray::from_iter_values(codes.iter().map(|n| format!("c{:06}", n % CODES)))),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The batch with its texts as views, in buffers of its own.
fn viewed(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    use arrow::array::AsArray;
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let column = cast(column, field.data_type())?;
        Ok(match field.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            _ => column,
        })
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, arrow::error::ArrowError>>()?)
}
