//! Keys of 64 bits that order as the values of a column do, and the rows with the least of them.
//!
//! Under a limit of `count` rows a row can only be in the answer if fewer than `count` rows come before it. So once that many
//! keys have been found, anywhere in the table, the greatest of them is a [`Bound`]: rows beyond it need no key, and no test
//! of the condition either. After a few pieces a comparison with the bound is all that most rows cost.
//!
//! A tie with the bound is no reason to leave a row out, unless the rows that it ties with come before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, MutableBuffer, ScalarBuffer};
use arrow::compute::SortOptions;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::bit_util;

use super::rows::Piece;
use super::{EvalError, EvalStats, Run};
use crate::query::{BoundOrder, BoundQuery};

/// A row: its piece, and its place there.
pub(super) type Position = (u32, u32);

/// Rows whose values are looked at together.
const STRIDE: usize = 1024;

/// The rows with a key of one piece, and those with null, in any order.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    pub(super) keyed: Vec<(u64, Position)>,
    pub(super) nulls: Vec<Position>,
    /// Rows that the condition was tested on.
    pub(super) tested: u64,
    /// Rows among those that are looked for.
    pub(super) matched: u64,
}

/// Evaluates `$body` with the column as an array of numbers, the key of a number, and the number of a key.
macro_rules! with_keys {
    ($column:expr, |$array:ident, $key:ident, $value:ident| $body:expr) => {{
        macro_rules! of {
            ($numbers:expr, $to_key:expr, $to_value:expr) => {{
                let ($array, $key, $value) = ($numbers, $to_key, $to_value);
                $body
            }};
            ($type:ty; $to_key:expr, $to_value:expr) => {
                of!($column.as_primitive::<$type>(), $to_key, $to_value)
            };
        }
        match $column.data_type() {
            DataType::Int8 => of!(Int8Type; |v: i8| signed(v.into()), |k: u64| unsigned(k) as i8),
            DataType::Int16 => of!(Int16Type; |v: i16| signed(v.into()), |k: u64| unsigned(k) as i16),
            DataType::Int32 => of!(Int32Type; |v: i32| signed(v.into()), |k: u64| unsigned(k) as i32),
            DataType::Int64 => of!(Int64Type; signed, unsigned),
            DataType::UInt8 => of!(UInt8Type; |v: u8| u64::from(v), |k: u64| k as u8),
            DataType::UInt16 => of!(UInt16Type; |v: u16| u64::from(v), |k: u64| k as u16),
            DataType::UInt32 => of!(UInt32Type; |v: u32| u64::from(v), |k: u64| k as u32),
            DataType::UInt64 => of!(UInt64Type; |v: u64| v, |k: u64| k),
            // A single is a double, too.
            DataType::Float32 => of!(Float32Type; |v: f32| double(v.into()), |k: u64| undouble(k) as f32),
            DataType::Float64 => of!(Float64Type; double, undouble),
            DataType::Date32 => of!(Date32Type; |v: i32| signed(v.into()), |k: u64| unsigned(k) as i32),
            DataType::Date64 => of!(Date64Type; signed, unsigned),
            DataType::Decimal32(..) => of!(Decimal32Type; |v: i32| signed(v.into()), |k: u64| unsigned(k) as i32),
            DataType::Decimal64(..) => of!(Decimal64Type; signed, unsigned),
            // Times of day, timestamps and durations are whole numbers of 32 or 64 bits.
            other if other.primitive_width() == Some(4) => {
                of!(&plain::<Int32Type>($column), |v: i32| signed(v.into()), |k: u64| unsigned(k) as i32)
            }
            _ => of!(&plain::<Int64Type>($column), signed, unsigned),
        }
    }};
}

/// A key that so many rows as are wanted do not exceed.
#[derive(Debug)]
pub(super) struct Bound(AtomicU64);

