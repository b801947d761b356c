//! The rows of columns that survive a condition.
//!
//! Arrow's kernel does it for any type. For columns of numbers, dates and times without nulls the loop here takes a tenth
//! to a third less: it walks the mask word by word beside the values, and knows beforehand how many rows there will be.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, downcast_primitive_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{FilterBuilder, FilterPredicate};
use arrow::error::ArrowError;
use pulp::Arch;

use super::compare::WORD;

/// From so many columns on, Arrow's kernel is given a list of the rows' positions, which costs more than to walk the mask for
/// a few.
const WIDE: usize = 8;

/// A mask of the rows to keep.
pub(super) struct Survivors {
    rows: usize,
    /// The mask in words of [`WORD`] rows; none where it keeps so many rows that runs of them are copied.
    words: Option<Vec<u64>>,
    filter: FilterPredicate,
}

impl Survivors {
    /// Of a mask that keeps so many rows, for so many columns.
    pub(super) fn new(mask: BooleanBuffer, rows: usize, columns: usize) -> Self {
        // Arrow copies runs from there on.
        let words = (rows * 5 <= mask.len() * 4).then(|| mask.bit_chunks().iter_padded().collect());
        let filter = FilterBuilder::new(&BooleanArray::new(mask, None));
        let filter = if columns >= WIDE { filter.optimize() } else { filter };
        Self { rows, words, filter: filter.build() }
    }

    /// The kept rows of a column, which has as many rows as the mask.
    pub(super) fn of(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match &self.words {
            Some(words) if column.null_count() == 0 => downcast_primitive_array! {
                column => Ok(Arc::new(kept(column, words, self.rows))),
                _ => self.filter.filter(column)
            },
            _ => self.filter.filter(column),
        }
    }
}

fn kept<T: ArrowPrimitiveType>(column: &PrimitiveArray<T>, words: &[u64], rows: usize) -> PrimitiveArray<T> {
    let mut kept = Vec::with_capacity(rows);
    let (whole, rest) = column.values().as_chunks::<WORD>();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (values, word) in whole.iter().zip(words) {
                // As an array, so that no position needs to be checked.
                positions(*word).for_each(|at| kept.push(values[at]));
            }
        },
    );
    let last = words.get(whole.len()).copied().unwrap_or_default();
    kept.extend(positions(last).map(|at| rest[at]));
    PrimitiveArray::new(kept.into(), None).with_data_type(column.data_type().clone())
}

/// The positions of the bits that are set.
#[inline(always)]
fn positions(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = word.trailing_zeros() as usize;
        // Without its lowest bit.
        word &= word.wrapping_sub(1);
        (at < WORD).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Decimal128Array, Int64Array, StringViewArray, TimestampMillisecondArray};
    use arrow::compute::filter;
    use proptest::prelude::*;

    use super::*;

    fn columns(rows: usize) -> [ArrayRef; 6] {
        let rows = rows as i64;
        let times = TimestampMillisecondArray::from_iter_values(0..rows).with_timezone("Europe/Zurich");
        let decimals = Decimal128Array::from_iter_values((0..rows).map(i128::from)).with_precision_and_scale(9, 2);
        [
            Arc::new(Int64Array::from_iter_values(0..rows)),
            Arc::new(Int64Array::from_iter((0..rows).map(|n| (n % 3 != 1).then_some(n)))),
            Arc::new(Date32Array::from_iter_values((0..rows).map(|n| n as i32))),
            Arc::new(times),
            Arc::new(decimals.unwrap()),
            Arc::new(StringViewArray::from_iter_values((0..rows).map(|n| format!("a text with number {n}")))),
        ]
    }

    proptest! {
        #[test]
        fn the_same_rows_are_kept_as_by_arrow(
            (bits, start) in prop::collection::vec(any::<u8>(), 0..300).prop_flat_map(|bits| {
                let length = bits.len();
                (Just(bits), 0..=length)
            }),
            of_256 in 0..=256_u16,
        ) {
            let mask: BooleanBuffer = bits.iter().map(|bit| u16::from(*bit) < of_256).collect();
            // Neither the mask nor the columns begin at the start of their buffers.
            let length = bits.len() - start;
            let mask = mask.slice(start, length);
            let kept = Survivors::new(mask.clone(), mask.count_set_bits(), bits.len() % (2 * WIDE));
            for column in columns(bits.len()) {
                let column = column.slice(start, length);
                let expected = filter(&column, &BooleanArray::new(mask.clone(), None)).unwrap();
                prop_assert_eq!(&kept.of(&column).unwrap(), &expected);
            }
        }
    }
}
