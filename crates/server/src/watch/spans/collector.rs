//! The way to the collector: one blocking client, on the exporter's own thread.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use parking_lot::Mutex;

/// How long one attempt to send spans may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The collector's answer says little.
const MAX_ANSWER_BYTES: u64 = 64 << 10;
/// How often the log says that spans are lost, at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Sends what the exporter has encoded.
#[derive(Debug)]
pub(super) struct Collector {
    agent: ureq::Agent,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    untold: u64,
    told: Option<Instant>,
}

impl Default for Collector {
    fn default() -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        Self { agent: config.max_redirects(0).build().into(), failures: Mutex::default() }
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: the exporter's thread does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.tell(&format!("the collector answers {}", answer.status().as_u16())),
            Err(error) => self.tell(&format!("the collector cannot be reached: {error}")),
        }
        Ok(answer?)
    }
}

impl Collector {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, bytes.into()))
    }

    /// Says in the log that sending failed, unless it has done so a moment ago.
    fn tell(&self, reason: &str) {
        let mut failures = self.failures.lock();
        failures.untold += 1;
        if failures.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        let attempts = std::mem::take(&mut failures.untold);
        failures.told = Some(Instant::now());
        tracing::warn!(attempts, "spans are not exported ({attempts} failed attempts): {reason}");
    }
}
