//! Values and groups that are numbered for all threads at once.
//!
//! Where ranges have many values each, joining what each range found costs more than finding it. So the ranges share their
//! numberings: a column of many values is numbered through [`Partitions`]; one of few values piece by piece, each piece's
//! few values being joined with all others behind one lock. Numbers then differ from run to run, the order of the groups
//! does not: it is that of their first rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, UInt32Array, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use parking_lot::Mutex;

use super::keys::{pair, unpaired};
use super::partitions::{Known, Locked, Partitions, Scratch, Texts};
use super::text::INLINE;
use super::values::{NONE, Values, of_whole, one_float, text_column, whole};
use crate::eval::sort_until::sort_least;
use crate::eval::{EvalError, Run};

/// The view of null, which no value has.
const NULL: u128 = 1 << 127;

/// The distinct values of a column.
#[derive(Debug)]
pub(super) struct SharedValues {
    data_type: DataType,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Few(Mutex<Few>),
    Many(Partitions),
}

#[derive(Debug)]
struct Few {
    values: Values,
    /// The place of each value's first row.
    firsts: Vec<u64>,
}

impl SharedValues {
    /// No values yet; `many` says how many there may be, if they are many.
    pub(super) fn new(data_type: &DataType, many: Option<usize>) -> Result<Self, EvalError> {
        let kind = match many {
            Some(values) => Kind::Many(Partitions::new(values)),
            None => Kind::Few(Mutex::new(Few { values: Values::new(data_type)?, firsts: Vec::new() })),
        };
        Ok(Self { data_type: data_type.clone(), kind })
    }

    /// Whether values of a type can be told to be many.
    pub(super) fn can_be_many(data_type: &DataType) -> bool {
        is_text(data_type) || data_type.is_floating() || is_whole(data_type)
    }

    /// Appends the number of each row's value; the column comes in pieces, `place` is the first row's place among all rows.
    pub(super) fn number(
        &self,
        pieces: &[ArrayRef],
        place: u64,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), EvalError> {
        match &self.kind {
            Kind::Few(few) => {
                let start = out.len();
                for piece in pieces {
                    let from = out.len();
                    let mut values = Values::new(&self.data_type)?;
                    values.number(piece, out)?;
                    let numbers = few.lock().join(values, &out[from..], place + (from - start) as u64)?;
                    out[from..].iter_mut().for_each(|number| *number = numbers[*number as usize]);
                }
            }
            Kind::Many(partitions) => number_many(&self.data_type, partitions, pieces, place, scratch, out)?,
        }
        Ok(())
    }

    /// One more than the greatest number.
    fn end(&self) -> usize {
        match &self.kind {
            Kind::Few(few) => few.lock().values.len(),
            Kind::Many(partitions) => partitions.end(),
        }
    }

    /// How many there are, null among them.
    fn len(&self) -> usize {
        match &self.kind {
            Kind::Few(few) => few.lock().values.len(),
            Kind::Many(partitions) => partitions.lock().len(),
        }
    }

    /// The number of null, if it has come.
    fn null(&self) -> Option<u32> {
        match &self.kind {
            Kind::Few(few) => few.lock().values.null(),
            Kind::Many(partitions) => {
                partitions.lock().known().find(|known| known.view() == NULL).map(|null| null.number)
            }
        }
    }

    /// The numbers in the order of their first rows.
    fn order(&self, run: &Run) -> Result<Vec<u32>, EvalError> {
        let order: Vec<(u64, u32)> = match &self.kind {
            Kind::Few(few) => few.lock().firsts.iter().copied().zip(0..).collect(),
            Kind::Many(partitions) => partitions.lock().known().map(|known| (known.first, known.number)).collect(),
        };
        let all = order.len();
        let order = sort_least(order, all, run, |(_, number)| (0, *number), Ord::cmp)?;
        Ok(order.into_iter().map(|(_, number)| number).collect())
    }

    /// The values as a column, each at its number, and null at numbers of none.
    fn column(&self) -> Result<ArrayRef, EvalError> {
        match &self.kind {
            Kind::Few(few) => std::mem::replace(&mut few.lock().values, Values::new(&self.data_type)?).finish(),
            Kind::Many(partitions) => column_of_many(&self.data_type, &partitions.lock(), partitions.end()),
        }
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Few(few) => few.lock().values.bytes(),
            Kind::Many(partitions) => partitions.bytes(),
        }
    }
}

