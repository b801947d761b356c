//! What failed a moment ago is not tried again at once, where an old value can stand in for it.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::key::{Key, Prehashed};
use crate::sync::Mutex;

/// How long a failed load is not tried again while there is an old value.
const PAUSE: Duration = Duration::from_secs(1);
/// Keys remembered at most. Beyond it the oldest news are forgotten, and a load is tried too early: no harm.
const MAX_KEYS: usize = 1_024;

/// The keys whose load has failed a moment ago.
#[derive(Default)]
pub(crate) struct Pauses {
    until: Mutex<HashMap<Key, Moment, Prehashed>>,
}

impl Pauses {
    pub(crate) fn pause(&self, key: &Key, now: Moment) {
        let mut until = self.until.lock();
        if until.len() >= MAX_KEYS {
            until.retain(|_, until| *until > now);
            if until.len() >= MAX_KEYS {
                until.clear();
            }
        }
        until.insert(key.clone(), now.plus(PAUSE));
    }

    /// The load of a key has succeeded.
    pub(crate) fn forget(&self, key: &Key) {
        self.until.lock().remove(key);
    }

    pub(crate) fn is_paused(&self, key: &Key, now: Moment) -> bool {
        let mut until = self.until.lock();
        match until.get(key) {
            Some(&moment) if now < moment => true,
            Some(_) => {
                until.remove(key);
                false
            }
            None => false,
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::key::Namespace;

    #[test]
    fn a_pause_ends_and_leaves_nothing_behind() {
        let (pauses, now) = (Pauses::default(), Moment::from_start(Duration::ZERO));
        let namespace = Namespace::new("n");
        for number in 0..10 * MAX_KEYS as u32 {
            pauses.pause(&Key::new(&namespace, number.to_be_bytes()), now);
        }
        assert!(pauses.until.lock().len() <= MAX_KEYS);
        let key = Key::new(&namespace, *b"k");
        pauses.pause(&key, now);
        assert!(pauses.is_paused(&key, now));
        assert!(!pauses.is_paused(&key, now.plus(PAUSE)));
        assert!(!pauses.is_paused(&key, now), "it is forgotten");
    }
}
