//! The past of one operation, in slices: what the last minute, the last hour and the time since the start are made of.
//!
//! Time is cut into slices of ten seconds and of five minutes, at the same moments for all operations. A duration goes
//! into the live slice. When its ten seconds are over it is closed: kept for the minute, and added to the five minutes
//! that it lies in; when those are over they are kept for the hour, and added to all that was before.
//!
//! 1. *The last minute* is the live slice and the six before it: 60 to 70 seconds. *The last hour* is the five minutes
//!    under way and the twelve before them: 60 to 65 minutes. Either is shorter while the monitor is younger.
//! 2. Slices age by the clock, not by use: whoever records or reads closes what is over and drops what is too old, so an
//!    operation that nobody calls has empty windows, and takes no more memory for them.
//! 3. A slice in which nothing happened is not kept.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::figures::{Figures, Scratch};
use crate::live::Live;
use crate::slice::Slice;
use crate::tally::Tally;

const SHORT: Duration = Duration::from_secs(10);
/// Short slices in a long one.
const SHORT_IN_LONG: u64 = 30;
/// Closed slices of the last minute, and of the last hour.
const MINUTE: u64 = 6;
const HOUR: u64 = 12;

/// What is kept of one operation.
pub(crate) struct History {
    /// The number of the short slice that is live, and the first moment after it.
    number: u64,
    ends: Moment,
    live: Live,
    tally: Tally,
    /// Closed slices with their numbers, the oldest first.
    minute: VecDeque<(u64, Slice)>,
    /// What was closed of the long slice that is under way.
    under_way: Slice,
    hour: VecDeque<(u64, Slice)>,
    /// All long slices that are over.
    before: Slice,
}

/// The figures of one operation over the three windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Windows {
    /// The last 60 to 70 seconds.
    pub minute: Figures,
    /// The last 60 to 65 minutes.
    pub hour: Figures,
    /// Since the monitor began.
    pub total: Figures,
}

