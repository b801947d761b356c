//! What a worker writes to its standard output and error: lines for the log, bounded in length and
//! rate, the last of which explains a crash.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// Longer lines are cut.
const MAX_LINE: usize = 1024;

/// Lines a second that reach the log.
const MAX_LINES: u32 = 50;

/// Bytes read at a time.
const CHUNK: usize = 8 * 1024;

/// One of the two pipes.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: Option<OwnedFd>,
    name: &'static str,
    line: Vec<u8>,
    last: Option<String>,
    rate: Rate,
}

/// Lets so many lines a second through.
#[derive(Debug)]
pub(crate) struct Rate {
    window: Instant,
    in_window: u32,
    dropped: u64,
}

impl Rate {
    pub(crate) fn new() -> Self {
        Self { window: Instant::now(), in_window: 0, dropped: 0 }
    }

    /// Whether one more line may pass; says first how many did not in the last second.
    pub(crate) fn admit(&mut self, instance: &str) -> bool {
        if self.window.elapsed() > Duration::from_secs(1) {
            if self.dropped > 0 {
                let dropped = self.dropped;
                tracing::warn!(target: "plugin", instance, dropped, "left out {dropped} lines of the plugin");
            }
            *self = Self::new();
        }
        self.in_window += 1;
        let admitted = self.in_window <= MAX_LINES;
        self.dropped += u64::from(!admitted);
        admitted
    }
}

impl Output {
    pub(crate) fn new(pipe: OwnedFd, name: &'static str) -> Self {
        // A pipe that waits would be read until the worker has closed it, which is right as well.
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        Self { pipe: Some(pipe), name, line: Vec::new(), last: None, rate: Rate::new() }
    }

    /// To be polled; `None` once it has ended.
    pub(crate) fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// The last line that was not empty.
    pub(crate) fn last_line(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Reads what is there, at most a few chunks, so that a chatty plugin delays nobody.
    pub(crate) fn read(&mut self, instance: &str) {
        let mut chunk = [0; CHUNK];
        for _ in 0..8 {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut chunk) {
                Ok(0) => self.end(instance),
                Ok(got) => self.take(&chunk[..got], instance),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.end(instance),
            }
        }
    }

    fn end(&mut self, instance: &str) {
        self.pipe = None;
        self.finish_line(instance);
    }

    fn take(&mut self, bytes: &[u8], instance: &str) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish_line(instance);
            }
        }
    }

    fn finish_line(&mut self, instance: &str) {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        if line.is_empty() {
            return;
        }
        if self.rate.admit(instance) {
            tracing::info!(target: "plugin", instance, stream = self.name, "{line}");
        }
        self.last = Some(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_the_last_one_is_kept_even_without_its_end() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut output = Output::new(read, "stderr");
        rustix::io::write(&write, b"first\n").unwrap();
        output.read("x");
        assert_eq!(output.last_line(), Some("first"));
        rustix::io::write(&write, &[b'y'; 3000]).unwrap();
        rustix::io::write(&write, b"\n\n").unwrap();
        output.read("x");
        assert_eq!(output.last_line().map(str::len), Some(MAX_LINE));
        rustix::io::write(&write, b"panicked").unwrap();
        drop(write);
        output.read("x");
        assert_eq!(output.last_line(), Some("panicked"));
        assert!(output.pipe().is_none());
    }
}
