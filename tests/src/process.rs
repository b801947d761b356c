//! What the server costs: processor time and memory, as the kernel counts them.
//!
//! Processor time, and not the clock on the wall, is what tests bound: it does not depend on who else is at work.

use std::time::Duration;

use crate::poll::{PATIENCE, until_true};
use crate::server::Server;

impl Server {
    /// The processor time that it has used so far.
    ///
    /// # Panics
    /// When it does not run any more.
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(self.proc("stat")).expect("a process");
        // The name, in parentheses, may hold spaces; user and system time are the 12th and 13th field behind it.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }

    /// The memory that it holds, in bytes.
    ///
    /// # Panics
    /// When it does not run any more.
    #[track_caller]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident size");
        let kib: u64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1_024
    }

    /// Waits until it has nothing to do: a tenth of a second in which it hardly uses a processor.
    ///
    /// # Panics
    /// When it goes on and on.
    #[track_caller]
    pub fn until_idle(&self) {
        until_true("the server is idle", PATIENCE, || {
            let before = self.cpu_time();
            std::thread::sleep(Duration::from_millis(100));
            self.cpu_time() - before <= Duration::from_millis(20)
        });
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.pid().as_raw_nonzero())
    }
}
