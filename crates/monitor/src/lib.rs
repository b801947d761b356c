//! How a server is doing: timings, alerts, recommendations, and what other sizes of a cache would bring.
//!
//! Four parts, which know nothing of each other's insides, of caches, sources or HTTP. Their owner feeds them and asks
//! them; they start no thread, and write nothing down.
//!
//! 1. [`PerformanceMonitor`] times operations. Each has a histogram of the last minute, the last hour and the time since
//!    the start, in a few kilobytes, so that a [`Report`] tells how long calls take and how many fail.
//! 2. [`alerts`] compares readings with thresholds once a second, and tells what has become wrong, worse, or right again.
//! 3. [`mrc`] watches the reads of a cache and draws the curve of its hit ratio over its size, while it is in use.
//! 4. [`recommend`](mod@recommend) turns evidence into settings to change, with what that is expected to bring.
//!
//! Everything is bounded: operations, open timers, alerts, memory. Time comes from a [`Clock`] that is given, so tests move
//! it by hand.
//!
//! ```
//! use std::time::Duration;
//! use monitor::{ManualClock, MonitorLimits, Outcome, PerformanceMonitor};
//!
//! let clock = ManualClock::new();
//! let monitor = PerformanceMonitor::with(MonitorLimits::default(), clock.clone());
//!
//! // A guard: ended, failed, or abandoned where it is dropped.
//! let timer = monitor.start_timer("load sales");
//! clock.advance(Duration::from_millis(300));
//! assert_eq!(timer.end(), Duration::from_millis(300));
//!
//! // The hot path: look the operation up once.
//! let hit = monitor.operation("GET rows");
//! for _ in 0..1_000 {
//!     hit.record(Duration::from_micros(40), Outcome::Ok);
//! }
//!
//! let report = monitor.report();
//! assert_eq!(report.calls, 1_001);
//! let slowest = report.slowest_operation.unwrap();
//! assert_eq!((&*slowest.name, slowest.max), ("load sales", Duration::from_millis(300)));
//! ```

#![forbid(unsafe_code)]

mod clock;

mod operation;
mod performance_monitor;
mod timer;

mod name;
mod open_timers;

mod figures;
mod history;
mod report;

mod bucket;
mod live;
mod slice;
mod tally;

pub mod alerts;
pub mod mrc;
pub mod recommend;

mod amount;
mod count;
mod error;

pub use clock::{Clock, ManualClock, Moment, SystemClock};
pub use error::Error;
pub use figures::Figures;
pub use history::Windows;
pub use name::OperationName;
pub use open_timers::TimerId;
pub use operation::{Operation, Outcome};
pub use performance_monitor::{MonitorLimits, PerformanceMonitor};
pub use report::{OperationReport, Report, SlowestOperation};
pub use timer::Timer;
