//! The least or the greatest value of each group.
//!
//! Numbers and times are compared as such; everything else as the bytes that [`arrow::row`] makes of it, which compare as
//! the values do. NaN is greater than all numbers, as it is in an order.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{ArrowNativeType, DataType, Float64Type, Int64Type, UInt64Type};
use arrow::row::{RowConverter, SortField};

use super::values::{of_whole, whole};
use crate::eval::EvalError;

/// Which end is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

impl Extreme {
    /// Whether `order`, of a new value to the one kept, is towards this end.
    fn is_further(self, order: Ordering) -> bool {
        match self {
            Self::Least => order.is_lt(),
            Self::Greatest => order.is_gt(),
        }
    }
}

/// The value of each group.
#[derive(Debug)]
pub(super) struct Extremes {
    end: Extreme,
    data_type: DataType,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Signed(Best<i64>),
    Unsigned(Best<u64>),
    Floats(Best<f64>),
    /// As rows' bytes.
    Rows(Option<RowConverter>, Vec<Option<Box<[u8]>>>, usize),
}

#[derive(Debug, Default)]
struct Best<T> {
    values: Vec<T>,
    known: Vec<bool>,
}

impl<T: ArrowNativeType> Best<T> {
    fn grow(&mut self, groups: usize) {
        self.values.resize(groups, T::default());
        self.known.resize(groups, false);
    }

    fn offer(&mut self, group: usize, value: T, is_better: impl Fn(&T, &T) -> bool) {
        if !self.known[group] || is_better(&value, &self.values[group]) {
            self.values[group] = value;
            self.known[group] = true;
        }
    }

    fn update<A: ArrowPrimitiveType<Native = T>>(
        &mut self,
        groups: &[u32],
        column: &PrimitiveArray<A>,
        is_better: impl Fn(&T, &T) -> bool,
    ) {
        match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                for (group, value) in groups.iter().zip(column.values()) {
                    self.offer(*group as usize, *value, &is_better);
                }
            }
            Some(nulls) => {
                for at in nulls.valid_indices() {
                    self.offer(groups[at] as usize, column.value(at), &is_better);
                }
            }
        }
    }

    fn join(&mut self, later: &Self, numbers: &[u32], is_better: impl Fn(&T, &T) -> bool) {
        for (from, value) in later.values.iter().enumerate().filter(|(from, _)| later.known[*from]) {
            self.offer(numbers[from] as usize, *value, &is_better);
        }
    }

    fn nulls(&self) -> Option<NullBuffer> {
        Some(NullBuffer::from(self.known.as_slice())).filter(|nulls| nulls.null_count() > 0)
    }
}

