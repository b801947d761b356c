//! Finds plugin libraries, runs each in a worker process and offers it as a `DataSource`.
//!
//! To the rest of the program a loaded plugin is a [`DataSource`](plugin_sdk::DataSource) like any
//! other. Behind it is a process of its own: what a plugin does wrong (crash, hang, leak, lie)
//! fails its own calls with a typed error and nothing else.
//!
//! ```text
//! folder -> discover (trust) -> store (private copy) -> elf -> WorkerSource -> probe -> published
//!              ^ watch                                             |
//!                                              keeper (one thread) | lanes (one a call)
//!                                                                  v
//!                                             worker process: library -> foreign -> serve
//! ```
//!
//! A worker has one *control socket* (start, new lanes, cancel; progress, log lines) and any number
//! of *lanes*, socket pairs that the host makes and hands over. A call takes a lane for its length,
//! as an HTTP/1.1 request takes a connection: the lane's socket is its flow control, so a slow
//! reader holds up nobody else, and closing the lane ends the scan.
//!
//! Nothing here knows HTTP, the cache or what a policy means. Linux only.

mod error;
mod options;
mod status;

mod announce;
mod discover;
mod elf;
mod host;
mod loading;
mod sidecar;
mod slot;
mod store;
mod watch;

mod backoff;
mod batches;
mod call;
mod handle;
mod instance;
mod keeper;
mod lane;
mod output;
mod process;

mod control;
mod frame;
mod ipc;
mod protocol;

mod context;
mod foreign;
mod library;
pub mod worker;

pub use announce::{Change, Subscriber};
pub use error::{Error, Result};
pub use host::{Instance, PluginHost};
pub use instance::WorkerSource;
pub use options::{CheckPolicy, Exposure, HostOptions, Limits, WorkerCommand};
pub use status::{PluginState, PluginStatus, Step};
