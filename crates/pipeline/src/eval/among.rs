//! Conditions tested where they still matter: first those that decide most rows for least work, and each of the others only
//! on rows that are still open. How many a condition decides is tried on a few rows of the batch.
//!
//! Of a conjunction, rows that one condition leaves out need no other; of a disjunction, rows that one lets in do not. When
//! few rows are left, their values are picked out of the column, tested, and the outcome is put back in its places; when many
//! are, it is cheaper to test the whole column, and how many are few depends on what the test costs.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, MutableBuffer};
use arrow::compute::filter;
use arrow::datatypes::DataType;
use arrow::util::bit_util;

use super::EvalError;
use super::mask::test;
use crate::query::{BoundExpr, Predicate, PredicateOp};

/// The rows among `among` (all, if `None`) in which the condition is true.
pub(super) fn bits(
    expr: &BoundExpr,
    batch: &RecordBatch,
    among: Option<&BooleanBuffer>,
) -> Result<BooleanBuffer, EvalError> {
    match expr {
        BoundExpr::Test(predicate) => {
            let column = batch.columns().get(predicate.column).ok_or(EvalError::SchemaMismatch)?;
            tested(predicate, column, among)
        }
        BoundExpr::And(items) => {
            let mut left = among.cloned();
            for item in in_order(items, batch, Decides::Failing) {
                if left.as_ref().is_some_and(|left| !left.has_true()) {
                    break;
                }
                left = Some(bits(item, batch, left.as_ref())?);
            }
            Ok(left.unwrap_or_else(|| BooleanBuffer::new_set(batch.num_rows())))
        }
        BoundExpr::Or(items) => {
            let mut found: Option<BooleanBuffer> = None;
            let mut open = among.cloned();
            for item in in_order(items, batch, Decides::Holding) {
                if open.as_ref().is_some_and(|open| !open.has_true()) {
                    break;
                }
                let now = bits(item, batch, open.as_ref())?;
                let undecided = match &open {
                    Some(open) => open & &!&now,
                    None => !&now,
                };
                open = Some(undecided);
                found = Some(found.map_or_else(|| now.clone(), |found| &found | &now));
            }
            Ok(found.unwrap_or_else(|| BooleanBuffer::new_unset(batch.num_rows())))
        }
    }
}

/// When a condition decides a row, so that no other needs to be tested on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decides {
    /// When it is not true: in a conjunction.
    Failing,
    /// When it is true: in a disjunction.
    Holding,
}

/// Rows that conditions are tried on, and the size of a batch from which that pays.
const SAMPLE: usize = 256;
const WORTH_A_SAMPLE: usize = 32 * SAMPLE;

/// The conditions by cost for each row decided, the least first (Hellerstein, "Predicate Migration", SIGMOD '93: the rank
/// of a predicate); equal ones stay as they were asked.
fn in_order<'a>(items: &'a [BoundExpr], batch: &RecordBatch, decides: Decides) -> Vec<&'a BoundExpr> {
    let rows = batch.num_rows();
    let sample = (rows >= WORTH_A_SAMPLE && items.len() > 1).then(|| batch.slice((rows - SAMPLE) / 2, SAMPLE));
    let mut sorted: Vec<&BoundExpr> = items.iter().collect();
    sorted.sort_by_cached_key(|item| {
        let cost = u64::from(cost(item, batch));
        let decided = sample.as_ref().map_or(1, |sample| decided(item, sample, decides));
        // In whole numbers; one more, so that conditions that cost next to nothing are told apart, too.
        (cost + 1) * SAMPLE as u64 / decided
    });
    sorted
}

/// How many of the sample's rows a condition decides; at least one.
fn decided(item: &BoundExpr, sample: &RecordBatch, decides: Decides) -> u64 {
    // What cannot be tested here is an error of the batch's own test.
    let Ok(holding) = bits(item, sample, None) else { return 1 };
    let holding = holding.count_set_bits();
    let decided = match decides {
        Decides::Failing => sample.num_rows() - holding,
        Decides::Holding => holding,
    };
    decided.max(1) as u64
}

fn cost(expr: &BoundExpr, batch: &RecordBatch) -> u32 {
    match expr {
        BoundExpr::Test(predicate) => {
            batch.columns().get(predicate.column).map_or(0, |column| cost_of_test(predicate, column))
        }
        BoundExpr::And(items) | BoundExpr::Or(items) => items.iter().map(|item| cost(item, batch)).sum(),
    }
}

/// What a test of one row costs, about, in quarters of a nanosecond.
fn cost_of_test(predicate: &Predicate, column: &ArrayRef) -> u32 {
    use PredicateOp::*;
    let values = u32::try_from(predicate.values.len()).unwrap_or(u32::MAX);
    let is_text = |data_type: &DataType| {
        use DataType::*;
        matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
    };
    let value = match column.data_type() {
        // Each value is tested once; a row costs the look at its outcome.
        DataType::Dictionary(..) => return 4,
        data_type if is_text(data_type) => 12,
        DataType::Decimal128(..) | DataType::Decimal256(..) => 4,
        data_type => u32::try_from(data_type.primitive_width().unwrap_or(1).div_ceil(4)).unwrap_or(1),
    };
    match predicate.op {
        IsNull | IsNotNull | IsTrue | IsNotTrue | IsFalse | IsNotFalse => 0,
        Eq | NotEq | Gt | GtEq | Lt | LtEq => value,
        In | NotIn => value.saturating_mul(values.clamp(1, 16)),
        Like | NotLike => 60,
        ILike | NotILike => 160,
        Match | NotMatch | IMatch | NotIMatch => 200,
    }
}

