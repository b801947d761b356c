//! The monitor: operations by name, and the timers that clients have open.
//!
//! 1. A name is looked up once for a call at most; after that the operation is held, and nobody waits for the map.
//! 2. Operations are bounded in number, and never go away. When all places are taken, calls under further names count for
//!    the operation [`PerformanceMonitor::OTHER`], so that totals stay right. Names that clients choose have a part of the
//!    places, so that they never take those of the program's own operations.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::clock::{Clock, Moment, SystemClock};
use crate::error::Error;
use crate::figures::{Figures, Scratch};
use crate::name::OperationName;
use crate::open_timers::{OpenTimers, TimerId};
use crate::operation::{Operation, Outcome};
use crate::report::{OperationReport, Report};
use crate::timer::Timer;

/// How much a monitor keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorLimits {
    /// Operations, beside [`PerformanceMonitor::OTHER`]: 512.
    pub max_operations: usize,
    /// Of these, those that are named by clients alone: 128.
    pub max_client_operations: usize,
    /// Timers that clients may have open: 10,000.
    pub max_open_timers: usize,
    /// How long such a timer may stay open: an hour.
    pub max_timer_age: Duration,
}

impl Default for MonitorLimits {
    fn default() -> Self {
        Self {
            max_operations: 512,
            max_client_operations: 128,
            max_open_timers: 10_000,
            max_timer_age: Duration::from_secs(3600),
        }
    }
}

/// Times operations and tells what it has seen. Clones are the same monitor.
#[derive(Clone)]
pub struct PerformanceMonitor(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    began: Moment,
    limits: MonitorLimits,
    operations: RwLock<Operations>,
    other: Operation,
    open: Mutex<OpenTimers>,
}

#[derive(Default)]
struct Operations {
    by_name: HashMap<Arc<str>, Operation>,
    /// How many of them were named by clients first.
    of_clients: usize,
}

/// Who has chosen a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Program,
    Client,
}

impl Operations {
    fn is_full(&self, limits: &MonitorLimits, by: By) -> bool {
        self.by_name.len() >= limits.max_operations
            || by == By::Client && self.of_clients >= limits.max_client_operations
    }
}

impl Default for PerformanceMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl PerformanceMonitor {
    /// The operation of calls under names for which there was no place.
    pub const OTHER: &'static str = "other";

    /// A monitor by the system's clock, with the default limits.
    pub fn new() -> Self {
        Self::with(MonitorLimits::default(), SystemClock)
    }

