//! Whether two answers to one question are equal.

use std::sync::Arc;

use anyhow::{Context, ensure};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, sort_to_indices, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};

/// Sums of floats differ in their last digits when they are added in another order.
const TOLERANCE: f64 = 1e-9;

/// Fails at the first difference in names, rows or values. Unless `ordered`, the rows are compared by their first column, whose
/// values must differ then.
pub(super) fn check(ours: &RecordBatch, theirs: &RecordBatch, ordered: bool) -> anyhow::Result<()> {
    let names = |batch: &RecordBatch| batch.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    ensure!(names(ours) == names(theirs), "name the columns: {:?}, not {:?}", names(theirs), names(ours));
    let rows = (ours.num_rows(), theirs.num_rows());
    ensure!(rows.0 == rows.1, "count the rows: {}, not {}", rows.1, rows.0);
    ensure!(rows.0 > 0, "compare answers without a row");
    let (ours, theirs) = (columns(ours, ordered)?, columns(theirs, ordered)?);
    for (name, (ours, theirs)) in names_of(&ours).zip(ours.iter().zip(&theirs)) {
        compare(&ours.1, &theirs.1).with_context(|| format!("compare column '{name}'"))?;
    }
    Ok(())
}

type Column = (String, ArrayRef);

fn names_of(columns: &[Column]) -> impl Iterator<Item = &str> {
    columns.iter().map(|(name, _)| name.as_str())
}

/// The columns in one of three types, in the order of the rows or of the first column.
fn columns(batch: &RecordBatch, ordered: bool) -> anyhow::Result<Vec<Column>> {
    let plain = |column: &ArrayRef| {
        let data_type = match column.data_type() {
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            number if number.is_numeric() => DataType::Int64,
            _ => DataType::Utf8View,
        };
        cast(column, &data_type)
    };
    let plain = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>().context("read an answer's values")?;
    let rows = if ordered {
        UInt32Array::from_iter_values(0..batch.num_rows() as u32)
    } else {
        sort_to_indices(&plain[0], None, None).context("sort an answer")?
    };
    let sorted = plain.iter().map(|column| take(column, &rows, None)).collect::<Result<Vec<_>, _>>()?;
    Ok(batch.schema().fields().iter().map(|field| field.name().clone()).zip(sorted).collect())
}

/// No NaN is close to anything.
fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

fn compare(ours: &ArrayRef, theirs: &ArrayRef) -> anyhow::Result<()> {
    ensure!(ours.data_type() == theirs.data_type(), "read {} as {}", theirs.data_type(), ours.data_type());
    ensure!(ours.null_count() == 0 && theirs.null_count() == 0, "compare nulls, which the rows have not");
    let different = match ours.data_type() {
        DataType::Float64 => {
            let (ours, theirs) = (ours.as_primitive::<Float64Type>(), theirs.as_primitive::<Float64Type>());
            let mut pairs = ours.values().iter().zip(theirs.values());
            pairs.position(|(a, b)| !is_close(*a, *b))
        }
        DataType::Int64 => {
            let (ours, theirs) = (ours.as_primitive::<Int64Type>(), theirs.as_primitive::<Int64Type>());
            ours.values().iter().zip(theirs.values()).position(|(a, b)| a != b)
        }
        _ => ours.as_string_view().iter().zip(theirs.as_string_view()).position(|(a, b)| a != b),
    };
    let show = |column: &ArrayRef, row| arrow::util::display::array_value_to_string(&Arc::clone(column), row);
    if let Some(row) = different {
        let (ours, theirs) = (show(ours, row)?, show(theirs, row)?);
        anyhow::bail!("find equal values in row {row}: {theirs}, not {ours}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, StringViewArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[track_caller]
    fn check_agreement(theirs: Vec<(&str, ArrayRef)>, ordered: bool, expected: Option<&str>) {
        let regions: ArrayRef = Arc::new(StringViewArray::from(vec!["Asia", "Europe"]));
        let ours =
            batch(vec![("region", regions), ("n", Arc::new(Int64Array::from(vec![1, 2]))), ("x", floats(0.1, 0.3))]);
        let found = check(&ours, &batch(theirs), ordered).err().map(|error| format!("{error:#}"));
        assert_eq!(found.as_deref(), expected);
    }

    fn floats(first: f64, second: f64) -> ArrayRef {
        Arc::new(Float64Array::from(vec![first, second]))
    }

    fn reversed(n: Vec<i32>, x: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
        let regions: ArrayRef = Arc::new(StringArray::from(vec!["Europe", "Asia"]));
        vec![("region", regions), ("n", Arc::new(Int32Array::from(n))), ("x", x)]
    }

    #[test]
    fn answers_agree_in_any_order_and_type_but_not_with_other_values() {
        check_agreement(reversed(vec![2, 1], floats(0.1 + 0.2, 0.1)), false, None);
        let order = "compare column 'region': find equal values in row 0: Europe, not Asia";
        check_agreement(reversed(vec![2, 1], floats(0.3, 0.1)), true, Some(order));
        let whole = "compare column 'n': find equal values in row 1: 3, not 2";
        check_agreement(reversed(vec![3, 1], floats(0.3, 0.1)), false, Some(whole));
        let float = "compare column 'x': find equal values in row 1: 0.3001, not 0.3";
        check_agreement(reversed(vec![2, 1], floats(0.3001, 0.1)), false, Some(float));
        let mut unnamed = reversed(vec![2, 1], floats(0.3, 0.1));
        unnamed.pop();
        let names = "name the columns: [\"region\", \"n\"], not [\"region\", \"n\", \"x\"]";
        check_agreement(unnamed, false, Some(names));
    }

    #[test]
    fn a_float_that_is_not_a_number_agrees_with_no_number() {
        let float = "compare column 'x': find equal values in row 1: NaN, not 0.3";
        check_agreement(reversed(vec![2, 1], floats(f64::NAN, 0.1)), false, Some(float));
    }
}
