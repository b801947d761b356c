//! What calls and the keeper of one worker share: its phase, the calls under way, its free lanes.
//!
//! ```text
//! Starting -> Ready -> Leaving -> Gone
//!     \__________\________________/^        a crash or a kill may come at any time
//! ```
//!
//! Calls [enter](WorkerHandle::enter), wait until the worker is ready, and borrow lanes. Whatever
//! takes time or must happen later (the kill ladder, idleness, leaving) is done by the
//! [keeper](crate::keeper), which is woken through an eventfd.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use plugin_sdk::{Context, ErrorCode, Result, SourceError};
use rustix::event::{EventfdFlags, eventfd};

use crate::control::{ControlError, Outbox};
use crate::lane::Lane;
use crate::options::Limits;
use crate::protocol::ToWorker;
use crate::status::Step;

/// Free lanes that are kept.
const IDLE_LANES: usize = 8;

/// What a worker did that closed a socket and lives.
pub(crate) const BROKE_CONNECTION: &str = "broke its connection";

/// Why a worker is no more.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// It could not be started.
    NotStarted(String),
    /// It could not load its library or open its instance.
    NotOpened { step: String, error: SourceError },
    /// It was told to leave.
    Left,
    /// It was killed because a call did not stop.
    Killed,
    /// It ended by itself.
    Crashed { how: String, during: &'static str, last_line: Option<String> },
}

impl Cause {
    pub(crate) fn is_crash(&self) -> bool {
        matches!(self, Self::Crashed { .. })
    }

    /// Whether a call that got nothing yet may be made again: it is not to blame.
    pub(crate) fn is_innocent(&self) -> bool {
        matches!(self, Self::Left | Self::Killed)
    }

    /// What a call that was under way is answered with.
    pub(crate) fn error(&self) -> SourceError {
        match self {
            Self::NotStarted(message) => {
                SourceError::new(ErrorCode::Unavailable, format!("the worker cannot be started: {message}"))
            }
            Self::NotOpened { error, .. } => error.clone(),
            Self::Left => SourceError::new(ErrorCode::Unavailable, "the worker was told to leave during the call"),
            Self::Killed => SourceError::new(
                ErrorCode::Unavailable,
                "the worker was stopped because another of its calls did not end",
            ),
            Self::Crashed { last_line, .. } => {
                let last = last_line.as_ref().map_or_else(String::new, |line| format!("; its last line was: {line}"));
                SourceError::new(ErrorCode::Crashed, format!("{}{last}", self.summary()))
            }
        }
    }

    /// What happened, without what the worker wrote: that is for the log and for its callers.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Crashed { how, during, .. } => format!("the worker {how} while {during}"),
            other => other.error().message,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Leaving { since: Instant },
    Gone(Arc<Cause>),
}

/// Behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) steps: Vec<Step>,
    pub(crate) pid: Option<u32>,
    /// No more calls; it leaves after the last one.
    pub(crate) draining: bool,
    /// It must go now, as it breaks the protocol: what it did.
    pub(crate) broken: Option<&'static str>,
    /// A call left its instance in an unknown state, which nobody has taken into account yet.
    poisoned: bool,
    pub(crate) idle_after: Duration,
    pub(crate) last_used: Instant,
    pub(crate) calls: HashMap<u64, Context>,
    /// Abandoned calls and when their patience ends.
    pub(crate) ladders: HashMap<u64, Instant>,
    pub(crate) lanes: Vec<Lane>,
}

/// One worker, as seen by whoever calls it.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    pub(crate) instance: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
    pub(crate) wake: OwnedFd,
    pub(crate) outbox: OnceLock<Outbox>,
    born: Instant,
    gone: AtomicBool,
    next_call: AtomicU64,
}

