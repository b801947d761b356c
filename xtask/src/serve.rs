//! `serve`: build, then become the server.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::build::{Profile, build};
use crate::run::command;

/// `cargo xtask serve [ARGS..]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    let larder = build(Profile::Release, &[])?;
    let mut server = command(&larder);
    server.arg("serve");
    // Relative to the root, where the server runs: what it prints stays short.
    for (flag, value) in [("--plugins", "target/larder/plugins"), ("--data", "data")] {
        if !args.iter().any(|arg| arg == flag || arg.starts_with(&format!("{flag}="))) {
            server.args([flag, value]);
        }
    }
    server.args(args);
    // The server takes this process over: signals and the exit status are its own.
    Err(server.exec()).with_context(|| format!("cannot start {}", larder.display()))
}
