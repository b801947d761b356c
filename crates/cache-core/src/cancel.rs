//! How a load learns that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Raised once, when the last waiter has left or the load time-out has passed. The future of the load is dropped then
/// anyway; the signal is for work that cannot be dropped, such as a thread that reads a file. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct CancelSignal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: AtomicBool,
    changed: Notify,
}

impl CancelSignal {
    /// Whether the work is in vain. For blocking work to ask between two steps.
    pub fn is_cancelled(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until the work is in vain. For tasks that the load has started beside itself.
    pub async fn cancelled(&self) {
        // Registered before the look, or a signal between the two would be missed.
        let changed = self.0.changed.notified();
        if !self.is_cancelled() {
            changed.await;
        }
    }

    pub(crate) fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_seen_before_and_after_it_is_raised() {
        let signal = CancelSignal::default();
        assert!(!signal.is_cancelled());
        let waiting = tokio::spawn({
            let signal = signal.clone();
            async move { signal.cancelled().await }
        });
        tokio::task::yield_now().await;
        signal.raise();
        waiting.await.unwrap();
        signal.cancelled().await;
        assert!(signal.is_cancelled());
    }
}
