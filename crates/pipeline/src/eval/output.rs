//! The last step: the chosen columns under their names, cast where the query says so; and the forms of a query that the
//! steps before it work on.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use rayon::prelude::*;

use super::cast::cast_column;
use super::rows::{is_large, pieces};
use super::{EvalError, Run, weight};
use crate::query::{BoundCursor, BoundExpr, BoundQuery};

/// The batches of the chosen columns as the answer has them.
pub(super) fn made(
    query: &BoundQuery,
    batches: Vec<RecordBatch>,
    schema: &SchemaRef,
    run: &Run,
) -> Result<Vec<RecordBatch>, EvalError> {
    let Some(output) = query.output() else { return Ok(batches) };
    let batch = |batch: &RecordBatch| -> Result<RecordBatch, EvalError> {
        run.check()?;
        let columns = output.iter().zip(batch.columns()).map(|(column, array)| match &column.cast {
            Some(to) => {
                let cast = cast_column(array, to, query.stage_schema().field(column.column).name())?;
                run.take(weight::array_bytes(&cast))?;
                Ok(cast)
            }
            None => Ok(array.clone()),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = columns.collect::<Result<Vec<_>, EvalError>>()?;
        Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
    };
    let casts = output.iter().any(|column| column.cast.is_some());
    if casts && is_large(&batches) {
        return pieces(&batches).par_iter().map(batch).collect();
    }
    batches.iter().map(batch).collect()
}

impl BoundQuery {
    /// The chosen columns as they are: before they are renamed and cast.
    pub(super) fn chosen_schema(&self) -> SchemaRef {
        let Some(output) = self.output() else { return self.stage_schema().clone() };
        let fields = self.stage_schema().fields();
        let chosen: Vec<_> = output.iter().map(|column| fields[column.column].clone()).collect();
        Arc::new(Schema::new(chosen))
    }

    /// The query on the groups.
    pub(super) fn second_stage(&self) -> Self {
        Self {
            schema: self.stage_schema().clone(),
            filter: self.having.clone(),
            group: None,
            having: None,
            ..self.clone()
        }
    }

    /// The same query with the condition that its cursor stands for as a part of the filter. Of a grouped query that is a
    /// condition on groups, so it stays what it is.
    pub(super) fn with_cursor_in_filter(&self) -> Self {
        let mut query = self.clone();
        let Some(cursor) = query.cursor.take() else { return query };
        query.filter = match (query.filter.take(), cursor.from) {
            (Some(filter), Some(from)) => {
                // One level, so that a source can be asked for each condition.
                let parts = [filter, from].into_iter().flat_map(|part| match part {
                    BoundExpr::And(parts) => parts,
                    part => vec![part],
                });
                Some(BoundExpr::And(parts.collect()))
            }
            (filter, from) => filter.or(from),
        };
        query.cursor = Some(BoundCursor { from: None, ..cursor });
        query
    }

    /// The query on rows that fulfil its condition.
    pub(super) fn without_filter(&self) -> Self {
        Self { filter: None, ..self.clone() }
    }

    /// All rows of the query: no limit, no offset, no cursor.
    pub(super) fn whole(&self) -> Self {
        Self { limit: None, offset: 0, cursor: None, ..self.clone() }
    }
}
