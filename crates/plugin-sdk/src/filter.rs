//! Evaluation of pushed-down filters, for authors.
//!
//! A source that answers [`Applied::Exact`](crate::Applied::Exact) for a filter must leave out every
//! row that does not match and none that does, with the semantics written down at [`Filter`]. This
//! module is those semantics over Arrow's kernels, so that no author has to get nulls, NaN and lists
//! of values right again:
//!
//! 1. [`is_supported`] tells which filters can be evaluated; answer `No` for the others.
//! 2. [`mask`] gives the matching rows of columns that the caller picks.
//! 3. [`apply`] keeps the matching rows of a batch that has all columns of the dataset.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, Scalar, make_comparator};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::{boolean, cmp};
use arrow::compute::{SortOptions, filter_record_batch, sort};
use arrow::datatypes::DataType;

use crate::error::{ErrorCode, Result, SourceError};
use crate::source::{Filter, FilterOp};

/// Up to so many values of an `In` are compared one by one, which vectorises; more are searched for.
const COMPARE_EACH: usize = 4;

/// Whether [`mask`] can evaluate a filter on a column of this type.
pub fn is_supported(column: &DataType, filter: &Filter) -> bool {
    match filter.op {
        FilterOp::IsNull | FilterOp::IsNotNull => !matches!(column, DataType::Union(..)),
        FilterOp::In => is_comparable(column) && plain(column) == plain(filter.values.data_type()),
        _ => is_comparable(column) && plain(column) == plain(filter.values.data_type()) && filter.values.len() == 1,
    }
}

/// The rows of `columns` that match all `filters`, without nulls: `column_of` gives the column for an
/// index into the dataset's schema, `rows` is how many rows there are.
///
/// # Errors
/// [`InvalidRequest`](ErrorCode::InvalidRequest) for a column that `column_of` does not know and for
/// a filter that is not [supported](is_supported).
pub fn mask<'a>(
    rows: usize,
    column_of: impl Fn(usize) -> Option<&'a ArrayRef>,
    filters: &[Filter],
) -> Result<BooleanArray> {
    let mut matching: Option<BooleanArray> = None;
    for filter in filters {
        let column = column_of(filter.column)
            .ok_or_else(|| invalid(format!("a filter names column {}, which is not there", filter.column)))?;
        let one = true_only(mask_of_one(column, filter)?);
        matching = Some(match matching {
            None => one,
            Some(all) => boolean::and(&all, &one)?,
        });
    }
    Ok(matching.unwrap_or_else(|| BooleanArray::new(BooleanBuffer::new_set(rows), None)))
}

/// The rows of `batch`, whose columns are those of the dataset's schema, that match all `filters`.
///
/// # Errors
/// As [`mask`].
pub fn apply(batch: &RecordBatch, filters: &[Filter]) -> Result<RecordBatch> {
    if filters.is_empty() {
        return Ok(batch.clone());
    }
    let matching = mask(batch.num_rows(), |column| batch.columns().get(column), filters)?;
    Ok(filter_record_batch(batch, &matching)?)
}

fn mask_of_one(column: &ArrayRef, filter: &Filter) -> Result<BooleanArray> {
    if !is_supported(column.data_type(), filter) {
        return Err(invalid(format!(
            "cannot compare a column of type {} with {} values of type {}",
            column.data_type(),
            filter.values.len(),
            filter.values.data_type()
        )));
    }
    let compare = match filter.op {
        FilterOp::IsNull => return Ok(boolean::is_null(column)?),
        FilterOp::IsNotNull => return Ok(boolean::is_not_null(column)?),
        FilterOp::In => return mask_of_in(column, &filter.values),
        FilterOp::Eq => cmp::eq,
        FilterOp::NotEq => cmp::neq,
        FilterOp::Lt => cmp::lt,
        FilterOp::LtEq => cmp::lt_eq,
        FilterOp::Gt => cmp::gt,
        FilterOp::GtEq => cmp::gt_eq,
    };
    Ok(compare(column, &Scalar::new(filter.values.slice(0, 1)))?)
}

/// Membership: a few values one by one, many by binary search in the sorted values.
fn mask_of_in(column: &ArrayRef, values: &ArrayRef) -> Result<BooleanArray> {
    if values.len() <= COMPARE_EACH {
        let mut found = BooleanArray::new(BooleanBuffer::new_unset(column.len()), None);
        for i in 0..values.len() {
            let equal = cmp::eq(column, &Scalar::new(values.slice(i, 1)))?;
            found = boolean::or(&found, &true_only(equal))?;
        }
        return Ok(found);
    }
    // The comparator wants one type on both sides: dictionaries are unpacked.
    let plain_type = plain(column.data_type());
    let column = arrow::compute::cast(column, plain_type)?;
    let values = sort(&arrow::compute::cast(values, plain_type)?, None)?;
    let order = make_comparator(&values, &column, SortOptions::default())?;
    let contains = |row: usize| {
        let (mut low, mut high) = (0, values.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match order(middle, row) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return true,
            }
        }
        false
    };
    let nulls = column.logical_nulls();
    let is_valid = |row| nulls.as_ref().is_none_or(|n| n.is_valid(row));
    Ok(BooleanArray::new(BooleanBuffer::collect_bool(column.len(), |row| is_valid(row) && contains(row)), None))
}

/// The mask with false for null.
fn true_only(mask: BooleanArray) -> BooleanArray {
    match mask.into_parts() {
        (values, None) => BooleanArray::new(values, None),
        (values, Some(valid)) => BooleanArray::new(&values & valid.inner(), None),
    }
}

