//! What happened in a job, numbered, for those who come late or come back.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::event::LoadEvent;

/// Events that are kept of any job; of older ones it is known that there were some.
const LEAST_EVENTS: usize = 10_000;

/// The events of a job, numbered from 1 on.
#[derive(Debug)]
pub(crate) struct Journal {
    most: usize,
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Arc<LoadEvent>>,
    /// The number of the first one that is kept, less one.
    forgotten: u64,
    is_closed: bool,
}

/// What there is after a number.
#[derive(Debug)]
pub(crate) struct Page {
    /// The events with their numbers.
    pub(crate) events: Vec<(u64, Arc<LoadEvent>)>,
    /// Whether there were others that are not kept any more.
    pub(crate) has_gap: bool,
    /// Whether nothing will follow.
    pub(crate) is_last: bool,
}

impl Journal {
    /// A journal that keeps so many events, or more.
    pub(crate) fn of(events: usize) -> Self {
        Self { most: events.max(LEAST_EVENTS), inner: Mutex::default(), news: Notify::default() }
    }

    pub(crate) fn write(&self, event: LoadEvent) {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return;
        }
        inner.events.push_back(Arc::new(event));
        if inner.events.len() > self.most {
            inner.events.pop_front();
            inner.forgotten += 1;
        }
        drop(inner);
        self.news.notify_waiters();
    }

    /// Nothing more will be written.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
        self.news.notify_waiters();
    }

    /// At most `most` events after number `after`, at once.
    pub(crate) fn after(&self, after: u64, most: usize) -> Page {
        let inner = self.inner.lock();
        let skip = usize::try_from(after.saturating_sub(inner.forgotten)).unwrap_or(usize::MAX);
        let first = inner.forgotten.max(after).saturating_add(1);
        let events = inner.events.iter().skip(skip).take(most).cloned();
        let events: Vec<_> = (first..).zip(events).collect();
        let end = skip.saturating_add(events.len());
        Page { events, has_gap: after < inner.forgotten, is_last: inner.is_closed && end >= inner.events.len() }
    }

    /// Waits until there is something after number `after`, or nothing will follow.
    pub(crate) async fn wait(&self, after: u64) {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Before the look, so that what is written between the two is not missed.
            news.as_mut().enable();
            let page = self.after(after, 1);
            if page.is_last || !page.events.is_empty() {
                return;
            }
            news.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Event;

    fn event() -> LoadEvent {
        LoadEvent { at: Duration::ZERO, event: Event::Began { requests: 1 } }
    }

    #[track_caller]
    fn check(journal: &Journal, after: u64, numbers: &[u64], has_gap: bool, is_last: bool) {
        let page = journal.after(after, 3);
        let seen: Vec<u64> = page.events.iter().map(|(number, _)| *number).collect();
        assert_eq!((seen.as_slice(), page.has_gap, page.is_last), (numbers, has_gap, is_last), "after {after}");
    }

    #[test]
    fn events_are_read_from_where_the_reader_was() {
        let journal = Journal::of(0);
        (0..4).for_each(|_| journal.write(event()));
        check(&journal, 0, &[1, 2, 3], false, false);
        check(&journal, 3, &[4], false, false);
        check(&journal, 4, &[], false, false);
        journal.close();
        journal.write(event());
        check(&journal, 2, &[3, 4], false, true);
        check(&journal, 0, &[1, 2, 3], false, false);
        check(&journal, 99, &[], false, true);
        check(&journal, u64::MAX, &[], false, true);
    }

    #[test]
    fn what_is_not_kept_any_more_is_told() {
        let journal = Journal::of(0);
        (0..LEAST_EVENTS + 2).for_each(|_| journal.write(event()));
        check(&journal, 0, &[3, 4, 5], true, false);
        check(&journal, 2, &[3, 4, 5], false, false);
    }
}
