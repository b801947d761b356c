//! Benchmarks. Each prints what it measured, a ratio against a limit or a peer from the same run, and
//! the goal beside it. None is a test: machines differ, ratios less so.
//!
//! `cargo xtask bench` builds everything in release first; the numbers mean nothing otherwise.
#![forbid(unsafe_code)]

mod constant;
mod contender;
mod encode;
mod http;
mod idle;
mod loads;
mod monitor;
mod nginx;
mod pipeline;
mod plugins;
mod random;
mod recording;
mod report;
mod server;

use std::process::ExitCode;

/// Keeps the pages of freed buffers for a while, which the system's allocator gives back at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
benchmarks:
  http       cached hits, 304s and uncached small queries against a handler of constant bytes and
             nginx (needs wrk); then idle
  pipeline   queries on 1 and 10 million rows in memory beside Polars and DuckDB
  encode     results as JSON, NDJSON and CSV beside Arrow's writers
  plugins    scans through a worker process: 1 GB of numbers, of strings; nine rows
  loads      eight sources of 100 ms and 1,000 cached requests, each in one load: as a library and over HTTP
  monitor    what watching costs a cached hit, its memory, and the miss-ratio curve beside a full replay
  idle       memory of a server that does nothing
  memory     the memory cache beside quick_cache, moka and `cached`:
             hits, hit ratio, bytes an entry [--traces DIR]
  disk       the disk cache beside the redb store of `cached` and diskcache
  all        every one of them
memory and disk are built apart, in bench/peers";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("http") => http::run().and_then(|()| idle::run()),
        Some("pipeline") => pipeline::run(&args[1..]),
        Some("encode") => encode::run(),
        Some("plugins") => plugins::run(),
        Some("loads") => loads::run(),
        Some("monitor") => monitor::run(),
        Some("idle") => idle::run(),
        Some("all") => http::run()
            .and_then(|()| pipeline::run(&args[1..]))
            .and_then(|()| encode::run())
            .and_then(|()| plugins::run())
            .and_then(|()| loads::run())
            .and_then(|()| monitor::run())
            .and_then(|()| idle::run()),
        // Runs in a process of its own, so that peer and server are alike.
        Some("constant-server") => constant::serve(&args[1..]),
        _ => {
            println!("{HELP}");
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}
