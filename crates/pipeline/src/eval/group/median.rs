//! Medians: all values of each group, of which the middle one is found at the end.

use arrow::array::{Float64Array, PrimitiveArray};
use arrow::datatypes::Float64Type;

use super::sum::add;
use crate::eval::{EvalError, Run};

/// Values between two looks at whether to go on.
const CHECK_VALUES: usize = 1 << 16;

/// Takes the values of rows.
pub(super) fn push_values(
    kept: &mut [Vec<f64>],
    numbers: &[u32],
    values: &PrimitiveArray<Float64Type>,
) -> Result<(), EvalError> {
    add(kept, numbers, values, |kept, value| {
        kept.push(value);
        Ok(())
    })
}

/// The median of each group.
pub(super) fn median_column(kept: &mut [Vec<f64>], run: &Run) -> Result<Float64Array, EvalError> {
    let mut medians = Vec::with_capacity(kept.len());
    let mut unchecked = 0;
    for values in kept {
        unchecked += values.len() + 1;
        if unchecked >= CHECK_VALUES {
            run.check()?;
            unchecked = 0;
        }
        medians.push(median(values));
    }
    Ok(medians.into())
}

/// The middle value, or the mean of the two in the middle. NaN is greater than all numbers.
fn median(values: &mut [f64]) -> Option<f64> {
    let order = |left: &f64, right: &f64| left.is_nan().cmp(&right.is_nan()).then_with(|| left.total_cmp(right));
    let (middle, is_odd) = (values.len() / 2, !values.len().is_multiple_of(2));
    if values.is_empty() {
        return None;
    }
    let (before, high, _) = values.select_nth_unstable_by(middle, order);
    let high = *high;
    if is_odd {
        return Some(high);
    }
    let low = before.iter().copied().max_by(order)?;
    // Halved first, so that the sum of two large ones is not infinite.
    Some(if low == high { low } else { low / 2.0 + high / 2.0 })
}
