//! The worker process: loads one library, opens one instance, and answers calls.
//!
//! ```text
//! main thread     control socket: Open -> load, open -> Ready; then NewLane, Cancel, until EOF
//! one per lane    request -> call of the source -> answer, batches, end
//! ```
//!
//! It trusts its parent and nothing else. It leaves when the control socket ends, which is also
//! what happens when the server dies.

mod sandbox;
mod serve;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_sdk::{CancelToken, Context, DataSource, ErrorCode, SourceError};
use rustix::net::RecvFlags;

use crate::control::{ControlError, Inbox, Outbox};
use crate::foreign::ForeignSource;
use crate::library::Library;
use crate::protocol::{FromWorker, Open, ToWorker, VERSION};

pub(crate) use serve::Serving;

/// The whole life of a worker. The control socket is standard input, as the host sets it up.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plugin worker: {error}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot be prepared ({0}); it is started by a server, not by hand")]
    Sandbox(#[from] std::io::Error),
    #[error("lost its server: {0}")]
    Control(#[from] ControlError),
    #[error("was not told what to load")]
    Protocol,
}

fn run() -> Result<(), Failure> {
    let control = Arc::new(sandbox::enter()?);
    let mut inbox = Inbox::with_descriptors();
    let Some(ToWorker::Open(open)) = next(&control, &mut inbox)? else { return Err(Failure::Protocol) };
    if let Some(bytes) = open.memory_limit {
        sandbox::limit_memory(bytes)?;
    }
    let outbox = Arc::new(Outbox::new(Arc::clone(&control)));
    let source = match load(&outbox, &open) {
        Ok(source) => source,
        Err((step, error)) => {
            let step = step.to_owned();
            outbox.send(&FromWorker::OpenFailed { step, error: error.into() }, None)?;
            return Ok(());
        }
    };
    outbox.send(&FromWorker::Ready, None)?;
    obey(&control, &mut inbox, &Serving::new(source, outbox))
}

/// The next message; `None` when the server hung up.
fn next(control: &OwnedFd, inbox: &mut Inbox) -> Result<Option<ToWorker>, ControlError> {
    loop {
        if let Some(message) = inbox.next()? {
            return Ok(Some(message));
        }
        match inbox.receive(control, RecvFlags::empty()) {
            Err(ControlError::Closed) => return Ok(None),
            other => other?,
        }
    }
}

/// Loads and opens; an error comes with the step that failed.
fn load(outbox: &Arc<Outbox>, open: &Open) -> Result<Arc<dyn DataSource>, (&'static str, SourceError)> {
    if open.version != VERSION {
        let message = format!("the worker speaks version {VERSION}, the server {}", open.version);
        return Err(("load", SourceError::new(ErrorCode::Unsupported, message)));
    }
    let library = Library::load(&open.library).map_err(|error| ("load", error))?;
    let passed = |step: &str, detail: &str| {
        // A server that is gone is noticed at the next message.
        let _ = outbox.send(&FromWorker::Passed { step: step.into(), detail: detail.into() }, None);
    };
    passed("load", "loaded into a worker process");
    let deadline = Instant::now() + Duration::from_millis(open.timeout_ms);
    let caller = serve::RemoteCaller::new(0, Some(deadline), CancelToken::new(), Arc::clone(outbox));
    let ctx = Context::new("open", Arc::new(caller));
    let source = ForeignSource::open(library, &ctx, &open.config).map_err(|error| ("open", error))?;
    passed("open", "opened with its configuration");
    Ok(Arc::new(source))
}

/// Does what the server says until it hangs up.
fn obey(control: &OwnedFd, inbox: &mut Inbox, serving: &Arc<Serving>) -> Result<(), Failure> {
    while let Some(message) = next(control, inbox)? {
        match message {
            ToWorker::Open(_) => return Err(Failure::Protocol),
            ToWorker::Cancel { call } => serving.cancel(call),
            ToWorker::NewLane => {
                let lane = inbox.descriptor().ok_or(Failure::Protocol)?;
                let serving = Arc::clone(serving);
                std::thread::Builder::new().name("lane".into()).spawn(move || serving.lane(lane))?;
            }
        }
    }
    Ok(())
}
