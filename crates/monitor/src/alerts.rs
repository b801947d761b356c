//! Alerts: what is not as it should be, since when, and how bad.
//!
//! Whoever owns an [`AlertBook`] hands it [`Readings`] once a second: plain numbers, taken wherever they are. The rules
//! compare them with the [`Thresholds`]; the book keeps what they find as [`Alert`]s and tells what has changed.
//!
//! 1. *An alert has one id*, of its kind and its subject. While it is active there is no other one of that id.
//! 2. *It comes when its threshold is passed* for `raise_after`, and goes when the value has been well below it for
//!    `clear_after`: below a share of the threshold, not just below the threshold. In between it stays as it is. So a value
//!    that wavers about its threshold raises one alert, not many.
//! 3. *Things that happen*, rather than last (crashes, refusals), raise an alert at once, which goes when nothing has
//!    happened for `quiet_after`.
//! 4. *What is not read any more is not wrong any more*: the alert of a dataset that was removed clears.
//! 5. *Active and past alerts are bounded*, and the last places are kept for critical ones.
//!
//! The book knows nothing of logs, webhooks or the time of day: it returns changes.
//!
//! ```
//! use std::time::Duration;
//! use monitor::Moment;
//! use monitor::alerts::{AlertBook, AlertChange, CacheReading, Readings, Thresholds};
//!
//! let mut book = AlertBook::new(Thresholds::default());
//! let cache = CacheReading { name: "bodies".to_owned(), bytes: 95, max_bytes: Some(100), ..CacheReading::default() };
//! let readings = Readings { caches: vec![cache], ..Readings::default() };
//! let now = Moment::from_start(Duration::from_secs(1));
//! let changes = book.evaluate(now, &readings);
//! assert!(matches!(&changes[..], [AlertChange::Raised(alert)] if alert.id == "memory:bodies"));
//! ```

mod alert;
mod readings;
mod thresholds;

mod book;

mod finding;
mod growth;
mod rules;

pub use alert::{Alert, AlertChange, AlertKind, Severity};
pub use book::AlertBook;
pub use readings::{
    BreakerReading, BreakerState, CacheReading, DatasetReading, DiskReading, OperationReading, PluginReading,
    QueueReading, Readings, Recovery,
};
pub use thresholds::Thresholds;