/// Whether so few of the rows are left that their values are worth picking out.
fn are_few(left: usize, rows: usize, cost: u32) -> bool {
    // Picking a value out and putting its outcome back takes about four nanoseconds.
    const PICKING: usize = 16;
    let cost = cost as usize;
    left.saturating_mul(PICKING + cost) < rows.saturating_mul(cost)
}

fn tested(predicate: &Predicate, column: &ArrayRef, among: Option<&BooleanBuffer>) -> Result<BooleanBuffer, EvalError> {
    let Some(among) = among else { return test(predicate, column) };
    let (left, rows) = (among.count_set_bits(), column.len());
    if left == 0 {
        return Ok(BooleanBuffer::new_unset(rows));
    }
    if left == rows || !are_few(left, rows, cost_of_test(predicate, column)) {
        return Ok(&test(predicate, column)? & among);
    }
    let picked = filter(column, &BooleanArray::new(among.clone(), None))?;
    Ok(put_back(&test(predicate, &picked)?, among))
}

/// The bits of the rows in `among`, in their places.
pub(super) fn put_back(picked: &BooleanBuffer, among: &BooleanBuffer) -> BooleanBuffer {
    let mut bits = MutableBuffer::from_len_zeroed(among.len().div_ceil(8));
    for (at, place) in among.set_indices().enumerate() {
        if picked.value(at) {
            bit_util::set_bit(bits.as_slice_mut(), place);
        }
    }
    BooleanBuffer::new(bits.into(), 0, among.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;
    use crate::query::parse;

    /// 4,096 rows: `n` counts them, `few` is 1 in every 64th, `s` is the text of `n`, null in every third.
    fn batch() -> RecordBatch {
        let rows = 4_096i64;
        let texts = (0..rows).map(|n| (n.rem_euclid(3) != 0).then(|| n.to_string()));
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..rows))),
            ("few", Arc::new(Int64Array::from_iter_values((0..rows).map(|n| i64::from(n.rem_euclid(64) == 0))))),
            ("s", Arc::new(StringArray::from_iter(texts))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[track_caller]
    fn check(params: &str, holds: impl Fn(usize) -> bool) {
        let batch = batch();
        let query = parse(params, &batch.schema(), &Default::default()).unwrap();
        let filter = query.filter().unwrap();
        for slice in [batch.clone(), batch.slice(1_001, 3_000)] {
            let first = if slice.num_rows() == batch.num_rows() { 0 } else { 1_001 };
            let found: Vec<usize> = bits(filter, &slice, None).unwrap().set_indices().map(|at| at + first).collect();
            let expected: Vec<usize> = (first..first + slice.num_rows()).filter(|row| holds(*row)).collect();
            assert_eq!(found, expected, "{params}");
        }
    }

    #[test]
    fn conditions_on_few_rows_are_those_on_all() {
        let text = |row: usize| (!row.is_multiple_of(3)).then(|| row.to_string());
        check("few=eq.1&s=like.*2*", |row| row % 64 == 0 && text(row).is_some_and(|s| s.contains('2')));
        check("few=eq.1&s=not.like.*2*", |row| row % 64 == 0 && text(row).is_some_and(|s| !s.contains('2')));
        check("few=eq.1&s=match.^1.*4$", |row| {
            row % 64 == 0 && text(row).is_some_and(|s| s.starts_with('1') && s.ends_with('4'))
        });
        check("few=eq.1&s=is.null", |row| row % 64 == 0 && row % 3 == 0);
        check("n=lt.40&or=(s.eq.7,few.eq.1)", |row| row < 40 && (row == 7 || row % 64 == 0));
        check("few=eq.1&or=(s.like.*9*,n.lt.300,s.match.00)", |row| {
            row % 64 == 0 && (row < 300 || text(row).is_some_and(|s| s.contains('9') || s.contains("00")))
        });
        check("few=eq.2&s=match.1", |_| false);
    }

    #[test]
    fn cheap_conditions_come_first() {
        let batch = batch();
        let query = parse("s=match.1&s=like.*1*&n=gt.3&s=eq.1&s=not.is.null", &batch.schema(), &Default::default());
        let query = query.unwrap();
        let Some(BoundExpr::And(items)) = query.filter() else { panic!("a conjunction") };
        let ordered = in_order(items, &batch, Decides::Failing);
        let costs: Vec<u32> = ordered.into_iter().map(|item| cost(item, &batch)).collect();
        assert_eq!(costs.len(), 5);
        assert!(costs.is_sorted() && costs[0] < costs[4], "{costs:?}");
    }

    /// The first letters of what is tested first, of a batch large enough to be sampled.
    #[track_caller]
    fn check_first(params: &str, decides: Decides, expected: &str) {
        let rows = (2 * WORTH_A_SAMPLE) as i64;
        let column = |of: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(|n| n % of))) };
        let batch = RecordBatch::try_from_iter([("a", column(2)), ("b", column(100))]).unwrap();
        let query = parse(params, &batch.schema(), &Default::default()).unwrap();
        let (BoundExpr::And(items) | BoundExpr::Or(items)) = query.filter().unwrap() else { panic!("several") };
        let BoundExpr::Test(first) = in_order(items, &batch, decides)[0] else { panic!("a test") };
        assert_eq!(batch.schema().field(first.column).name(), expected, "{params}");
    }

    #[test]
    fn of_equally_cheap_conditions_the_one_that_decides_most_comes_first() {
        check_first("a=eq.1&b=eq.1", Decides::Failing, "b");
        check_first("b=eq.1&a=eq.1", Decides::Failing, "b");
        check_first("or=(b.eq.1,a.eq.1)", Decides::Holding, "a");
        check_first("a=neq.7&b=lt.50", Decides::Failing, "b");
    }
}
