//! The binary `larder`: a server, its command line client, and the worker that runs one plugin.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Keeps the pages of freed buffers for a while, which the system's allocator gives back at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A worker prepares its process before anything else may start a thread or open a file.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "plugin-host") {
        return plugin_host::worker::main();
    }
    server::cli::main()
}
