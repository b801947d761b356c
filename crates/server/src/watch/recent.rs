//! What became of loads that went wrong in the last minute, and since when datasets are answered with old data.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use monitor::alerts::Recovery;
use parking_lot::Mutex;

const SPAN: Duration = Duration::from_secs(60);
/// Datasets that are remembered; of more, those that come later are not.
const MAX_DATASETS: usize = 10_000;

/// What was done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    Retried,
    ServedStale,
    BreakerOpen,
}

/// By dataset.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<Arc<str>, Dataset>>);

#[derive(Debug, Default)]
struct Dataset {
    /// Counts by second, the oldest first.
    seconds: VecDeque<(Instant, [u64; 3])>,
    /// Since when old data has stood in, and when it did so last.
    stale: Option<(Instant, Instant)>,
}

impl Recent {
    pub(super) fn note(&self, dataset: &str, remedy: Remedy) {
        self.with(dataset, |known, now| {
            let second = Duration::from_secs(1);
            if known.seconds.back().is_none_or(|(began, _)| now - *began >= second) {
                known.seconds.push_back((now, [0; 3]));
            }
            if let Some((_, counts)) = known.seconds.back_mut() {
                counts[remedy as usize] += 1;
            }
            known.forget(now);
        });
    }

    /// It was answered with old data.
    pub(super) fn stale(&self, dataset: &str) {
        self.with(dataset, |known, now| {
            let since = known.stale.map_or(now, |(since, _)| since);
            known.stale = Some((since, now));
        });
    }

    /// Its data is fresh again.
    pub(super) fn fresh(&self, dataset: &str) {
        if let Some(known) = self.0.lock().get_mut(dataset) {
            known.stale = None;
        }
    }

    /// What was done for a dataset in the last minute.
    pub(super) fn recovery(&self, dataset: &str) -> Recovery {
        let mut all = self.0.lock();
        let Some(known) = all.get_mut(dataset) else { return Recovery::default() };
        known.forget(Instant::now());
        let sum = |at: usize| known.seconds.iter().map(|(_, counts)| counts[at]).sum();
        Recovery { retried: sum(0), served_stale: sum(1), breaker_open: sum(2) }
    }

    /// For how long each dataset has been answered with old data, of those that were in the last minute.
    pub(super) fn stale_for(&self) -> Vec<(Arc<str>, Duration)> {
        let all = self.0.lock();
        let stale = all.iter().filter_map(|(name, known)| Some((name, known.stale?)));
        let lately = stale.filter(|(_, (_, last))| last.elapsed() < SPAN);
        lately.map(|(name, (since, last))| (Arc::clone(name), last - since)).collect()
    }

    fn with(&self, dataset: &str, change: impl FnOnce(&mut Dataset, Instant)) {
        let mut all = self.0.lock();
        if !all.contains_key(dataset) {
            if all.len() >= MAX_DATASETS {
                return;
            }
            all.insert(dataset.into(), Dataset::default());
        }
        if let Some(known) = all.get_mut(dataset) {
            change(known, Instant::now());
        }
    }
}

impl Dataset {
    fn forget(&mut self, now: Instant) {
        while self.seconds.front().is_some_and(|(began, _)| now - *began > SPAN) {
            self.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_are_counted_and_old_data_is_dated_until_it_is_fresh() {
        let recent = Recent::default();
        [Remedy::Retried, Remedy::Retried, Remedy::BreakerOpen].into_iter().for_each(|it| recent.note("sales", it));
        assert_eq!(recent.recovery("sales"), Recovery { retried: 2, served_stale: 0, breaker_open: 1 });
        assert_eq!(recent.recovery("prices"), Recovery::default());
        recent.stale("sales");
        recent.stale("sales");
        assert_eq!(recent.stale_for().len(), 1);
        recent.fresh("sales");
        assert!(recent.stale_for().is_empty());
    }
}
