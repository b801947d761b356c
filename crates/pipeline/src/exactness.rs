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

/// What a source does with filters of the shapes that were last seen.
#[derive(Debug, Default)]
pub(crate) struct Exactness(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// All filters are applied exactly.
    exact: HashSet<FilterShape>,
    /// Some filter is applied, if not exactly.
    some: HashSet<FilterShape>,
}

impl Exactness {
    /// Whether filters of this shape are all applied exactly, as far as is known.
    pub(crate) fn is_exact(&self, shape: &FilterShape) -> bool {
        shape.0.is_empty() || self.0.lock().exact.contains(shape)
    }

    /// Whether the source leaves out rows for filters of this shape.
    pub(crate) fn pushes_down(&self, shape: &FilterShape) -> bool {
        self.0.lock().some.contains(shape)
    }

    /// The source has said this of them.
    pub(crate) fn learn(&self, shape: &FilterShape, applied: &[Applied]) {
        let mut known = self.0.lock();
        if known.some.len() >= MAX_SHAPES {
            *known = Known::default();
        }
        let Known { exact, some } = &mut *known;
        let all_exact = applied.len() == shape.0.len() && applied.iter().all(|applied| *applied == Applied::Exact);
        set(exact, shape, all_exact);
        set(some, shape, applied.iter().any(|applied| *applied != Applied::No));
    }
}

fn set(shapes: &mut HashSet<FilterShape>, shape: &FilterShape, belongs: bool) {
    if belongs {
        shapes.insert(shape.clone());
    } else {
        shapes.remove(shape);
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
        assert!(exactness.pushes_down(&shape));
        exactness.learn(&shape, &[Applied::No, Applied::No]);
        assert!(!exactness.is_exact(&shape) && !exactness.pushes_down(&shape));
    }
}
