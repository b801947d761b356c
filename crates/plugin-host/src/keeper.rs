//! The thread that keeps one worker: starts it, reads what it says, ends it in time, reaps it.
//!
//! It waits in one `poll` for the control socket, the two output pipes, the pidfd and the eventfd
//! of whoever wants something, for as long as the next deadline allows.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_sdk::{ErrorCode, Level, Progress, SourceError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, Shutdown, shutdown};

use crate::control::{ControlError, Inbox, Outbox};
use crate::handle::{BROKE_CONNECTION, Cause, Phase, WorkerHandle};
use crate::options::WorkerCommand;
use crate::output::{Output, Rate};
use crate::process::{Ended, Process, Started, spawn};
use crate::protocol::{FromWorker, Open, ToWorker, VERSION, cut};
use crate::status::Step;

/// What a worker may say that it did, or failed to do, before it is ready.
const STEPS: [&str; 2] = ["load", "open"];

/// What a worker is started with.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) command: WorkerCommand,
    pub(crate) library: PathBuf,
    pub(crate) config: String,
}

/// What the owner of a worker is told, before anyone else can see it.
pub(crate) enum Event<'a> {
    Ready,
    Gone { cause: &'a Cause, lifetime: Duration },
}

type Listener = Box<dyn Fn(Event<'_>) + Send>;

/// Starts a worker and its keeper.
pub(crate) fn keep(handle: Arc<WorkerHandle>, order: Order, listener: Listener) -> std::io::Result<()> {
    let name = format!("keep-{}", handle.instance);
    std::thread::Builder::new().name(name).spawn(move || {
        let born = Instant::now();
        let cause = match spawn(&order.command, &handle.instance) {
            Ok(started) => Keeper::new(&handle, started).run(&order, &*listener),
            Err(error) => Cause::NotStarted(error.to_string()),
        };
        log_end(&handle.instance, &cause);
        listener(Event::Gone { cause: &cause, lifetime: born.elapsed() });
        handle.set_gone(cause);
    })?;
    Ok(())
}

fn log_end(instance: &str, cause: &Cause) {
    match cause {
        Cause::Left => tracing::debug!(instance, "the worker of '{instance}' left"),
        Cause::Killed => tracing::warn!(instance, "killed the worker of '{instance}': a call did not stop"),
        cause => tracing::warn!(instance, "the worker of '{instance}' is gone: {}", cause.error()),
    }
}

struct Keeper<'a> {
    handle: &'a WorkerHandle,
    process: Process,
    control: Option<Arc<OwnedFd>>,
    inbox: Inbox,
    stdout: Output,
    stderr: Output,
    rate: Rate,
    /// Steps towards readiness that were taken.
    passed: Vec<String>,
    open_until: Instant,
    /// Why the process was or is about to be ended by us.
    verdict: Option<Cause>,
    /// A worker that closed its control socket is on its way out; for so long.
    exit_until: Option<Instant>,
    is_killed: bool,
}

impl<'a> Keeper<'a> {
    fn new(handle: &'a WorkerHandle, started: Started) -> Self {
        let Started { process, control, stdout, stderr } = started;
        handle.state.lock().pid = Some(process.pid());
        Self {
            handle,
            process,
            control: Some(Arc::new(control)),
            inbox: Inbox::without_descriptors(),
            stdout: Output::new(stdout, "stdout"),
            stderr: Output::new(stderr, "stderr"),
            rate: Rate::new(),
            passed: Vec::new(),
            open_until: Instant::now() + handle.limits.open_timeout,
            verdict: None,
            exit_until: None,
            is_killed: false,
        }
    }

