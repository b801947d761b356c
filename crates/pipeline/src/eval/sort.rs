//! The answer with an order: positions first, columns last.
//!
//! For each piece the rows that fulfil the condition get a key, and under a limit only the first `offset + limit` of them are
//! kept. What is kept of all pieces is sorted by key and, for equal keys, by position, which makes the order stable and the
//! same whatever the number of threads. Then the columns of the rows in the window are gathered.
//!
//! A single column of numbers or times has keys of 64 bits ([`Narrow`]); everything else has rows of bytes that compare as
//! the values do ([`arrow::row`]).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, interleave};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, Rows, SortField};
use rayon::prelude::*;

use super::compact::compacted;
use super::rows::{Window, is_large, pieces, surviving};
use super::{EvalError, EvalStats, Input, PIECE_ROWS, PageEnd, Run, weight};
use crate::query::{BoundOrder, BoundQuery};

/// A row: its piece, and its place there.
type Position = (u32, u32);

/// The answer of a query with an order, and where it ends if there are more rows.
pub(super) fn ordered(
    query: &BoundQuery,
    output: &SchemaRef,
    input: Input<'_>,
    window: Window,
    run: &Run,
    stats: &mut EvalStats,
) -> Result<(Vec<RecordBatch>, Option<PageEnd>), EvalError> {
    let large = is_large(input.batches);
    let pieces = pieces(input.batches);
    stats.batches = input.batches.len() as u64;
    stats.rows_tested = pieces.iter().map(|piece| piece.num_rows() as u64).sum();
    let work = Work { query, pieces: &pieces, count: window.wanted(), large, run };
    let positions = match query.order() {
        [key] if is_narrow(query.schema().field(key.column).data_type()) => work.narrow_order(*key)?,
        keys => work.wide_order(keys)?,
    };
    stats.rows_matched = positions.len() as u64;
    let end = match positions.get(..window.end) {
        Some(page) if positions.len() > window.end => Some(work.page_end(page)?),
        _ => None,
    };
    let wanted = positions.get(window.skip..window.end.min(positions.len())).unwrap_or_default();
    Ok((work.gather(&query.selected_columns(), wanted, output)?, end))
}

/// What is ordered, and how many of the first rows are wanted.
struct Work<'a> {
    query: &'a BoundQuery,
    pieces: &'a [RecordBatch],
    count: usize,
    large: bool,
    run: &'a Run,
}

