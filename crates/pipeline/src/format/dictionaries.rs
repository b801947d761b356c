//! One dictionary a column: an Arrow file cannot have more, where batches of one result may.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use super::{EncodeError, Format};

/// Whether a column, or something in it, is a dictionary.
pub(super) fn has_any(schema: &SchemaRef) -> bool {
    schema.flattened_fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}

/// The batches with one dictionary a column, if the format wants that.
pub(super) fn unified(
    format: Format,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, EncodeError> {
    if format != Format::ArrowFile || batches.len() < 2 || !has_any(schema) {
        return Ok(batches);
    }
    one_each(schema, batches).map_err(|error| format.unsupported(error))
}

fn one_each(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut columns: Vec<Vec<ArrayRef>> = batches.iter().map(|batch| batch.columns().to_vec()).collect();
    for (at, field) in schema.fields().iter().enumerate() {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
        if !may_differ(field.data_type(), &parts) {
            continue;
        }
        let whole = concat(&parts)?;
        let mut start = 0;
        for (columns, batch) in columns.iter_mut().zip(&batches) {
            columns[at] = whole.slice(start, batch.num_rows());
            start += batch.num_rows();
        }
    }
    let again = |(columns, batch): (Vec<ArrayRef>, &RecordBatch)| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(batch.schema(), columns, &options)
    };
    columns.into_iter().zip(&batches).map(again).collect()
}

/// Whether the parts of a column may have several dictionaries.
fn may_differ(data_type: &DataType, parts: &[&dyn Array]) -> bool {
    match data_type {
        DataType::Dictionary(_, values) if !values.is_nested() => {
            let values = |part: &&dyn Array| Arc::clone(part.as_any_dictionary().values());
            let Some(first) = parts.first().map(values) else { return false };
            parts.iter().any(|part| !values(part).to_data().ptr_eq(&first.to_data()))
        }
        // What is in a nested type is not looked at: they are rare.
        other => other.is_nested(),
    }
}
