//! The answer with an order: positions first, columns last.
//!
//! For each piece the rows that fulfil the condition get a key, and under a limit only the first `offset + limit` of them are
//! kept. What is kept of all pieces is sorted by key and, for equal keys, by position, which makes the order stable and the
//! same whatever the number of threads. Then the columns of the rows in the window are gathered.
//!
//! A single column of numbers or times has keys of 64 bits ([`narrow`](super::narrow)); everything else has rows of bytes
//! that compare as the values do ([`arrow::row`]). Under a limit, rows whose first column of numbers is beyond that of as many
//! rows as are wanted get no bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, interleave};
use arrow::datatypes::{SchemaRef, UInt16Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use rayon::prelude::*;

use super::compact::compacted;
use super::narrow::{Bound, Position, Search, is_narrow, with_one_spelling};
use super::rows::{Piece, Window, is_large};
use super::sort_until::sort_least;
use super::zones::Sifted;
use super::{EvalError, EvalStats, PIECE_ROWS, PageEnd, Run, weight};
use crate::query::{BoundOrder, BoundQuery};

/// The answer of a query with an order, and where it ends if there are more rows.
pub(super) fn ordered(
    query: &BoundQuery,
    output: &SchemaRef,
    sifted: &Sifted,
    window: Window,
    run: &Run,
    stats: &mut EvalStats,
) -> Result<(Vec<RecordBatch>, Option<PageEnd>), EvalError> {
    let large = is_large(&sifted.batches);
    let pieces = Piece::all(sifted);
    let work = Work { query, pieces: &pieces, count: window.wanted(), large, run };
    let positions = match query.order() {
        [key] if is_narrow(query.schema().field(key.column).data_type()) => work.narrow_order(*key, stats)?,
        keys => work.wide_order(keys, stats)?,
    };
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
    pieces: &'a [Piece],
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
            self.run.check()?;
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
        let arrays: Vec<&dyn Array> = self.pieces.iter().map(|piece| piece.rows.column(column).as_ref()).collect();
        let indices: Vec<(usize, usize)> =
            positions.iter().map(|(piece, place)| (*piece as usize, *place as usize)).collect();
        Ok(interleaved(&arrays, &indices)?)
    }
}

/// The values at these places. Of texts by number the numbers alone are picked: all pieces of a table share one dictionary, of
/// which Arrow's kernel would make a copy for each piece.
fn interleaved(arrays: &[&dyn Array], indices: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
    let numbered: Option<Vec<_>> = arrays.iter().map(|array| array.as_dictionary_opt::<UInt16Type>()).collect();
    match numbered.as_deref() {
        Some([first, rest @ ..]) if rest.iter().all(|other| Arc::ptr_eq(first.values(), other.values())) => {
            let numbers = numbered.iter().flatten().map(|array| array.keys() as &dyn Array).collect::<Vec<_>>();
            let numbers = interleave(&numbers, indices)?.as_primitive::<UInt16Type>().clone();
            Ok(Arc::new(DictionaryArray::try_new(numbers, Arc::clone(first.values()))?))
        }
        _ => interleave(arrays, indices),
    }
}

/// Maps the pieces, on several threads if that is worth it; the results are in the pieces' order.
fn each_piece<T: Send>(
    pieces: &[Piece],
    large: bool,
    work: impl Fn(u32, &Piece) -> Result<T, EvalError> + Sync,
) -> Result<Vec<T>, EvalError> {
    let work = |(at, piece): (usize, &Piece)| work(u32::try_from(at).unwrap_or(u32::MAX), piece);
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

impl Work<'_> {
    fn narrow_order(&self, key: BoundOrder, stats: &mut EvalStats) -> Result<Vec<Position>, EvalError> {
        let Self { query, pieces, count, large, run } = *self;
        let bound = Bound::open();
        let search = Search { query, key, count, bound: &bound, run };
        let found = each_piece(pieces, large, |at, piece| search.piece(at, piece))?;
        let rows: usize = found.iter().map(|narrow| narrow.keyed.len()).sum();
        let nulls_found: usize = found.iter().map(|narrow| narrow.nulls.len()).sum();
        let mut keyed = Vec::with_capacity(rows);
        // The rows once more, with their keys and then without.
        let joined = size_of_val(&*keyed.spare_capacity_mut()) + (rows + nulls_found) * size_of::<Position>();
        run.take(joined)?;
        let mut nulls = Vec::new();
        let mut taken = 0;
        for narrow in found {
            stats.rows_tested += narrow.tested;
            stats.rows_matched += narrow.matched;
            taken += narrow.bytes();
            keyed.extend(narrow.keyed);
            nulls.extend(narrow.nulls);
        }
        let keyed = sort_least(keyed, count, run, |(_, position)| *position, Ord::cmp)?;
        let keyed = keyed.into_iter().map(|(_, position)| position);
        let mut positions: Vec<Position> = if key.options.nulls_first {
            nulls.into_iter().chain(keyed).collect()
        } else {
            keyed.chain(nulls).collect()
        };
        positions.truncate(count);
        run.give_back(taken + joined);
        Ok(positions)
    }

    /// The rows of each piece that may be among the first, by the first column of an order of several; `None` where that
    /// says nothing.
    fn first_by(&self, key: BoundOrder) -> Result<Option<u64>, EvalError> {
        let Self { query, pieces, count, large, run } = *self;
        let rows: usize = pieces.iter().map(|piece| piece.rows.num_rows()).sum();
        let is_worth = large && count < rows / 16 && is_narrow(query.schema().field(key.column).data_type());
        if !is_worth {
            return Ok(None);
        }
        let bound = Bound::open();
        let search = Search { query, key, count, bound: &bound, run };
        let taken = each_piece(pieces, large, |at, piece| search.piece(at, piece).map(|narrow| narrow.bytes()))?;
        run.give_back(taken.into_iter().sum());
        Ok(Some(bound.get()).filter(|bound| *bound < u64::MAX))
    }
}