impl Work<'_> {
    /// The keys of the last row of a page, and how many rows up to it are equal to it.
    fn page_end(&self, page: &[Position]) -> Result<PageEnd, EvalError> {
        let columns: Vec<usize> = self.query.order().iter().map(|key| key.column).collect();
        let values = |positions: &[Position]| -> Result<Vec<ArrayRef>, EvalError> {
            columns.iter().map(|column| self.picked(*column, positions)).collect()
        };
        let last = page.len() - 1;
        let keys = values(&page[last..])?;
        let fields =
            columns.iter().map(|column| SortField::new(self.query.schema().field(*column).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let rows = |columns: Vec<ArrayRef>| -> Result<Rows, EvalError> {
            Ok(converter.convert_columns(&columns.iter().map(with_one_spelling).collect::<Vec<_>>())?)
        };
        let key = rows(keys.clone())?;
        // Most ties are short, so the first look is, too.
        let (mut ties, mut looked) = (0, 8);
        while ties < page.len() {
            let start = page.len().saturating_sub(ties + looked);
            let before = rows(values(&page[start..page.len() - ties])?)?;
            let equal = (0..before.num_rows()).rev().take_while(|at| before.row(*at) == key.row(0)).count();
            ties += equal;
            if equal < before.num_rows() {
                break;
            }
            looked = (looked * 4).min(PIECE_ROWS);
        }
        Ok(PageEnd { keys, ties: ties as u64 })
    }

    fn picked(&self, column: usize, positions: &[Position]) -> Result<ArrayRef, EvalError> {
        let arrays: Vec<&dyn Array> = self.pieces.iter().map(|piece| piece.column(column).as_ref()).collect();
        let indices: Vec<(usize, usize)> =
            positions.iter().map(|(piece, place)| (*piece as usize, *place as usize)).collect();
        Ok(interleave(&arrays, &indices)?)
    }
}

/// Maps the pieces, on several threads if that is worth it; the results are in the pieces' order.
fn each_piece<T: Send>(
    pieces: &[RecordBatch],
    large: bool,
    work: impl Fn(u32, &RecordBatch) -> Result<T, EvalError> + Sync,
) -> Result<Vec<T>, EvalError> {
    let work = |(at, piece): (usize, &RecordBatch)| work(u32::try_from(at).unwrap_or(u32::MAX), piece);
    if large {
        pieces.par_iter().enumerate().map(work).collect()
    } else {
        pieces.iter().enumerate().map(work).collect()
    }
}

/// The places of the surviving rows.
fn places(mask: Option<&BooleanBuffer>, rows: usize) -> Vec<u32> {
    match mask {
        Some(mask) => mask.set_indices_u32().collect(),
        None => (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(),
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

/// The rows with a key of one piece, and those with null, each with the least first when done.
#[derive(Default)]
struct Narrow {
    keyed: Vec<(u64, Position)>,
    nulls: Vec<Position>,
}

impl Work<'_> {
    fn narrow_order(&self, key: BoundOrder) -> Result<Vec<Position>, EvalError> {
        let Self { query, pieces, count, large, run } = *self;
        let found = each_piece(pieces, large, |at, piece| {
            run.check()?;
            let mask = surviving(query, piece)?;
            let column = piece.column(key.column);
            let mut narrow = Narrow::default();
            let places = places(mask.as_ref(), piece.num_rows());
            push_keys(&mut narrow, at, column, &places, key.options.descending);
            keep_least(&mut narrow.keyed, count);
            narrow.nulls.truncate(count);
            run.take(narrow.keyed.len() * size_of::<(u64, Position)>() + narrow.nulls.len() * size_of::<Position>())?;
            Ok(narrow)
        })?;
        let mut keyed = Vec::with_capacity(found.iter().map(|narrow| narrow.keyed.len()).sum());
        let mut nulls = Vec::new();
        for narrow in found {
            keyed.extend(narrow.keyed);
            nulls.extend(narrow.nulls);
        }
        keep_least(&mut keyed, count);
        if large {
            keyed.par_sort_unstable()
        } else {
            keyed.sort_unstable()
        }
        let keyed = keyed.into_iter().map(|(_, position)| position);
        Ok(if key.options.nulls_first {
            nulls.into_iter().chain(keyed).collect()
        } else {
            keyed.chain(nulls).collect()
        })
    }
}

fn is_narrow(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(
        data_type,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 | Date32 | Date64
    ) || matches!(data_type, Timestamp(..) | Time32(_) | Time64(_) | Duration(_) | Decimal32(..) | Decimal64(..))
}

fn push_keys(narrow: &mut Narrow, piece: u32, column: &ArrayRef, places: &[u32], descending: bool) {
    fn signed(value: i64) -> u64 {
        value.cast_unsigned() ^ 1 << 63
    }
    /// The bits of a float as IEEE 754's total order has them.
    fn float(bits: i64) -> u64 {
        signed(bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed())
    }
    macro_rules! keys {
        ($type:ty, $key:expr) => {
            push_typed::<$type>(narrow, piece, column, places, descending, $key)
        };
    }
    match column.data_type() {
        DataType::Int8 => keys!(Int8Type, |v| signed(v.into())),
        DataType::Int16 => keys!(Int16Type, |v| signed(v.into())),
        DataType::Int32 => keys!(Int32Type, |v| signed(v.into())),
        DataType::Int64 => keys!(Int64Type, signed),
        DataType::UInt8 => keys!(UInt8Type, u64::from),
        DataType::UInt16 => keys!(UInt16Type, u64::from),
        DataType::UInt32 => keys!(UInt32Type, u64::from),
        DataType::UInt64 => keys!(UInt64Type, |v| v),
        DataType::Float32 => keys!(Float32Type, |v| {
            let bits = one_single(v).to_bits().cast_signed();
            signed((bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()).into())
        }),
        DataType::Float64 => keys!(Float64Type, |v| float(one_double(v).to_bits().cast_signed())),
        DataType::Date32 => keys!(Date32Type, |v| signed(v.into())),
        DataType::Date64 => keys!(Date64Type, signed),
        DataType::Decimal32(..) => keys!(Decimal32Type, |v| signed(v.into())),
        DataType::Decimal64(..) => keys!(Decimal64Type, signed),
        _ => push_time_keys(narrow, piece, column, places, descending),
    }
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
fn with_one_spelling(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(one_double)),
        DataType::Float32 => Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(one_single)),
        DataType::Float16 => Arc::new(column.as_primitive::<Float16Type>().unary::<_, Float16Type>(one_half)),
        _ => Arc::clone(column),
    }
}

fn push_time_keys(narrow: &mut Narrow, piece: u32, column: &ArrayRef, places: &[u32], descending: bool) {
    let width = column.data_type().primitive_width();
    let data = column.to_data();
    let nulls = data.nulls();
    for place in places {
        let at = *place as usize;
        if nulls.is_some_and(|nulls| nulls.is_null(at)) {
            narrow.nulls.push((piece, *place));
            continue;
        }
        // Times of day, timestamps and durations are whole numbers of 32 or 64 bits.
        let value = if width == Some(4) { data.buffer::<i32>(0)[at].into() } else { data.buffer::<i64>(0)[at] };
        let key = value.cast_unsigned() ^ 1 << 63;
        narrow.keyed.push((if descending { !key } else { key }, (piece, *place)));
    }
}

fn push_typed<T: ArrowPrimitiveType>(
    narrow: &mut Narrow,
    piece: u32,
    column: &ArrayRef,
    places: &[u32],
    descending: bool,
    key: impl Fn(T::Native) -> u64,
) {
    let array = column.as_primitive::<T>();
    let values = array.values();
    narrow.keyed.reserve(places.len());
    for place in places {
        let at = *place as usize;
        if array.is_null(at) {
            narrow.nulls.push((piece, *place));
        } else {
            let key = key(values[at]);
            narrow.keyed.push((if descending { !key } else { key }, (piece, *place)));
        }
    }
}

/// The rows that one piece contributes: their places, and their keys in the same order.
struct Wide {
    places: Vec<u32>,
    keys: Rows,
}

impl Work<'_> {
    fn wide_order(&self, order: &[BoundOrder]) -> Result<Vec<Position>, EvalError> {
        let Self { query, pieces, count, large, run } = *self;
        let field = |key: &BoundOrder| {
            SortField::new_with_options(query.schema().field(key.column).data_type().clone(), key.options)
        };
        let converter = RowConverter::new(order.iter().map(field).collect())?;
        let found = each_piece(pieces, large, |_, piece| {
            run.check()?;
            let mask = surviving(query, piece)?;
            let places = places(mask.as_ref(), piece.num_rows());
            let mut columns: Vec<ArrayRef> =
                order.iter().map(|key| with_one_spelling(piece.column(key.column))).collect();
            if let Some(mask) = mask.filter(|_| places.len() < piece.num_rows()) {
                let mask = BooleanArray::new(mask, None);
                columns = columns.iter().map(|column| filter(column, &mask)).collect::<Result<_, _>>()?;
            }
            let keys = converter.convert_columns(&columns)?;
            let wide =
                if count < places.len() { least(&converter, places, &keys, count) } else { Wide { places, keys } };
            run.take(wide.keys.size() + wide.places.len() * size_of::<u32>())?;
            Ok(wide)
        })?;
        let mut entries: Vec<Position> = Vec::with_capacity(found.iter().map(|wide| wide.places.len()).sum());
        for (piece, wide) in (0u32..).zip(&found) {
            entries.extend((0u32..).zip(&wide.places).map(|(at, _)| (piece, at)));
        }
        // Within a piece the places ascend, so that the order of entries is the table's.
        let row = |(piece, at): &Position| found[*piece as usize].keys.row(*at as usize);
        let compare = |left: &Position, right: &Position| row(left).cmp(&row(right)).then_with(|| left.cmp(right));
        if count < entries.len() {
            if count > 0 {
                entries.select_nth_unstable_by(count - 1, compare);
            }
            entries.truncate(count);
        }
        if large {
            entries.par_sort_unstable_by(compare)
        } else {
            entries.sort_unstable_by(compare)
        }
        Ok(entries.into_iter().map(|(piece, at)| (piece, found[piece as usize].places[at as usize])).collect())
    }
}