impl Bound {
    /// A bound that is known.
    pub(super) fn at(key: u64) -> Self {
        Self(AtomicU64::new(key))
    }

    /// Every key is within it.
    pub(super) fn open() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The rows whose key is not beyond it, and nulls if they come first. Some others may be among them.
    pub(super) fn within(&self, order: BoundOrder, column: &ArrayRef) -> BooleanBuffer {
        let SortOptions { descending, nulls_first } = order.options;
        let bound = self.get();
        let key = if descending { !bound } else { bound };
        let nulls = column.nulls().filter(|_| nulls_first).map(|nulls| nulls.inner());
        with_keys!(column, |array, _key, value| within(array.values(), value(key), descending, nulls))
    }

    fn lower(&self, key: u64) {
        self.0.fetch_min(key, Ordering::Relaxed);
    }
}

/// Whether the values of a type have keys of 64 bits.
pub(super) fn is_narrow(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 | Date32 | Date64
    ) || matches!(data_type, Timestamp(..) | Time32(_) | Time64(_) | Duration(_) | Decimal32(..) | Decimal64(..))
}

/// What is looked for in each piece: the first `count` rows by one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) query: &'a BoundQuery,
    pub(super) key: BoundOrder,
    pub(super) count: usize,
    pub(super) bound: &'a Bound,
    pub(super) run: &'a Run,
}

impl Search<'_> {
    /// The rows of a piece that fulfil the condition and may be among the first.
    pub(super) fn piece(&self, at: u32, piece: &Piece) -> Result<Narrow, EvalError> {
        self.run.check()?;
        let bound = self.bound.get();
        let column = piece.rows.column(self.key.column);
        let among = (bound < u64::MAX).then(|| self.bound.within(self.key, column));
        let mut counted = EvalStats::default();
        let mask = piece.surviving_among(self.query, among.as_ref(), &mut counted)?;
        let narrow = Narrow { tested: counted.rows_tested, ..Narrow::default() };
        let mut kept = Kept { narrow, count: self.count, bound, end: None };
        with_keys!(column, |array, key, _value| kept.take_all(at, array, mask.as_ref(), self.key, key));
        let narrow = kept.finish(self.bound);
        self.run.take(narrow.bytes())?;
        Ok(narrow)
    }
}

impl Narrow {
    /// The bytes of the keys and positions.
    pub(super) fn bytes(&self) -> usize {
        self.keyed.len() * size_of::<(u64, Position)>() + self.nulls.len() * size_of::<Position>()
    }
}

/// Rows that are not beyond the last value, and those whose bit is unset in `nulls`. What stands for a null may be among
/// them, and so is NaN: its place depends on the order, and it is looked at again.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "what cannot be compared is to be looked at again")]
fn within<V: Copy + PartialOrd>(
    values: &[V],
    last: V,
    descending: bool,
    nulls: Option<&BooleanBuffer>,
) -> BooleanBuffer {
    if descending { placed(values, |v| !(v < last), nulls) } else { placed(values, |v| !(v > last), nulls) }
}

fn placed<V: Copy>(values: &[V], is_within: impl Fn(V) -> bool, nulls: Option<&BooleanBuffer>) -> BooleanBuffer {
    let mut bits = MutableBuffer::from_len_zeroed(values.len().div_ceil(8));
    for (stride, values) in values.chunks(STRIDE).enumerate() {
        // Most strides have none; without a branch for each row that is found out several rows at a time.
        if values.iter().fold(false, |found, value| found | is_within(*value)) {
            for (at, value) in values.iter().enumerate() {
                if is_within(*value) {
                    bit_util::set_bit(bits.as_slice_mut(), stride * STRIDE + at);
                }
            }
        }
    }
    let found = BooleanBuffer::new(bits.into(), 0, values.len());
    match nulls {
        Some(valid) => &found | &!valid,
        None => found,
    }
}

