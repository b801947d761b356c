//! When a value was born, as far as its truth goes.

use crate::clock::Moment;

/// When the scan behind a value began, and the invalidation counter from before it began.
///
/// A value that is made of others inherits the oldest of their origins ([`Origin::oldest`]): a response body is as old
/// as the table it was rendered from. Only loads *begin* an origin: `Cache::begin` or the flight itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    loaded_at: Moment,
    counter: u64,
}

impl Origin {
    /// An origin from its parts. The counter must have been read before the scan began.
    pub fn new(loaded_at: Moment, counter: u64) -> Self {
        Self { loaded_at, counter }
    }

    /// When the scan began, by the cache's clock.
    pub fn loaded_at(&self) -> Moment {
        self.loaded_at
    }

    /// The invalidation counter from before the scan began.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The origin of what is made of both.
    #[must_use]
    pub fn oldest(self, other: Self) -> Self {
        // The two are compared apart: an origin of another clock tick may carry the lower counter.
        Self { loaded_at: self.loaded_at.min(other.loaded_at), counter: self.counter.min(other.counter) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn origin(seconds: u64, counter: u64) -> Origin {
        Origin::new(Moment::from_start(Duration::from_secs(seconds)), counter)
    }

    #[track_caller]
    fn check(left: Origin, right: Origin, oldest: Origin) {
        assert_eq!(left.oldest(right), oldest);
        assert_eq!(right.oldest(left), oldest);
    }

    #[test]
    fn the_oldest_has_the_earliest_time_and_the_lowest_counter() {
        check(origin(1, 1), origin(2, 2), origin(1, 1));
        check(origin(1, 5), origin(2, 2), origin(1, 2));
        check(origin(3, 3), origin(3, 3), origin(3, 3));
    }
}
