//! How many rows a whole answer has, of which a client reads a page.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use cache_core::Origin;

use crate::answer::{CallOptions, Counting, Prepared};
use crate::data_pipeline::{DataPipeline, stoppable};
use crate::error::Error;
use crate::eval::{EvalError, Run};
use crate::query::{Aggregate, BoundAggregate, BoundGroup, BoundQuery};
use crate::table::Table;

/// Up to so many rows an estimate is exact: counting them takes milliseconds.
const EXACT_ROWS: u64 = 1_000_000;
/// Batches that an estimate looks at.
const SAMPLED_BATCHES: usize = 8;

impl DataPipeline {
    /// How many rows the answer to a query would have without limit, offset and cursor; `None` where an estimate would
    /// need the source. The origin is that of the data in which they were counted.
    ///
    /// # Errors
    /// As [`answer`](Self::answer).
    pub async fn count(
        &self,
        prepared: &Prepared,
        query: &BoundQuery,
        how: Counting,
        call: &CallOptions,
    ) -> Result<Option<(u64, Origin)>, Error> {
        let started = Instant::now();
        let counted = self.counted(prepared, query, how, call).await;
        self.tell_if_slow("count", &prepared.dataset, query, call, started.elapsed(), None);
        counted
    }

    async fn counted(
        &self,
        prepared: &Prepared,
        query: &BoundQuery,
        how: Counting,
        call: &CallOptions,
    ) -> Result<Option<(u64, Origin)>, Error> {
        if let Some((loaded, _)) = &prepared.table {
            let (table, query, run) = (Arc::clone(loaded.value()), query.clone(), self.run(self.query_deadline()));
            let counted = stoppable(&run, table.bytes, {
                let run = run.clone();
                move || match how {
                    Counting::Exact => table.count(&query, &run),
                    Counting::Estimated => estimated(&query, &table, &run),
                }
            });
            return Ok(Some((counted.await?, loaded.origin())));
        }
        match how {
            Counting::Estimated => Ok(None),
            Counting::Exact => {
                let answer = self.answer_by_query(prepared, &query.counting(), call).await?;
                let rows = if query.group().is_some() { answer.rows } else { value_of(&answer.batches) };
                Ok(Some((rows, answer.origin)))
            }
        }
    }
}

impl BoundQuery {
    /// The same query without its limit, if that is no bound for a table of so many rows: no further row has to be looked
    /// for then.
    pub(crate) fn without_idle_limit(mut self, rows: u64) -> Self {
        if self.limit.is_some_and(|limit| limit >= rows.max(1)) {
            self.limit = None;
        }
        self
    }

    /// The query whose answer tells how many rows this one has in all: one number for rows, and for groups the groups.
    pub(crate) fn counting(&self) -> Self {
        let whole = Self { output: None, order: Vec::new(), limit: None, offset: 0, cursor: None, ..self.clone() };
        if let Some(group) = &whole.group {
            if whole.having.is_some() || group.keys().is_empty() {
                return whole;
            }
            let keys_alone = BoundGroup::new(group.keys().to_vec(), Vec::new(), &whole.schema);
            return Self { group: Some(keys_alone), ..whole };
        }
        let rows = BoundAggregate {
            function: Aggregate::Count,
            column: None,
            cast: None,
            name: Arc::from("count"),
            data_type: DataType::Int64,
        };
        let group = BoundGroup::new(Vec::new(), vec![rows], &whole.schema);
        Self { group: Some(group), ..whole }
    }
}

/// The number that the answer to a counting query holds.
pub(crate) fn value_of(batches: &[RecordBatch]) -> u64 {
    let column = batches.first().and_then(|batch| batch.columns().first());
    let count = column.and_then(|column| column.as_primitive_opt::<Int64Type>()).map(|counts| counts.values());
    count.and_then(|counts| counts.first()).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0)
}

/// About how many rows of a table fulfil the query's condition: exact for small tables and for groups, else from some of
/// its batches, evenly spread.
pub(crate) fn estimated(query: &BoundQuery, table: &Table, run: &Run) -> Result<u64, EvalError> {
    let batches = &table.batches;
    if table.rows <= EXACT_ROWS
        || batches.len() <= SAMPLED_BATCHES
        || query.group().is_some()
        || query.filter().is_none()
    {
        return table.count(query, run);
    }
    let sample: Vec<RecordBatch> =
        (0..SAMPLED_BATCHES).map(|at| batches[at * batches.len() / SAMPLED_BATCHES].clone()).collect();
    let looked_at: u64 = sample.iter().map(|batch| batch.num_rows() as u64).sum();
    let found = table.count_among(&sample, query, run)?;
    Ok((u128::from(found) * u128::from(table.rows) / u128::from(looked_at.max(1))) as u64)
}
