//! The histogram of the slice that durations are recorded in: an array, so that recording is an addition.
//!
//! An operation's durations rarely spread over more than a few octaves, and only those have their buckets set aside.

use crate::bucket::{self, OCTAVES, PER_OCTAVE};

type Octave = [u32; PER_OCTAVE];

/// Counts of the buckets of one slice.
pub(crate) struct Live([Option<Box<Octave>>; OCTAVES]);

impl Live {
    pub(crate) const fn new() -> Self {
        Self([const { None }; OCTAVES])
    }

    #[inline]
    pub(crate) fn record(&mut self, nanos: u64) {
        let bucket = bucket::of(nanos);
        let octave = self.0[bucket / PER_OCTAVE].get_or_insert_with(empty);
        let count = &mut octave[bucket % PER_OCTAVE];
        *count = count.saturating_add(1);
    }

    /// The buckets with something in them, from the shortest, and their counts.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let octaves = self.0.iter().enumerate().filter_map(|(number, octave)| Some((number, octave.as_deref()?)));
        octaves.flat_map(|(number, octave)| {
            let counts = octave.iter().enumerate().filter(|(_, count)| **count > 0);
            counts.map(move |(within, &count)| (number * PER_OCTAVE + within, u64::from(count)))
        })
    }

    /// Forgets all counts, and gives back the octaves that were not needed this time.
    pub(crate) fn clear(&mut self) {
        for place in &mut self.0 {
            if let Some(octave) = place {
                if octave.iter().any(|count| *count > 0) {
                    **octave = [0; PER_OCTAVE];
                } else {
                    *place = None;
                }
            }
        }
    }
}

#[cold]
fn empty() -> Box<Octave> {
    Box::new([0; PER_OCTAVE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_order_and_are_gone_after_a_clear() {
        let mut live = Live::new();
        [5_000, 100, 5_000, 1_000_000_000].into_iter().for_each(|nanos| live.record(nanos));
        let expected = [(bucket::of(100), 1), (bucket::of(5_000), 2), (bucket::of(1_000_000_000), 1)];
        assert_eq!(live.counts().collect::<Vec<_>>(), expected);
        live.clear();
        assert_eq!(live.counts().count(), 0);
    }

    #[test]
    fn an_octave_that_is_not_needed_any_more_is_given_back() {
        let octaves = |live: &Live| live.0.iter().flatten().count();
        let mut live = Live::new();
        [100, 5_000].into_iter().for_each(|nanos| live.record(nanos));
        live.clear();
        assert_eq!(octaves(&live), 2, "those of the last slice are likely to be needed in the next");
        live.record(100);
        live.clear();
        assert_eq!(octaves(&live), 1);
    }
}
