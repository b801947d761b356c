//! Answers a bound query from record batches, with Arrow's kernels over rayon.
//!
//! Batches are cut into pieces of at most [`PIECE_ROWS`] rows. Each piece is filtered on its own: the [`mask`] of the rows
//! that fulfil the condition, then only the columns that the answer needs. Without an order the pieces are the answer, and a
//! limit stops the work as soon as enough rows are found; with one, [`sort`] finds the positions of the rows first, keeping
//! no more than `offset + limit` of a piece, and only then gathers the selected columns. A small table is done on the
//! calling thread.
//!
//! The answer is the same whatever the number of threads and however the table is cut into batches: rows keep the table's
//! order, and so do rows that compare equal under an order.
//!
//! [`Streaming`] answers the same queries from batches that arrive one by one, and holds only rows that may still be in the
//! answer. [`pushdown`] says how much of a query a source can do.

mod compact;
mod mask;
mod membership;
mod pushdown;
mod rows;
mod sort;
mod streaming;
mod weight;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub use mask::filter_mask;
pub use pushdown::{Pushdown, pushdown};
pub use streaming::Streaming;
pub use weight::batch_bytes;

use crate::query::BoundQuery;

/// The most rows that one thread filters at a time; their columns fit into a core's cache.
pub const PIECE_ROWS: usize = 64 * 1024;

/// Up to so many rows are evaluated on the calling thread: handing work over costs more than doing it.
const ALONE_ROWS: usize = 8 * 1024;

/// An evaluation that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The batches are not of the schema that the query is bound to.
    #[error("the data does not have the schema that the query was bound to")]
    SchemaMismatch,
    /// A projection leaves out a column that the query needs.
    #[error("the projection leaves out column '{column}', which the query needs")]
    MissingColumn {
        /// The column's name.
        column: String,
    },
    /// A kernel failed.
    #[error("failed to evaluate the query on the data")]
    Kernel(#[source] Arc<ArrowError>),
}

impl From<ArrowError> for EvalError {
    fn from(error: ArrowError) -> Self {
        Self::Kernel(Arc::new(error))
    }
}

/// The rows that answer a query.
#[derive(Debug, Clone)]
pub struct Evaluated {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Evaluated {
    /// The selected columns, in the order of the selection.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows; no batch is empty.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Schema and rows.
    pub fn into_parts(self) -> (SchemaRef, Vec<RecordBatch>) {
        (self.schema, self.batches)
    }
}

/// Answers a query from a table.
///
/// # Errors
/// The table is not of the query's schema, or a kernel fails.
pub fn evaluate(query: &BoundQuery, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Evaluated, EvalError> {
    if !Arc::ptr_eq(schema, query.schema()) && schema != query.schema() {
        return Err(EvalError::SchemaMismatch);
    }
    batches.iter().try_for_each(|batch| check_types(query, batch))?;
    let output = query.output_schema();
    let wanted = rows::Window::of(query);
    let batches = if wanted.is_empty() {
        Vec::new()
    } else if query.order().is_empty() {
        rows::in_table_order(query, &output, batches, wanted)?
    } else {
        sort::ordered(query, &output, batches, wanted)?
    };
    Ok(Evaluated { schema: output, batches })
}

/// Refuses a batch whose columns are not of the types that the query was bound to; names and metadata may differ.
fn check_types(query: &BoundQuery, batch: &RecordBatch) -> Result<(), EvalError> {
    let (wanted, found) = (query.schema(), batch.schema_ref());
    let types = |schema: &SchemaRef| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    if Arc::ptr_eq(wanted, found) || wanted.fields() == found.fields() || types(wanted) == types(found) {
        return Ok(());
    }
    Err(EvalError::SchemaMismatch)
}

#[cfg(test)]
mod tests;
