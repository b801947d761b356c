//! `peers memory | disk`: the cache beside its peers. `cargo xtask bench memory` builds and runs it in release.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The allocator that the server has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("memory") => peers::memory::run(&args[1..]),
        Some("disk") => peers::disk::run(&args[1..]),
        _ => Err(anyhow::anyhow!("read the arguments: usage: peers memory [--traces DIR] | disk [--python PATH]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}
