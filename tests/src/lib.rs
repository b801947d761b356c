//! What the end-to-end tests stand on: the real server as a child process, a client that sees raw
//! headers and bytes, a source that a test can change and take down, tables that hold every type, and an oracle that judges answers row by row.
//!
//! Nothing here links the server. What the tests know of it is what a user knows: its command line,
//! its REST interface and the files that it reads.
//!
//! ```no_run
//! let server = tests::Server::options().plugin("files").start();
//! let answer = server.get("/api/v1/datasets/sector_analysis/rows?limit=1");
//! assert_eq!(answer.status, 200);
//! ```
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod cache_status;
pub mod cell;
pub mod collector;
pub mod control;
pub mod corpus;
pub mod events;
pub mod http;
pub mod item;
pub mod literal;
mod options;
pub mod oracle;
pub mod pages;
pub mod pattern;
pub mod poll;
pub mod posted;
mod process;
pub mod question;
pub mod random;
pub mod read;
pub mod rng;
mod server;
pub mod stage;
mod stopped;
pub mod tables;

pub use options::Options;
pub use server::Server;
pub use stopped::Stopped;
