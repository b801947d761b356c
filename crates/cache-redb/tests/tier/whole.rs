//! The whole cache on the real tier against a plain account, over random operations, restarts among them.
//!
//! Both budgets are so small that values leave memory and disk all the time. So anything may be missing; but what is found
//! is the value that was stored last under its key, at its right age, and nothing that was invalidated or has expired.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cache_core::{
    ByteTier, Cache, Hit, How, Item, Key, LoadOptions, ManualClock, MessagePack, Namespace, Origin, Scope, Stored,
};
use cache_redb::{RedbTier, TierOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

use crate::support::{Dir, content};

/// Two of them begin alike.
const NAMES: [&str; 4] = ["aa", "ab", "bb", "c"];
const SPACES: usize = 2;
const KEYS: usize = SPACES * NAMES.len();
/// In seconds.
const TTL: u64 = 60;

#[derive(Clone, Debug)]
enum Step {
    Get(usize),
    Peek(usize),
    Find(usize),
    Insert {
        key: usize,
        bytes: usize,
        ttl: u64,
        tagged: bool,
    },
    /// What is made of it from now on is as old as now.
    BeginTable(usize),
    Load {
        key: usize,
        bytes: usize,
        of_table: bool,
        tagged: bool,
    },
    DeleteKey(usize),
    DeletePrefix {
        space: usize,
        prefix: &'static str,
    },
    InvalidateSpace(usize),
    InvalidateTag,
    Clear,
    Release(usize),
    Advance(u64),
    Flush,
    Sweep,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, space, bytes, tagged) = (0..KEYS, 0..SPACES, 0usize..6_000, any::<bool>());
    prop_oneof![
        3 => key.clone().prop_map(Step::Get),
        2 => key.clone().prop_map(Step::Peek),
        8 => key.clone().prop_map(Step::Find),
        6 => (key.clone(), bytes.clone(), 1..TTL, tagged)
            .prop_map(|(key, bytes, ttl, tagged)| Step::Insert { key, bytes, ttl, tagged }),
        2 => space.clone().prop_map(Step::BeginTable),
        10 => (key.clone(), bytes, any::<bool>(), tagged)
            .prop_map(|(key, bytes, of_table, tagged)| Step::Load { key, bytes, of_table, tagged }),
        2 => key.prop_map(Step::DeleteKey),
        1 => (space.clone(), prop_oneof![Just(""), Just("a")])
            .prop_map(|(space, prefix)| Step::DeletePrefix { space, prefix }),
        1 => space.clone().prop_map(Step::InvalidateSpace),
        1 => Just(Step::InvalidateTag),
        1 => Just(Step::Clear),
        2 => space.prop_map(Step::Release),
        3 => (1..25_u64).prop_map(Step::Advance),
        2 => Just(Step::Flush),
        1 => Just(Step::Sweep),
        3 => Just(Step::Reopen),
    ]
}

/// A number, and bytes that follow from it.
type Value = (u64, Vec<u8>);

fn value(number: u64, bytes: usize) -> Value {
    (number, content(&number.to_string(), bytes))
}

/// What was stored last under a key.
#[derive(Clone)]
struct Account {
    value: Value,
    /// When what it is made of began, in seconds and in steps.
    loaded_at: u64,
    expires_at: u64,
    tagged: bool,
}

/// One life of the cache.
struct Life {
    cache: Cache<Value>,
    tier: Arc<RedbTier>,
    clock: ManualClock,
    /// The tables of this life: their origins, when they began, and in which step.
    tables: [Option<(Origin, u64, u64)>; SPACES],
}

impl Life {
    fn begin(dir: &Dir, clock: ManualClock) -> Self {
        let day = clock.clock();
        let millis = move || day.wall().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let options = TierOptions { max_bytes: 12_000, clock: Arc::new(millis), ..TierOptions::default() };
        let tier = dir.open_with(options);
        let cache = Cache::builder("numbers")
            .max_bytes(16_000)
            .max_entries(4)
            .max_entry_bytes(7_000)
            .ttl(Duration::from_secs(TTL))
            .clock(clock.clock())
            .persist(MessagePack::new())
            .tier(Arc::clone(&tier) as Arc<dyn ByteTier>)
            .build()
            .unwrap();
        Self { cache, tier, clock, tables: [None; SPACES] }
    }
}

