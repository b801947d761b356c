//! A dataset, or the result of a query, in memory.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use plugin_sdk::{Fingerprint, SourceError};

use crate::answer::Next;
use crate::eval::{self, EvalError, Evaluated, Run};
use crate::query::BoundQuery;
use crate::stored::Stored;

/// Rows that a stored batch aims at: enough for the kernels to run at full speed, few enough that
/// two cores share a table of a million rows evenly.
const BATCH_ROWS: usize = 64 * 1024;

/// Record batches of one schema. Immutable once built.
#[derive(Debug)]
pub struct Table {
    /// The dataset's schema, or that of the result.
    pub schema: SchemaRef,
    /// The schema of every batch: the same, but for columns whose texts are [numbered](crate::stored).
    pub stored: SchemaRef,
    /// The rows, in the order of the source.
    pub batches: Vec<RecordBatch>,
    /// How many rows.
    pub rows: u64,
    /// How many bytes the batches hold.
    pub bytes: u64,
    /// The source's change token from before the scan.
    pub fingerprint: Fingerprint,
    /// What is known of the values of each batch; made when a filter first asks.
    pub zones: eval::Zones,
    /// Where the next page of a result begins; `None` for a whole dataset and for a last page.
    pub next: Option<Next>,
    /// Number of the load that made the table, given when it began; grows within one process, never 0.
    pub version: u64,
}

impl Table {
    /// The table of a dataset of this schema, as it is cached, of the batches that a source gives.
    ///
    /// # Errors
    /// A batch is of another schema.
    pub fn new(schema: &SchemaRef, batches: impl IntoIterator<Item = RecordBatch>) -> Result<Self, SourceError> {
        let mut builder = TableBuilder::new(schema.clone());
        batches.into_iter().try_for_each(|batch| builder.push(batch))?;
        builder.finish(Fingerprint::UNKNOWN, 1)
    }

    /// Answers a query that is bound to the table's schema. The answer's columns may have numbered texts.
    ///
    /// # Errors
    /// As [`eval::evaluate`].
    pub fn evaluate(&self, query: &BoundQuery, run: &Run) -> Result<Evaluated, EvalError> {
        eval::evaluate_zoned(&self.asked(query)?, self.input(&self.batches), Some(&self.zones), run)
    }

    /// How many rows the answer to such a query has without limit, offset and cursor.
    ///
    /// # Errors
    /// As [`eval::evaluate`].
    pub fn count(&self, query: &BoundQuery, run: &Run) -> Result<u64, EvalError> {
        eval::count_zoned(&self.asked(query)?, self.input(&self.batches), Some(&self.zones), run)
    }

    /// The same among some of its batches.
    ///
    /// # Errors
    /// As [`eval::evaluate`].
    pub fn count_among(&self, batches: &[RecordBatch], query: &BoundQuery, run: &Run) -> Result<u64, EvalError> {
        eval::count(&self.asked(query)?, self.input(batches), run)
    }

    /// The query as it is asked of the stored rows.
    fn asked(&self, query: &BoundQuery) -> Result<BoundQuery, EvalError> {
        if !Arc::ptr_eq(query.schema(), &self.schema) && *query.schema() != self.schema {
            return Err(EvalError::SchemaMismatch);
        }
        Ok(query.on_stored(&self.stored))
    }

    fn input<'a>(&'a self, batches: &'a [RecordBatch]) -> eval::Input<'a> {
        eval::Input { schema: &self.stored, batches }
    }

    /// All that is freed when it is dropped.
    pub fn weight(&self) -> u64 {
        let zones = eval::Zones::max_bytes(&self.stored, self.batches.len());
        self.bytes + zones + (size_of::<Self>() + size_of_val(&*self.batches)) as u64
    }
}

/// Collects the batches of a scan into batches of an even size.
///
/// Small batches are merged; what is large already is kept without a copy. Columns of batches that
/// came over the wire may share one buffer, which is counted once.
pub(crate) struct TableBuilder {
    schema: SchemaRef,
    coalescer: Option<BatchCoalescer>,
    done: Vec<RecordBatch>,
    done_bytes: u64,
    pending_bytes: u64,
    rows: u64,
}

impl TableBuilder {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let coalescer = (!schema.fields().is_empty()).then(|| {
            BatchCoalescer::new(schema.clone(), BATCH_ROWS).with_biggest_coalesce_batch_size(Some(BATCH_ROWS / 2))
        });
        Self { schema, coalescer, done: Vec::new(), done_bytes: 0, pending_bytes: 0, rows: 0 }
    }

    /// Bytes held so far, within the size of one batch.
    pub(crate) fn bytes(&self) -> u64 {
        self.done_bytes + self.pending_bytes
    }

    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), SourceError> {
        // The plugin's field metadata and nullability are the declared ones from here on.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &options)?;
        let batch = eval::with_one_nan(batch)?;
        self.rows += batch.num_rows() as u64;
        let Some(coalescer) = &mut self.coalescer else {
            self.done.push(batch);
            return Ok(());
        };
        self.pending_bytes += eval::batch_bytes(&batch) as u64;
        coalescer.push_batch(batch)?;
        self.collect();
        Ok(())
    }

    fn collect(&mut self) {
        let Some(coalescer) = &mut self.coalescer else { return };
        while let Some(batch) = coalescer.next_completed_batch() {
            let bytes = eval::batch_bytes(&batch) as u64;
            self.done_bytes += bytes;
            self.pending_bytes = self.pending_bytes.saturating_sub(bytes);
            self.done.push(batch);
        }
    }

    pub(crate) fn finish(mut self, fingerprint: Fingerprint, version: u64) -> Result<Table, SourceError> {
        if let Some(coalescer) = &mut self.coalescer {
            coalescer.finish_buffered_batch()?;
        }
        self.collect();
        let stored = Stored::new(&self.schema, self.done)?;
        Ok(Table {
            zones: eval::Zones::new(&stored.schema),
            schema: self.schema,
            stored: stored.schema,
            batches: stored.batches,
            rows: self.rows,
            bytes: stored.bytes,
            fingerprint,
            next: None,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn small_batches_become_large_ones_and_no_row_is_lost() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let mut builder = TableBuilder::new(schema.clone());
        for start in (0..200_000).step_by(1_000) {
            let column = Arc::new(Int64Array::from_iter_values(start..start + 1_000));
            builder.push(RecordBatch::try_new(schema.clone(), vec![column]).unwrap()).unwrap();
        }
        let table = builder.finish(Fingerprint::UNKNOWN, 1).unwrap();
        assert_eq!((table.rows, table.bytes), (200_000, 1_600_000));
        assert_eq!(
            table.batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(),
            [65_536, 65_536, 65_536, 3_392]
        );
    }
}
