//! Zone maps: what is known of every batch of a table without looking at its rows.
//!
//! Of each column that a filter has asked about, the least and the greatest value and the number of nulls of every batch are
//! kept ([`edges`]). A condition is then first put to those ([`verdict`]): batches that cannot hold a row that fulfils it are
//! skipped, and those whose rows all must fulfil it are not tested. (The idea is from Moerkotte, "Small Materialized
//! Aggregates", VLDB 1998; the name is Netezza's.)
//!
//! A column's zones are made at the first filter on it. They belong to the very arrays that they were made from, and say
//! nothing about others.

mod edges;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};

use super::{EvalError, Run};
use crate::query::BoundQuery;
use edges::Edges;
use verdict::Verdict;

/// Longer texts are not kept: their batches count as unknown.
const TEXT_BYTES: usize = 64;

/// What is known of the batches of one table. Kept with it, and filled as it is asked.
#[derive(Debug)]
pub struct Zones {
    columns: Box<[OnceLock<Edges>]>,
}

impl Zones {
    /// Nothing is known yet of a table of this schema.
    pub fn new(schema: &Schema) -> Self {
        Self { columns: schema.fields().iter().map(|_| OnceLock::new()).collect() }
    }

    /// The most bytes that the zones of a table of so many batches come to hold.
    pub fn max_bytes(schema: &Schema, batches: usize) -> u64 {
        if batches < 2 {
            return 0;
        }
        let column = |data_type: &DataType| {
            let value = data_type.primitive_width().unwrap_or(TEXT_BYTES + 16);
            // Two values, the number of nulls, the array that it is about, and some bits.
            2 * value + size_of::<usize>() + size_of::<ArrayRef>() + 1
        };
        let batch: usize = schema.fields().iter().map(|field| column(field.data_type())).sum();
        (batches * batch + schema.fields().len() * size_of::<OnceLock<Edges>>()) as u64
    }

    /// What is known of a column of these batches; `None` if they are not those that the zones are about.
    fn column(&self, column: usize, batches: &[RecordBatch], run: &Run) -> Result<Option<&Edges>, EvalError> {
        let Some(cell) = self.columns.get(column) else { return Ok(None) };
        if cell.get().is_none() {
            // No lock is held meanwhile: this thread may take up another query's work as it waits for its own. Whoever is
            // second has worked in vain.
            let _ = cell.set(Edges::of(column, batches, run)?);
        }
        Ok(cell.get().filter(|edges| edges.are_of(column, batches)))
    }
}

/// The batches in which the rows of an answer may be.
#[derive(Debug)]
pub(super) struct Sifted {
    /// Those that may hold rows that fulfil the condition.
    pub(super) batches: Vec<RecordBatch>,
    /// Whether all rows of the batch fulfil it.
    pub(super) is_whole: Vec<bool>,
    /// How many were left out.
    pub(super) skipped: u64,
}

impl Sifted {
    /// Of tables of one batch nothing is asked: a look at the zones costs about as much as a look at the rows.
    pub(super) fn new(
        query: &BoundQuery,
        batches: &[RecordBatch],
        zones: Option<&Zones>,
        run: &Run,
    ) -> Result<Self, EvalError> {
        let (Some(zones), Some(filter)) = (zones.filter(|_| batches.len() > 1), query.filter()) else {
            return Ok(Self {
                batches: batches.to_vec(),
                is_whole: vec![query.filter().is_none(); batches.len()],
                skipped: 0,
            });
        };
        let Verdict { can, must } = verdict::of(filter, zones, batches, run)?;
        let kept: Vec<usize> = can.set_indices().collect();
        Ok(Self {
            batches: kept.iter().map(|at| batches[*at].clone()).collect(),
            is_whole: kept.iter().map(|at| must.value(*at)).collect(),
            skipped: (batches.len() - kept.len()) as u64,
        })
    }

    /// Whether no row is left to test.
    pub(super) fn all_whole(&self) -> bool {
        self.is_whole.iter().all(|whole| *whole)
    }
}