    fn run(mut self, order: &Order, listener: &dyn Fn(Event<'_>)) -> Cause {
        self.open(order);
        let ended = loop {
            self.wait();
            self.read_control(listener);
            self.stdout.read(&self.handle.instance);
            self.stderr.read(&self.handle.instance);
            if let Some(ended) = self.process.try_reap() {
                break ended;
            }
            self.meet_deadlines(Instant::now());
        };
        // What it said last may explain its end.
        self.read_control(listener);
        self.stdout.read(&self.handle.instance);
        self.stderr.read(&self.handle.instance);
        self.cause(ended)
    }

    fn open(&mut self, order: &Order) {
        let Some(control) = &self.control else { return };
        let _ = set_socket_timeout(control, Timeout::Send, Some(self.handle.limits.tick.max(Duration::from_millis(1))));
        let outbox = self.handle.outbox.get_or_init(|| Outbox::new(Arc::clone(control)));
        let open = Open {
            version: VERSION,
            instance: self.handle.instance.to_string(),
            library: order.library.clone(),
            config: order.config.clone(),
            timeout_ms: u64::try_from(self.handle.limits.open_timeout.as_millis()).unwrap_or(u64::MAX),
            memory_limit: order.command.memory_limit,
        };
        // The worker reads it once it runs, which on a busy machine takes longer than a tick; a long
        // configuration does not fit into the socket until then.
        let go_on = || Instant::now() < self.open_until && !self.handle.is_unwanted();
        match outbox.send_while(&ToWorker::Open(open), None, go_on) {
            Ok(()) => {}
            Err(ControlError::Protocol(error)) => {
                let error = SourceError::invalid_config(format!("the configuration cannot be sent: {error}"));
                self.verdict.get_or_insert(Cause::NotOpened { step: "open".into(), error });
                self.handle.break_off("was not told what to load");
            }
            // It is told to leave, and killed as it does not hear that.
            Err(_) if self.handle.is_unwanted() => {}
            Err(error) => self.handle.note_unsent(&error),
        }
    }

    /// Sleeps until something happens or is due.
    fn wait(&self) {
        let timeout = self.next_deadline().map(|then| {
            let left = then.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        let pidfd = self.process.pidfd();
        let mut fds =
            vec![PollFd::from_borrowed_fd(pidfd, PollFlags::IN), PollFd::new(&self.handle.wake, PollFlags::IN)];
        let others = [self.control.as_deref(), self.stdout.pipe(), self.stderr.pipe()];
        fds.extend(others.into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)));
        // An interrupted poll is one more round.
        let _ = poll(&mut fds, timeout.as_ref());
        let _ = rustix::io::read(&self.handle.wake, &mut [0; 8]);
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.is_killed {
            return None;
        }
        let state = self.handle.state.lock();
        let idle = state.calls.is_empty() && state.ladders.is_empty();
        let of_phase = match state.phase {
            Phase::Starting => Some(self.open_until),
            Phase::Ready if idle => Some(state.last_used + state.idle_after),
            Phase::Leaving { since } => Some(since + self.handle.limits.exit_grace),
            // A call may end without a wake: then idleness is noticed one period later.
            Phase::Ready => Some(Instant::now() + state.idle_after.max(Duration::from_millis(50))),
            Phase::Gone(_) => None,
        };
        of_phase.into_iter().chain(self.exit_until).chain(state.ladders.values().min().copied()).min()
    }

    fn meet_deadlines(&mut self, now: Instant) {
        if self.is_killed {
            return;
        }
        let mut state = self.handle.state.lock();
        let idle = state.calls.is_empty() && state.ladders.is_empty();
        let grace = self.handle.limits.exit_grace;
        let is_overdue = self.exit_until.is_some_and(|until| now >= until);
        let verdict = if let Some(how) = state.broken.or(is_overdue.then_some(BROKE_CONNECTION)) {
            Some(self.crash(how.to_owned()))
        } else if state.ladders.values().any(|until| now >= *until) {
            Some(Cause::Killed)
        } else {
            match state.phase {
                Phase::Starting if state.draining && idle => Some(Cause::Left),
                Phase::Starting if now >= self.open_until => Some(self.open_timed_out()),
                Phase::Ready if idle && (state.draining || now >= state.last_used + state.idle_after) => {
                    state.phase = Phase::Leaving { since: now };
                    state.lanes.clear();
                    self.verdict = Some(Cause::Left);
                    // The worker reads the end of its control socket, and leaves.
                    let _ = self.control.as_ref().map(|control| shutdown(control, Shutdown::Write));
                    None
                }
                Phase::Leaving { since } if now >= since + grace => Some(Cause::Left),
                _ => None,
            }
        };
        drop(state);
        if let Some(verdict) = verdict {
            self.verdict.get_or_insert(verdict);
            self.is_killed = true;
            self.process.kill();
        }
    }

    fn open_timed_out(&self) -> Cause {
        let limit = self.handle.limits.open_timeout;
        let message = format!("the library was not loaded and opened within {limit:?}");
        let step = if self.has_passed("load") { "open" } else { "load" };
        Cause::NotOpened { step: step.into(), error: SourceError::new(ErrorCode::Timeout, message) }
    }

    fn has_passed(&self, step: &str) -> bool {
        self.passed.iter().any(|passed| passed == step)
    }

    fn cause(&mut self, ended: Ended) -> Cause {
        self.verdict.take().unwrap_or_else(|| self.crash(ended.to_string()))
    }

    fn crash(&self, how: String) -> Cause {
        let during = if !self.has_passed("load") {
            "being loaded"
        } else if !self.has_passed("open") {
            "being opened"
        } else {
            "running"
        };
        Cause::Crashed { how, during, last_line: self.stderr.last_line().map(str::to_owned) }
    }

    fn read_control(&mut self, listener: &dyn Fn(Event<'_>)) {
        let Some(control) = self.control.clone() else { return };
        // A few rounds, so that a plugin that reports without end does not keep the rest waiting.
        for _ in 0..16 {
            let more = self.inbox.receive(&control, RecvFlags::DONTWAIT);
            while let Some(message) = self.inbox.next().unwrap_or_else(|error| {
                tracing::warn!(instance = &*self.handle.instance, "the worker sent nonsense: {error}");
                self.handle.break_off("sent what is no control message");
                None
            }) {
                self.hear(message, listener);
            }
            match more {
                Ok(()) => {}
                Err(ControlError::Full) => return,
                Err(error) => {
                    if matches!(error, ControlError::Unasked) {
                        self.handle.break_off("sent descriptors that nobody asked for");
                    }
                    self.control = None;
                    self.exit_until = Some(Instant::now() + self.handle.limits.exit_grace);
                    return;
                }
            }
        }
    }

    fn hear(&mut self, message: FromWorker, listener: &dyn Fn(Event<'_>)) {
        match message {
            FromWorker::Passed { step, detail } => {
                if STEPS.contains(&step.as_str()) && !self.has_passed(&step) && self.is_starting() {
                    self.handle.state.lock().steps.push(Step::passed(&step, cut(detail)));
                    self.passed.push(step);
                }
            }
            FromWorker::OpenFailed { step, error } => {
                if STEPS.contains(&step.as_str()) && self.is_starting() {
                    self.verdict.get_or_insert(Cause::NotOpened { step, error: error.into() });
                }
            }
            FromWorker::Ready => {
                if !self.is_starting() {
                    return;
                }
                listener(Event::Ready);
                let mut state = self.handle.state.lock();
                state.phase = Phase::Ready;
                state.last_used = Instant::now();
                drop(state);
                self.handle.changed.notify_all();
            }
            FromWorker::Ended { call } => {
                self.handle.state.lock().ladders.remove(&call);
            }
            FromWorker::Progress { call, rows, total_rows, bytes } => {
                let ctx = self.handle.state.lock().calls.get(&call).cloned();
                if let Some(ctx) = ctx {
                    ctx.progress(Progress { rows, total_rows, bytes });
                }
            }
            FromWorker::Log { call, level, message } => self.log(call, Level::from_abi(level), &cut(message)),
        }
    }

    fn is_starting(&self) -> bool {
        matches!(self.handle.state.lock().phase, Phase::Starting)
    }

    fn log(&mut self, call: u64, level: Level, message: &str) {
        let instance = &*self.handle.instance;
        if !self.rate.admit(instance) {
            return;
        }
        let ctx = self.handle.state.lock().calls.get(&call).cloned();
        let request_id = ctx.as_ref().map_or("", |ctx| ctx.request_id());
        match level {
            Level::Error => tracing::error!(target: "plugin", instance, request_id, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", instance, request_id, "{message}"),
            Level::Info => tracing::info!(target: "plugin", instance, request_id, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", instance, request_id, "{message}"),
        }
        if let Some(ctx) = ctx {
            ctx.log(level, message);
        }
    }
}
