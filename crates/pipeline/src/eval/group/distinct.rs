//! How many distinct values each group has.
//!
//! The values of the column are numbered over all groups; what is kept is the set of pairs of a group and a value. Without
//! key columns there is one group, and the number of values is the answer.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use super::bits::Bits;
use super::keys::{pair, unpaired};
use super::number::Numbers;
use super::partitions::Scratch;
use super::shared::{SharedDistinct, SharedValues};
use super::state::Numbered;
use super::values::Values;
use crate::eval::EvalError;

/// Bytes of pairs as bits, from which on they are numbered: what a core's own cache holds some times over. (Tests come by
/// both ways.)
const MAX_BITS_BYTES: usize = if cfg!(test) { 512 } else { 4 << 20 };

/// The distinct values of the groups.
#[derive(Debug)]
pub(super) struct Distinct {
    data_type: DataType,
    sets: Sets,
    /// The value of each row; kept for its memory.
    numbers: Vec<u32>,
}

#[derive(Debug)]
enum Sets {
    Own {
        /// None before the first rows.
        values: Option<Values>,
        /// Pairs of a group and a value, where there are key columns.
        pairs: Option<Numbers>,
    },
    Shared {
        shared: Arc<SharedDistinct>,
        scratch: Scratch,
        bits: Option<Bits>,
    },
}

impl Sets {
    fn shared(shared: Arc<SharedDistinct>) -> Self {
        let bits = shared.has_pairs().then(Bits::default);
        Self::Shared { shared, scratch: Scratch::default(), bits }
    }
}

impl Distinct {
    /// No values yet.
    pub(super) fn new(data_type: DataType, has_keys: bool) -> Self {
        let sets = Sets::Own { values: None, pairs: has_keys.then(Numbers::default) };
        Self { data_type, sets, numbers: Vec::new() }
    }

    /// No values yet, of any range; `many` says of how many there were here how many there may be of all, if those are many.
    pub(super) fn shared(&self, has_keys: bool, many: impl Fn(usize) -> Option<usize>) -> Result<Self, EvalError> {
        let (values, pairs) = self.lens();
        // They are bits first, so no room is made for them.
        let many_pairs = many(pairs).map(|_| 0);
        let pairs = has_keys.then(|| SharedValues::new(&DataType::UInt64, many_pairs)).transpose()?;
        let shared = SharedDistinct::new(SharedValues::new(&self.data_type, many(values))?, pairs);
        let sets = Sets::shared(Arc::new(shared));
        Ok(Self { data_type: self.data_type.clone(), sets, numbers: Vec::new() })
    }

    /// The same for another range.
    pub(super) fn beside(&self) -> Self {
        let sets = match &self.sets {
            Sets::Own { pairs, .. } => Sets::Own { values: None, pairs: pairs.as_ref().map(|_| Numbers::default()) },
            Sets::Shared { shared, .. } => Sets::shared(Arc::clone(shared)),
        };
        Self { data_type: self.data_type.clone(), sets, numbers: Vec::new() }
    }

    /// The column's type.
    pub(super) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// How many values there are, and how many pairs, where they are this range's own.
    pub(super) fn lens(&self) -> (usize, usize) {
        match &self.sets {
            Sets::Own { values, pairs } => {
                (values.as_ref().map_or(0, Values::len), pairs.as_ref().map_or(0, Numbers::len))
            }
            Sets::Shared { .. } => (0, 0),
        }
    }

    /// Takes rows; the column comes in pieces.
    pub(super) fn update(&mut self, rows: Numbered<'_>, pieces: &[ArrayRef]) -> Result<(), EvalError> {
        let (values, pairs) = match &mut self.sets {
            Sets::Own { values: Some(values), pairs } => (values, pairs),
            Sets::Own { values, pairs } => (values.insert(Values::new(&self.data_type)?), pairs),
            Sets::Shared { shared, scratch, .. } => {
                self.numbers.clear();
                shared.number(pieces, rows.place, scratch, &mut self.numbers)?;
                return self.insert_shared(rows);
            }
        };
        self.numbers.clear();
        for piece in pieces {
            values.number(piece, &mut self.numbers)?;
        }
        if let Some(pairs) = pairs {
            for (group, value) in rows.numbers.iter().zip(&self.numbers) {
                pairs.number(pair(*group, *value));
            }
        }
        Ok(())
    }

