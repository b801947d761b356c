//! How old the oldest entry is. That takes a look at every entry, so whoever asks often is told what the last look found:
//! looking takes about a hundredth of the time at most.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Moment;

/// A look at so few entries is taken each time.
const FEW: u32 = 1_000;
/// After another one so much time goes by for each entry: a hundred times what looking at one takes.
const PAUSE: Duration = Duration::from_micros(10);

/// What the last look found.
#[derive(Default)]
pub(crate) struct Oldest(Mutex<Option<Looked>>);

#[derive(Clone, Copy)]
struct Looked {
    again: Instant,
    found: Option<Moment>,
}

impl Oldest {
    /// When the oldest entry began: as `look` finds it, which says at how many entries it looked, or as it found it a
    /// while ago.
    pub(crate) fn get(&self, look: impl FnOnce() -> (Option<Moment>, u32)) -> Option<Moment> {
        let mut last = self.0.lock();
        if let Some(last) = last.filter(|last| Instant::now() < last.again) {
            return last.found;
        }
        let (found, entries) = look();
        let pause = if entries <= FEW { Duration::ZERO } else { PAUSE * entries };
        *last = Some(Looked { again: Instant::now() + pause, found });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_many_entries_is_not_taken_each_time() {
        let (oldest, at) = (Oldest::default(), |seconds| Some(Moment::from_start(Duration::from_secs(seconds))));
        assert_eq!(oldest.get(|| (at(1), FEW)), at(1));
        assert_eq!(oldest.get(|| (at(2), u32::MAX)), at(2));
        assert_eq!(oldest.get(|| (at(3), 1)), at(2), "half a day has to go by");
    }
}
