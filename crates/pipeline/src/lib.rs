//! From a question to its answer: the catalog of datasets, the query language and its evaluation,
//! and the tables that are kept.
//!
//! A [`Catalog`] is an immutable snapshot of every [`Dataset`] that the sources offer; a new one is
//! published when the sources change. A [`DataPipeline`] answers a bound [`Query`](query::BoundQuery)
//! on a dataset: from the cached table when there is one, else by having its [`Fetch`] scan the
//! source, once for however many callers wait. What it answers with carries the [`Origin`] of the
//! scan behind it, so that whatever is made of the answer (an encoded body) ages as the data does.
//!
//! ```text
//! catalog -> dataset -> policy
//!               |
//! query (text -> bound, canonical) -> pipeline -> table cache -> fetch -> source
//!                                        |
//!                                      eval -> format (JSON, NDJSON, CSV, Arrow)
//! ```
//!
//! Nothing here knows HTTP, and nothing can tell a built-in source from a loaded plugin.
#![forbid(unsafe_code)]

mod answer;
mod catalog;
mod check;
mod compute;
mod count;
mod data_pipeline;
mod dataset;
mod describe;
mod error;
pub mod eval;
mod exactness;
mod facets;
mod fetch;
pub mod format;
pub mod keys;
mod loads;
mod marks;
mod observer;
mod plan;
mod policy;
mod progress;
pub mod query;
mod registry;
mod relist;
mod scan;
mod stored;
mod table;
mod table_format;
mod usage;

pub use cache_core::Origin;

pub use answer::{Answer, AnswerFrom, CallOptions, Counting, Next, Prepared, Processed, Refreshed, TableInfo};
pub use catalog::{BrokenDataset, Catalog, SourceHandle};
pub use check::{Checked, Touched, Verified};
pub use compute::compute;
pub use data_pipeline::{DataPipeline, PipelineOptions};
pub use dataset::{Dataset, name_tag};
pub use error::Error;
pub use facets::{Facet, Facets, FacetsFound};
pub use fetch::{DirectFetch, Fetch, FetchError, FetchFuture, FetchJob, Flow, Sink, scan};
pub use observer::{Brought, Observer};
pub use plan::{Plan, Pushed};
pub use policy::{Mode, Policy, PolicyOverrides};
pub use progress::{Begun, LoadProgress, ProgressSeen, Stage};
pub use registry::{Ask, Asking};
pub use table::Table;
pub use usage::{LoadsSeen, Used, WholeScan};
