//! Which row groups of a Parquet file may hold rows that match, by the statistics of their columns.
//!
//! A group is left out only if its statistics prove that no row matches. Where they are missing, or
//! cannot be trusted to bound the values, it is kept. The bounds of floats leave out NaN, which compares
//! greater than all numbers here, and do not tell the zeros apart: floats are not looked at.

use arrow::array::{Array, ArrayRef, BooleanArray, Scalar, UInt64Array};
use arrow::compute::kernels::cmp;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use plugin_sdk::{Filter, FilterOp};

/// An `In` of more values is not compared with the statistics.
const MAX_VALUES: usize = 256;

/// The numbers of the row groups to read; `None` for all.
pub(super) fn row_groups(metadata: &ArrowReaderMetadata, filters: &[Filter]) -> Option<Vec<usize>> {
    let mut keep = vec![true; metadata.metadata().num_row_groups()];
    for filter in filters {
        // What cannot be told from statistics keeps every group.
        if let Some(may_match) = may_match(metadata, filter) {
            for (keep, may_match) in keep.iter_mut().zip(may_match) {
                *keep &= may_match;
            }
        }
    }
    if keep.iter().all(|keep| *keep) {
        return None;
    }
    Some(keep.iter().enumerate().filter_map(|(i, keep)| keep.then_some(i)).collect())
}

fn may_match(metadata: &ArrowReaderMetadata, filter: &Filter) -> Option<Vec<bool>> {
    let field = metadata.schema().fields().get(filter.column)?;
    if field.data_type().is_nested() {
        return None;
    }
    let groups = metadata.metadata().row_groups();
    let converter = StatisticsConverter::try_new(field.name(), metadata.schema(), metadata.parquet_schema())
        .ok()?
        .with_missing_null_counts_as_zero(false);
    let nulls = || converter.row_group_null_counts(groups).ok();
    if let FilterOp::IsNull | FilterOp::IsNotNull = filter.op {
        let rows: Vec<u64> = groups.iter().map(|group| group.num_rows().try_into().unwrap_or(u64::MAX)).collect();
        return Some(by_null_count(&nulls()?, &rows, filter.op));
    }
    // Old writers ordered texts and unsigned numbers by their bytes as signed ones, and said so.
    let column = converter.parquet_column_index()?;
    let is_old =
        groups.iter().any(|group| group.column(column).statistics().is_some_and(|known| known.is_min_max_deprecated()));
    if is_old || field.data_type().is_floating() || filter.values.len() > MAX_VALUES {
        return None;
    }
    let bounds = Bounds { min: converter.row_group_mins(groups).ok()?, max: converter.row_group_maxes(groups).ok()? };
    bounds.may_match(filter).ok()
}

fn by_null_count(nulls: &UInt64Array, rows: &[u64], op: FilterOp) -> Vec<bool> {
    nulls
        .iter()
        .zip(rows)
        .map(|(nulls, rows)| match nulls {
            None => true,
            Some(nulls) if op == FilterOp::IsNull => nulls > 0,
            Some(nulls) => nulls < *rows,
        })
        .collect()
}

/// The least and the greatest value of a column in each row group, null where unknown.
struct Bounds {
    min: ArrayRef,
    max: ArrayRef,
}

impl Bounds {
    fn may_match(&self, filter: &Filter) -> Result<Vec<bool>, ArrowError> {
        let value = |i: usize| Scalar::new(filter.values.slice(i, 1));
        match filter.op {
            FilterOp::Lt => Ok(or_unknown(&cmp::lt(&self.min, &value(0))?)),
            FilterOp::LtEq => Ok(or_unknown(&cmp::lt_eq(&self.min, &value(0))?)),
            FilterOp::Gt => Ok(or_unknown(&cmp::gt(&self.max, &value(0))?)),
            FilterOp::GtEq => Ok(or_unknown(&cmp::gt_eq(&self.max, &value(0))?)),
            FilterOp::Eq | FilterOp::In => {
                let mut any = vec![false; self.min.len()];
                for i in 0..filter.values.len() {
                    let above = or_unknown(&cmp::lt_eq(&self.min, &value(i))?);
                    let below = or_unknown(&cmp::gt_eq(&self.max, &value(i))?);
                    any.iter_mut().zip(above.into_iter().zip(below)).for_each(|(any, (a, b))| *any |= a && b);
                }
                Ok(any)
            }
            FilterOp::NotEq | FilterOp::IsNull | FilterOp::IsNotNull => Ok(vec![true; self.min.len()]),
        }
    }
}

/// True where it is true or unknown.
fn or_unknown(answers: &BooleanArray) -> Vec<bool> {
    answers.iter().map(|answer| answer.unwrap_or(true)).collect()
}
