//! Which values are being loaded again behind their readers: each key once, and so many keys at a time.
//!
//! A key is in here from when a reader decides to have it loaded again until that has ended, so that of many readers of
//! one stale value one starts a refresh, and the others take no place away from other keys.

use std::collections::HashSet;
use std::sync::Arc;

use crate::key::{Key, Prehashed};
use crate::sync::Mutex;

/// The keys that are loaded again behind their readers.
pub(crate) struct Refreshes {
    keys: Mutex<HashSet<Key, Prehashed>>,
    limit: usize,
}

/// What a reader of a stale value hears.
pub(crate) enum Turn {
    /// The refresh is the reader's to start.
    Mine(Refreshing),
    /// There is one already.
    UnderWay,
    /// So many others are under way that this one has to wait for another reader.
    Full,
}

/// The place of one refresh, until it is dropped.
pub(crate) struct Refreshing {
    of: Arc<Refreshes>,
    key: Key,
}

impl Refreshes {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { keys: Mutex::default(), limit })
    }

    pub(crate) fn begin(self: &Arc<Self>, key: &Key) -> Turn {
        let mut keys = self.keys.lock();
        if keys.contains(key) {
            return Turn::UnderWay;
        }
        if keys.len() >= self.limit {
            return Turn::Full;
        }
        keys.insert(key.clone());
        Turn::Mine(Refreshing { of: Arc::clone(self), key: key.clone() })
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.of.keys.lock().remove(&self.key);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::key::Namespace;

    #[test]
    fn each_key_has_one_turn_and_the_turns_are_bounded() {
        let (refreshes, space) = (Refreshes::new(2), Namespace::new("n"));
        let begin = |name: u8| refreshes.begin(&Key::new(&space, [name]));
        let Turn::Mine(first) = begin(1) else { panic!("nothing is under way") };
        assert!(matches!(begin(1), Turn::UnderWay));
        let Turn::Mine(_second) = begin(2) else { panic!("there is room for two") };
        assert!(matches!(begin(3), Turn::Full));
        assert!(matches!(begin(1), Turn::UnderWay), "it is no refusal when there is one already");
        drop(first);
        assert!(matches!(begin(3), Turn::Mine(_)));
        assert!(matches!(begin(1), Turn::Mine(_)), "the third has given its place back at once");
    }
}