/// The least keys so far. Rows come in the table's order.
struct Kept {
    narrow: Narrow,
    count: usize,
    /// Keys beyond it are not wanted.
    bound: u64,
    /// Neither are this key and those beyond it: as many as are wanted come before, in this piece.
    end: Option<u64>,
}

impl Kept {
    fn take_all<T: ArrowPrimitiveType>(
        &mut self,
        piece: u32,
        array: &PrimitiveArray<T>,
        mask: Option<&BooleanBuffer>,
        order: BoundOrder,
        key: impl Fn(T::Native) -> u64,
    ) {
        let (values, nulls) = (array.values(), array.nulls());
        let descending = order.options.descending;
        let mut take = |place: u32| {
            self.narrow.matched += 1;
            let at = place as usize;
            if nulls.is_some_and(|nulls| nulls.is_null(at)) {
                self.null((piece, place));
            } else {
                let key = key(values[at]);
                self.push(if descending { !key } else { key }, (piece, place));
            }
        };
        match mask {
            Some(mask) => mask.set_indices_u32().for_each(&mut take),
            None => (0..u32::try_from(values.len()).unwrap_or(u32::MAX)).for_each(&mut take),
        }
    }

    fn null(&mut self, position: Position) {
        if self.narrow.nulls.len() < self.count {
            self.narrow.nulls.push(position);
        }
    }

    fn push(&mut self, key: u64, position: Position) {
        if key > self.bound || self.end.is_some_and(|end| key >= end) {
            return;
        }
        self.narrow.keyed.push((key, position));
        if self.narrow.keyed.len() >= self.count.saturating_mul(2).max(STRIDE) {
            keep_least(&mut self.narrow.keyed, self.count);
            self.end = self.greatest();
        }
    }

    /// The greatest key, if there are as many as are wanted.
    fn greatest(&self) -> Option<u64> {
        let keyed = &self.narrow.keyed;
        if keyed.len() < self.count { None } else { keyed.iter().map(|(key, _)| *key).max() }
    }

    fn finish(mut self, bound: &Bound) -> Narrow {
        keep_least(&mut self.narrow.keyed, self.count);
        if let Some(greatest) = self.greatest() {
            bound.lower(greatest);
        }
        self.narrow
    }
}

/// Keeps the `count` least of the entries, in any order.
fn keep_least<T: Ord>(entries: &mut Vec<T>, count: usize) {
    if count < entries.len() {
        if count > 0 {
            entries.select_nth_unstable(count - 1);
        }
        entries.truncate(count);
    }
}

fn signed(value: i64) -> u64 {
    value.cast_unsigned() ^ 1 << 63
}

fn unsigned(key: u64) -> i64 {
    (key ^ 1 << 63).cast_signed()
}

/// The bits of a float as IEEE 754's total order has them, with one zero and one NaN.
fn double(value: f64) -> u64 {
    let bits = one_double(value).to_bits().cast_signed();
    signed(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed())
}

fn undouble(key: u64) -> f64 {
    let bits = unsigned(key);
    f64::from_bits((bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned())
}

/// The numbers of a column of times.
fn plain<T: ArrowPrimitiveType>(column: &ArrayRef) -> PrimitiveArray<T>
where
    T::Native: ArrowNativeType,
{
    let data = column.to_data();
    let values = ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len());
    PrimitiveArray::new(values, data.nulls().cloned())
}

/// The two zeros are equal in filters, and so are all NaNs: they are in an order, too. Adding zero makes -0.0 the other
/// one; a NaN loses its sign.
fn one_double(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn one_single(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

fn one_half(value: <Float16Type as ArrowPrimitiveType>::Native) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f64(one_double(value.to_f64()))
}

/// A column of keys with one zero and one NaN.
pub(super) fn with_one_spelling(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_double)),
        DataType::Float32 => Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(one_single)),
        DataType::Float16 => Arc::new(column.as_primitive::<Float16Type>().unary::<_, Float16Type>(one_half)),
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests;
