//! Which rows fulfil a condition.
//!
//! A condition is true, false or unknown for a row (SQL's three-valued logic), and a row is kept if it is true. A bound
//! condition has no negation above its predicates, and without one, unknown and false can be told apart no longer: `and` and
//! `or` of conditions are true in the same rows if unknown is taken for false. So a mask is plain bits. Here is one test of one
//! column; [`among`] puts them together.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, Scalar};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::comparison::{ilike, like, nilike, nlike};
use arrow::compute::{cast, is_not_null, is_null, take};
use arrow::datatypes::DataType;
use regex::Regex;

use super::compare::compare;
use super::{EvalError, among, membership};
use crate::query::{BoundExpr, Predicate, PredicateOp};

/// The rows of a batch in which the condition is true; never null. Its columns are those of the schema that the condition
/// was bound to.
///
/// # Errors
/// The batch is of another schema, or a kernel fails.
pub fn filter_mask(expr: &BoundExpr, batch: &RecordBatch) -> Result<BooleanArray, EvalError> {
    bits(expr, batch).map(|bits| BooleanArray::new(bits, None))
}

pub(super) fn bits(expr: &BoundExpr, batch: &RecordBatch) -> Result<BooleanBuffer, EvalError> {
    among::bits(expr, batch, None)
}

/// The bits that are true and not null.
pub(super) fn true_bits(array: BooleanArray) -> BooleanBuffer {
    let (values, nulls) = array.into_parts();
    match nulls {
        Some(nulls) if nulls.null_count() > 0 => &values & nulls.inner(),
        _ => values,
    }
}

/// The rows of a column in which a test is true.
pub(super) fn test(predicate: &Predicate, column: &ArrayRef) -> Result<BooleanBuffer, EvalError> {
    use PredicateOp::*;
    match predicate.op {
        IsNull => return Ok(true_bits(is_null(column)?)),
        IsNotNull => return Ok(true_bits(is_not_null(column)?)),
        // An empty list is the one comparison that null does not make unknown.
        In if predicate.values.is_empty() => return Ok(BooleanBuffer::new_unset(column.len())),
        NotIn if predicate.values.is_empty() => return Ok(BooleanBuffer::new_set(column.len())),
        IsTrue => return Ok(true_bits(booleans(column)?)),
        IsNotTrue => return Ok(!&true_bits(booleans(column)?)),
        IsFalse => return Ok(false_bits(&booleans(column)?)),
        IsNotFalse => return Ok(!&false_bits(&booleans(column)?)),
        _ => {}
    }
    // Each distinct value of a dictionary is tested once, if that is less work.
    if let Some(dictionary) = column.as_any_dictionary_opt() {
        let (keys, values) = (dictionary.keys(), dictionary.values());
        if values.len() > keys.len() {
            return tested(predicate, &take(values, keys, None)?);
        }
        let outcomes = BooleanArray::new(tested(predicate, values)?, None);
        return Ok(true_bits(take(&outcomes, keys, None)?.as_boolean().clone()));
    }
    tested(predicate, column)
}

fn tested(predicate: &Predicate, column: &ArrayRef) -> Result<BooleanBuffer, EvalError> {
    use PredicateOp::*;
    let (op, values) = (predicate.op, &predicate.values);
    if matches!(op, In | NotIn) {
        let found = membership::within(column, values)?;
        return Ok(match (op, column.logical_nulls()) {
            (In, _) => found,
            (_, None) => !&found,
            (_, Some(nulls)) => &!&found & nulls.inner(),
        });
    }
    if matches!(op, Match | NotMatch | IMatch | NotIMatch) {
        let regex = predicate.regex.as_ref().ok_or(EvalError::SchemaMismatch)?;
        let found = matched(column, regex)?;
        return Ok(match (op, column.logical_nulls()) {
            (Match | IMatch, None) => found,
            (Match | IMatch, Some(nulls)) => &found & nulls.inner(),
            (_, None) => !&found,
            (_, Some(nulls)) => &!&found & nulls.inner(),
        });
    }
    let value = Scalar::new(values);
    let result = match op {
        Like => like(column, &value),
        NotLike => nlike(column, &value),
        ILike => ilike(column, &value),
        NotILike => nilike(column, &value),
        _ => return compare(op, column, values),
    };
    Ok(true_bits(result?))
}

/// The texts in which the regular expression matches somewhere; what stands for a null means nothing.
fn matched(column: &ArrayRef, regex: &Regex) -> Result<BooleanBuffer, EvalError> {
    let rows = column.len();
    if let Some(texts) = column.as_string_view_opt() {
        return Ok(BooleanBuffer::collect_bool(rows, |at| texts.is_valid(at) && regex.is_match(texts.value(at))));
    }
    if let Some(texts) = column.as_string_opt::<i32>() {
        return Ok(BooleanBuffer::collect_bool(rows, |at| texts.is_valid(at) && regex.is_match(texts.value(at))));
    }
    let texts = column.as_string_opt::<i64>().ok_or(EvalError::SchemaMismatch)?;
    Ok(BooleanBuffer::collect_bool(rows, |at| texts.is_valid(at) && regex.is_match(texts.value(at))))
}

fn booleans(column: &ArrayRef) -> Result<BooleanArray, EvalError> {
    match column.as_boolean_opt() {
        Some(booleans) => Ok(booleans.clone()),
        None => Ok(cast(column, &DataType::Boolean)?.as_boolean().clone()),
    }
}

fn false_bits(array: &BooleanArray) -> BooleanBuffer {
    let falses = !array.values();
    match array.nulls() {
        Some(nulls) => &falses & nulls.inner(),
        None => falses,
    }
}
