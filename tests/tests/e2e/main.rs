//! The end-to-end tests: the real server, real worker processes, real HTTP.
//!
//! One binary, one module for each promise. Each test starts the server that it needs in a home of
//! its own, so that they run side by side. `cargo xtask test` builds what they start.
#![forbid(unsafe_code)]

mod alerts;
mod bad_plugins;
mod bad_queries;
mod bad_requests;
mod bodies;
mod bounds;
mod broken_disk;
mod c_plugins;
mod cache_admin;
mod cache_cli;
mod command_line;
mod dashboards;
mod data_changes;
mod drop_in;
mod explain;
mod facets;
mod first_lines;
mod flights;
mod formats;
mod guard;
mod kill_nine;
mod loads;
mod misbehaviour;
mod monitoring;
mod more_formats;
mod names;
mod openapi;
mod operators;
mod other_names;
mod paging;
mod posted;
mod query_bounds;
mod random_questions;
mod recommendations;
mod refresh;
mod representations;
mod restart_from_disk;
mod shutdown;
mod stale;
mod streaming;
mod tidy;
mod traces;
mod worker_crash;
