//! What a condition comes to in batches of which only the edges are known.
//!
//! A comparison of a whole batch is one of its edges: a batch has a value above 5 if and only if its greatest value is, and
//! has no other if its least value is. So the tests of rows ([`mask::test`]) are put to the column of edges.

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;

use super::{Edges, Zones};
use crate::eval::{EvalError, Run, mask};
use crate::query::{BoundExpr, Predicate, PredicateOp};

/// The longest list of which every value is looked for; of longer ones the first and the last say enough.
const LISTED: usize = 64;

/// One bit for each batch.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Some row may fulfil the condition.
    pub(super) can: BooleanBuffer,
    /// All rows fulfil it.
    pub(super) must: BooleanBuffer,
}

/// What a condition comes to in each batch.
pub(super) fn of(expr: &BoundExpr, zones: &Zones, batches: &[RecordBatch], run: &Run) -> Result<Verdict, EvalError> {
    let (items, start) = match expr {
        BoundExpr::Test(predicate) => {
            return match zones.column(predicate.column, batches, run)? {
                Some(edges) => test(predicate, edges, batches),
                None => Ok(Verdict::open(batches)),
            };
        }
        BoundExpr::And(items) => (items, BooleanBuffer::new_set(batches.len())),
        BoundExpr::Or(items) => (items, BooleanBuffer::new_unset(batches.len())),
    };
    let is_and = matches!(expr, BoundExpr::And(_));
    let mut whole = Verdict { can: start.clone(), must: start };
    for item in items {
        let Verdict { can, must } = of(item, zones, batches, run)?;
        whole = if is_and {
            Verdict { can: &whole.can & &can, must: &whole.must & &must }
        } else {
            Verdict { can: &whole.can | &can, must: &whole.must | &must }
        };
    }
    Ok(whole)
}

impl Verdict {
    /// Nothing is known but which batches have no rows.
    fn open(batches: &[RecordBatch]) -> Self {
        Self {
            can: BooleanBuffer::collect_bool(batches.len(), |at| batches[at].num_rows() > 0),
            must: BooleanBuffer::new_unset(batches.len()),
        }
    }

    /// What the opposite comes to, where nothing is neither true nor false.
    fn opposite(self) -> Self {
        Self { can: !&self.must, must: !&self.can }
    }
}

fn test(predicate: &Predicate, edges: &Edges, batches: &[RecordBatch]) -> Result<Verdict, EvalError> {
    use PredicateOp::*;
    let rows = |at: usize| batches[at].num_rows();
    let each = |holds: &dyn Fn(usize) -> bool| BooleanBuffer::collect_bool(batches.len(), holds);
    let no_nulls = each(&|at| edges.nulls[at] == 0);
    let all_null = each(&|at| edges.nulls[at] == rows(at));
    match predicate.op {
        IsNotNull => return Ok(Verdict { can: !&all_null, must: no_nulls }),
        IsNull => return Ok(Verdict { can: !&no_nulls, must: all_null }),
        In if predicate.values.is_empty() => return Ok(constant(batches, false)),
        NotIn if predicate.values.is_empty() => return Ok(constant(batches, true)),
        IsNotTrue => return Ok(test(&with(predicate, IsTrue), edges, batches)?.opposite()),
        IsNotFalse => return Ok(test(&with(predicate, IsFalse), edges, batches)?.opposite()),
        _ => {}
    }
    let Verdict { can, must } = of_values(predicate, edges)?;
    // A null fulfils none of the other conditions.
    Ok(Verdict { can: &(&can | &!&edges.known) & &!&all_null, must: &(&must & &edges.known) & &no_nulls })
}

fn constant(batches: &[RecordBatch], truth: bool) -> Verdict {
    let bits = if truth { BooleanBuffer::new_set(batches.len()) } else { BooleanBuffer::new_unset(batches.len()) };
    Verdict { can: bits.clone(), must: bits }
}

fn with(predicate: &Predicate, op: PredicateOp) -> Predicate {
    Predicate { op, ..predicate.clone() }
}

/// What a condition comes to among values between the edges.
fn of_values(predicate: &Predicate, edges: &Edges) -> Result<Verdict, EvalError> {
    use PredicateOp::*;
    let (min, max) = (&edges.min, &edges.max);
    let on = |op: PredicateOp, edge| mask::test(&with(predicate, op), edge);
    Ok(match predicate.op {
        Gt | GtEq | IsTrue => Verdict { can: on(predicate.op, max)?, must: on(predicate.op, min)? },
        Lt | LtEq | IsFalse => Verdict { can: on(predicate.op, min)?, must: on(predicate.op, max)? },
        Eq => Verdict { can: &on(LtEq, min)? & &on(GtEq, max)?, must: &on(Eq, min)? & &on(Eq, max)? },
        NotEq => Verdict { can: !&(&on(Eq, min)? & &on(Eq, max)?), must: &on(Gt, min)? | &on(Lt, max)? },
        In => listed(predicate, edges)?,
        NotIn => listed(&with(predicate, In), edges)?.opposite(),
        _ => Verdict { can: BooleanBuffer::new_set(min.len()), must: BooleanBuffer::new_unset(min.len()) },
    })
}

/// Whether values between the edges are in a list, which is sorted and not empty.
fn listed(predicate: &Predicate, edges: &Edges) -> Result<Verdict, EvalError> {
    let (min, max, values) = (&edges.min, &edges.max, &predicate.values);
    let compare = |op, at, edge| {
        let values = values.slice(at, 1);
        mask::test(&Predicate { op, values, ..predicate.clone() }, edge)
    };
    let between = |first, last| -> Result<BooleanBuffer, EvalError> {
        Ok(&compare(PredicateOp::LtEq, last, min)? & &compare(PredicateOp::GtEq, first, max)?)
    };
    let mut can = between(0, values.len() - 1)?;
    if values.len() <= LISTED {
        let mut some = BooleanBuffer::new_unset(min.len());
        for at in 0..values.len() {
            some = &some | &between(at, at)?;
        }
        can = &can & &some;
    }
    let one_value = mask::true_bits(cmp::eq(min, max)?);
    Ok(Verdict { can, must: &one_value & &mask::test(predicate, min)? })
}
