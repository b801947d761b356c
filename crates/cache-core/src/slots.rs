//! Counters that threads add to without waiting for each other.
//!
//! A thread that counts takes a slot of its own for as long as it lives. Nobody else writes to that, so adding is a load
//! and a store, without the lock on the bus that an atomic addition takes. Threads that find no slot free share one, and
//! add atomically. So the sums are exact however many threads there are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots that belong to one thread each.
const OWN: usize = 16;
/// The slot of all other threads.
const SHARED: usize = OWN;

/// `N` counters. A slot has a cache line of its own, and the one beside it, which processors fetch along.
#[repr(align(128))]
struct Slot<const N: usize>([AtomicU64; N]);

/// `N` counters of many threads.
pub(crate) struct Slots<const N: usize>([Slot<N>; OWN + 1]);

impl<const N: usize> Default for Slots<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Slot(std::array::from_fn(|_| AtomicU64::new(0)))))
    }
}

impl<const N: usize> Slots<N> {
    /// Adds to counters of this thread's slot.
    #[inline]
    pub(crate) fn add<const M: usize>(&self, amounts: [(usize, u64); M]) {
        let slot = mine();
        for (counter, amount) in amounts {
            let counter = &self.0[slot].0[counter];
            if slot == SHARED {
                counter.fetch_add(amount, Ordering::Relaxed);
            } else if amount > 0 {
                counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
            }
        }
    }

    /// What all threads have added to a counter.
    pub(crate) fn sum(&self, counter: usize) -> u64 {
        self.0.iter().map(|slot| slot.0[counter].load(Ordering::Relaxed)).sum()
    }
}

/// The slots that belong to a thread: a bit each.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A thread's slot, given back when the thread ends.
struct Place(usize);

impl Place {
    fn take() -> Self {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones() as usize;
            if free >= OWN {
                return Self(SHARED);
            }
            // Acquires what the thread that had the slot before has written to it.
            match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self(free),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 < OWN {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

/// The slot of this thread. A thread that is ending has given its own back, and uses the shared one.
#[inline]
fn mine() -> usize {
    thread_local! {
        static PLACE: Place = Place::take();
    }
    PLACE.try_with(|place| place.0).unwrap_or(SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_however_many_threads_come_and_go() {
        let slots = Slots::<2>::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..OWN * 2 {
                    scope.spawn(|| (0..100).for_each(|_| slots.add([(0, 1), (1, 3)])));
                }
            });
        }
        assert_eq!((slots.sum(0), slots.sum(1)), (OWN as u64 * 600, OWN as u64 * 1_800));
    }

    #[test]
    fn a_thread_that_ends_gives_its_slot_back() {
        let place = || std::thread::spawn(mine).join().unwrap();
        let places: Vec<usize> = (0..OWN * 4).map(|_| place()).collect();
        assert!(places.iter().any(|&place| place < OWN), "{places:?}");
    }
}
