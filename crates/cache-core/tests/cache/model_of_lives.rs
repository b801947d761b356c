//! A cache through many lives, with a disk and without one, against a plain account of what it may say.
//!
//! The account knows no tiers' tricks: a value is there if it was put there, is not too old by the clock of this life,
//! and began after everything that was invalidated. Nothing is evicted; what waits for the disk is written at once.

use std::time::Duration;

use cache_core::{Item, Key, LoadOptions, Namespace, Noted, Scope, Stale, Stored};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::{BYTES, key_in, ready, until};
use crate::lives::Life;

const SPACES: usize = 2;
const NAMES: usize = 3;
const KEYS: usize = SPACES * NAMES;

/// In seconds, as all times here. Ttls are below it.
const LONGEST_TTL: u64 = 60;
const STALE: u64 = 20;
const ON_ERROR: u64 = 40;
/// Where the account's time begins in each life: what was loaded in the lives before has a time too.
const BEGIN: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Get(usize),
    Peek(usize),
    Find(usize),
    Insert { key: usize, ttl: u64, tagged: bool },
    Load(usize, Stale),
    Delete(usize),
    DeletePrefix(usize),
    InvalidateSpace(usize),
    InvalidateTag,
    InvalidateAll,
    Note { space: usize, fingerprint: u8 },
    Release(usize),
    Advance(u64),
    SetBack(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, space) = (0..KEYS, 0..SPACES);
    prop_oneof![
        4 => key.clone().prop_map(Step::Get),
        3 => key.clone().prop_map(Step::Peek),
        6 => key.clone().prop_map(Step::Find),
        6 => (key.clone(), 1..LONGEST_TTL, any::<bool>())
            .prop_map(|(key, ttl, tagged)| Step::Insert { key, ttl, tagged }),
        6 => (key.clone(), prop_oneof![Just(Stale::Refresh), Just(Stale::Accept), Just(Stale::Refuse)])
            .prop_map(|(key, stale)| Step::Load(key, stale)),
        1 => key.clone().prop_map(Step::Delete),
        1 => key.prop_map(Step::DeletePrefix),
        1 => space.clone().prop_map(Step::InvalidateSpace),
        1 => Just(Step::InvalidateTag),
        1 => Just(Step::InvalidateAll),
        2 => (space.clone(), 0..2_u8).prop_map(|(space, fingerprint)| Step::Note { space, fingerprint }),
        2 => space.prop_map(Step::Release),
        4 => (1..30_u64).prop_map(Step::Advance),
        1 => (1..40_u64).prop_map(Step::SetBack),
        3 => Just(Step::Restart),
    ]
}

/// A value as one tier has it. In memory the times are those of this life, on disk those of the day.
#[derive(Clone, Copy, Debug)]
struct Copied {
    number: u64,
    loaded_at: u64,
    ttl: u64,
    began_in: u64,
    tagged: bool,
}

impl Copied {
    /// How many of the stages of its life are over: 0 fresh, 1 stale, 2 expired, 3 all.
    fn stage(&self, now: u64) -> u64 {
        let over = now.saturating_sub(self.loaded_at).checked_sub(self.ttl);
        over.map_or(0, |over| 1 + u64::from(over >= STALE) + u64::from(over >= ON_ERROR))
    }
}

#[derive(Default)]
struct Account {
    memory: [Option<Copied>; KEYS],
    disk: [Option<Copied>; KEYS],
    has_disk: bool,
    /// The time since this life began, and the time of day then, and how far that was set back since.
    now: u64,
    day: u64,
    set_back: u64,
    step: u64,
    invalidated: [u64; SPACES],
    tag_invalidated: u64,
    known: [Option<u8>; SPACES],
}

impl Account {
    fn is_valid(&self, key: usize, copied: &Copied) -> bool {
        copied.began_in > self.invalidated[key / NAMES] && (!copied.tagged || copied.began_in > self.tag_invalidated)
    }