/// The type of the values behind a dictionary.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_comparable(data_type: &DataType) -> bool {
    let plain = plain(data_type);
    let is_wrapped = matches!(plain, DataType::Dictionary(..) | DataType::RunEndEncoded(..));
    !(plain.is_nested() || is_wrapped || matches!(plain, DataType::Null))
}

fn invalid(message: String) -> SourceError {
    SourceError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray, NullArray,
        StringArray, StringViewArray,
    };
    use arrow::datatypes::{Field, Int32Type, Int64Type, Schema};

    use super::FilterOp::*;
    use super::*;

    fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(values))
    }

    fn strings(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }

    #[track_caller]
    fn check(column: ArrayRef, op: FilterOp, values: ArrayRef, expected: &[usize]) {
        let filter = Filter { column: 0, op, values };
        assert!(is_supported(column.data_type(), &filter));
        let mask = mask(column.len(), |_| Some(&column), &[filter]).unwrap();
        let rows: Vec<usize> = (0..mask.len()).filter(|&i| mask.is_valid(i) && mask.value(i)).collect();
        assert_eq!(rows, expected);
        assert_eq!(mask.null_count(), 0);
    }

    #[test]
    fn a_comparison_with_null_is_not_true() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(5)]));
        check(column.clone(), Eq, ints([3]), &[2]);
        check(column.clone(), NotEq, ints([3]), &[0, 3]);
        check(column.clone(), Lt, ints([3]), &[0]);
        check(column.clone(), LtEq, ints([3]), &[0, 2]);
        check(column.clone(), Gt, ints([3]), &[3]);
        check(column.clone(), GtEq, ints([3]), &[2, 3]);
        check(column.clone(), In, ints([]), &[]);
        check(column.clone(), In, ints([5, 1]), &[0, 3]);
        check(column.clone(), In, ints((3..500).rev()), &[2, 3]);
        check(column.clone(), IsNull, Arc::new(NullArray::new(0)), &[1]);
        check(column, IsNotNull, Arc::new(NullArray::new(0)), &[0, 2, 3]);
    }

    #[test]
    fn floats_compare_in_total_order() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, f64::INFINITY, -0.0]));
        let one = |v: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![v])) };
        check(column.clone(), Eq, one(f64::NAN), &[1]);
        check(column.clone(), Gt, one(1.0), &[1, 2]);
        check(column.clone(), Eq, one(0.0), &[]);
        let many: ArrayRef = Arc::new(Float64Array::from(vec![9.0, f64::NAN, 8.0, 7.0, 1.0, 0.0]));
        check(column, In, many, &[0, 1]);
    }

    #[test]
    fn strings_binaries_dates_and_decimals_compare() {
        let words: &[&str] = &["a", "c", "e", "g", "i", "k"];
        check(strings(&["a", "b", "c"]), GtEq, strings(&["b"]), &[1, 2]);
        check(strings(&["a", "b", "c"]), In, strings(words), &[0, 2]);
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(["a", "a long enough string"]));
        let value: ArrayRef = Arc::new(StringViewArray::from_iter_values(["a long enough string"]));
        check(views, Eq, value, &[1]);
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"x", b"y"]));
        check(bytes.clone(), NotEq, bytes.slice(0, 1), &[1]);
        let days: ArrayRef = Arc::new(Date32Array::from(vec![1, 2, 3]));
        check(days.clone(), Gt, days.slice(1, 1), &[2]);
        let money: ArrayRef = Arc::new(Decimal128Array::from(vec![100, 250]).with_precision_and_scale(10, 2).unwrap());
        check(money.clone(), LtEq, money.slice(0, 1), &[0]);
    }

    #[test]
    fn a_dictionary_compares_by_its_values() {
        let column: ArrayRef =
            Arc::new([Some("x"), None, Some("y"), Some("x")].into_iter().collect::<DictionaryArray<Int32Type>>());
        check(column.clone(), Eq, strings(&["x"]), &[0, 3]);
        check(column.clone(), In, strings(&["p", "q", "r", "s", "y"]), &[2]);
        check(column.clone(), IsNull, Arc::new(NullArray::new(0)), &[1]);
        let same_type: ArrayRef = Arc::new(["y"].into_iter().collect::<DictionaryArray<Int32Type>>());
        check(column, Eq, same_type, &[2]);
    }

    #[test]
    fn what_cannot_be_compared_is_not_supported() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        let eq = |values: ArrayRef| Filter { column: 0, op: Eq, values };
        assert!(!is_supported(list.data_type(), &eq(ints([1]))));
        assert!(is_supported(list.data_type(), &Filter { column: 0, op: IsNull, values: ints([]) }));
        assert!(!is_supported(&DataType::Utf8, &eq(ints([1]))));
        assert!(!is_supported(&DataType::Int64, &eq(ints([1, 2]))));
        let column: ArrayRef = Arc::new(list);
        let error = mask(1, |_| Some(&column), &[eq(ints([1]))]).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn filters_of_a_batch_are_anded() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("s", DataType::Utf8, false)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![ints([1, 2, 3]), strings(&["a", "b", "b"])]).unwrap();
        let filters =
            [Filter { column: 0, op: Lt, values: ints([3]) }, Filter { column: 1, op: Eq, values: strings(&["b"]) }];
        assert_eq!(apply(&batch, &filters).unwrap(), batch.slice(1, 1));
        assert_eq!(apply(&batch, &[]).unwrap(), batch);
        let missing = Filter { column: 7, op: Eq, values: ints([1]) };
        assert_eq!(apply(&batch, &[missing]).unwrap_err().code, ErrorCode::InvalidRequest);
    }
}
