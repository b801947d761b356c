//! How much counters have grown since they were last looked at.

use std::collections::HashMap;

use super::alert::AlertKind;

/// The counts of the last evaluation, of the subjects that were read in it.
#[derive(Debug, Default)]
pub(super) struct Growth {
    last: HashMap<(AlertKind, String), u64>,
    now: HashMap<(AlertKind, String), u64>,
}

impl Growth {
    /// How much a counter has grown. One that was not read in the last evaluation has grown from zero, and so has one that
    /// is lower than it was: it has begun anew.
    pub(super) fn of(&mut self, kind: AlertKind, subject: &str, count: u64) -> u64 {
        let key = (kind, subject.to_owned());
        let last = self.last.get(&key).copied().filter(|last| *last <= count).unwrap_or(0);
        self.now.insert(key, count);
        count - last
    }

    /// Forgets what was not read this time.
    pub(super) fn next_evaluation(&mut self) {
        self.last = std::mem::take(&mut self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_one_evaluation_to_the_next() {
        let mut growth = Growth::default();
        let mut read = |count| {
            let grown = growth.of(AlertKind::QueueFull, "scans", count);
            growth.next_evaluation();
            grown
        };
        assert_eq!([read(3), read(3), read(5), read(2), read(2)], [3, 0, 2, 2, 0]);
        growth.next_evaluation();
        assert!(growth.last.is_empty(), "what is not read is forgotten");
        assert_eq!(growth.of(AlertKind::QueueFull, "scans", 2), 2);
    }
}