    /// A monitor with other limits, or by another clock.
    pub fn with(limits: MonitorLimits, clock: impl Clock) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let other = Operation::new(Self::OTHER.into(), Arc::clone(&clock));
        let began = clock.now();
        Self(Arc::new(Inner { clock, began, limits, operations: RwLock::default(), other, open: Mutex::default() }))
    }

    /// The operation of this name, to be kept by who records often. The name is the program's own and is taken as it is.
    pub fn operation(&self, name: &str) -> Operation {
        self.find(name, By::Program).unwrap_or_else(|| self.add(name, By::Program))
    }

    /// The operation that a client has named.
    pub fn client_operation(&self, name: &OperationName) -> Operation {
        self.find(name, By::Client).unwrap_or_else(|| self.add(name, By::Client))
    }

    /// Starts a timer of one call. Timers of the same name are separate, nested or side by side.
    pub fn start_timer(&self, operation: &str) -> Timer {
        self.operation(operation).start_timer()
    }

    /// Counts a call that has just ended and was timed elsewhere.
    pub fn record(&self, operation: &str, time: Duration, outcome: Outcome) {
        self.operation(operation).record(time, outcome);
    }

    /// Times a future. It counts as a call that went well, whatever it gives; if it is dropped, as abandoned.
    pub async fn time<F: Future>(&self, operation: &str, future: F) -> F::Output {
        let timer = self.start_timer(operation);
        let output = future.await;
        timer.end();
        output
    }

    /// Times a future that may fail, and counts an `Err` as an error.
    ///
    /// # Errors
    /// Those of the future.
    pub async fn try_time<T, E>(&self, operation: &str, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let timer = self.start_timer(operation);
        let output = future.await;
        timer.finish(if output.is_ok() { Outcome::Ok } else { Outcome::Error });
        output
    }

    /// Begins a timer that is ended by its id. One that stays open for too long counts as abandoned.
    ///
    /// # Errors
    /// [`Error::TooManyTimers`] if so many are open already.
    pub fn begin(&self, operation: &OperationName) -> Result<TimerId, Error> {
        self.forget_old_timers();
        let operation = self.client_operation(operation);
        self.0.open.lock().begin(operation, self.0.limits.max_open_timers)
    }

    /// Ends a timer as a call that went well, and says how long it took; `None` if no timer of this id is open.
    pub fn end_timer(&self, id: TimerId) -> Option<Duration> {
        self.finish_timer(id, Outcome::Ok)
    }

    /// Ends a timer as [`PerformanceMonitor::end_timer`] does, and says how the call went.
    pub fn finish_timer(&self, id: TimerId, outcome: Outcome) -> Option<Duration> {
        self.forget_old_timers();
        self.0.open.lock().end(id, outcome)
    }

    /// How many timers are open that are ended by their ids.
    pub fn open_timers(&self) -> usize {
        self.forget_old_timers();
        self.0.open.lock().len()
    }

    /// What is known of all operations that were called.
    pub fn report(&self) -> Report {
        self.forget_old_timers();
        let (now, mut scratch) = (self.now(), Scratch::new());
        let reports = self.all().into_iter().map(|operation| OperationReport {
            windows: operation.windows(now, self.0.began, &mut scratch),
            name: operation.shared_name(),
        });
        Report::new(now.since(self.0.began), reports.collect())
    }

    /// The last minute of the operations that were called in it: for who looks every second.
    pub fn last_minute(&self) -> Vec<(Arc<str>, Figures)> {
        let (now, mut scratch) = (self.now(), Scratch::new());
        let minutes = self.all().into_iter().map(|operation| {
            let figures = operation.minute(now, self.0.began, &mut scratch);
            (operation.shared_name(), figures)
        });
        minutes.filter(|(_, figures)| figures.count > 0 || figures.abandoned > 0).collect()
    }

    /// The time by the monitor's clock.
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// The operation that calls under this name count for; `None` if it is yet to be made.
    fn find(&self, name: &str, by: By) -> Option<Operation> {
        self.find_in(&self.0.operations.read(), name, by)
    }

    fn find_in(&self, operations: &Operations, name: &str, by: By) -> Option<Operation> {
        let found = operations.by_name.get(name);
        let no_place = || operations.is_full(&self.0.limits, by) || name == Self::OTHER;
        found.or_else(|| no_place().then_some(&self.0.other)).cloned()
    }

    fn add(&self, name: &str, by: By) -> Operation {
        let mut operations = self.0.operations.write();
        // Another thread may have been faster.
        if let Some(operation) = self.find_in(&operations, name, by) {
            return operation;
        }
        operations.of_clients += usize::from(by == By::Client);
        let name: Arc<str> = name.into();
        let operation = Operation::new(Arc::clone(&name), Arc::clone(&self.0.clock));
        operations.by_name.insert(name, operation.clone());
        operation
    }

    /// Every operation; whoever reads them holds up nobody who looks for one.
    fn all(&self) -> Vec<Operation> {
        let operations = self.0.operations.read();
        operations.by_name.values().chain([&self.0.other]).cloned().collect()
    }

    fn forget_old_timers(&self) {
        self.0.open.lock().forget_older(self.now(), self.0.limits.max_timer_age);
    }
}

impl fmt::Debug for PerformanceMonitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.0.operations.read().by_name.len();
        formatter.debug_struct("PerformanceMonitor").field("operations", &operations).finish_non_exhaustive()
    }
}
