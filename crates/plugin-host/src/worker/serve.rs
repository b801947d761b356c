//! Answering calls: one thread a lane, each with its own socket.
//!
//! The answer to a scan is kept back until its first batch is there, so that a small scan is two
//! writes. A scan ends early when its call is cancelled, or when its lane is closed.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plugin_sdk::{
    Caller, CancelToken, Context, DataSource, ErrorCode, Filter, FilterOp, Level, Progress, Result, ScanRequest,
    SourceError,
};

use crate::control::Outbox;
use crate::frame::{Forever, Frame, FrameError, FrameReader, FrameWriter};
use crate::ipc::{Encoder, schema_to_bytes, values_from_bytes};
use crate::protocol::{Answer, Blob, Body, FromWorker, MAX_MESSAGE, MAX_TEXT, Request, WireFilter, decode, encode};

/// Cancels of calls that are not here are remembered, should the call be under way to us.
const EARLY_CANCELS: usize = 256;

/// Reports of one call are not sent more often than this.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// A source and the calls to it.
pub(crate) struct Serving {
    source: Arc<dyn DataSource>,
    control: Arc<Outbox>,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    running: HashMap<u64, CancelToken>,
    cancelled_early: VecDeque<u64>,
}

/// What ended a lane.
enum LaneEnd {
    /// The other end is gone or talks nonsense.
    Broken,
}

impl From<FrameError> for LaneEnd {
    fn from(_: FrameError) -> Self {
        Self::Broken
    }
}

impl Serving {
    pub(crate) fn new(source: Arc<dyn DataSource>, control: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self { source, control, calls: Mutex::default() })
    }

    /// The caller of `call` gave up.
    pub(crate) fn cancel(&self, call: u64) {
        let mut calls = self.calls.lock();
        match calls.running.get(&call) {
            Some(token) => token.cancel(),
            None => {
                if calls.cancelled_early.len() == EARLY_CANCELS {
                    calls.cancelled_early.pop_front();
                }
                calls.cancelled_early.push_back(call);
                drop(calls);
                self.tell(&FromWorker::Ended { call });
            }
        }
    }

    /// Answers the calls of one lane until it is closed.
    pub(crate) fn lane(&self, socket: OwnedFd) {
        let socket = Arc::new(socket);
        let mut reader = FrameReader::new(Arc::clone(&socket), MAX_MESSAGE as u64);
        let mut writer = FrameWriter::new(socket);
        while let Ok(Frame::Message(bytes)) = reader.read(&mut Forever) {
            let Ok(request) = decode::<Request>(&bytes) else { return };
            if self.call(request, &mut writer).is_err() {
                return;
            }
        }
    }

    fn call(&self, request: Request, writer: &mut FrameWriter) -> Result<(), LaneEnd> {
        let token = self.begin(request.call);
        let deadline = request.remaining_ms.map(|left| Instant::now() + Duration::from_millis(left));
        let caller = RemoteCaller::new(request.call, deadline, token.clone(), Arc::clone(&self.control));
        let ctx = Context::new(request.request_id, Arc::new(caller));
        // A panic here is a defect of ours or of arrow's importer, not of the plugin, which catches its own.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.answer(&ctx, request.body, writer)));
        let outcome = outcome.unwrap_or_else(|_| {
            let error = SourceError::new(ErrorCode::Panic, "the worker failed while it served the call");
            finish(writer, &Answer::Failed(error.into()))
        });
        self.end(request.call, &token);
        outcome
    }

    fn begin(&self, call: u64) -> CancelToken {
        let token = CancelToken::new();
        let mut calls = self.calls.lock();
        if let Some(at) = calls.cancelled_early.iter().position(|early| *early == call) {
            calls.cancelled_early.remove(at);
            token.cancel();
        }
        calls.running.insert(call, token.clone());
        token
    }

    fn end(&self, call: u64, token: &CancelToken) {
        self.calls.lock().running.remove(&call);
        if token.is_cancelled() {
            self.tell(&FromWorker::Ended { call });
        }
    }

    fn tell(&self, message: &FromWorker) {
        // The main thread sees the end of the control socket and leaves.
        let _ = self.control.send(message, None);
    }

    fn answer(&self, ctx: &Context, body: Body, writer: &mut FrameWriter) -> Result<(), LaneEnd> {
        let answer = match body {
            Body::Scan { dataset, projection, filters, limit } => {
                return match read_request(dataset, projection, filters, limit) {
                    Ok(request) => self.scan(ctx, &request, writer),
                    Err(error) => finish(writer, &Answer::Failed(error.into())),
                };
            }
            Body::Datasets => self
                .source
                .datasets(ctx)
                .map(|list| Answer::Datasets(list.into_iter().map(|d| (d.name, d.description)).collect())),
            Body::Schema { dataset } => self
                .source
                .schema(ctx, &dataset)
                .and_then(|schema| schema_to_bytes(&schema))
                .map(|bytes| Answer::Schema(Blob(bytes))),
            Body::Fingerprint { dataset } => {
                self.source.fingerprint(ctx, &dataset).map(|token| Answer::Fingerprint(Blob(token.as_bytes().to_vec())))
            }
        };
        finish(writer, &answer.unwrap_or_else(|error| Answer::Failed(error.into())))
    }

    fn scan(&self, ctx: &Context, request: &ScanRequest, writer: &mut FrameWriter) -> Result<(), LaneEnd> {
        match self.stream(ctx, request, writer) {
            Ok(()) => finish(writer, &Answer::End),
            Err(StreamEnd::Failed(error)) => finish(writer, &Answer::Failed(error.into())),
            Err(StreamEnd::Lane) => Err(LaneEnd::Broken),
        }
    }

    fn stream(&self, ctx: &Context, request: &ScanRequest, writer: &mut FrameWriter) -> Result<(), StreamEnd> {
        let scan = self.source.scan(ctx, request)?;
        let schema = Blob(schema_to_bytes(&scan.schema)?);
        let applied = scan.applied.iter().map(|applied| *applied as u8).collect();
        let started = encode(&Answer::Scan { schema, applied }).map_err(|e| too_large(&e))?;
        let mut encoder = Encoder::new(scan.schema)?;
        writer.cork(&started);
        for batch in scan.batches {
            ctx.check()?;
            let mut lane_is_gone = false;
            let sent = encoder.encode(&batch?, |parts| {
                ctx.check()?;
                writer.send_batch(&parts, &mut Forever).map_err(|error| {
                    die_of_bad_memory(&error);
                    lane_is_gone = true;
                    SourceError::new(ErrorCode::Cancelled, error.to_string())
                })
            });
            if lane_is_gone {
                return Err(StreamEnd::Lane);
            }
            sent?;
        }
        Ok(())
    }
}

