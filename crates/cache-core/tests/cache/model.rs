//! The cache against a plain map: whatever is done to both, they answer alike.
//!
//! The budget is wide enough that nothing is evicted; eviction has its own tests.

use std::collections::HashMap;
use std::time::Duration;

use cache_core::{Key, Origin, Peek, Scope, Stored};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{Fixture, TTL, invalidate, key_in, number_item, remove};

const SPACES: usize = 3;
const NAMES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Get(usize),
    Peek(usize),
    Insert {
        key: usize,
        ttl: u64,
    },
    /// Begins a scan; its value is inserted by a later [`Step::Finish`].
    Begin,
    Finish {
        key: usize,
    },
    Remove(usize),
    InvalidateSpace(usize),
    InvalidateAll,
    Advance(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..SPACES * NAMES;
    prop_oneof![
        6 => key.clone().prop_map(Step::Get),
        2 => key.clone().prop_map(Step::Peek),
        4 => (key.clone(), 1..90_u64).prop_map(|(key, ttl)| Step::Insert { key, ttl }),
        3 => Just(Step::Begin),
        3 => key.clone().prop_map(|key| Step::Finish { key }),
        1 => key.prop_map(Step::Remove),
        1 => (0..SPACES).prop_map(Step::InvalidateSpace),
        1 => Just(Step::InvalidateAll),
        3 => (1..40_u64).prop_map(Step::Advance),
        1 => Just(Step::Sweep),
    ]
}

/// Time is in seconds, order in steps: what began in a later step began later.
#[derive(Clone, Copy)]
struct Value {
    number: u64,
    began_at: u64,
    began_in: u64,
    expires: u64,
}

#[derive(Clone, Copy)]
struct Scan {
    origin: Origin,
    at: u64,
    in_step: u64,
}

#[derive(Default)]
struct Model {
    values: HashMap<usize, Value>,
    now: u64,
    step: u64,
    invalidated: [u64; SPACES],
    barrier: [u64; SPACES],
    scans: Vec<Scan>,
    hits: u64,
    misses: u64,
}

impl Model {
    fn find(&self, key: usize) -> Option<Value> {
        let value = *self.values.get(&key)?;
        let valid = value.began_in > self.invalidated[key / NAMES];
        (valid && self.now < value.expires).then_some(value)
    }

    fn insert(&mut self, key: usize, value: Value) -> Stored {
        let space = key / NAMES;
        if self.now >= value.expires {
            Stored::Expired
        } else if value.began_in <= self.invalidated[space].max(self.barrier[space]) {
            Stored::Invalidated
        } else if self.find(key).is_some_and(|present| present.began_at > value.began_at) {
            Stored::Superseded
        } else {
            self.values.insert(key, value);
            Stored::Yes
        }
    }
}

struct Both {
    fixture: Fixture,
    keys: Vec<Key>,
    model: Model,
}

impl Both {
    fn new() -> Self {
        let keys = (0..SPACES * NAMES).map(|key| key_in(&format!("s{}", key / NAMES), &format!("n{key}"))).collect();
        Self { fixture: Fixture::new(), keys, model: Model::default() }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.model.step += 1;
        let (cache, now) = (&self.fixture.cache, self.model.now);
        match step {
            Step::Get(key) => {
                let expected = self.model.find(key);
                *(if expected.is_some() { &mut self.model.hits } else { &mut self.model.misses }) += 1;
                self.compare(cache.get(&self.keys[key]), expected)?;
            }
            Step::Peek(key) => self.compare(cache.peek(&self.keys[key]).map(Peek::into_hit), self.model.find(key))?,
            Step::Insert { key, ttl } => {
                let number = self.model.step;
                let value = Value { number, began_at: now, began_in: number, expires: now + ttl };
                let stored = cache.insert(&self.keys[key], number_item(number).with_ttl(Duration::from_secs(ttl)));
                prop_assert_eq!(stored, self.model.insert(key, value));
            }
            Step::Begin => self.model.scans.push(Scan { origin: cache.begin(), at: now, in_step: self.model.step }),
            Step::Finish { key } => {
                let Some(scan) = self.model.scans.pop() else { return Ok(()) };
                let (number, expires) = (self.model.step, scan.at + TTL.as_secs());
                let value = Value { number, began_at: scan.at, began_in: scan.in_step, expires };
                let stored = cache.insert(&self.keys[key], number_item(number).with_origin(scan.origin));
                prop_assert_eq!(stored, self.model.insert(key, value));
            }
            Step::Remove(key) => {
                let was_there = self.model.find(key).is_some();
                prop_assert_eq!(remove(cache, &self.keys[key]), was_there);
                self.model.values.remove(&key);
                self.model.barrier[key / NAMES] = self.model.step;
            }
            Step::InvalidateSpace(space) => {
                invalidate(cache, Scope::Namespace(self.keys[space * NAMES].namespace().clone()));
                self.model.invalidated[space] = self.model.step;
            }
            Step::InvalidateAll => {
                invalidate(cache, Scope::All);
                self.model.invalidated = [self.model.step; SPACES];
            }
            Step::Advance(seconds) => {
                self.fixture.clock.advance(Duration::from_secs(seconds));
                self.model.now += seconds;
            }
            Step::Sweep => {
                cache.sweep();
                self.compare_totals()?;
            }
        }
        Ok(())
    }

    fn compare(&self, hit: Option<cache_core::Hit<u64>>, expected: Option<Value>) -> Result<(), TestCaseError> {
        let found = hit.map(|hit| (*hit.value(), hit.age().as_secs(), hit.remaining().as_secs()));
        let now = self.model.now;
        let expected = expected.map(|value| (value.number, now - value.began_at, value.expires - now));
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// After a sweep, only what can be served is held, and counted.
    fn compare_totals(&self) -> Result<(), TestCaseError> {
        let stats = self.fixture.cache.stats();
        let held: Vec<_> = self.keys.iter().filter_map(|key| self.fixture.cache.peek(key)).collect();
        let expected = (0..self.keys.len()).filter(|key| self.model.find(*key).is_some()).count();
        prop_assert_eq!(stats.entries, expected as u64);
        prop_assert_eq!(stats.bytes, held.iter().map(|hit| hit.bytes()).sum::<u64>());
        prop_assert_eq!((stats.hits, stats.misses), (self.model.hits, self.model.misses));
        prop_assert_eq!((stats.evictions, stats.refusals), (0, 0));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_answers_as_a_plain_map_does(steps in vec(step(), 1..200)) {
        let mut both = Both::new();
        for step in steps {
            both.take(step)?;
        }
        both.take(Step::Sweep)?;
    }
}
