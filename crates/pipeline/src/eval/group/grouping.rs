//! The groups of one range of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::columns::Columns;
use super::distinct::Distinct;
use super::keys::Keys;
use super::partitions::Scratch;
use super::shared::{SharedKeys, SharedValues};
use super::state::{Numbered, States};
use crate::eval::rows::surviving;
use crate::eval::{EvalError, Run};
use crate::query::{BoundGroup, BoundQuery, OutputColumn};

/// Pieces that are looked up at once where there are many values: an eighth of a million rows.
const PIECES_AT_ONCE: usize = 2;
/// Fewer rows tell nothing about how many values there are.
const TELLING_ROWS: u64 = 1024;

/// Rows on their way to groups. Holds groups, not rows.
#[derive(Debug)]
pub(in crate::eval) struct Grouping {
    query: BoundQuery,
    group: BoundGroup,
    groups: Groups,
    states: States,
    /// The group of each row of a piece; kept for its memory.
    numbers: Vec<u32>,
    held_bytes: usize,
    /// The bytes of what is shared, taken by whoever noticed them.
    shared_bytes: Arc<AtomicUsize>,
    pub(super) rows_tested: u64,
    pub(super) rows_matched: u64,
}

#[derive(Debug)]
enum Groups {
    Own(Keys),
    Shared(Arc<SharedKeys>, Scratch),
}

impl Grouping {
    /// No groups yet.
    pub(in crate::eval) fn new(query: &BoundQuery, group: &BoundGroup) -> Self {
        let types = |keys: &[OutputColumn]| {
            let fields = group.schema().fields();
            keys.iter().zip(fields).map(|(_, field)| field.data_type().clone()).collect::<Vec<_>>()
        };
        let groups = Groups::Own(Keys::new(&types(group.keys())));
        let states = States::new(group.aggregates(), query.schema(), !group.keys().is_empty());
        Self::of(query, group, groups, states, Arc::default())
    }