/// A batch that points where no memory is has come from a plugin that corrupts ours: that is a crash,
/// which only happened to be noticed by the kernel first.
fn die_of_bad_memory(error: &FrameError) {
    if matches!(error, FrameError::Io(rustix::io::Errno::FAULT)) {
        eprintln!("the plugin gave an array whose buffers are not readable memory");
        std::process::abort();
    }
}

enum StreamEnd {
    Failed(SourceError),
    Lane,
}

impl From<SourceError> for StreamEnd {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

fn too_large(error: &crate::protocol::ProtocolError) -> SourceError {
    SourceError::new(ErrorCode::ResourceExhausted, error.to_string())
}

fn finish(writer: &mut FrameWriter, answer: &Answer) -> Result<(), LaneEnd> {
    let bytes = encode(answer).or_else(|error| encode(&Answer::Failed(too_large(&error).into())));
    let bytes = bytes.map_err(|_| LaneEnd::Broken)?;
    Ok(writer.send_message(&bytes, &mut Forever)?)
}

fn read_request(
    dataset: String,
    projection: Option<Vec<u32>>,
    filters: Vec<WireFilter>,
    limit: Option<u64>,
) -> Result<ScanRequest> {
    let filters = filters.into_iter().map(|filter| {
        let op = FilterOp::from_abi(filter.op)
            .ok_or_else(|| SourceError::new(ErrorCode::InvalidRequest, "a filter has an unknown operator"))?;
        let values = match filter.values {
            Some(bytes) => values_from_bytes(&bytes.0)?,
            None => arrow::array::new_empty_array(&arrow::datatypes::DataType::Null),
        };
        Ok(Filter { column: filter.column as usize, op, values })
    });
    Ok(ScanRequest {
        dataset,
        projection: projection.map(|columns| columns.into_iter().map(|column| column as usize).collect()),
        filters: filters.collect::<Result<_>>()?,
        limit,
    })
}

/// The caller of a call, in the server.
pub(super) struct RemoteCaller {
    call: u64,
    deadline: Option<Instant>,
    cancel: CancelToken,
    control: Arc<Outbox>,
    last_progress: Mutex<Option<Instant>>,
}

impl RemoteCaller {
    pub(super) fn new(call: u64, deadline: Option<Instant>, cancel: CancelToken, control: Arc<Outbox>) -> Self {
        Self { call, deadline, cancel, control, last_progress: Mutex::new(None) }
    }
}

impl Caller for RemoteCaller {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn progress(&self, progress: Progress) {
        let now = Instant::now();
        let mut last = self.last_progress.lock();
        if last.is_some_and(|last| now - last < PROGRESS_EVERY) {
            return;
        }
        *last = Some(now);
        drop(last);
        let Progress { rows, total_rows, bytes } = progress;
        let _ = self.control.send(&FromWorker::Progress { call: self.call, rows, total_rows, bytes }, None);
    }

    fn log(&self, level: Level, message: &str) {
        let end = message.floor_char_boundary(MAX_TEXT);
        let message = message[..end].to_owned();
        let _ = self.control.send(&FromWorker::Log { call: self.call, level: level as i32, message }, None);
    }

    fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}