    /// What memory has of a key, up to this stage.
    fn in_memory(&self, key: usize, stage: u64) -> Option<Copied> {
        self.memory[key].filter(|copied| self.is_valid(key, copied) && copied.stage(self.now) <= stage)
    }

    /// Brings what the disk has into memory, if it is of any use.
    fn restore(&mut self, key: usize) {
        let Some(stored) = self.disk[key].filter(|stored| self.is_valid(key, stored)) else { return };
        let day = self.day + self.now;
        // A second of the future is a rounding.
        if stored.loaded_at > day + 1 {
            return;
        }
        let loaded_at = self.now - day.saturating_sub(stored.loaded_at);
        let restored = Copied { loaded_at, ..stored };
        let newer = self.in_memory(key, 2).is_some_and(|present| present.loaded_at > loaded_at);
        if restored.stage(self.now) <= 2 && !newer {
            self.memory[key] = Some(restored);
        }
    }

    fn find(&mut self, key: usize) -> Option<u64> {
        if self.in_memory(key, 0).is_none() {
            self.restore(key);
        }
        self.in_memory(key, 0).map(|copied| copied.number)
    }

    fn store(&mut self, key: usize, ttl: u64, tagged: bool) {
        let copied = Copied { number: self.step, loaded_at: self.now, ttl, began_in: self.step, tagged };
        self.memory[key] = Some(copied);
        self.disk[key] = self.has_disk.then(|| Copied { loaded_at: self.day + self.now, ..copied });
    }

    /// What a load answers; what it loads has the number of this step.
    fn load(&mut self, key: usize, stale: Stale) -> u64 {
        let enough = match stale {
            Stale::Refuse => 0,
            Stale::Refresh => 1,
            Stale::Accept => 2,
        };
        if self.in_memory(key, enough).is_none() {
            self.restore(key);
        }
        let there = self.in_memory(key, enough);
        if there.is_none_or(|there| stale == Stale::Refresh && there.stage(self.now) == 1) {
            self.store(key, LONGEST_TTL, false);
        }
        there.map_or(self.step, |there| there.number)
    }

    fn delete(&mut self, covers: impl Fn(usize) -> bool) {
        for key in (0..KEYS).filter(|key| covers(*key)) {
            (self.memory[key], self.disk[key]) = (None, None);
        }
    }

    fn note(&mut self, space: usize, fingerprint: u8) -> Noted {
        match self.known[space].replace(fingerprint) {
            Some(known) if known == fingerprint => Noted::Same,
            known => {
                self.invalidated[space] = self.step;
                if known.is_some() { Noted::Changed } else { Noted::First }
            }
        }
    }

    fn restart(&mut self) {
        self.day = self.day + self.now - self.set_back - BEGIN;
        (self.now, self.set_back) = (BEGIN, 0);
        self.memory = Default::default();
        if !self.has_disk {
            (self.invalidated, self.tag_invalidated, self.known) = Default::default();
        }
    }
}

struct Both {
    life: Option<Life>,
    keys: Vec<Key>,
    account: Account,
    runtime: tokio::runtime::Runtime,
}

