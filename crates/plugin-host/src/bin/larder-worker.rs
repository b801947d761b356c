//! A worker process on its own: what `larder plugin-host` runs, for tests and for plugin authors.

use std::process::ExitCode;

fn main() -> ExitCode {
    plugin_host::worker::main()
}
