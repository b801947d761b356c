//! Waiting for a fact, with a deadline: the only way in which these tests wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for what should take a moment; generous, because a busy machine is no defect.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `look` until it has an answer.
///
/// # Panics
/// When there is none by the deadline.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks `holds` until it does.
///
/// # Panics
/// When it does not by the deadline.
#[track_caller]
pub fn until_true(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    until(what, patience, || holds().then_some(()));
}

/// Raises a flag when it goes, also when a test fails: threads that run until the flag is raised then
/// end, and the failure is told instead of waited for.
#[derive(Debug)]
pub struct RaiseOnDrop<'a>(pub &'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
