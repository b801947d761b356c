//! The memory tier: what a hit costs, which share of requests are hits, what an entry takes.

mod attribute;
mod hits;
mod overhead;
mod replay;
mod side;
mod trace;

pub use overhead::run as overhead;

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// `memory [--traces DIR]`.
///
/// # Errors
/// An argument or a trace that cannot be read.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let traces = match args {
        [] => None,
        [flag, folder] if flag == "--traces" => Some(PathBuf::from(folder)),
        _ => bail!("read the arguments: usage: memory [--traces DIR]"),
    };
    hits::run();
    attribute::run();
    replay::run(traces.as_deref())?;
    // A process of its own, whose allocator counts: the counting would slow the others.
    let counting = std::env::current_exe()?.with_file_name("overhead");
    let status = std::process::Command::new(&counting).status().context("start the counting process")?;
    if !status.success() {
        bail!("count what entries take: the process ended with {status}");
    }
    Ok(())
}