impl Both {
    fn new(has_disk: bool) -> Self {
        let windows = |builder: cache_core::Builder<u64>| {
            let (stale, on_error) = (Duration::from_secs(STALE), Duration::from_secs(ON_ERROR));
            builder.ttl(Duration::from_secs(LONGEST_TTL)).stale_while_revalidate(stale).stale_if_error(on_error)
        };
        let life = if has_disk { Life::with(windows) } else { Life::without_disk(windows) };
        let keys = (0..KEYS).map(|key| key_in(&format!("s{}", key / NAMES), NAMES_OF[key % NAMES])).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let account = Account { has_disk, now: BEGIN, day: 10 * BEGIN, ..Account::default() };
        Self { life: Some(life), keys, account, runtime }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.account.step += 1;
        let life = self.life.as_ref().expect("there is one between two steps");
        let number = self.account.step;
        let (cache, account) = (&life.cache, &mut self.account);
        match step {
            Step::Get(key) => {
                let found = cache.get(&self.keys[key]).map(|hit| *hit.value());
                prop_assert_eq!(found, account.in_memory(key, 0).map(|copied| copied.number));
            }
            Step::Peek(key) => {
                let found = cache.peek(&self.keys[key]).map(|hit| (*hit.value(), hit.age().as_secs()));
                let expected = account.in_memory(key, 2);
                prop_assert_eq!(found, expected.map(|copied| (copied.number, account.now - copied.loaded_at)));
            }
            Step::Find(key) => prop_assert_eq!(life.find(&self.keys[key]), account.find(key)),
            Step::Insert { key, ttl, tagged } => {
                let tags = tagged.then(|| "red".into());
                let item = Item::new(number, BYTES).with_ttl(Duration::from_secs(ttl)).with_tags(tags);
                prop_assert_eq!(cache.insert(&self.keys[key], item), Stored::Yes);
                account.store(key, ttl, tagged);
            }
            Step::Load(key, stale) => {
                let expected = account.load(key, stale);
                let options = LoadOptions { stale, ..LoadOptions::default() };
                let name = &self.keys[key];
                let loaded = self.runtime.block_on(async {
                    let loaded = cache.try_get_or_load(name, options, ready(number)).await.unwrap();
                    // Also what goes on behind a stale answer.
                    let after = account.in_memory(key, 2).map(|copied| copied.number);
                    until(|| cache.peek(name).map(|hit| *hit.value()) == after).await;
                    until(|| cache.stats().loading == 0).await;
                    tokio::task::yield_now().await;
                    *loaded.value()
                });
                prop_assert_eq!(loaded, expected);
            }
            Step::Delete(key) => {
                life.invalidate(Scope::Key(self.keys[key].clone()));
                account.delete(|each| each == key);
            }
            Step::DeletePrefix(key) => {
                let (namespace, prefix) = (self.keys[key].namespace().clone(), self.keys[key].bytes()[..2].into());
                life.invalidate(Scope::Prefix { namespace, prefix });
                let covers = |each: usize| {
                    each / NAMES == key / NAMES && NAMES_OF[each % NAMES][..2] == NAMES_OF[key % NAMES][..2]
                };
                account.delete(covers);
            }
            Step::InvalidateSpace(space) => {
                life.invalidate(Scope::Namespace(self.keys[space * NAMES].namespace().clone()));
                account.invalidated[space] = number;
            }
            Step::InvalidateTag => {
                life.invalidate(Scope::Tag("red".into()));
                account.tag_invalidated = number;
            }
            Step::InvalidateAll => {
                life.invalidate(Scope::All);
                account.invalidated = [number; SPACES];
            }
            Step::Note { space, fingerprint } => {
                let noted = cache.note_fingerprint(&Namespace::new(format!("s{space}")), &[fingerprint]).unwrap();
                prop_assert_eq!(noted, account.note(space, fingerprint));
            }
            Step::Release(space) => {
                cache.release(self.keys[space * NAMES].namespace());
                account.memory[space * NAMES..(space + 1) * NAMES].fill(None);
            }
            Step::Advance(seconds) => {
                life.clock.advance(Duration::from_secs(seconds));
                account.now += seconds;
            }
            Step::SetBack(seconds) => {
                life.clock.set_back(Duration::from_secs(seconds));
                account.set_back += seconds;
            }
            Step::Restart => {
                self.life = self.life.take().map(Life::crash);
                account.restart();
            }
        }
        Ok(())
    }
}

/// Two of them begin alike.
const NAMES_OF: [&str; NAMES] = ["aaa", "aab", "bbb"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_answers_as_the_account_says(steps in vec(step(), 1..120), has_disk in any::<bool>()) {
        let mut both = Both::new(has_disk);
        for step in steps {
            both.take(step)?;
        }
    }
}
