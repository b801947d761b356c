//! How sources are called, and how many datasets are loaded at once.
//!
//! ```text
//! AsyncDataLoader, Jobs, Schedule          many requests: side by side, watched, cancelled, repeated
//!         |
//!      pipeline (cache, single-flight)     one answer
//!         |
//!      Fetcher: breaker -> gate -> attempt one scan: may it be tried, when, for how long, how often
//!         |
//!      DataSource                          blocking
//! ```
//!
//! A [`Fetcher`] is the pipeline's [`Fetch`](pipeline::Fetch), so a plain question has permits, time-outs, retries and
//! breakers too. An [`AsyncDataLoader`] puts many requests through the pipeline, and so through the cache: one that is slow
//! or broken holds up no other. [`Jobs`] are loads in the background that can be watched, resumed and cancelled; a
//! [`Schedule`] loads datasets again before anybody asks.
//!
//! Invariants: (1) at no time are more calls of sources under way than the gate allows, abandoned ones that have not
//! stopped yet among them. (2) Permits go round between owners: a load of a thousand requests delays one of a single
//! request by one call at most. (3) An attempt that was given up writes nothing any more. (4) Nothing is tried again past
//! its deadline. (5) Numbers of progress only grow.
//!
//! Nothing here knows HTTP.
#![forbid(unsafe_code)]

mod observer;
mod options;

mod backoff;
mod breaker;
mod gate;

mod attempt;
mod fetcher;

mod request;

mod estimate;
mod event;
mod run;
mod tracked;

mod async_data_loader;
mod job;
mod jobs;
mod journal;
mod schedule;

pub use async_data_loader::AsyncDataLoader;
pub use backoff::Backoff;
pub use breaker::{BreakerOptions, BreakerSeen, BreakerState};
pub use event::{Event, LoadEvent, Seen};
pub use fetcher::Fetcher;
pub use gate::{GateOptions, GateSeen};
pub use job::{Job, JobSeen, JobState, Step};
pub use jobs::{Jobs, JobsOptions, TooManyJobs};
pub use observer::{AttemptEnd, Observer};
pub use options::{FetchOptions, LoadOptions};
pub use request::{Ask, LoadReport, LoadRequest, Loaded, Outcome};
pub use schedule::Schedule;
