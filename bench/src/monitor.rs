//! What watching costs a server: time of each cached hit, memory, and how true the live miss-ratio curve is.
//!
//! Keys, weights and hashes are those of bodies in a cache as the server's. A hundred thousand keys are read by Zipf's law;
//! of the curve's four sizes the smallest holds about a tenth of their bytes, and the largest most.

mod accuracy;
mod bodies;
mod cost;

use std::process::Command;

use anyhow::{Context, bail};

use crate::report::{Goal, line, ratio};
use bodies::Bodies;

/// Keys that are read.
const KEYS: usize = 100_000;
/// The budget of the cache that is watched.
const BUDGET: u64 = 32 << 20;

/// Prints the figures.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("# monitor: {KEYS} keys, a cache of {} MiB", BUDGET >> 20);
    let bodies = Bodies::new()?;
    cost::run(&bodies);
    memory()?;
    accuracy::run(&bodies)
}

/// Counted in a process of its own, whose allocator counts: that would slow the others.
fn memory() -> anyhow::Result<()> {
    let counting = std::env::current_exe()?.with_file_name("monitor-memory");
    let output = Command::new(&counting).output().context("start the counting process")?;
    if !output.status.success() {
        bail!("count what the monitor takes: the process ended with {}", output.status);
    }
    let text = String::from_utf8(output.stdout).context("read what the counting process prints")?;
    let bytes: Vec<f64> =
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().context("read the counted bytes")?;
    let [together, operations, curve] = bytes[..] else { bail!("read the counted bytes: {text}") };
    ratio("most memory, 100,000 distinct keys a minute, MB", together / 1e6, Goal::AtMost(4.0));
    line("  of 200 operations", format!("{:.3} MB", operations / 1e6), "-");
    line("  of the curve", format!("{:.3} MB", curve / 1e6), "-");
    Ok(())
}
