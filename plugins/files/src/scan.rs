//! Reading a dataset: its files one after the other, each batch brought into the shape that was asked
//! for.
//!
//! A batch goes through: the file's columns that are wanted or filtered on; the dataset's columns (null
//! where the file has none, cast where its type is another); the rows that match; the projection, in
//! its order. At most one batch is held at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use plugin_sdk::{
    Applied, BatchIter, Context, ErrorCode, Filter, Progress, Result, Scan, ScanRequest, SourceError, filter,
};

use crate::format::{ReadPlan, Typing};
use crate::table::{Part, Table};

/// Starts to read a table.
pub(crate) fn start(ctx: &Context, table: Table, request: &ScanRequest) -> Result<Scan> {
    let schema = request.projected(&table.schema)?;
    let mut applied = Vec::with_capacity(request.filters.len());
    let mut filters = Vec::new();
    for filter in &request.filters {
        let field = table.schema.fields().get(filter.column).ok_or_else(|| {
            SourceError::new(ErrorCode::InvalidRequest, format!("a filter names column {}", filter.column))
        })?;
        let is_supported = filter::is_supported(field.data_type(), filter);
        applied.push(if is_supported { Applied::Exact } else { Applied::No });
        if is_supported {
            filters.push(filter.clone());
        }
    }
    let all_exact = filters.len() == request.filters.len();
    let limit = request.limit.filter(|_| all_exact);
    let projection = request.projection.clone().unwrap_or_else(|| (0..table.schema.fields().len()).collect::<Vec<_>>());
    let mut needed = projection.clone();
    needed.extend(filters.iter().map(|f| f.column));
    needed.sort_unstable();
    needed.dedup();
    let total_rows = if filters.is_empty() && limit.is_none() { table.rows } else { None };
    let batches = TableScan {
        ctx: ctx.clone(),
        schema: Arc::clone(&schema),
        shape: Shape { schema: Arc::clone(&table.schema), needed, projection, filters },
        bytes: Arc::clone(&table.bytes),
        table,
        next_part: 0,
        current: None,
        limit,
        progress: Progress { total_rows, ..Progress::default() },
        is_done: false,
    };
    Ok(Scan { schema, applied, batches: Box::new(batches) })
}

/// What was asked for, in terms of the dataset's columns.
struct Shape {
    schema: SchemaRef,
    needed: Vec<usize>,
    projection: Vec<usize>,
    filters: Vec<Filter>,
}

struct TableScan {
    ctx: Context,
    table: Table,
    schema: SchemaRef,
    shape: Shape,
    next_part: usize,
    current: Option<Current>,
    /// How many rows may still be produced.
    limit: Option<u64>,
    progress: Progress,
    bytes: Arc<AtomicU64>,
    is_done: bool,
}

/// The columns of a file by name.
type OwnColumns<'a> = HashMap<&'a str, usize>;

/// The file that is being read.
struct Current {
    batches: BatchIter,
    /// For each needed column its place in the batches.
    places: Vec<Option<usize>>,
    part: usize,
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = self.step().transpose();
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl TableScan {
    fn step(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.ctx.check()?;
            if self.limit == Some(0) {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                let Some(part) = self.table.parts.get(self.next_part) else { return Ok(None) };
                self.current = Some(self.open(part, self.next_part)?);
                self.next_part += 1;
                continue;
            };
            let Some(batch) = current.batches.next() else {
                self.current = None;
                continue;
            };
            let file = &self.table.parts[current.part].file;
            let columns = self.shape.columns(&batch?, &current.places).map_err(|e| file.failed(e))?;
            let batch = self.finish(columns)?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    fn open(&self, part: &Part, index: usize) -> Result<Current> {
        let shape = &self.shape;
        let own: OwnColumns<'_> =
            part.columns.schema.fields().iter().enumerate().map(|(i, field)| (field.name().as_str(), i)).collect();
        let in_file: Vec<Option<usize>> = shape.needed.iter().map(|&column| shape.find(column, &own)).collect();
        let mut wanted: Vec<(usize, &FieldRef)> = in_file
            .iter()
            .zip(&shape.needed)
            .filter_map(|(own, &column)| Some(((*own)?, &shape.schema.fields()[column])))
            .collect();
        wanted.sort_unstable_by_key(|(own, _)| *own);
        let format = self.table.entry.format;
        let plan = ReadPlan {
            columns: wanted.iter().map(|(own, _)| *own).collect(),
            fields: wanted.iter().map(|(_, field)| Arc::clone(field)).collect(),
            filters: shape.filters_on(&part.columns.schema, &own, format.typing()),
            limit: self.limit.filter(|_| shape.filters.is_empty()),
            bytes: Arc::clone(&self.bytes),
            file: part.columns.clone(),
        };
        let places = in_file.iter().map(|c| c.and_then(|c| plan.columns.binary_search(&c).ok())).collect();
        let batches =
            format.read(&self.ctx, &part.file, &self.table.entry.options, &plan).map_err(|e| part.file.failed(e))?;
        Ok(Current { batches, places, part: index })
    }

    /// The rows that match, projected and cut; reports how far the scan is.
    fn finish(&mut self, (rows, columns): (usize, Vec<ArrayRef>)) -> Result<RecordBatch> {
        let shape = &self.shape;
        let column_of = |column: usize| shape.needed.binary_search(&column).ok().map(|i| &columns[i]);
        let projected = shape.projection.iter().filter_map(|&c| column_of(c).cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let mut batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), projected, &options)?;
        if !shape.filters.is_empty() {
            batch = filter_record_batch(&batch, &filter::mask(rows, column_of, &shape.filters)?)?;
        }
        if let Some(left) = &mut self.limit {
            let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(batch.num_rows());
            batch = batch.slice(0, keep);
            *left -= keep as u64;
        }
        self.progress.rows += batch.num_rows() as u64;
        self.progress.bytes = self.bytes.load(Ordering::Relaxed);
        self.ctx.progress(self.progress);
        Ok(batch)
    }
}

impl Shape {
    /// The column of a file that is the dataset's column of this index.
    fn find(&self, column: usize, own: &OwnColumns<'_>) -> Option<usize> {
        own.get(self.schema.field(column).name().as_str()).copied()
    }

    /// The filters in terms of a file that stores the same types.
    fn filters_on(&self, file: &Schema, own: &OwnColumns<'_>, typing: Typing) -> Vec<Filter> {
        if typing == Typing::Inferred {
            return Vec::new();
        }
        let in_file = |filter: &Filter| {
            let column = self.find(filter.column, own)?;
            let is_same = self.schema.field(filter.column).data_type() == file.field(column).data_type();
            is_same.then(|| Filter { column, ..filter.clone() })
        };
        self.filters.iter().filter_map(in_file).collect()
    }

    /// The needed columns of the dataset, from a batch of a file.
    fn columns(&self, batch: &RecordBatch, places: &[Option<usize>]) -> Result<(usize, Vec<ArrayRef>)> {
        let rows = batch.num_rows();
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let columns = self
            .needed
            .iter()
            .zip(places)
            .map(|(&column, place)| {
                let data_type = self.schema.field(column).data_type();
                match place.map(|place| batch.column(place)) {
                    None => Ok(new_null_array(data_type, rows)),
                    Some(array) if array.data_type() == data_type => Ok(Arc::clone(array)),
                    Some(array) => Ok(cast_with_options(array, data_type, &strict)?),
                }
            })
            .collect::<Result<_>>()?;
        Ok((rows, columns))
    }
}