struct Both<'a> {
    life: Option<Life>,
    dir: Dir,
    runtime: &'a Runtime,
    keys: Vec<Key>,
    stored: Vec<Option<Account>>,
    now: u64,
    step: u64,
    /// The steps of the last invalidations.
    spaces: [u64; SPACES],
    tag: u64,
    from_disk: &'a Cell<u64>,
}

impl Both<'_> {
    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.step += 1;
        let life = self.life.as_mut().expect("there is one between two steps");
        let cache = life.cache.clone();
        let before = cache.stats().disk_hits;
        let is_read = matches!(step, Step::Find(_) | Step::Load { .. });
        match step {
            Step::Get(key) => self.compare(key, cache.get(&self.keys[key]))?,
            Step::Peek(key) => self.compare(key, cache.peek(&self.keys[key]).map(cache_core::Peek::into_hit))?,
            Step::Find(key) => self.compare(key, cache.find_blocking(&self.keys[key]))?,
            Step::Insert { key, bytes, ttl, tagged } => {
                let made = value(self.step, bytes);
                let item = item(made.clone(), tagged).with_ttl(Duration::from_secs(ttl));
                let stored = cache.insert(&self.keys[key], item);
                let (loaded_at, expires_at) = (self.now, self.now + ttl);
                self.account(key, stored, Account { value: made, loaded_at, expires_at, tagged }, self.step)?;
            }
            Step::BeginTable(space) => life.tables[space] = Some((cache.begin(), self.now, self.step)),
            Step::Load { key, bytes, of_table, tagged } => {
                let table = life.tables[key / NAMES.len()].filter(|_| of_table);
                self.load(&cache, key, bytes, table, tagged)?;
            }
            Step::DeleteKey(key) => {
                cache.invalidate_blocking(&Scope::Key(self.keys[key].clone())).unwrap();
                self.stored[key] = None;
            }
            Step::DeletePrefix { space, prefix } => {
                let (namespace, begin) = (namespace(space), prefix.as_bytes().into());
                cache.invalidate_blocking(&Scope::Prefix { namespace, prefix: begin }).unwrap();
                self.forget(|key, _| key / NAMES.len() == space && NAMES[key % NAMES.len()].starts_with(prefix));
            }
            Step::InvalidateSpace(space) => {
                cache.invalidate_blocking(&Scope::Namespace(namespace(space))).unwrap();
                self.spaces[space] = self.step;
                self.forget(|key, _| key / NAMES.len() == space);
            }
            Step::InvalidateTag => {
                cache.invalidate_blocking(&Scope::Tag("red".into())).unwrap();
                self.tag = self.step;
                self.forget(|_, account| account.tagged);
            }
            Step::Clear => {
                self.runtime.block_on(cache.clear()).unwrap();
                self.spaces = [self.step; SPACES];
                self.forget(|_, _| true);
            }
            Step::Release(space) => cache.release(&namespace(space)),
            Step::Advance(seconds) => {
                life.clock.advance(Duration::from_secs(seconds));
                self.now += seconds;
            }
            Step::Flush => self.runtime.block_on(cache.flush()).unwrap(),
            Step::Sweep => {
                life.tier.sweep();
                let stats = life.tier.stats();
                prop_assert!(stats.bytes <= 12_000, "{:?}", stats);
            }
            Step::Reopen => {
                let clock = life.clock.restarted();
                drop(cache);
                // Its files are let go of before they are opened again.
                self.life = None;
                self.life = Some(Life::begin(&self.dir, clock));
                return Ok(());
            }
        }
        if is_read {
            self.from_disk.set(self.from_disk.get() + cache.stats().disk_hits - before);
        }
        Ok(())
    }

    fn load(
        &mut self,
        cache: &Cache<Value>,
        key: usize,
        bytes: usize,
        table: Option<(Origin, u64, u64)>,
        tagged: bool,
    ) -> Result<(), TestCaseError> {
        let made = value(self.step, bytes);
        let item = item(made.clone(), tagged);
        let item = match table {
            Some((origin, ..)) => item.with_origin(origin),
            None => item,
        };
        let load = move |_| async move { Ok::<_, ()>(item) };
        let name = &self.keys[key];
        let loaded = self.runtime.block_on(cache.try_get_or_load(name, LoadOptions::default(), load)).unwrap();
        if loaded.how() != How::Led {
            return self.compare(key, Some(loaded.hit().clone()));
        }
        prop_assert_eq!(loaded.value(), &made);
        let (loaded_at, base) = table.map_or((self.now, self.step), |(_, at, step)| (at, step));
        self.account(
            key,
            loaded.stored(),
            Account { value: made, loaded_at, expires_at: loaded_at + TTL, tagged },
            base,
        )
    }

    /// Takes in what was stored, made of what began in the step `base`, if that was possible.
    fn account(&mut self, key: usize, stored: Stored, account: Account, base: u64) -> Result<(), TestCaseError> {
        let invalid = self.spaces[key / NAMES.len()] > base || (account.tagged && self.tag > base);
        let expired = account.expires_at <= self.now;
        match stored {
            Stored::Yes => {
                prop_assert!(!invalid && !expired, "it was stored out of date");
                self.stored[key] = Some(account);
            }
            Stored::TooLarge => self.stored[key] = None,
            Stored::Invalidated => prop_assert!(invalid),
            Stored::Expired => prop_assert!(expired),
            other => prop_assert_eq!(other, Stored::Superseded),
        }
        Ok(())
    }

    /// What is found is what was stored last, and may still be served.
    fn compare(&self, key: usize, found: Option<Hit<Value>>) -> Result<(), TestCaseError> {
        let Some(hit) = found else { return Ok(()) };
        let Some(account) = &self.stored[key] else {
            return Err(TestCaseError::fail(format!("{} came back under {key}", hit.value().0)));
        };
        prop_assert!(*hit.value() == account.value, "{} instead of {}", hit.value().0, account.value.0);
        prop_assert_eq!(hit.age().as_secs(), self.now - account.loaded_at);
        prop_assert_eq!(hit.remaining().as_secs(), account.expires_at.saturating_sub(self.now));
        prop_assert!(account.expires_at > self.now, "it has expired");
        prop_assert_eq!(hit.tags().count(), usize::from(account.tagged));
        Ok(())
    }

    fn forget(&mut self, covers: impl Fn(usize, &Account) -> bool) {
        for (key, stored) in self.stored.iter_mut().enumerate() {
            if stored.as_ref().is_some_and(|account| covers(key, account)) {
                *stored = None;
            }
        }
    }
}

fn namespace(space: usize) -> Namespace {
    Namespace::new(format!("s{space}"))
}

fn item(value: Value, tagged: bool) -> Item<Value> {
    let bytes = value.1.len() as u64;
    Item::new(value, bytes).with_tags(tagged.then(|| "red".into()))
}

#[test]
fn the_cache_on_its_tier_has_what_was_stored_last_or_nothing() {
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    let (runtime, from_disk) =
        (tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(), Cell::new(0));
    let run = |steps: Vec<Step>| {
        let dir = Dir::new();
        let mut both = Both {
            life: Some(Life::begin(&dir, ManualClock::new())),
            dir,
            runtime: &runtime,
            keys: (0..KEYS).map(|key| Key::new(&namespace(key / NAMES.len()), NAMES[key % NAMES.len()])).collect(),
            stored: vec![None; KEYS],
            now: 0,
            step: 0,
            spaces: [0; SPACES],
            tag: 0,
            from_disk: &from_disk,
        };
        steps.into_iter().try_for_each(|step| both.take(step))
    };
    TestRunner::new(config).run(&vec(step(), 1..120), run).unwrap_or_else(|error| panic!("{error}"));
    assert!(from_disk.get() > 100, "it finds things, too: {}", from_disk.get());
}