/// The rows that one piece contributes: their places, and their keys in the same order.
struct Wide {
    places: Vec<u32>,
    keys: Rows,
}

impl Work<'_> {
    fn wide_order(&self, order: &[BoundOrder], stats: &mut EvalStats) -> Result<Vec<Position>, EvalError> {
        let Self { query, pieces, count, large, run } = *self;
        let field = |key: &BoundOrder| {
            SortField::new_with_options(query.schema().field(key.column).data_type().clone(), key.options)
        };
        let converter = RowConverter::new(order.iter().map(field).collect())?;
        let bound = match order.first() {
            Some(first) => self.first_by(*first)?.map(Bound::at),
            None => None,
        };
        let found = each_piece(pieces, large, |_, piece| {
            run.check()?;
            let (among, key) = (bound.as_ref(), order.first());
            let among = among.zip(key).map(|(bound, key)| bound.within(*key, piece.rows.column(key.column)));
            let mut counted = EvalStats::default();
            let mask = piece.surviving_among(query, among.as_ref(), &mut counted)?;
            let places = places(mask.as_ref(), piece.rows.num_rows());
            counted.rows_matched = places.len() as u64;
            let mut columns: Vec<ArrayRef> =
                order.iter().map(|key| with_one_spelling(piece.rows.column(key.column))).collect();
            if let Some(mask) = mask.filter(|_| places.len() < piece.rows.num_rows()) {
                let mask = BooleanArray::new(mask, None);
                columns = columns.iter().map(|column| filter(column, &mask)).collect::<Result<_, _>>()?;
            }
            let keys = converter.convert_columns(&columns)?;
            let wide =
                if count < places.len() { least(&converter, places, &keys, count) } else { Wide { places, keys } };
            run.take(wide.bytes())?;
            Ok((wide, counted))
        })?;
        let (found, counted): (Vec<Wide>, Vec<EvalStats>) = found.into_iter().unzip();
        stats.rows_tested += counted.iter().map(|counted| counted.rows_tested).sum::<u64>();
        stats.rows_matched += counted.iter().map(|counted| counted.rows_matched).sum::<u64>();
        let rows: usize = found.iter().map(|wide| wide.places.len()).sum();
        // The rows once more, twice.
        let joined = 2 * rows * size_of::<Position>();
        run.take(joined)?;
        let mut entries: Vec<Position> = Vec::with_capacity(rows);
        for (piece, wide) in (0u32..).zip(&found) {
            entries.extend((0u32..).zip(&wide.places).map(|(at, _)| (piece, at)));
        }
        // Within a piece the places ascend, so that the order of entries is the table's.
        let row = |(piece, at): &Position| found[*piece as usize].keys.row(*at as usize);
        let compare = |left: &Position, right: &Position| row(left).cmp(&row(right)).then_with(|| left.cmp(right));
        let entries = sort_least(entries, count, run, |entry| *entry, compare)?;
        run.give_back(found.iter().map(Wide::bytes).sum::<usize>() + joined);
        Ok(entries.into_iter().map(|(piece, at)| (piece, found[piece as usize].places[at as usize])).collect())
    }
}

impl Wide {
    fn bytes(&self) -> usize {
        self.keys.size() + self.places.len() * size_of::<u32>()
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