impl Few {
    /// Takes over the values of some rows, with their numbers there; the new number of each of those.
    fn join(&mut self, values: Values, rows: &[u32], place: u64) -> Result<Vec<u32>, EvalError> {
        let numbers = self.values.join(values)?;
        self.firsts.resize(self.values.len(), u64::MAX);
        // Numbers were given in the order of the first rows, null's among them.
        let mut next = 0;
        for (row, number) in (place..).zip(rows) {
            if *number == next {
                let first = &mut self.firsts[numbers[next as usize] as usize];
                *first = row.min(*first);
                next += 1;
            }
        }
        Ok(numbers)
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_whole(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_temporal() && !matches!(data_type, DataType::Interval(_))
}

fn number_many(
    data_type: &DataType,
    partitions: &Partitions,
    pieces: &[ArrayRef],
    place: u64,
    scratch: &mut Scratch,
    out: &mut Vec<u32>,
) -> Result<(), EvalError> {
    let mut starts = Vec::with_capacity(pieces.len());
    let mut views = Vec::with_capacity(pieces.len());
    let mut start = 0;
    for piece in pieces {
        starts.push(start);
        start += piece.len();
        views.push(views_of(data_type, piece)?);
    }
    let text = |row: usize| {
        let piece = starts.partition_point(|start| *start <= row) - 1;
        let (piece, row) = (&pieces[piece], row - starts[piece]);
        match data_type {
            DataType::Utf8View => piece.as_string_view().value(row).as_bytes(),
            DataType::Utf8 => piece.as_string::<i32>().value(row).as_bytes(),
            _ => piece.as_string::<i64>().value(row).as_bytes(),
        }
    };
    let long: Option<&Texts<'_>> = if is_text(data_type) { Some(&text) } else { None };
    partitions.number(&views, long, place, scratch, out);
    Ok(())
}

/// The rows' values as views.
fn views_of<'a>(data_type: &DataType, column: &'a ArrayRef) -> Result<Cow<'a, [u128]>, EvalError> {
    let mut views: Cow<'a, [u128]> = match data_type {
        DataType::Utf8View => Cow::Borrowed(column.as_string_view().views()),
        DataType::Utf8 => column.as_string::<i32>().iter().map(view).collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().map(view).collect(),
        other if other.is_floating() => {
            let column = cast(column, &DataType::Float64)?;
            let values = column.as_primitive::<Float64Type>().values();
            values.iter().map(|value| u128::from(one_float(*value).to_bits())).collect()
        }
        other if other.is_unsigned_integer() => {
            let column = cast(column, &DataType::UInt64)?;
            column.as_primitive::<UInt64Type>().values().iter().map(|value| u128::from(*value)).collect()
        }
        _ => {
            let column = whole(column)?;
            column.as_primitive::<Int64Type>().values().iter().map(|value| value.cast_unsigned().into()).collect()
        }
    };
    if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
        let null = (0..column.len()).filter(|row| nulls.is_null(*row));
        null.for_each(|row| views.to_mut()[row] = NULL);
    }
    Ok(views)
}

