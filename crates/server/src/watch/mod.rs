//! The server watches itself: what its parts tell, added up; alerts and recommendations made of that; and who is told.
//!
//! ```text
//! pipeline, loader, caches --observers--> Watch <--guard (each request), encoders
//!                                           |
//!                     ticker, once a second: readings -> alerts -> log, feed, webhook
//!                                           |
//!                  report, metrics, evidence -> recommendations   (when somebody asks)
//! ```
//!
//! Beside that, requests, loads and scans are told to a collector as [`spans`], if there is one.
//!
//! On the way of a hit there are two looks at the clock, one histogram and one touch of the miss-ratio curve.

mod evidence;
mod feed;
mod metrics;
mod observers;
mod process;
mod readings;
mod recent;
pub mod spans;
mod ticker;
mod utilisation;
mod webhook;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use monitor::alerts::{Alert, AlertBook};
use monitor::mrc::{CurveSettings, MissRatioCurve};
use monitor::{Moment, MonitorLimits, Operation, Outcome, PerformanceMonitor, SystemClock};
use parking_lot::Mutex;

use crate::config::Config;

pub use feed::{Feed, News};
pub use metrics::text as metrics;
pub use process::ProcessFigures;
pub use ticker::{recommendations, run};

use recent::Recent;
use spans::Spans;
use utilisation::Utilisation;
use webhook::Webhook;

/// What a body takes in its cache beside its own bytes and key: the least weight of the curve, as the real cache remembers
/// keys in proportion to it.
const LEAST_WEIGHT: u32 = 184;
/// Operations that are told apart: each route, and for each dataset its loads, scans, evaluations and encodings.
const MAX_OPERATIONS: usize = 2_048;

/// What is known of the server's work.
pub struct Watch {
    /// Timings.
    pub monitor: PerformanceMonitor,
    /// What other sizes of the cache of bodies would bring.
    pub curve: MissRatioCurve,
    /// Who follows what happens.
    pub feed: Feed,
    /// What a collector is told.
    pub spans: Spans,
    rows: Operation,
    facets: Operation,
    recent: Recent,
    refused: AtomicU64,
    /// Of the cache of bodies.
    budget: AtomicU64,
    utilisation: Utilisation,
    book: Mutex<AlertBook>,
    webhook: Option<Webhook>,
    began: (Moment, SystemTime),
}

/// The operation of a plain question for rows.
pub const ROWS: &str = "GET /api/v1/datasets/{name}/rows";

/// The operation of a question for facets.
const FACETS: &str = "GET /api/v1/datasets/{name}/facets";

impl Watch {
    /// Nothing seen yet.
    pub fn new(config: &Config, spans: Spans) -> Self {
        let limits = MonitorLimits { max_operations: MAX_OPERATIONS, ..MonitorLimits::default() };
        let monitor = PerformanceMonitor::with(limits, SystemClock);
        let settings = CurveSettings {
            max_entries: crate::start::MAX_BODIES,
            least_weight: LEAST_WEIGHT,
            ..CurveSettings::new(config.bodies_max_bytes)
        };
        Self {
            rows: monitor.operation(ROWS),
            facets: monitor.operation(FACETS),
            curve: MissRatioCurve::new(settings, SystemClock),
            feed: Feed::default(),
            spans,
            recent: Recent::default(),
            refused: AtomicU64::default(),
            budget: AtomicU64::new(config.bodies_max_bytes),
            utilisation: Utilisation::default(),
            book: Mutex::new(AlertBook::new(config.thresholds)),
            webhook: config.alert_webhook.clone().and_then(|url| {
                let started = Webhook::new(url);
                started
                    .inspect_err(|error| tracing::error!(error = %error, "failed to start the webhook: {error}"))
                    .ok()
            }),
            began: (monitor.now(), SystemTime::now()),
            monitor,
        }
    }

    /// A hit was answered, of a body of this key and weight.
    #[inline]
    pub fn hit(&self, is_rows: bool, key_hash: u64, weight: u64, took: Duration) {
        let operation = if is_rows { &self.rows } else { &self.facets };
        operation.record(took, Outcome::Ok);
        self.touch(key_hash, weight);
    }

    /// A body was read, hit or miss.
    #[inline]
    pub fn touch(&self, key_hash: u64, weight: u64) {
        self.curve.touch(key_hash, u32::try_from(weight).unwrap_or(u32::MAX));
    }

    /// A request was answered with this status.
    pub fn request(&self, operation: &str, took: Duration, status: u16) {
        self.monitor.record(operation, took, outcome(status < 500));
    }

    /// Something was done with a dataset.
    pub fn dataset(&self, what: &str, dataset: &str, took: Duration, ok: bool) {
        self.monitor.record(&format!("{what} {dataset}"), took, outcome(ok));
    }

    /// Times what a tier gives.
    pub fn tier(&self, tier: &str, took: Duration) {
        self.monitor.record(tier, took, Outcome::Ok);
    }

    /// Loads that were refused since the start, because too many waited.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The cache of bodies has another budget.
    pub fn set_bodies_budget(&self, max_bytes: u64) {
        if self.budget.swap(max_bytes, Ordering::Relaxed) != max_bytes {
            self.curve.set_capacity(max_bytes);
        }
    }

    /// Sources are called by more workers, or fewer.
    pub fn workers_changed(&self) {
        self.utilisation.forget();
    }

    /// The alerts that are active, and those that are over, the latest first.
    pub fn alerts(&self) -> (Vec<Alert>, Vec<Alert>) {
        let book = self.book.lock();
        (book.active().cloned().collect(), book.past().cloned().collect())
    }

    /// The time of day of a moment.
    pub fn wall(&self, moment: Moment) -> SystemTime {
        self.began.1 + moment.since(self.began.0)
    }
}

fn outcome(ok: bool) -> Outcome {
    if ok { Outcome::Ok } else { Outcome::Error }
}
