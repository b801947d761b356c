//! How far the loads that are under way have come.
//!
//! A load has one [`LoadProgress`], shared by whoever runs it (who writes) and whoever waits for it or looks on (who read).
//! Numbers only grow, over all attempts: an attempt that begins anew shows again only once it is past the one before.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cache_core::Key;
use parking_lot::Mutex;
use plugin_sdk::{ErrorCode, Progress};
use tokio::time::Instant;

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits until its source may be called.
    Queued,
    /// Its source is being read.
    Reading,
    /// An attempt has failed, and the next one waits.
    Waiting,
    /// All is read.
    Read,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Queued, Self::Reading, Self::Waiting, Self::Read];

    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Reading => "reading",
            Self::Waiting => "waiting",
            Self::Read => "read",
        }
    }
}

/// How far one load has come.
#[derive(Debug)]
pub struct LoadProgress {
    began: Instant,
    stage: AtomicU8,
    attempts: AtomicU32,
    rows: AtomicU64,
    bytes: AtomicU64,
    /// Zero while nobody knows.
    total_rows: AtomicU64,
    /// Rows and bytes that came in this attempt.
    received: Received,
    last_failure: Mutex<Option<ErrorCode>>,
}

#[derive(Debug, Default)]
struct Received {
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// A look at a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressSeen {
    /// What it is doing.
    pub stage: Stage,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far, as the source counts them; as they came, where it does not.
    pub bytes: u64,
    /// How many rows there will be, if the source said so.
    pub total_rows: Option<u64>,
    /// Since the load began.
    pub elapsed: Duration,
    /// Why the last attempt failed, if one did.
    pub last_failure: Option<ErrorCode>,
}

impl Default for LoadProgress {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            stage: AtomicU8::new(Stage::Queued as u8),
            attempts: AtomicU32::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_rows: AtomicU64::new(0),
            received: Received::default(),
            last_failure: Mutex::default(),
        }
    }
}

impl LoadProgress {
    /// The load does this now.
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// An attempt begins.
    pub fn begin_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.received.rows.store(0, Ordering::Relaxed);
        self.received.bytes.store(0, Ordering::Relaxed);
        self.set_stage(Stage::Reading);
    }

    /// An attempt failed, and there will be another.
    pub fn fail_attempt(&self, code: ErrorCode) {
        *self.last_failure.lock() = Some(code);
        self.set_stage(Stage::Waiting);
    }

    /// What the source says of itself.
    pub fn report(&self, progress: Progress) {
        self.rows.fetch_max(progress.rows, Ordering::Relaxed);
        self.bytes.fetch_max(progress.bytes, Ordering::Relaxed);
        if let Some(total) = progress.total_rows {
            self.total_rows.store(total, Ordering::Relaxed);
        }
    }

    /// So many more rows and bytes have come.
    pub fn receive(&self, rows: u64, bytes: u64) {
        let rows = self.received.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let bytes = self.received.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.rows.fetch_max(rows, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Rows and bytes that came in this attempt.
    pub(crate) fn received(&self) -> (u64, u64) {
        (self.received.rows.load(Ordering::Relaxed), self.received.bytes.load(Ordering::Relaxed))
    }

    /// A look at it.
    pub fn look(&self) -> ProgressSeen {
        let rows = self.rows.load(Ordering::Relaxed);
        // A source that finds more than it had expected is believed its rows.
        let total = self.total_rows.load(Ordering::Relaxed);
        ProgressSeen {
            stage: Stage::ALL[usize::from(self.stage.load(Ordering::Relaxed)).min(Stage::ALL.len() - 1)],
            attempts: self.attempts.load(Ordering::Relaxed),
            rows,
            bytes: self.bytes.load(Ordering::Relaxed),
            total_rows: (total > 0).then(|| total.max(rows)),
            elapsed: self.began.elapsed(),
            last_failure: *self.last_failure.lock(),
        }
    }
}

/// Where a caller finds the load that was begun for it, if one was.
#[derive(Debug, Default)]
pub struct Begun(Mutex<Option<Arc<LoadProgress>>>);

impl Begun {
    /// The load that was begun last; `None` if what was asked for was there, or if a load of somebody else brings it.
    pub fn load(&self) -> Option<Arc<LoadProgress>> {
        self.0.lock().clone()
    }

    fn set(&self, load: &Arc<LoadProgress>) {
        *self.0.lock() = Some(Arc::clone(load));
    }
}

/// The loads under way, by the key of what they will bring.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashMap<Key, Arc<LoadProgress>>>);

impl UnderWay {
    /// A load begins, for whoever looks into `begun`; it is listed until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, key: &Key, begun: Option<&Begun>) -> Listed {
        let progress = Arc::new(LoadProgress::default());
        if let Some(begun) = begun {
            begun.set(&progress);
        }
        self.0.lock().insert(key.clone(), Arc::clone(&progress));
        Listed { list: Arc::clone(self), key: key.clone(), progress }
    }

    pub(crate) fn of(&self, key: &Key) -> Option<Arc<LoadProgress>> {
        self.0.lock().get(key).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

/// A load in the list.
pub(crate) struct Listed {
    list: Arc<UnderWay>,
    key: Key,
    pub(crate) progress: Arc<LoadProgress>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = self.list.0.lock();
        // Another load of the same key may have begun since.
        if list.get(&self.key).is_some_and(|progress| Arc::ptr_eq(progress, &self.progress)) {
            list.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_grow_over_attempts() {
        let progress = LoadProgress::default();
        progress.begin_attempt();
        progress.receive(60, 600);
        progress.report(Progress { rows: 80, total_rows: Some(100), bytes: 10 });
        progress.fail_attempt(ErrorCode::Unavailable);
        let failed = progress.look();
        assert_eq!((failed.stage, failed.rows, failed.bytes, failed.total_rows), (Stage::Waiting, 80, 600, Some(100)));
        progress.begin_attempt();
        progress.receive(10, 100);
        assert_eq!((progress.look().rows, progress.look().attempts), (80, 2));
        progress.receive(110, 100);
        let seen = progress.look();
        assert_eq!((seen.rows, seen.total_rows, seen.last_failure), (120, Some(120), Some(ErrorCode::Unavailable)));
    }

    #[test]
    fn a_load_is_listed_while_it_is_under_way() {
        let list = Arc::new(UnderWay::default());
        let key = Key::new(&cache_core::Namespace::new("n"), b"k");
        let first = list.begin(&key, None);
        let begun = Begun::default();
        let second = list.begin(&key, Some(&begun));
        assert!(begun.load().is_some_and(|progress| Arc::ptr_eq(&progress, &second.progress)));
        drop(first);
        assert!(list.of(&key).is_some_and(|progress| Arc::ptr_eq(&progress, &second.progress)));
        drop(second);
        assert!(list.of(&key).is_none() && list.len() == 0);
    }
}