/// The order of floats: NaN last, the zeros equal.
fn float_order(left: &f64, right: &f64) -> Ordering {
    left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

impl Extremes {
    /// No values yet.
    pub(super) fn new(end: Extreme, data_type: DataType) -> Self {
        use DataType::*;
        let kept = match &data_type {
            Int8 | Int16 | Int32 | Int64 | Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Duration(_) => {
                Kept::Signed(Best::default())
            }
            UInt8 | UInt16 | UInt32 | UInt64 => Kept::Unsigned(Best::default()),
            Float16 | Float32 | Float64 => Kept::Floats(Best::default()),
            _ => Kept::Rows(None, Vec::new(), 0),
        };
        Self { end, data_type, kept }
    }

    /// The same for another range, with nothing known yet.
    pub(super) fn beside(&self) -> Self {
        Self::new(self.end, self.data_type.clone())
    }

    /// Makes room for groups.
    pub(super) fn grow(&mut self, groups: usize) {
        match &mut self.kept {
            Kept::Signed(best) => best.grow(groups),
            Kept::Unsigned(best) => best.grow(groups),
            Kept::Floats(best) => best.grow(groups),
            Kept::Rows(_, rows, _) => rows.resize(groups, None),
        }
    }

    /// Takes rows.
    pub(super) fn update(&mut self, groups: &[u32], column: &ArrayRef) -> Result<(), EvalError> {
        let end = self.end;
        let nulls = column.logical_nulls();
        // Of texts in a dictionary each is made bytes of once, and not for each row that has it.
        let dictionary = column.as_any_dictionary_opt().filter(|dictionary| {
            let values = dictionary.values();
            matches!(self.kept, Kept::Rows(..))
                && values.data_type() == &self.data_type
                && (1..=column.len()).contains(&values.len())
        });
        let column = match dictionary {
            Some(dictionary) => dictionary.values().clone(),
            None if column.data_type() == &self.data_type => column.clone(),
            None => cast(column, &self.data_type)?,
        };
        match &mut self.kept {
            Kept::Signed(best) => {
                let column = whole(&column)?;
                best.update::<Int64Type>(groups, column.as_primitive(), |new, old| end.is_further(new.cmp(old)));
            }
            Kept::Unsigned(best) => {
                let column = cast(&column, &DataType::UInt64)?;
                best.update::<UInt64Type>(groups, column.as_primitive(), |new, old| end.is_further(new.cmp(old)));
            }
            Kept::Floats(best) => {
                let column = cast(&column, &DataType::Float64)?;
                let is_better = |new: &f64, old: &f64| end.is_further(float_order(new, old));
                best.update::<Float64Type>(groups, column.as_primitive(), is_better);
            }
            Kept::Rows(converter, kept, bytes) => {
                let converter = match converter {
                    Some(converter) => converter,
                    none => none.insert(RowConverter::new(vec![SortField::new(self.data_type.clone())])?),
                };
                let rows = converter.convert_columns(std::slice::from_ref(&column))?;
                let codes = dictionary.map(|dictionary| dictionary.normalized_keys());
                for (at, group) in groups.iter().enumerate() {
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at)) {
                        let row = codes.as_ref().map_or(at, |codes| codes[at]);
                        offer(&mut kept[*group as usize], rows.row(row).as_ref(), end, bytes);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes over the values of later rows, whose groups are `numbers` here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32]) {
        let end = self.end;
        match (&mut self.kept, later.kept) {
            (Kept::Signed(mine), Kept::Signed(theirs)) => {
                mine.join(&theirs, numbers, |new, old| end.is_further(new.cmp(old)));
            }
            (Kept::Unsigned(mine), Kept::Unsigned(theirs)) => {
                mine.join(&theirs, numbers, |new, old| end.is_further(new.cmp(old)));
            }
            (Kept::Floats(mine), Kept::Floats(theirs)) => {
                mine.join(&theirs, numbers, |new, old| end.is_further(float_order(new, old)));
            }
            (Kept::Rows(converter, mine, bytes), Kept::Rows(later, theirs, _)) => {
                if converter.is_none() {
                    *converter = later;
                }
                for (from, row) in theirs.iter().enumerate() {
                    if let Some(row) = row {
                        offer(&mut mine[numbers[from] as usize], row, end, bytes);
                    }
                }
            }
            _ => {}
        }
    }

    /// The values as a column.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, EvalError> {
        let column: ArrayRef = match &self.kept {
            Kept::Signed(best) => Arc::new(Int64Array::new(best.values.clone().into(), best.nulls())),
            Kept::Unsigned(best) => Arc::new(UInt64Array::new(best.values.clone().into(), best.nulls())),
            Kept::Floats(best) => Arc::new(Float64Array::new(best.values.clone().into(), best.nulls())),
            Kept::Rows(None, rows, _) => arrow::array::new_null_array(&self.data_type, rows.len()),
            Kept::Rows(Some(converter), rows, _) => {
                let null = converter.convert_columns(&[arrow::array::new_null_array(&self.data_type, 1)])?;
                let null = null.row(0);
                let parser = converter.parser();
                let bytes = |row: &Option<Box<[u8]>>| row.as_deref().map_or(null.as_ref().to_vec(), <[u8]>::to_vec);
                let owned: Vec<Vec<u8>> = rows.iter().map(bytes).collect();
                converter.convert_rows(owned.iter().map(|bytes| parser.parse(bytes)))?.remove(0)
            }
        };
        Ok(of_whole(column, &self.data_type)?)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        match &self.kept {
            Kept::Signed(best) => best.values.capacity() * 9,
            Kept::Unsigned(best) => best.values.capacity() * 9,
            Kept::Floats(best) => best.values.capacity() * 9,
            Kept::Rows(_, rows, bytes) => rows.capacity() * 16 + bytes,
        }
    }
}

fn offer(kept: &mut Option<Box<[u8]>>, row: &[u8], end: Extreme, bytes: &mut usize) {
    let is_better = kept.as_deref().is_none_or(|old| end.is_further(row.cmp(old)));
    if is_better {
        *bytes = bytes.saturating_sub(kept.as_ref().map_or(0, |old| old.len())) + row.len();
        *kept = Some(row.into());
    }
}
