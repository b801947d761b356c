//! Columns whose rows point to values: dictionaries, and runs of equal values.
//!
//! Where there are fewer values than rows each value is spelled once, and rows copy it.

use std::marker::PhantomData;

use arrow::array::{Array, AsArray, RunArray, types};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, DataType, RunEndIndexType};
use arrow::error::ArrowError;

use super::cells::{Cells, boxed, cells, no_spelling};
use super::dialect::Dialect;
use super::window::{self, WINDOW};

/// The cells of a dictionary. `nulls` are those of the keys and of the values that they point to.
pub(super) fn encoded<'a, D: Dialect>(
    array: &'a dyn Array,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    let values = array.as_any_dictionary().values().as_ref();
    let rows = array.len();
    macro_rules! keyed {
        ($t:ty) => {
            pointed::<D, _>(Keys(array.as_dictionary::<$t>().keys().values()), rows, values, nulls)
        };
    }
    let DataType::Dictionary(keys, _) = array.data_type() else { return Err(no_spelling(array.data_type())) };
    match keys.as_ref() {
        DataType::Int8 => keyed!(types::Int8Type),
        DataType::Int16 => keyed!(types::Int16Type),
        DataType::Int32 => keyed!(types::Int32Type),
        DataType::Int64 => keyed!(types::Int64Type),
        DataType::UInt8 => keyed!(types::UInt8Type),
        DataType::UInt16 => keyed!(types::UInt16Type),
        DataType::UInt32 => keyed!(types::UInt32Type),
        DataType::UInt64 => keyed!(types::UInt64Type),
        other => Err(no_spelling(other)),
    }
}

/// The cells of runs.
pub(super) fn runs<'a, D: Dialect, R: RunEndIndexType>(
    array: &'a RunArray<R>,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    pointed::<D, _>(Runs(array), array.len(), array.values().as_ref(), nulls)
}

/// Which value a row points to.
trait Pointers {
    fn value_of(&self, row: usize) -> usize;
}

struct Keys<'a, K>(&'a [K]);

impl<K: ArrowNativeType> Pointers for Keys<'_, K> {
    #[inline]
    fn value_of(&self, row: usize) -> usize {
        self.0[row].as_usize()
    }
}

struct Runs<'a, R: RunEndIndexType>(&'a RunArray<R>);

impl<R: RunEndIndexType> Pointers for Runs<'_, R> {
    fn value_of(&self, row: usize) -> usize {
        self.0.get_physical_index(row)
    }
}

/// Bytes of values that are worth spelling before they are come by.
const SPELLED_BYTES: usize = 64 * 1024;

fn pointed<'a, D: Dialect, P: Pointers + 'a>(
    pointers: P,
    rows: usize,
    values: &'a dyn Array,
    nulls: Option<NullBuffer>,
) -> Result<Box<dyn Cells + 'a>, ArrowError> {
    let mut cells = cells::<D>(values)?;
    let is_small = || values.to_data().get_slice_memory_size().is_ok_and(|bytes| bytes <= SPELLED_BYTES);
    if values.len() >= rows / 4 || !is_small() {
        return Ok(boxed::<D, _>(Pointed { pointers, cells, dialect: PhantomData::<D> }, nulls));
    }
    let mut spelled = Vec::new();
    let mut ends = Vec::with_capacity(values.len() + 1);
    ends.push(0);
    for value in 0..values.len() {
        cells.write(value, &mut spelled);
        ends.push(spelled.len());
    }
    spelled.resize(spelled.len() + WINDOW, 0);
    Ok(boxed::<D, _>(Spelled { pointers, spelled, ends }, nulls))
}

/// Values spelled as they are come by.
struct Pointed<'a, D, P> {
    pointers: P,
    cells: Box<dyn Cells + 'a>,
    dialect: PhantomData<D>,
}

impl<D: Dialect, P: Pointers> Cells for Pointed<'_, D, P> {
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        self.cells.write(self.pointers.value_of(row), out);
    }
}

/// Values spelled beforehand.
struct Spelled<P> {
    pointers: P,
    spelled: Vec<u8>,
    ends: Vec<usize>,
}

impl<P: Pointers> Cells for Spelled<P> {
    #[inline]
    fn write(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.pointers.value_of(row);
        let start = self.ends[value];
        window::append(&self.spelled, start, self.ends[value + 1] - start, out);
    }
}
