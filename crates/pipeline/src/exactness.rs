//! Which filters a source applies exactly, learned from what it said of them.
//!
//! A limit may be sent only where every filter is applied exactly, and a source says whether it does so in its answer to the
//! scan. So the first scan with filters of a shape goes without a limit, and later ones have it, if the answer was good.

use std::collections::HashSet;

use parking_lot::Mutex;
use plugin_sdk::{Applied, Filter, FilterOp};

/// Shapes that are remembered of a dataset; then all are forgotten, and learned anew.
const MAX_SHAPES: usize = 1_024;

/// What of a list of filters decides how well they are applied: columns and operators.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FilterShape(Vec<(usize, FilterOp)>);

impl FilterShape {
    pub(crate) fn of(filters: &[Filter]) -> Self {
        Self(filters.iter().map(|filter| (filter.column, filter.op)).collect())
    }
}

/// The shapes that were applied exactly when they were last seen.
#[derive(Debug, Default)]
pub(crate) struct Exactness(Mutex<HashSet<FilterShape>>);

impl Exactness {
    /// Whether filters of this shape are all applied exactly, as far as is known.
    pub(crate) fn is_exact(&self, shape: &FilterShape) -> bool {
        shape.0.is_empty() || self.0.lock().contains(shape)
    }

    /// The source has said this of them.
    pub(crate) fn learn(&self, shape: &FilterShape, applied: &[Applied]) {
        let mut exact = self.0.lock();
        if applied.len() == shape.0.len() && applied.iter().all(|applied| *applied == Applied::Exact) {
            if exact.len() >= MAX_SHAPES {
                exact.clear();
            }
            exact.insert(shape.clone());
        } else {
            exact.remove(shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    #[test]
    fn a_shape_is_exact_once_the_source_said_so_and_until_it_says_otherwise() {
        let filter = |column, op| Filter { column, op, values: Arc::new(Int64Array::from(vec![1])) };
        let shape = FilterShape::of(&[filter(0, FilterOp::Eq), filter(2, FilterOp::Lt)]);
        let exactness = Exactness::default();
        assert!(exactness.is_exact(&FilterShape::of(&[])) && !exactness.is_exact(&shape));
        exactness.learn(&shape, &[Applied::Exact, Applied::Exact]);
        assert!(exactness.is_exact(&shape));
        assert!(!exactness.is_exact(&FilterShape::of(&[filter(0, FilterOp::Eq)])));
        exactness.learn(&shape, &[Applied::Exact, Applied::Inexact]);
        assert!(!exactness.is_exact(&shape));
        exactness.learn(&shape, &[Applied::Exact]);
        assert!(!exactness.is_exact(&shape));
    }
}
