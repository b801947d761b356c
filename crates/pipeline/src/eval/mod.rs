//! Answers a bound query from record batches, with Arrow's kernels over rayon.
//!
//! Batches are cut into pieces of at most [`PIECE_ROWS`] rows. Each piece is filtered on its own: the [`mask`] of the rows
//! that fulfil the condition, then only the columns that the answer needs. Without an order the pieces are the answer, and a
//! limit stops the work as soon as enough rows are found; with one, [`sort`] finds the positions of the rows first, keeping
//! no more than `offset + limit` of a piece, and only then gathers the selected columns. A small table is done on the
//! calling thread. Batches that the [`zones`] of a table rule out are not looked at.
//!
//! The answer is the same whatever the number of threads and however the table is cut into batches: rows keep the table's
//! order, and so do rows that compare equal under an order. Sums and means of floats alone depend, in their last bits, on how the
//! table is cut.
//!
//! [`Streaming`] answers the same queries from batches that arrive one by one, and holds only rows that may still be in the
//! answer. [`pushdown`] says how much of a query a source can do.

mod among;
mod cast;
mod compact;
mod compare;
mod group;
mod mask;
mod membership;
mod nan;
mod narrow;
mod output;
mod pushdown;
mod rows;
mod run;
mod sort;
mod sort_until;
mod streaming;
mod survivors;
mod weight;
mod zones;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

pub(crate) use compact::compacted;
pub use mask::filter_mask;
pub use nan::with_one_nan;
pub use pushdown::{Pushdown, pushdown};
pub use run::{QueryMemory, Run, StopOnDrop};
pub use streaming::Streaming;
pub(crate) use weight::array_bytes;
pub use weight::batch_bytes;
pub use zones::Zones;

use crate::query::{BoundGroup, BoundQuery};
use zones::Sifted;

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
    /// The caller wants no answer any more.
    #[error("the query was cancelled")]
    Cancelled,
    /// The deadline has passed.
    #[error("the query did not end in time")]
    TimedOut,
    /// One evaluation would hold too much.
    #[error("the query needs more than {max_bytes} bytes of memory")]
    TooLarge {
        /// The bound.
        max_bytes: u64,
    },
    /// All evaluations at a time would hold too much.
    #[error("the queries under way need {max_bytes} bytes of memory together, which is all that they may have")]
    Busy {
        /// The bound.
        max_bytes: u64,
    },
    /// A value cannot be cast.
    #[error("'{value}' of column '{column}' cannot be cast to {data_type}")]
    BadCast {
        /// The column's name.
        column: String,
        /// The value, cut where it is long.
        value: String,
        /// The type, as the language names it.
        data_type: String,
    },
    /// A sum of whole numbers is beyond 64 bits.
    #[error("the sum '{column}' is beyond 64 bits")]
    SumOverflow {
        /// The name of the sum.
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

/// What is evaluated: the rows of a table.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The schema of all batches.
    pub schema: &'a SchemaRef,
    /// The rows.
    pub batches: &'a [RecordBatch],
}

/// The rows that answer a query.
#[derive(Debug, Clone)]
pub struct Evaluated {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    end: Option<PageEnd>,
    stats: EvalStats,
}

/// Where an answer ends that has more rows behind its limit.
#[derive(Debug, Clone)]
pub struct PageEnd {
    /// The values of the order's columns in the last row, one in each array.
    pub keys: Vec<ArrayRef>,
    /// How many rows up to it are equal to it under the order, the skipped ones included; without an order all are.
    pub ties: u64,
}

/// What an evaluation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvalStats {
    /// Rows that the condition was tested on.
    pub rows_tested: u64,
    /// Rows that fulfilled it, as far as they were looked for.
    pub rows_matched: u64,
    /// Batches of the table.
    pub batches: u64,
    /// Batches that were left out, as none of their rows could fulfil the condition.
    pub batches_skipped: u64,
}

impl Evaluated {
    /// The columns of the answer.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows; no batch is empty.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Where the next page begins; `None` if there are no more rows.
    pub fn end(&self) -> Option<&PageEnd> {
        self.end.as_ref()
    }