/// The `count` least rows of a piece, in the table's order.
fn least(converter: &RowConverter, places: Vec<u32>, keys: &Rows, count: usize) -> Wide {
    let mut entries: Vec<usize> = (0..places.len()).collect();
    if count > 0 {
        entries.select_nth_unstable_by(count - 1, |left, right| {
            keys.row(*left).cmp(&keys.row(*right)).then_with(|| left.cmp(right))
        });
    }
    entries.truncate(count);
    entries.sort_unstable();
    let mut kept = converter.empty_rows(count, 0);
    entries.iter().for_each(|at| kept.push(keys.row(*at)));
    Wide { places: entries.into_iter().map(|at| places[at]).collect(), keys: kept }
}

impl Work<'_> {
    /// The selected columns of the rows at the positions, in batches of at most [`PIECE_ROWS`] rows.
    fn gather(
        &self,
        columns: &[usize],
        positions: &[Position],
        output: &SchemaRef,
    ) -> Result<Vec<RecordBatch>, EvalError> {
        let batch = |positions: &[Position]| -> Result<RecordBatch, EvalError> {
            self.run.check()?;
            let columns = columns.iter().map(|column| self.picked(*column, positions).map(compacted));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
            let batch = RecordBatch::try_new_with_options(output.clone(), columns, &options)?;
            self.run.take(weight::batch_bytes(&batch))?;
            Ok(batch)
        };
        if self.large && positions.len() > PIECE_ROWS {
            positions.par_chunks(PIECE_ROWS).map(batch).collect()
        } else {
            positions.chunks(PIECE_ROWS).map(batch).collect()
        }
    }
}