    fn of(
        query: &BoundQuery,
        group: &BoundGroup,
        groups: Groups,
        states: States,
        shared_bytes: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            query: query.clone(),
            group: group.clone(),
            groups,
            states,
            numbers: Vec::new(),
            held_bytes: 0,
            shared_bytes,
            rows_tested: 0,
            rows_matched: 0,
        }
    }

    /// The same for another range: no groups yet but those that are shared.
    pub(super) fn beside(&self) -> Self {
        let groups = match &self.groups {
            Groups::Own(keys) => Groups::Own(Keys::new(keys.types())),
            Groups::Shared(keys, _) => Groups::Shared(Arc::clone(keys), Scratch::default()),
        };
        Self::of(&self.query, &self.group, groups, self.states.beside(), Arc::clone(&self.shared_bytes))
    }

    /// No groups yet, to be shared by all ranges: if the rows seen here tell that there are so many values that it pays.
    pub(super) fn shared(&self) -> Result<Option<Self>, EvalError> {
        let is_many = |values: usize| values as u64 * 4 > self.rows_matched;
        let mut distinct = self.states.distinct().map(Distinct::lens);
        let pays = is_many(self.groups()) || distinct.any(|(values, pairs)| is_many(values) || is_many(pairs));
        let many = |values: usize| is_many(values).then(|| self.guess(values));
        if pays && self.rows_matched >= TELLING_ROWS { self.shared_if(many) } else { Ok(None) }
    }

    /// As [`shared`](Self::shared); `many` says of how many values there are here how many there may be of all rows, if
    /// those are many.
    pub(super) fn shared_if(&self, many: impl Fn(usize) -> Option<usize> + Copy) -> Result<Option<Self>, EvalError> {
        let Groups::Own(keys) = &self.groups else { return Ok(None) };
        let (columns, pairs) = keys.lens();
        let columns: Vec<_> = keys.types().iter().cloned().zip(columns.into_iter().map(many)).collect();
        let pairs: Vec<_> = pairs.into_iter().map(many).collect();
        let of_many = columns.iter().filter(|(_, many)| many.is_some()).map(|(data_type, _)| data_type);
        let counted =
            self.states.distinct().filter(|distinct| many(distinct.lens().0).is_some()).map(Distinct::data_type);
        if !of_many.chain(counted).all(SharedValues::can_be_many) {
            return Ok(None);
        }
        let keys = Arc::new(SharedKeys::new(&columns, &pairs)?);
        let states = self.states.shared(!columns.is_empty(), many)?;
        let groups = Groups::Shared(keys, Scratch::default());
        Ok(Some(Self::of(&self.query, &self.group, groups, states, Arc::default())))
    }

    /// How many groups there are among all rows.
    pub(super) fn guessed_groups(&self) -> usize {
        self.guess(self.groups())
    }

    /// How many values there are among all rows, guessed from how often the rows seen here had the same one: of n rows and
    /// d values, n² / 2d pairs are expected to meet.
    fn guess(&self, values: usize) -> usize {
        let rows = self.rows_matched;
        let met = (rows - (values as u64).min(rows)).max(1);
        usize::try_from(rows.saturating_mul(rows) / (2 * met)).unwrap_or(usize::MAX)
    }

    /// How many groups there are; of shared ones, one more than the greatest number of any.
    pub(super) fn groups(&self) -> usize {
        match &self.groups {
            Groups::Own(keys) => keys.groups(),
            Groups::Shared(keys, _) => keys.end(),
        }
    }

    /// Takes the rows of some pieces that fulfil the query's condition; `place` is the first row's place among all rows.
    pub(in crate::eval) fn push(&mut self, pieces: &[RecordBatch], place: u64, run: &Run) -> Result<(), EvalError> {
        let mut left = Vec::with_capacity(pieces.len());
        let mut rows = 0;
        for piece in pieces {
            run.check()?;
            let mask = surviving(&self.query, piece)?;
            let survivors = mask.as_ref().map_or(piece.num_rows(), |mask| mask.count_set_bits());
            self.rows_tested += piece.num_rows() as u64;
            rows += survivors;
            if survivors > 0 {
                left.push(Columns::new(&self.query, piece, mask, survivors));
            }
        }
        self.rows_matched += rows as u64;
        if rows == 0 {
            return Ok(());
        }
        let mut column = |column: usize, cast: Option<&DataType>| {
            left.iter_mut().map(|piece| piece.get(column, cast)).collect::<Result<Vec<_>, EvalError>>()
        };
        let keys = self.group.keys().iter().map(|key| column(key.column, key.cast.as_ref()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        self.numbers.clear();
        let groups = match &mut self.groups {
            Groups::Own(own) => {
                own.number(&keys, rows, &mut self.numbers)?;
                own.groups()
            }
            Groups::Shared(shared, scratch) => {
                shared.number(&keys, rows, place, (scratch, run), &mut self.numbers)?;
                shared.end()
            }
        };
        self.states.update(Numbered { numbers: &self.numbers, groups, place }, run, column)?;
        self.settle(run)
    }

    /// How many pieces to push at a time: where values are shared, a thread looks up as many as it can at once.
    pub(super) fn pieces_at_once(&self) -> usize {
        match &self.groups {
            Groups::Own(_) => 1,
            Groups::Shared(..) => PIECES_AT_ONCE,
        }
    }

    /// Takes the memory that was added, or gives back what was not needed.
    fn settle(&mut self, run: &Run) -> Result<(), EvalError> {
        let (own, shared) = match &self.groups {
            Groups::Own(keys) => (keys.bytes(), 0),
            Groups::Shared(keys, scratch) => (scratch.bytes(), keys.bytes()),
        };
        let held = own + self.states.bytes();
        match held.checked_sub(self.held_bytes) {
            Some(more) => run.take(more)?,
            None => run.give_back(self.held_bytes - held),
        }
        self.held_bytes = held;
        let shared = shared + self.states.shared_bytes();
        let before = self.shared_bytes.fetch_max(shared, Ordering::Relaxed);
        run.take(shared.saturating_sub(before))
    }

    /// The bytes of the groups.
    pub(in crate::eval) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Takes over the groups of rows that come after this one's.
    pub(super) fn join(&mut self, later: Self, run: &Run) -> Result<(), EvalError> {
        let numbers = match (&mut self.groups, later.groups) {
            (Groups::Own(mine), Groups::Own(theirs)) => mine.join(theirs)?,
            (Groups::Shared(keys, _), _) => (0..u32::try_from(keys.end()).unwrap_or(u32::MAX)).collect(),
            (Groups::Own(_), Groups::Shared(..)) => return Err(EvalError::SchemaMismatch),
        };
        self.states.join(later.states, &numbers, self.groups(), run)?;
        self.rows_tested += later.rows_tested;
        self.rows_matched += later.rows_matched;
        run.give_back(later.held_bytes);
        self.settle(run)
    }

    /// The groups, in the order of their first rows.
    pub(in crate::eval) fn finish(mut self, run: &Run) -> Result<Vec<RecordBatch>, EvalError> {
        if self.group.keys().is_empty() {
            // No rows are one group, too.
            self.states.grow(1);
        }
        let groups = self.groups();
        if groups == 0 {
            return Ok(Vec::new());
        }
        let aggregates = self.states.finish(self.group.aggregates(), groups, run)?;
        let columns: Vec<ArrayRef> = match self.groups {
            Groups::Own(keys) => keys.finish(run)?.into_iter().chain(aggregates).collect(),
            Groups::Shared(keys, _) => {
                let order = keys.order(run)?;
                let mut columns = keys.finish(&order, run)?;
                for aggregate in aggregates {
                    run.check()?;
                    columns.push(take(&aggregate, &order, None)?);
                }
                columns
            }
        };
        let rows = columns.first().map_or(groups, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(vec![RecordBatch::try_new_with_options(self.group.schema().clone(), columns, &options)?])
    }
}