    /// Adds the rows' pairs: as bits, as long as those are few.
    fn insert_shared(&mut self, rows: Numbered<'_>) -> Result<(), EvalError> {
        let Sets::Shared { shared, scratch, bits } = &mut self.sets else { return Ok(()) };
        let mut pairs = rows.numbers.iter().copied().zip(self.numbers.iter().copied());
        if let Some(few) = bits {
            // One pair may take room for all values before it, so each is looked at.
            for (group, value) in pairs.by_ref() {
                few.insert(group, value);
                if few.bytes() > MAX_BITS_BYTES {
                    break;
                }
            }
        }
        let rest: Vec<_> = match bits.take_if(|bits| bits.bytes() > MAX_BITS_BYTES) {
            Some(many) => many.pairs().chain(pairs).collect(),
            None => pairs.collect(),
        };
        shared.insert(rest.into_iter(), rows.place, scratch, &mut self.numbers)
    }

    /// Takes over the values of later rows, whose groups are `numbers` here.
    pub(super) fn join(&mut self, later: Self, numbers: &[u32]) -> Result<(), EvalError> {
        let (values, mine, theirs, pairs) = match (&mut self.sets, later.sets) {
            (Sets::Own { values, pairs: mine }, Sets::Own { values: Some(theirs), pairs }) => {
                (values, mine, theirs, pairs)
            }
            (Sets::Shared { shared, scratch, bits }, Sets::Shared { bits: Some(theirs), .. }) => {
                match bits {
                    Some(mine) => mine.join(&theirs),
                    None => shared.insert(theirs.pairs(), 0, scratch, &mut self.numbers)?,
                }
                return Ok(());
            }
            // What is shared is here already.
            _ => return Ok(()),
        };
        let values = match values {
            Some(values) => values,
            none => none.insert(Values::new(&self.data_type)?),
        };
        // A null that has come late moves no number, as numbers are given in order of appearance.
        let moved = values.join(theirs)?;
        if let (Some(mine), Some(theirs)) = (mine, pairs) {
            for (group, value) in theirs.values().iter().map(|both| unpaired(*both)) {
                mine.number(pair(numbers[group as usize], moved[value as usize]));
            }
        }
        Ok(())
    }

    /// The number of values of each group, null not among them.
    pub(super) fn counts(&mut self, groups: usize) -> Result<Vec<u64>, EvalError> {
        let mut counts = vec![0; groups];
        match &mut self.sets {
            Sets::Shared { shared, bits: Some(bits), .. } if shared.is_empty() => {
                return Ok(bits.counts(groups, shared.null()));
            }
            Sets::Shared { shared, scratch, bits } => {
                if let Some(bits) = bits.take() {
                    shared.insert(bits.pairs(), 0, scratch, &mut self.numbers)?;
                }
                return shared.counts(groups);
            }
            Sets::Own { values: None, .. } => {}
            Sets::Own { values: Some(values), pairs: None } => {
                counts.iter_mut().for_each(|count| *count = values.known() as u64);
            }
            Sets::Own { values: Some(values), pairs: Some(pairs) } => {
                let null = values.null();
                let pairs = pairs.values().iter().map(|both| unpaired(*both));
                pairs.filter(|(_, value)| Some(*value) != null).for_each(|(group, _)| counts[group as usize] += 1);
            }
        }
        Ok(counts)
    }

    /// The bytes that this range's own take.
    pub(super) fn bytes(&self) -> usize {
        match &self.sets {
            Sets::Own { values, pairs } => {
                values.as_ref().map_or(0, Values::bytes) + pairs.as_ref().map_or(0, Numbers::bytes)
            }
            Sets::Shared { scratch, bits, .. } => scratch.bytes() + bits.as_ref().map_or(0, Bits::bytes),
        }
    }

    /// The bytes that the shared ones take.
    pub(super) fn shared_bytes(&self) -> usize {
        match &self.sets {
            Sets::Own { .. } => 0,
            Sets::Shared { shared, .. } => shared.bytes(),
        }
    }
}
