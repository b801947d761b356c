//! When a value was born, as far as its truth goes.

use std::time::SystemTime;

use crate::clock::Moment;

/// When the scan behind a value began, and the invalidation counter from before it began.
///
/// A value that is made of others inherits the oldest of their origins ([`Origin::oldest`]): a response body is as old
/// as the table it was rendered from. Only loads *begin* an origin: `Cache::begin` or the flight itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    loaded_at: Moment,
    wall: SystemTime,
    counter: u64,
}

impl Origin {
    /// An origin from its parts. The counter must have been read before the scan began.
    pub fn new(loaded_at: Moment, wall: SystemTime, counter: u64) -> Self {
        Self { loaded_at, wall, counter }
    }

    /// When the scan began, by the cache's clock.
    pub fn loaded_at(&self) -> Moment {
        self.loaded_at
    }

    /// When the scan began, by the time of day. For people and headers; ages count from [`Origin::loaded_at`].
    pub fn wall(&self) -> SystemTime {
        self.wall
    }

    /// The invalidation counter from before the scan began.
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// The origin of what is made of both.
    #[must_use]
    pub fn oldest(self, other: Self) -> Self {
        let elder = if other.loaded_at < self.loaded_at { other } else { self };
        // The counters are compared apart: an origin of another clock tick may carry the lower one.
        Self { counter: self.counter.min(other.counter), ..elder }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn origin(seconds: u64, counter: u64) -> Origin {
        let time = Duration::from_secs(seconds);
        Origin::new(Moment::from_start(time), SystemTime::UNIX_EPOCH + time, counter)
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
