//! Loading a list of keys before anybody asks for them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::load::How;

/// What became of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// They were there, in memory or on disk.
    pub present: u64,
    /// They were loaded.
    pub loaded: u64,
    /// They could not be loaded.
    pub failed: u64,
}

impl Warmed {
    pub(crate) fn count(&mut self, how: Option<How>) {
        match how {
            Some(How::Hit | How::Restored | How::Stale | How::StaleOnError) => self.present += 1,
            Some(How::Led | How::Joined) => self.loaded += 1,
            None => self.failed += 1,
        }
    }
}

type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A few futures that are waited for at once. They run where they are waited for, so they need no runtime of their own.
pub(crate) struct UnderWay<T>(Vec<Waiting<T>>);

impl<T> UnderWay<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0.push(Box::pin(future));
    }

    /// What the next one that ends has brought; `None` if there is none.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        for at in 0..self.0.len() {
            if let Poll::Ready(ended) = self.0[at].as_mut().poll(context) {
                drop(self.0.swap_remove(at));
                return Poll::Ready(Some(ended));
            }
        }
        Poll::Pending
    }
}

impl<T> Default for UnderWay<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
