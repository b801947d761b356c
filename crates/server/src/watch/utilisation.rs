//! How busy the workers are that call sources: looked at once a second, the last minutes counting most.

use parking_lot::Mutex;

/// How much one look counts: so that those of five minutes ago count for a third.
const SHARE: f64 = 1.0 / 300.0;

#[derive(Debug, Default)]
pub(super) struct Utilisation(Mutex<Seen>);

/// What was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Seen {
    /// How many are busy on average, as a share of all.
    pub(super) busy: f64,
    /// The share of time in which all are busy.
    pub(super) saturated: f64,
    looks: u64,
}

impl Utilisation {
    /// A look: so many are busy, of so many, while others wait.
    pub(super) fn look(&self, running: usize, of: usize, queued: usize) {
        let mut seen = self.0.lock();
        seen.looks += 1;
        // At first it is the mean of all looks.
        let share = SHARE.max(1.0 / seen.looks as f64);
        let busy = running as f64 / of.max(1) as f64;
        let saturated = f64::from(u8::from(running >= of || queued > 0));
        seen.busy += (busy - seen.busy) * share;
        seen.saturated += (saturated - seen.saturated) * share;
    }

    /// There are more workers, or fewer: what was seen before tells nothing of them.
    pub(super) fn forget(&self) {
        *self.0.lock() = Seen::default();
    }

    pub(super) fn seen(&self) -> Seen {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_looks_are_averaged() {
        let utilisation = Utilisation::default();
        [(4, 0), (0, 0), (4, 2), (0, 0)].into_iter().for_each(|(running, queued)| utilisation.look(running, 4, queued));
        let seen = utilisation.seen();
        assert!((seen.busy - 0.5).abs() < 1e-9 && (seen.saturated - 0.5).abs() < 1e-9, "{seen:?}");
    }
}
