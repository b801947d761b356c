//! What the process takes of the machine, as the kernel says it.

use std::fs;
use std::time::{Duration, SystemTime};

use rustix::param::{clock_ticks_per_second, page_size};

/// Figures of this process. Those that the kernel does not tell are zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessFigures {
    /// CPU time since it began, of all threads.
    pub cpu: Duration,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Memory that is mapped.
    pub virtual_bytes: u64,
    /// Files, sockets and the like that are open.
    pub open_fds: u64,
    /// How many may be.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
    /// When it began, in seconds since 1970.
    pub start_seconds: f64,
}

impl ProcessFigures {
    /// The figures of now.
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program is in parentheses and may hold spaces; the third field comes after it.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let ticks = |count: u64| count as f64 / clock_ticks_per_second() as f64;
        Self {
            cpu: Duration::from_secs_f64(ticks(number(14) + number(15))),
            threads: number(20),
            virtual_bytes: number(23),
            resident_bytes: number(24) * page_size() as u64,
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64),
            max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX),
            start_seconds: boot_seconds() + ticks(number(22)),
        }
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let told = stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|time| time.trim().parse().ok());
    told.unwrap_or_else(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_the_process_takes() {
        let figures = ProcessFigures::now();
        assert!(figures.resident_bytes > 1 << 20 && figures.virtual_bytes >= figures.resident_bytes, "{figures:?}");
        assert!(figures.threads >= 1 && figures.open_fds >= 3 && figures.max_fds >= figures.open_fds, "{figures:?}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - figures.start_seconds).abs() < 3600.0, "{figures:?}");
    }
}