impl WorkerHandle {
    pub(crate) fn new(instance: Arc<str>, limits: Limits, idle_after: Duration) -> std::io::Result<Self> {
        Ok(Self {
            instance,
            limits,
            state: Mutex::new(State {
                phase: Phase::Starting,
                steps: Vec::new(),
                pid: None,
                draining: false,
                broken: None,
                poisoned: false,
                idle_after,
                last_used: Instant::now(),
                calls: HashMap::new(),
                ladders: HashMap::new(),
                lanes: Vec::new(),
            }),
            changed: Condvar::new(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            outbox: OnceLock::new(),
            born: Instant::now(),
            gone: AtomicBool::new(false),
            next_call: AtomicU64::new(1),
        })
    }

    /// Whether it is worth while to [enter](Self::enter).
    pub(crate) fn takes_calls(&self) -> bool {
        let state = self.state.lock();
        !state.draining && state.broken.is_none() && matches!(state.phase, Phase::Starting | Phase::Ready)
    }

    /// Registers a call; `None` when the worker takes no more, ever.
    ///
    /// # Errors
    /// [`ResourceExhausted`](ErrorCode::ResourceExhausted) when it takes no more now.
    pub(crate) fn enter(&self, ctx: &Context) -> Result<Option<u64>> {
        let mut state = self.state.lock();
        if state.draining || state.broken.is_some() || !matches!(state.phase, Phase::Starting | Phase::Ready) {
            return Ok(None);
        }
        if state.calls.len() + state.ladders.len() >= self.limits.max_calls {
            let message = format!("source '{}' has {} calls under way already", self.instance, self.limits.max_calls);
            return Err(SourceError::new(ErrorCode::ResourceExhausted, message));
        }
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        state.calls.insert(call, ctx.clone());
        Ok(Some(call))
    }

    /// Takes a call out that is over, with its lane if that can be used again.
    pub(crate) fn leave(&self, call: u64, lane: Option<Lane>) {
        let mut state = self.state.lock();
        state.calls.remove(&call);
        state.last_used = Instant::now();
        if let Some(lane) = lane
            && state.lanes.len() < IDLE_LANES
            && matches!(state.phase, Phase::Ready)
        {
            state.lanes.push(lane);
        }
        if state.draining && state.calls.is_empty() {
            drop(state);
            self.wake();
        }
    }

    /// Takes a call out that its caller no longer waits for, and sees to it that it ends.
    pub(crate) fn abandon(&self, call: u64) {
        let mut state = self.state.lock();
        state.calls.remove(&call);
        state.last_used = Instant::now();
        if matches!(state.phase, Phase::Gone(_)) {
            return;
        }
        state.ladders.insert(call, Instant::now() + self.limits.cancel_grace);
        drop(state);
        if let Some(outbox) = self.outbox.get()
            && let Err(error) = outbox.send(&ToWorker::Cancel { call }, None)
        {
            self.note_unsent(&error);
        }
        self.wake();
    }

    /// Waits until the worker takes requests.
    pub(crate) fn wait_ready(&self, ctx: &Context) -> Result<(), CallError> {
        let mut state = self.state.lock();
        loop {
            match &state.phase {
                Phase::Ready => return Ok(()),
                Phase::Leaving { .. } => return Err(CallError::lost(Cause::Left.error())),
                Phase::Gone(cause) => return Err(CallError::of(cause)),
                Phase::Starting => {}
            }
            ctx.check()?;
            let left = ctx.remaining().unwrap_or(self.limits.tick);
            self.changed.wait_for(&mut state, left.min(self.limits.tick));
        }
    }

    /// A free lane, or a new one.
    pub(crate) fn lane(&self, ctx: &Context) -> Result<Lane, CallError> {
        if let Some(lane) = self.state.lock().lanes.pop() {
            return Ok(lane);
        }
        let failed = |error: &dyn std::fmt::Display| {
            SourceError::new(ErrorCode::Unavailable, format!("no connection to the worker can be made: {error}"))
        };
        let (lane, theirs) =
            Lane::pair(self.limits.tick, self.limits.max_message_bytes).map_err(|error| failed(&error))?;
        let outbox = self.outbox.get().ok_or_else(|| failed(&"it has not started"))?;
        if let Err(error) = outbox.send(&ToWorker::NewLane, Some(theirs.as_fd())) {
            self.note_unsent(&error);
            return Err(self.failed(ctx));
        }
        Ok(lane)
    }

    /// The error of a call whose connection broke: what became of the worker says why, unless the
    /// caller has no time to wait for it.
    pub(crate) fn failed(&self, ctx: &Context) -> CallError {
        let until = Instant::now() + self.limits.exit_grace;
        let mut state = self.state.lock();
        loop {
            if let Phase::Gone(cause) = &state.phase {
                return CallError::of(cause);
            }
            if Instant::now() >= until {
                // It lives, but not by the rules: a plugin that closes what is not its own.
                state.broken.get_or_insert(BROKE_CONNECTION);
                drop(state);
                self.wake();
                let how = BROKE_CONNECTION.to_owned();
                let cause = Cause::Crashed { how, during: "serving a call", last_line: None };
                return CallError { error: cause.error(), is_lost: false };
            }
            if let Err(error) = ctx.check() {
                return error.into();
            }
            let left = ctx.remaining().unwrap_or(self.limits.tick).min(self.limits.tick);
            self.changed.wait_for(&mut state, left.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// A control message could not be sent. A worker that closed its socket is on its way out and is
    /// waited for; one that did not take a message would misread all that follow.
    pub(crate) fn note_unsent(&self, error: &ControlError) {
        if !matches!(error, ControlError::Closed) {
            tracing::debug!(instance = &*self.instance, "a control message was not sent: {error}");
            self.break_off("did not take a control message");
        }
    }

    /// Has the worker end at once for what it did against the protocol.
    pub(crate) fn break_off(&self, what_it_did: &'static str) {
        self.state.lock().broken.get_or_insert(what_it_did);
        self.wake();
    }

    /// Whether the worker has no calls and will get none.
    pub(crate) fn is_unwanted(&self) -> bool {
        let state = self.state.lock();
        state.draining && state.calls.is_empty()
    }

    /// Takes no more calls, and has the worker leave after the last one.
    pub(crate) fn drain(&self) {
        self.state.lock().draining = true;
        self.wake();
    }

    /// As [`drain`](Self::drain), because a call left the instance in an unknown state.
    pub(crate) fn poison(&self) {
        let mut state = self.state.lock();
        // Of several such calls only the first one speaks of the worker's life.
        state.poisoned |= !state.draining;
        state.draining = true;
        drop(state);
        self.wake();
    }

    /// How old the worker is if it was poisoned; says so once.
    pub(crate) fn take_poisoned(&self) -> Option<Duration> {
        std::mem::take(&mut self.state.lock().poisoned).then(|| self.born.elapsed())
    }

    /// Has the worker leave once it was idle for so long.
    pub(crate) fn set_idle_after(&self, idle_after: Duration) {
        self.state.lock().idle_after = idle_after;
        self.wake();
    }

    /// Has the worker leave now, calls or not.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.draining = true;
        if !matches!(state.phase, Phase::Gone(_)) {
            state.calls.clear();
            state.ladders.clear();
            state.idle_after = Duration::ZERO;
        }
        drop(state);
        self.wake();
    }

    /// Whether the worker is gone by `until`.
    pub(crate) fn wait_gone(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while !matches!(state.phase, Phase::Gone(_)) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return matches!(state.phase, Phase::Gone(_));
            }
        }
        true
    }

    /// As good as the lock says, without it: for looks between two waits.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn set_gone(&self, cause: Cause) {
        let mut state = self.state.lock();
        state.phase = Phase::Gone(Arc::new(cause));
        state.pid = None;
        state.lanes.clear();
        state.ladders.clear();
        self.gone.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn wake(&self) {
        // The counter cannot overflow, and a keeper that is gone needs no waking.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// A failed call, and whether it may be made again because its worker was taken from it.
#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) error: SourceError,
    pub(crate) is_lost: bool,
}

impl CallError {
    fn of(cause: &Cause) -> Self {
        Self { error: cause.error(), is_lost: cause.is_innocent() }
    }

    fn lost(error: SourceError) -> Self {
        Self { error, is_lost: true }
    }
}

impl From<SourceError> for CallError {
    fn from(error: SourceError) -> Self {
        Self { error, is_lost: false }
    }
}
