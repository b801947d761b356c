//! One side of a comparison of hits: a cache that holds the working set, and how it is asked.

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use crate::random::Random;
use crate::report::median;

/// How often a thread asks in a round.
const ASKED: usize = 200_000;

type Ask = Box<dyn Fn(&[u32]) -> u64 + Sync>;

/// A cache under measurement.
pub(super) struct Side {
    pub(super) name: &'static str,
    /// Asks for each of the keys of these numbers; gives a sum over what it read, so that every value is looked at.
    ask: Ask,
    /// Nanoseconds a look-up, one a round.
    pub(super) rounds: Vec<f64>,
}

impl Side {
    /// `look` finds the key of a number and reads a byte of its value.
    pub(super) fn new(name: &'static str, look: impl Fn(usize) -> u8 + Sync + 'static) -> Self {
        let ask = move |order: &[u32]| order.iter().map(|number| u64::from(look(*number as usize))).sum();
        Self { name, ask: Box::new(ask), rounds: Vec::new() }
    }

    pub(super) fn nanos(&self) -> f64 {
        median(&self.rounds)
    }

    /// One thread for each order, all at once: the nanoseconds that a look-up takes, as a thread sees it.
    fn measure(&self, orders: &[Vec<u32>]) -> f64 {
        let barrier = Barrier::new(orders.len());
        let nanos: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = orders
                .iter()
                .map(|order| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        let began = Instant::now();
                        black_box((self.ask)(order));
                        began.elapsed().as_nanos() as f64 / order.len() as f64
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("every key is there")).collect()
        });
        nanos.iter().sum::<f64>() / nanos.len() as f64
    }
}

/// Which numbers each thread asks for.
pub(super) fn orders(threads: usize, number: impl Fn(&mut Random) -> usize) -> Vec<Vec<u32>> {
    let order = |thread| {
        let mut random = Random::new(thread as u64);
        (0..ASKED).map(|_| number(&mut random) as u32).collect()
    };
    (0..threads).map(order).collect()
}

/// Measures all sides in each round, another one first each time.
pub(super) fn measure(sides: &mut [Side], orders: &[Vec<u32>], rounds: usize) {
    let count = sides.len();
    for side in &mut *sides {
        side.rounds.clear();
        // What is measured is a warm cache: lines, branch predictors, and whatever a peer does in its first reads.
        side.measure(orders);
    }
    for round in 0..rounds {
        for turn in 0..count {
            let side = &mut sides[(round + turn) % count];
            let nanos = side.measure(orders);
            side.rounds.push(nanos);
        }
    }
}

/// Passes on the hash that a prepared key carries, as our memory tier does.
#[derive(Clone, Copy, Default)]
pub(super) struct PassOn(u64);

impl Hasher for PassOn {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a prepared key writes one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl BuildHasher for PassOn {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}
