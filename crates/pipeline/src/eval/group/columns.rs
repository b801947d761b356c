//! The columns of the rows that are left of a batch, each filtered and cast once.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{FilterBuilder, FilterPredicate};
use arrow::datatypes::DataType;

use crate::eval::EvalError;
use crate::eval::cast::cast_column;
use crate::query::BoundQuery;

/// The columns of some rows of a batch.
pub(super) struct Columns<'a> {
    query: &'a BoundQuery,
    batch: &'a RecordBatch,
    filter: Option<FilterPredicate>,
    read: Vec<((usize, Option<DataType>), ArrayRef)>,
}

impl<'a> Columns<'a> {
    /// Those of the `rows` rows that `mask` has; of all rows without one.
    pub(super) fn new(query: &'a BoundQuery, batch: &'a RecordBatch, mask: Option<BooleanBuffer>, rows: usize) -> Self {
        let filter = mask.filter(|_| rows < batch.num_rows()).map(|mask| {
            // Several columns are filtered by it.
            FilterBuilder::new(&BooleanArray::new(mask, None)).optimize().build()
        });
        Self { query, batch, filter, read: Vec::new() }
    }

    /// A column, cast if it has to be.
    pub(super) fn get(&mut self, column: usize, cast: Option<&DataType>) -> Result<ArrayRef, EvalError> {
        if let Some((_, array)) = self.read.iter().find(|((read, to), _)| *read == column && to.as_ref() == cast) {
            return Ok(array.clone());
        }
        let array = match cast {
            Some(to) => {
                let plain = self.get(column, None)?;
                cast_column(&plain, to, self.query.schema().field(column).name())?
            }
            None => match &self.filter {
                Some(filter) => filter.filter(self.batch.column(column))?,
                None => self.batch.column(column).clone(),
            },
        };
        self.read.push(((column, cast.cloned()), array.clone()));
        Ok(array)
    }
}
