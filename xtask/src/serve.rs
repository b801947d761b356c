//! `serve`: build, then become the server.

use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::build::{Profile, build};
use crate::run::{command, root};

/// `cargo xtask serve [ARGS..]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    let larder = build(Profile::Release, &[])?;
    let mut server = command(&larder);
    server.arg("serve");
    let plugins = larder.with_file_name("plugins");
    // Relative to the root, where the server runs, if it is below: what it prints stays short.
    let plugins = plugins.strip_prefix(root()).unwrap_or(&plugins);
    for (flag, value) in [("--plugins", plugins), ("--data", Path::new("data"))] {
        if !args.iter().any(|arg| arg == flag || arg.starts_with(&format!("{flag}="))) {
            server.arg(flag).arg(value);
        }
    }
    server.args(args);
    // The server takes this process over: signals and the exit status are its own.
    Err(server.exec()).with_context(|| format!("cannot start {}", larder.display()))
}
