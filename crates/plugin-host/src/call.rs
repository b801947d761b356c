//! One call to a worker: a request on a lane, and what comes back.
//!
//! A call that is dropped before its end is abandoned: its lane is closed, the worker is told, and
//! the [keeper](crate::keeper) ends the worker if that does not help. So whoever waits gets its
//! error at once, and the rest of the ladder happens behind its back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::buffer::Buffer;
use plugin_sdk::{Context, ErrorCode, Result, SourceError};

use crate::frame::{Frame, FrameError, Tick};
use crate::handle::{CallError, WorkerHandle};
use crate::lane::Lane;
use crate::protocol::{Answer, Body, Request, decode, encode};

/// A call under way.
#[derive(Debug)]
pub(crate) struct Call {
    worker: Arc<WorkerHandle>,
    id: u64,
    ctx: Context,
    lane: Option<Lane>,
    /// Raised by whoever no longer wants what comes.
    unwanted: Arc<AtomicBool>,
    is_over: bool,
}

/// What a scan sends next.
#[derive(Debug)]
pub(crate) enum Piece {
    Batch(Buffer),
    End,
}

struct CallTick<'a> {
    worker: &'a WorkerHandle,
    ctx: &'a Context,
    unwanted: &'a AtomicBool,
}

impl Tick for CallTick<'_> {
    fn tick(&mut self) -> Result<()> {
        if self.worker.is_gone() || self.unwanted.load(Ordering::Acquire) {
            return Err(SourceError::new(ErrorCode::Cancelled, "nobody waits any more"));
        }
        self.ctx.check()
    }
}

impl Call {
    /// Makes a call once the worker is ready; `None` when the worker takes no more.
    pub(crate) fn begin(worker: &Arc<WorkerHandle>, ctx: &Context, body: &Body) -> Result<Option<Self>, CallError> {
        let Some(id) = worker.enter(ctx)? else { return Ok(None) };
        let mut call = Self {
            worker: Arc::clone(worker),
            id,
            ctx: ctx.clone(),
            lane: None,
            unwanted: Arc::default(),
            is_over: false,
        };
        let begun = worker.wait_ready(ctx).and_then(|()| worker.lane(ctx));
        match begun {
            Ok(lane) => call.lane = Some(lane),
            Err(error) => {
                // The worker has heard nothing of the call.
                call.end(None);
                return Err(error);
            }
        }
        call.send(body)?;
        Ok(Some(call))
    }

    fn send(&mut self, body: &Body) -> Result<(), CallError> {
        let remaining_ms = self.ctx.remaining().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        let request_id = self.ctx.request_id().to_owned();
        let request = Request { call: self.id, request_id, remaining_ms, body: body.clone() };
        let bytes = encode(&request).map_err(|e| SourceError::new(ErrorCode::InvalidRequest, e.to_string()));
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                let lane = self.lane.take();
                self.end(lane);
                return Err(error.into());
            }
        };
        self.on_lane(|lane, tick| lane.writer.send_message(&bytes, tick))
    }

    /// The answer to anything but a scan. The call is over then.
    pub(crate) fn answer(mut self) -> Result<Answer, CallError> {
        let answer = self.message()?;
        let lane = self.lane.take();
        self.end(lane);
        self.unless_failed(answer)
    }

    /// The answer to a scan; unless it is an error, batches follow.
    pub(crate) fn scan_answer(&mut self) -> Result<Answer, CallError> {
        let answer = self.message()?;
        if matches!(answer, Answer::Failed(_)) {
            let lane = self.lane.take();
            self.end(lane);
        }
        self.unless_failed(answer)
    }

    /// What a scan sends next. After the end and after an error the call is over.
    pub(crate) fn piece(&mut self) -> Result<Piece, CallError> {
        match self.on_lane(|lane, tick| lane.reader.read(tick))? {
            Frame::Batch(batch) => Ok(Piece::Batch(batch)),
            Frame::Message(bytes) => {
                let answer = read(&bytes)?;
                let lane = self.lane.take();
                self.end(lane);
                match self.unless_failed(answer)? {
                    Answer::End => Ok(Piece::End),
                    _ => Err(nonsense().into()),
                }
            }
        }
    }

    /// Raised, it ends the call within a tick, wherever it waits.
    pub(crate) fn unwanted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.unwanted)
    }

    fn message(&mut self) -> Result<Answer, CallError> {
        match self.on_lane(|lane, tick| lane.reader.read(tick))? {
            Frame::Message(bytes) => Ok(read(&bytes)?),
            Frame::Batch(_) => Err(nonsense().into()),
        }
    }

    fn unless_failed(&self, answer: Answer) -> Result<Answer, CallError> {
        let Answer::Failed(error) = answer else { return Ok(answer) };
        let error = SourceError::from(error);
        if error.poisoned {
            // The next call gets an instance that is opened anew.
            self.worker.poison();
        }
        Err(error.into())
    }

    fn on_lane<T>(
        &mut self,
        act: impl FnOnce(&mut Lane, &mut CallTick<'_>) -> Result<T, FrameError>,
    ) -> Result<T, CallError> {
        let Some(lane) = &mut self.lane else { return Err(nonsense().into()) };
        let mut tick = CallTick { worker: &self.worker, ctx: &self.ctx, unwanted: &self.unwanted };
        act(lane, &mut tick).map_err(|error| match error {
            FrameError::Stopped(_) if self.worker.is_gone() => self.worker.failed(&self.ctx),
            FrameError::Closed => self.worker.failed(&self.ctx),
            FrameError::Stopped(error) => error.into(),
            FrameError::TooLarge { .. } | FrameError::OutOfMemory(_) => {
                SourceError::new(ErrorCode::ResourceExhausted, error.to_string()).into()
            }
            FrameError::Io(_) | FrameError::Malformed => SourceError::invalid_data(error.to_string()).into(),
        })
    }

    fn end(&mut self, lane: Option<Lane>) {
        self.is_over = true;
        // A lane on which something was left would answer the next call with it.
        self.worker.leave(self.id, lane.filter(|lane| lane.reader.is_empty()));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            self.lane = None;
            self.worker.abandon(self.id);
        }
    }
}

fn read(bytes: &[u8]) -> Result<Answer> {
    decode(bytes).map_err(|e| SourceError::invalid_data(format!("the worker's answer cannot be read: {e}")))
}

fn nonsense() -> SourceError {
    SourceError::invalid_data("the worker answered something that was not asked")
}