/// A text as a view: whole if it is short, else only its length.
fn view(text: Option<&str>) -> u128 {
    let Some(text) = text else { return NULL };
    let mut view = [0; 16];
    view[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
    if text.len() <= INLINE {
        view[4..4 + text.len()].copy_from_slice(text.as_bytes());
    }
    u128::from_le_bytes(view)
}

fn column_of_many(data_type: &DataType, values: &Locked<'_>, len: usize) -> Result<ArrayRef, EvalError> {
    let mut known: Vec<Option<Known>> = vec![None; len];
    for value in values.known().filter(|value| value.view() != NULL) {
        known[value.number as usize] = Some(value);
    }
    let number = |known: &Option<Known>| known.map(|known| known.view() as u64);
    let column: ArrayRef = match data_type {
        text if is_text(text) => {
            return text_column(known.iter().map(|known| known.as_ref().map(|known| values.bytes(known))), text);
        }
        float if float.is_floating() => {
            Arc::new(known.iter().map(|known| number(known).map(f64::from_bits)).collect::<Float64Array>())
        }
        unsigned if unsigned.is_unsigned_integer() => Arc::new(known.iter().map(number).collect::<UInt64Array>()),
        _ => Arc::new(known.iter().map(|known| number(known).map(u64::cast_signed)).collect::<Int64Array>()),
    };
    Ok(of_whole(column, data_type)?)
}

/// The groups of all ranges.
#[derive(Debug)]
pub(super) struct SharedKeys {
    columns: Vec<SharedValues>,
    /// The pairs of all columns up to one with the next; one less than columns.
    pairs: Vec<SharedValues>,
}

impl SharedKeys {
    /// No groups yet; of each column and of the pairs is told how many values there may be, if they are many.
    pub(super) fn new(columns: &[(DataType, Option<usize>)], pairs: &[Option<usize>]) -> Result<Self, EvalError> {
        let columns = columns.iter().map(|(data_type, many)| SharedValues::new(data_type, *many));
        let pairs = pairs.iter().map(|many| SharedValues::new(&DataType::UInt64, *many));
        Ok(Self { columns: columns.collect::<Result<_, _>>()?, pairs: pairs.collect::<Result<_, _>>()? })
    }

    /// Appends the number of the group of each of `rows` rows; each column comes in pieces.
    pub(super) fn number(
        &self,
        columns: &[Vec<ArrayRef>],
        rows: usize,
        place: u64,
        (scratch, run): (&mut Scratch, &Run),
        out: &mut Vec<u32>,
    ) -> Result<(), EvalError> {
        let mut each = self.columns.iter().zip(columns);
        let Some((first, column)) = each.next() else {
            out.resize(out.len() + rows, 0);
            return Ok(());
        };
        let start = out.len();
        first.number(column, place, scratch, out)?;
        let mut next = Vec::new();
        for ((values, column), pairs) in each.zip(&self.pairs) {
            next.clear();
            run.check()?;
            values.number(column, place, scratch, &mut next)?;
            let both: Vec<u64> = out[start..].iter().zip(&next).map(|(before, next)| pair(*before, *next)).collect();
            out.truncate(start);
            run.check()?;
            pairs.number(&[Arc::new(UInt64Array::from(both))], place, scratch, out)?;
        }
        Ok(())
    }

    fn last(&self) -> Option<&SharedValues> {
        self.pairs.last().or(self.columns.last())
    }

    /// One more than the greatest number of a group.
    pub(super) fn end(&self) -> usize {
        self.last().map_or(1, SharedValues::end)
    }

    /// The groups in the order of their first rows.
    pub(super) fn order(&self, run: &Run) -> Result<UInt32Array, EvalError> {
        self.last().map_or_else(|| Ok(vec![0]), |last| last.order(run)).map(Into::into)
    }

    /// The key columns, one row for each of some groups.
    pub(super) fn finish(&self, order: &UInt32Array, run: &Run) -> Result<Vec<ArrayRef>, EvalError> {
        let column = |values: &SharedValues| {
            run.check()?;
            values.column()
        };
        let mut columns = self.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = order.clone();
        for (at, pairs) in self.pairs.iter().enumerate().rev() {
            run.check()?;
            let pairs = pairs.column()?;
            let pairs = pairs.as_primitive::<UInt64Type>();
            let (before, next): (Vec<u32>, Vec<u32>) =
                numbers.values().iter().map(|number| unpaired(pairs.value(*number as usize))).unzip();
            columns[at + 1] = take(&columns[at + 1], &UInt32Array::from(next), None)?;
            numbers = before.into();
        }
        if let Some(first) = columns.first_mut() {
            *first = take(first, &numbers, None)?;
        }
        Ok(columns)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().chain(&self.pairs).map(SharedValues::bytes).sum()
    }
}

/// The distinct values of all groups.
#[derive(Debug)]
pub(super) struct SharedDistinct {
    values: SharedValues,
    /// Pairs of a group and a value, where there are key columns.
    pairs: Option<SharedValues>,
}

impl SharedDistinct {
    /// No values yet.
    pub(super) fn new(values: SharedValues, pairs: Option<SharedValues>) -> Self {
        Self { values, pairs }
    }

    /// The value of each row, appended to `out`; the column comes in pieces.
    pub(super) fn number(
        &self,
        pieces: &[ArrayRef],
        place: u64,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) -> Result<(), EvalError> {
        self.values.number(pieces, place, scratch, out)
    }

    /// Whether pairs are asked for at all.
    pub(super) fn has_pairs(&self) -> bool {
        self.pairs.is_some()
    }

    /// Adds pairs of a group and a value. `numbers` is kept for its memory.
    pub(super) fn insert(
        &self,
        all: impl Iterator<Item = (u32, u32)>,
        place: u64,
        scratch: &mut Scratch,
        numbers: &mut Vec<u32>,
    ) -> Result<(), EvalError> {
        let Some(pairs) = &self.pairs else { return Ok(()) };
        let both: Vec<u64> = all.map(|(group, value)| pair(group, value)).collect();
        if both.is_empty() {
            return Ok(());
        }
        numbers.clear();
        pairs.number(&[Arc::new(UInt64Array::from(both))], place, scratch, numbers)
    }

    /// Whether there are pairs.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.as_ref().is_none_or(|pairs| pairs.len() == 0)
    }

    /// The number of null, if it has come.
    pub(super) fn null(&self) -> Option<u32> {
        self.values.null()
    }

    /// The number of values of each group, null not among them.
    pub(super) fn counts(&self, groups: usize) -> Result<Vec<u64>, EvalError> {
        let mut counts = vec![0; groups];
        let null = self.values.null();
        match &self.pairs {
            None => {
                let known = self.values.len() - usize::from(null.is_some());
                counts.iter_mut().for_each(|count| *count = known as u64);
            }
            Some(pairs) => {
                let pairs = pairs.column()?;
                let pairs = pairs.as_primitive::<UInt64Type>().iter().flatten().map(unpaired);
                let null = null.unwrap_or(NONE);
                pairs.filter(|(_, value)| *value != null).for_each(|(group, _)| counts[group as usize] += 1);
            }
        }
        Ok(counts)
    }

    /// The bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.values.bytes() + self.pairs.as_ref().map_or(0, SharedValues::bytes)
    }
}
