//! The end of waiting for somebody who may never finish.
//!
//! A body runs inside the call that came first, and that call may be a future that nobody polls any more, or a thread
//! that waits, over some detour, for the very callers that wait for it. So a run that others wait for is watched, and
//! when it takes too long they are told to stop waiting. It is never interrupted.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long callers wait for the one that runs the body.
pub(crate) static PATIENCE: Patience = Patience::new(Duration::from_secs(60));

/// Something that takes its time.
pub(crate) trait Watched: Send + Sync {
    /// It has taken too long.
    fn give_up(self: Arc<Self>);
}

/// Watches over what was told to it, each for the same time.
pub(crate) struct Patience {
    limit: Duration,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

struct Queue {
    /// In the order of their ends.
    watched: VecDeque<(Instant, Weak<dyn Watched>)>,
    has_thread: bool,
}

impl Patience {
    const fn new(limit: Duration) -> Self {
        let queue = Queue { watched: VecDeque::new(), has_thread: false };
        Self { limit, queue: Mutex::new(queue), arrived: Condvar::new() }
    }

    /// Begins to watch. The first call starts the thread that does it.
    pub(crate) fn watch(&'static self, watched: Weak<dyn Watched>) {
        let mut queue = self.queue.lock();
        // What has ended meanwhile makes room, so that the queue holds no more than what is under way and what follows.
        while queue.watched.front().is_some_and(|(_, watched)| watched.strong_count() == 0) {
            queue.watched.pop_front();
        }
        queue.watched.push_back((Instant::now() + self.limit, watched));
        if !queue.has_thread {
            // Without the thread callers wait as long as it takes. The next call tries again.
            queue.has_thread = thread::Builder::new().name("smart-cache-patience".into()).spawn(|| self.run()).is_ok();
        }
        drop(queue);
        self.arrived.notify_one();
    }

    fn run(&self) {
        let mut queue = self.queue.lock();
        loop {
            let Some((end, _)) = queue.watched.front() else {
                self.arrived.wait(&mut queue);
                continue;
            };
            let end = *end;
            if Instant::now() < end {
                self.arrived.wait_until(&mut queue, end);
                continue;
            }
            let Some((_, watched)) = queue.watched.pop_front() else { continue };
            drop(queue);
            if let Some(watched) = watched.upgrade() {
                watched.give_up();
            }
            queue = self.queue.lock();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Told(Sender<u32>, u32);

    impl Watched for Told {
        fn give_up(self: Arc<Self>) {
            // The test may have ended.
            let _ = self.0.send(self.1);
        }
    }

    #[test]
    fn what_takes_too_long_is_told_and_what_has_ended_is_not() {
        static IMPATIENCE: Patience = Patience::new(Duration::ZERO);
        let (sender, receiver) = channel();
        let watched: Vec<Arc<dyn Watched>> =
            (0..3).map(|number| Arc::new(Told(sender.clone(), number)) as Arc<dyn Watched>).collect();
        let ended = Arc::downgrade(&(Arc::new(Told(sender.clone(), 99)) as Arc<dyn Watched>));
        IMPATIENCE.watch(ended);
        watched.iter().for_each(|watched| IMPATIENCE.watch(Arc::downgrade(watched)));
        assert_eq!((0..3).map(|_| receiver.recv().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
