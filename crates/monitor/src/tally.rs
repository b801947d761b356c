//! What is counted beside the buckets: calls, errors, timers that were let go, and the sum and ends of the durations.

/// Counts of some time. All of them add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) errors: u64,
    pub(crate) abandoned: u64,
    /// The sum of all durations, in nanoseconds.
    pub(crate) nanos: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Tally {
    /// Nothing counted.
    pub(crate) const EMPTY: Self = Self { count: 0, errors: 0, abandoned: 0, nanos: 0, least: u64::MAX, most: 0 };

    #[inline]
    pub(crate) fn record(&mut self, nanos: u64, failed: bool) {
        self.count += 1;
        self.errors += u64::from(failed);
        self.nanos = self.nanos.saturating_add(nanos);
        self.least = self.least.min(nanos);
        self.most = self.most.max(nanos);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.abandoned == 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.abandoned += other.abandoned;
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }
}
