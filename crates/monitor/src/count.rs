//! A counter that threads add to without waiting for each other.
//!
//! A thread that counts takes a slot of its own for as long as it lives. Nobody else writes to that, so adding is a load
//! and a store, without the lock on the bus that an atomic addition takes. Threads that find no slot free share one, and
//! add atomically. So the sum is exact however many threads there are.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots that belong to one thread each.
const OWN: usize = 16;
/// The slot of all other threads.
const SHARED: usize = OWN;

/// A slot has a cache line of its own, and the one beside it, which processors fetch along.
#[derive(Default)]
#[repr(align(128))]
struct Slot(AtomicU64);

/// A counter of many threads.
#[derive(Default)]
pub(crate) struct Count([Slot; OWN + 1]);

impl Count {
    /// Counts one more.
    #[inline]
    pub(crate) fn one_more(&self) {
        let slot = mine();
        let count = &self.0[slot].0;
        if slot == SHARED {
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// What all threads have counted.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|slot| slot.0.load(Ordering::Relaxed)).sum()
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
    fn the_sum_is_exact_however_many_threads_come_and_go() {
        let count = Count::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..OWN * 2 {
                    scope.spawn(|| (0..100).for_each(|_| count.one_more()));
                }
            });
        }
        assert_eq!(count.sum(), OWN as u64 * 600);
    }
}