    /// What was done.
    pub fn stats(&self) -> EvalStats {
        self.stats
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
/// The table is not of the query's schema, the run has to stop or takes too much, a value cannot be cast, or a kernel fails.
pub fn evaluate(query: &BoundQuery, input: Input<'_>, run: &Run) -> Result<Evaluated, EvalError> {
    evaluate_zoned(query, input, None, run)
}

/// As [`evaluate`]; batches that the zones of the table rule out are skipped.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_zoned(
    query: &BoundQuery,
    input: Input<'_>,
    zones: Option<&Zones>,
    run: &Run,
) -> Result<Evaluated, EvalError> {
    check_input(query, input, run)?;
    let Some(group) = query.group() else {
        let query = query.with_cursor_in_filter();
        let sifted = Sifted::new(&query, input.batches, zones, run)?;
        return answer(&query, &sifted, run);
    };
    let (groups, stats) = groups(query, group, input, zones, run)?;
    let second = query.second_stage().with_cursor_in_filter();
    let mut answer = answer(&second, &Sifted::new(&second, &groups, None, run)?, run)?;
    // What was done with the rows is what counts.
    answer.stats = stats;
    Ok(answer)
}

/// How many rows a query has without limit, offset and cursor.
///
/// # Errors
/// As [`evaluate`].
pub fn count(query: &BoundQuery, input: Input<'_>, run: &Run) -> Result<u64, EvalError> {
    count_zoned(query, input, None, run)
}

/// As [`count`]; batches that the zones of the table rule out are skipped.
///
/// # Errors
/// As [`evaluate`].
pub fn count_zoned(query: &BoundQuery, input: Input<'_>, zones: Option<&Zones>, run: &Run) -> Result<u64, EvalError> {
    check_input(query, input, run)?;
    let Some(group) = query.group() else {
        return rows::count(query, &Sifted::new(query, input.batches, zones, run)?, run);
    };
    // What is made of a group does not count, unless groups are left out for it.
    let bare = BoundGroup::new(group.keys().to_vec(), Vec::new(), query.schema());
    let (whole, group) = match query.having() {
        None if !group.keys().is_empty() => {
            (BoundQuery { group: Some(bare.clone()), output: None, order: Vec::new(), ..query.whole() }, &bare)
        }
        _ => (query.whole(), group),
    };
    let (groups, _) = groups(&whole, group, input, zones, run)?;
    let second = whole.second_stage();
    rows::count(&second, &Sifted::new(&second, &groups, None, run)?, run)
}

/// The groups of the rows that fulfil the condition.
fn groups(
    query: &BoundQuery,
    group: &BoundGroup,
    input: Input<'_>,
    zones: Option<&Zones>,
    run: &Run,
) -> Result<(Vec<RecordBatch>, EvalStats), EvalError> {
    let sifted = Sifted::new(query, input.batches, zones, run)?;
    let unfiltered = (query.filter().is_some() && sifted.all_whole()).then(|| query.without_filter());
    let mut stats = EvalStats::default();
    let rest = Input { batches: &sifted.batches, ..input };
    let groups = group::grouped(unfiltered.as_ref().unwrap_or(query), group, rest, run, &mut stats)?;
    stats.batches = input.batches.len() as u64;
    stats.batches_skipped = sifted.skipped;
    if unfiltered.is_some() {
        stats.rows_tested = 0;
    }
    Ok((groups, stats))
}

fn check_input(query: &BoundQuery, input: Input<'_>, run: &Run) -> Result<(), EvalError> {
    let Input { schema, batches } = input;
    if !Arc::ptr_eq(schema, query.schema()) && schema != query.schema() {
        return Err(EvalError::SchemaMismatch);
    }
    batches.iter().try_for_each(|batch| check_types(query, batch))?;
    run.check()
}

/// The answer of a query without a group and with its cursor's condition in its filter.
fn answer(query: &BoundQuery, sifted: &Sifted, run: &Run) -> Result<Evaluated, EvalError> {
    let window = rows::Window::of(query);
    let chosen = query.chosen_schema();
    let batches = sifted.batches.len() as u64 + sifted.skipped;
    let mut stats = EvalStats { batches, batches_skipped: sifted.skipped, ..EvalStats::default() };
    let (batches, end) = if window.is_empty() {
        (Vec::new(), None)
    } else if query.order().is_empty() {
        rows::in_table_order(query, &chosen, sifted, window, run, &mut stats)?
    } else {
        sort::ordered(query, &chosen, sifted, window, run, &mut stats)?
    };
    let schema = query.output_schema();
    let batches = output::made(query, batches, &schema, run)?;
    Ok(Evaluated { schema, batches, end, stats })
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
