//! Walks through the rows to find those that no one can be served any more, a slice at a time.

use std::collections::VecDeque;
use std::sync::Arc;

/// More walks than this are made one, through all rows.
const MAX_SWEEPS: usize = 4_096;

/// The walks that are to be made, in their order.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    waiting: VecDeque<Sweep>,
}

/// A walk through the rows whose names begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) begin: Arc<[u8]>,
    /// The last row that was seen.
    pub(crate) seen: Option<Vec<u8>>,
    /// It begins when this much of the queue is done: what came before an invalidation is in the rows by then.
    pub(crate) position: u64,
    pub(crate) forget: Forget,
}

/// Which tombstones have done their work when a walk is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forget {
    /// None.
    Nothing,
    /// The one with the walk's own beginning, if it is of this number.
    One(u64),
    /// All up to this number.
    UpTo(u64),
}

impl Sweep {
    pub(crate) fn new(begin: Arc<[u8]>, position: u64, forget: Forget) -> Self {
        Self { begin, seen: None, position, forget }
    }

    /// A walk through all rows.
    pub(crate) fn of_everything(position: u64, forget: Forget) -> Self {
        Self::new(Arc::from([]), position, forget)
    }
}

impl Sweeps {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a walk. `last_tombstone` is the number up to which one walk through all rows would do the work of all.
    pub(crate) fn push(&mut self, sweep: Sweep, last_tombstone: u64) {
        let same = |waiting: &Sweep| waiting.begin == sweep.begin && waiting.seen.is_none();
        // Two alike are enough, and the first of them is left as it is: one that is put off each time is never made.
        let mut alike = self.waiting.iter_mut().rev().take(16).filter(|waiting| same(waiting));
        if let (Some(waiting), Some(_)) = (alike.next(), alike.next()) {
            waiting.position = sweep.position;
            if sweep.forget != Forget::Nothing {
                waiting.forget = sweep.forget;
            }
        } else if self.waiting.len() >= MAX_SWEEPS {
            self.waiting.clear();
            self.waiting.push_back(Sweep::of_everything(sweep.position, Forget::UpTo(last_tombstone)));
        } else {
            self.waiting.push_back(sweep);
        }
    }

    /// The first walk, if it may begin.
    pub(crate) fn next(&mut self, is_done: impl Fn(u64) -> bool) -> Option<Sweep> {
        self.waiting.pop_front_if(|sweep| is_done(sweep.position))
    }

    /// A walk goes on later.
    pub(crate) fn resume(&mut self, sweep: Sweep) {
        self.waiting.push_front(sweep);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_is_made_though_another_of_its_kind_comes_all_the_time() {
        let mut sweeps = Sweeps::default();
        let begin: Arc<[u8]> = (*b"a").into();
        for number in 1..=100 {
            sweeps.push(Sweep::new(Arc::clone(&begin), number, Forget::One(number)), number);
        }
        let first = sweeps.next(|position| position <= 1).unwrap();
        assert_eq!((first.position, first.forget), (1, Forget::One(1)));
        assert_eq!(sweeps.next(|position| position < 100), None);
        let last = sweeps.next(|position| position <= 100).unwrap();
        assert_eq!((last.position, last.forget), (100, Forget::One(100)));
        assert!(sweeps.is_empty());
    }
}
