//! `bench`: the benchmarks of the bench crate, in release, against a server that was just built.

use anyhow::Result;

use crate::build::{Profile, build};
use crate::run::{command, run, target_dir};

/// `cargo xtask bench [NAME [ARGS..]]`.
pub(crate) fn task(args: &[String]) -> Result<()> {
    // One cargo call for all, so that everything is built with the same features, once.
    build(Profile::Release, &["bench"])?;
    run(command(target_dir().join("release/bench")).args(args))
}
