//! Memory of a server that has loaded all bundled plugins and does nothing; its workers counted apart.

use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::report::line;
use crate::server::Server;

/// Prints the resident memory.
pub(crate) fn run() -> anyhow::Result<()> {
    let larder = Server::larder()?;
    // Start-up is over once it listens; what it frees late shows a moment after.
    std::thread::sleep(Duration::from_secs(2));
    line("idle server, resident", format!("{:.1} MB", resident_mb(larder.pid())?), "< 60 MB");
    for worker in children(larder.pid())? {
        line(&format!("  worker {}", name(worker)), format!("{:.1} MB", resident_mb(worker)?), "-");
    }
    Ok(())
}

fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the process's status")?;
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next());
    let kilobytes: f64 = kilobytes.and_then(|text| text.parse().ok()).context("read the process's memory")?;
    Ok(kilobytes * 1024.0 / 1e6)
}

fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("list the process's threads")? {
        let list = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    Ok(found)
}

fn name(pid: u32) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    command.replace('\0', " ").trim().to_owned()
}
