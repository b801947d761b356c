//! What a call knows of its caller: request id, deadline, whether it was cancelled, and where to
//! report progress and log lines. A [`Context`] is cheap to clone and may be used from any thread,
//! for as long as anyone holds it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{ErrorCode, Result, SourceError};

/// How far a scan has come. Counters only grow within one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows produced so far.
    pub rows: u64,
    /// Rows expected in all, where known.
    pub total_rows: Option<u64>,
    /// Bytes read from the data behind the source so far.
    pub bytes: u64,
}

/// The severity of a log line. The numbers are part of the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// The operator must act.
    Error = 1,
    /// Something is off, the work goes on.
    Warn = 2,
    /// Worth a line in normal operation.
    Info = 3,
    /// For whoever debugs the source.
    Debug = 4,
}

impl Level {
    /// The level of an ABI number; an unknown one is [`Level::Info`].
    pub fn from_abi(number: i32) -> Self {
        match number {
            1 => Self::Error,
            2 => Self::Warn,
            4 => Self::Debug,
            _ => Self::Info,
        }
    }
}

/// The other end of a [`Context`]: whoever made the call.
pub trait Caller: Send + Sync {
    /// Whether the caller gave up.
    fn is_cancelled(&self) -> bool;
    /// Takes a report of progress.
    fn progress(&self, progress: Progress);
    /// Takes a log line.
    fn log(&self, level: Level, message: &str);
    /// The time left until the deadline, `None` without one.
    fn remaining(&self) -> Option<Duration>;
}

/// A flag that is raised once and seen by all clones.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the flag was raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Handed to every call of a source.
#[derive(Clone)]
pub struct Context {
    request_id: Arc<str>,
    caller: Arc<dyn Caller>,
}

impl Context {
    /// A context whose calls go to `caller`.
    pub fn new(request_id: impl Into<Arc<str>>, caller: Arc<dyn Caller>) -> Self {
        Self { request_id: request_id.into(), caller }
    }

    /// A context with an optional deadline and a cancel token, whose reports go nowhere.
    pub fn detached(request_id: impl Into<Arc<str>>, deadline: Option<Instant>, cancel: CancelToken) -> Self {
        Self::new(request_id, Arc::new(Detached { deadline, cancel }))
    }

    /// The id of the request that this call serves, for log lines.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The time left until the deadline (zero once it has passed), `None` without one.
    pub fn remaining(&self) -> Option<Duration> {
        self.caller.remaining()
    }

    /// Whether the caller gave up.
    pub fn is_cancelled(&self) -> bool {
        self.caller.is_cancelled()
    }

    /// An error once the caller gave up or the deadline has passed: call it between pieces of work.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(SourceError::new(ErrorCode::Cancelled, "the caller cancelled the call"));
        }
        if self.remaining() == Some(Duration::ZERO) {
            return Err(SourceError::new(ErrorCode::Timeout, "the deadline of the call has passed"));
        }
        Ok(())
    }

    /// Reports how far the call has come.
    pub fn progress(&self, progress: Progress) {
        self.caller.progress(progress);
    }

    /// Writes a line to the server's log.
    pub fn log(&self, level: Level, message: &str) {
        self.caller.log(level, message);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

struct Detached {
    deadline: Option<Instant>,
    cancel: CancelToken,
}

impl Caller for Detached {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
    fn progress(&self, _: Progress) {}
    fn log(&self, _: Level, _: &str) {}
    fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_fails_after_cancel_and_after_the_deadline() {
        let cancel = CancelToken::new();
        let ctx = Context::detached("r1", None, cancel.clone());
        assert_eq!(ctx.check(), Ok(()));
        cancel.cancel();
        assert_eq!(ctx.check().unwrap_err().code, ErrorCode::Cancelled);

        let late = Context::detached("r2", Some(Instant::now()), CancelToken::new());
        assert_eq!(late.check().unwrap_err().code, ErrorCode::Timeout);
    }
}