impl History {
    pub(crate) fn new(now: Moment) -> Self {
        let number = now.whole(SHORT);
        Self {
            number,
            ends: begin_of(number + 1),
            live: Live::new(),
            tally: Tally::EMPTY,
            minute: VecDeque::new(),
            under_way: Slice::default(),
            hour: VecDeque::new(),
            before: Slice::default(),
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, now: Moment, time: Duration, failed: bool) {
        self.roll(now);
        let nanos = nanos(time);
        self.tally.record(nanos, failed);
        self.live.record(nanos);
    }

    pub(crate) fn abandon(&mut self, now: Moment) {
        self.roll(now);
        self.tally.abandoned += 1;
    }

    /// The last minute.
    pub(crate) fn minute(&mut self, now: Moment, began: Moment, scratch: &mut Scratch) -> Figures {
        self.roll(now);
        scratch.clear();
        self.add_live(scratch);
        self.minute.iter().for_each(|(_, slice)| scratch.add(&slice.tally, slice.counts()));
        scratch.figures(now.since(began.max(begin_of(self.number.saturating_sub(MINUTE)))))
    }

    /// All three windows.
    pub(crate) fn windows(&mut self, now: Moment, began: Moment, scratch: &mut Scratch) -> Windows {
        let minute = self.minute(now, began, scratch);
        scratch.clear();
        self.add_live(scratch);
        scratch.add(&self.under_way.tally, self.under_way.counts());
        self.hour.iter().for_each(|(_, slice)| scratch.add(&slice.tally, slice.counts()));
        let first = (self.number / SHORT_IN_LONG).saturating_sub(HOUR) * SHORT_IN_LONG;
        let hour = scratch.figures(now.since(began.max(begin_of(first))));
        scratch.clear();
        self.add_live(scratch);
        [&self.under_way, &self.before].into_iter().for_each(|slice| scratch.add(&slice.tally, slice.counts()));
        Windows { minute, hour, total: scratch.figures(now.since(began)) }
    }

    fn add_live(&self, scratch: &mut Scratch) {
        scratch.add(&self.tally, self.live.counts());
    }

    #[inline]
    fn roll(&mut self, now: Moment) {
        // A coarse time may lie just before the slice that an exact one has begun: it counts for that slice.
        if now >= self.ends {
            self.roll_to(now.whole(SHORT));
        }
    }

    #[cold]
    fn roll_to(&mut self, number: u64) {
        if !self.tally.is_empty() {
            let slice = Slice::new(self.tally, self.live.counts());
            self.under_way = self.under_way.merged(&slice);
            self.minute.push_back((self.number, slice));
            self.tally = Tally::EMPTY;
        }
        // Even of a slice without calls: the octaves of the one before are given back.
        self.live.clear();
        let (long, was) = (number / SHORT_IN_LONG, self.number / SHORT_IN_LONG);
        if long > was && !self.under_way.tally.is_empty() {
            let slice = std::mem::take(&mut self.under_way);
            self.before = self.before.merged(&slice);
            self.hour.push_back((was, slice));
        }
        drop_older(&mut self.minute, number.saturating_sub(MINUTE));
        drop_older(&mut self.hour, long.saturating_sub(HOUR));
        self.number = number;
        self.ends = begin_of(number + 1);
    }
}

fn drop_older(slices: &mut VecDeque<(u64, Slice)>, oldest: u64) {
    while slices.front().is_some_and(|(number, _)| *number < oldest) {
        slices.pop_front();
    }
    if slices.is_empty() {
        slices.shrink_to_fit();
    }
}

/// The first moment of a short slice.
fn begin_of(number: u64) -> Moment {
    Moment::from_start(Duration::from_nanos(number.saturating_mul(SHORT.as_nanos() as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    /// Records one call at each of these seconds; checks what the windows count at the last moment.
    #[track_caller]
    fn check(calls: &[u64], now: u64, minute: u64, hour: u64) {
        let mut history = History::new(at(0));
        calls.iter().for_each(|second| history.record(at(*second), MILLI, false));
        let windows = history.windows(at(now), at(0), &mut Scratch::new());
        let counts = [windows.minute.count, windows.hour.count, windows.total.count];
        assert_eq!(counts, [minute, hour, calls.len() as u64], "{calls:?} at {now}");
    }

    #[test]
    fn the_last_minute_covers_60_to_70_seconds() {
        check(&[0], 9, 1, 1);
        check(&[0], 69, 1, 1);
        check(&[0], 70, 0, 1);
        check(&[9], 69, 1, 1);
        check(&[9, 10], 70, 1, 2);
        check(&[5, 15, 25, 35, 45, 55, 65], 65, 7, 7);
    }

    #[test]
    fn the_last_hour_covers_60_to_65_minutes() {
        check(&[0], 65 * 60 - 1, 0, 1);
        check(&[0], 65 * 60, 0, 0);
        check(&[299, 300], 65 * 60, 0, 1);
        check(&[0, 400, 800, 3_600], 3_610, 1, 4);
    }

    #[test]
    fn slices_age_while_nobody_calls() {
        check(&[0, 1], 1_000_000, 0, 0);
        check(&[0, 1, 500_000, 500_001], 500_059, 2, 2);
    }

    #[test]
    fn nothing_is_counted_twice_or_lost_where_slices_meet() {
        let every_second: Vec<u64> = (0..4_000).collect();
        check(&every_second, 3_999, 60 + 10, 3_600 + 100);
        check(&every_second, 3_990 + 300, 0, 4_000 - 600);
    }

    #[test]
    fn a_window_spans_what_it_covers_and_no_more_than_the_monitor_has_lived() {
        let mut history = History::new(at(1_003));
        let mut spans = |now| {
            let windows = history.windows(at(now), at(1_003), &mut Scratch::new());
            [windows.minute, windows.hour, windows.total].map(|figures| figures.span.as_secs())
        };
        assert_eq!(spans(1_008), [5, 5, 5]);
        assert_eq!(spans(1_075), [65, 72, 72]);
        assert_eq!(spans(10_003), [63, 3_600 + 103, 9_000]);
    }

    #[test]
    fn a_time_just_before_the_live_slice_counts_for_it() {
        let mut history = History::new(at(0));
        history.record(at(20), MILLI, false);
        history.record(at(19), MILLI, true);
        let windows = history.windows(at(20), at(0), &mut Scratch::new());
        assert_eq!((windows.minute.count, windows.minute.errors), (2, 1));
    }

    #[test]
    fn an_idle_operation_keeps_no_slices() {
        let mut history = History::new(at(0));
        (0..4_000).for_each(|second| history.record(at(second), MILLI, false));
        history.roll(at(10_000));
        history.roll(at(10_010));
        assert_eq!((history.minute.capacity(), history.hour.capacity()), (0, 0));
        assert_eq!(history.live.counts().count(), 0);
        assert_eq!(history.before.tally.count, 4_000);
    }
}
