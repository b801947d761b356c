//! The condition that rows at or after some keys fulfil, under an order.
//!
//! For keys `a, b` it is `a after ka, or (a = ka and b at or after kb)`, and so on inwards. Nulls are where the order puts
//! them. Floats are compared by IEEE 754's total order, by which NaNs with the sign bit lie below all numbers, while an order
//! has all NaNs above them, as one value; so for floats, NaNs are asked for by the infinities that they lie beyond.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;

use super::bound::{BoundExpr, BoundOrder, Predicate, PredicateOp};
use super::float::{both_spellings, is_float, is_nan};

/// A key of an order, and the value to begin at.
pub(super) struct Key {
    /// The column, direction and placement of nulls.
    pub(super) order: BoundOrder,
    /// The type of its values, which is no dictionary.
    pub(super) data_type: DataType,
    /// The value; `None` for null.
    pub(super) value: Option<ArrayRef>,
}

/// The condition of rows at or after the keys; `None` if all rows are.
pub(super) fn from(keys: &[Key]) -> Option<BoundExpr> {
    let mut rest: Option<BoundExpr> = None;
    for (at, key) in keys.iter().enumerate().rev() {
        if at + 1 == keys.len() {
            rest = key.at_or_after();
            continue;
        }
        let mut alternatives = key.after();
        alternatives.push(match rest {
            None => key.equal(),
            Some(rest) => all([key.equal(), rest]),
        });
        rest = Some(any(alternatives));
    }
    rest
}

fn any(mut parts: Vec<BoundExpr>) -> BoundExpr {
    if parts.len() == 1 { parts.remove(0) } else { BoundExpr::Or(parts) }
}

fn all(parts: [BoundExpr; 2]) -> BoundExpr {
    let parts = parts.into_iter().flat_map(|part| match part {
        BoundExpr::And(inner) => inner,
        part => vec![part],
    });
    BoundExpr::And(parts.collect())
}

impl Key {
    fn test(&self, op: PredicateOp, values: ArrayRef) -> BoundExpr {
        BoundExpr::Test(Predicate { column: self.order.column, op, values, regex: None })
    }

    fn without_value(&self, op: PredicateOp) -> BoundExpr {
        self.test(op, new_empty_array(&self.data_type))
    }

    /// Rows that are equal to the key.
    fn equal(&self) -> BoundExpr {
        let Some(value) = &self.value else { return self.without_value(PredicateOp::IsNull) };
        if self.is_nan() {
            return any(self.nans());
        }
        match both_spellings(value) {
            Some((low, high)) => match concat(&[low.as_ref(), high.as_ref()]) {
                Ok(both) => self.test(PredicateOp::In, both),
                Err(_) => self.test(PredicateOp::Eq, value.clone()),
            },
            None => self.test(PredicateOp::Eq, value.clone()),
        }
    }

    /// Rows that come after the key: one of the parts holds; none for no rows.
    fn after(&self) -> Vec<BoundExpr> {
        let options = self.order.options;
        let Some(value) = &self.value else {
            return if options.nulls_first { vec![self.without_value(PredicateOp::IsNotNull)] } else { Vec::new() };
        };
        let mut parts = self.beyond(value, false);
        if !options.nulls_first {
            parts.push(self.without_value(PredicateOp::IsNull));
        }
        parts
    }

    /// Rows that come after the key or are equal to it; `None` for all.
    fn at_or_after(&self) -> Option<BoundExpr> {
        let options = self.order.options;
        let Some(value) = &self.value else {
            return (!options.nulls_first).then(|| self.without_value(PredicateOp::IsNull));
        };
        let mut parts = self.beyond(value, true);
        if !options.nulls_first {
            parts.push(self.without_value(PredicateOp::IsNull));
        }
        Some(any(parts))
    }

    /// Values that come after one, or are it too if `or_equal`: one of the parts holds.
    fn beyond(&self, value: &ArrayRef, or_equal: bool) -> Vec<BoundExpr> {
        let descending = self.order.options.descending;
        let op = match (descending, or_equal) {
            (false, false) => PredicateOp::Gt,
            (false, true) => PredicateOp::GtEq,
            (true, false) => PredicateOp::Lt,
            (true, true) => PredicateOp::LtEq,
        };
        if !is_float(&self.data_type) {
            return vec![self.test(op, value.clone())];
        }
        if self.is_nan() {
            return match (descending, or_equal) {
                (false, false) => Vec::new(),
                (false, true) => self.nans(),
                (true, false) => vec![all([
                    self.test(PredicateOp::GtEq, self.infinity(f64::NEG_INFINITY)),
                    self.test(PredicateOp::LtEq, self.infinity(f64::INFINITY)),
                ])],
                (true, true) => vec![self.without_value(PredicateOp::IsNotNull)],
            };
        }
        let (low, high) = both_spellings(value).unwrap_or_else(|| (value.clone(), value.clone()));
        // A zero is on the side that makes 0 and -0 one number.
        let edge = if matches!(op, PredicateOp::GtEq | PredicateOp::Lt) { low } else { high };
        let [above, below] =
            [PredicateOp::GtEq, PredicateOp::Lt].map(|op| self.test(op, self.infinity(f64::NEG_INFINITY)));
        if descending { vec![all([self.test(op, edge), above])] } else { vec![self.test(op, edge), below] }
    }

    fn is_nan(&self) -> bool {
        self.value.as_ref().is_some_and(is_nan)
    }

    /// Values that are NaN: one of the parts holds.
    fn nans(&self) -> Vec<BoundExpr> {
        vec![
            self.test(PredicateOp::Gt, self.infinity(f64::INFINITY)),
            self.test(PredicateOp::Lt, self.infinity(f64::NEG_INFINITY)),
        ]
    }

    fn infinity(&self, infinity: f64) -> ArrayRef {
        let wide = Float64Array::from(vec![infinity]);
        // Every float type holds the infinities.
        cast(&wide, &self.data_type).unwrap_or_else(|_| Arc::new(wide))
    }
}
