//! Spans for an OpenTelemetry collector: what each request took, and within it the loads and scans that were made for it.
//!
//! A request is listed with its span from when it is let in until it is answered; loads and scans find it there by its id,
//! and belong to no span if it has gone. A client's `traceparent` says of which trace the request is a part and whether
//! that is recorded; without one a trace begins here. Of an answer that is streamed, the span ends where the rows begin.
//!
//! Spans are queued without waiting and sent from a thread of their own. A collector that is away or slow costs spans, and
//! never holds up a request. All of this is in builds with the feature `otlp`; in others [`Spans`] is nothing and does
//! nothing.

#[cfg(feature = "otlp")]
mod collector;
#[cfg(not(feature = "otlp"))]
mod off;
#[cfg(feature = "otlp")]
mod otlp;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Method;

use crate::http::trace_parent::{TraceId, TraceParent};

#[cfg(not(feature = "otlp"))]
use off::{Exporter, Open};
#[cfg(feature = "otlp")]
use otlp::{Exporter, Open};

/// Why no spans can be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpansError {
    /// This build cannot.
    #[error("this build has no OpenTelemetry: build it with `--features otlp`, or leave otlp_endpoint unset")]
    NotBuilt,
    /// OpenTelemetry refuses its settings: the endpoint, or variables of its own.
    #[error("set OpenTelemetry up")]
    SetUp(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Exports spans, if it is said where to.
pub struct Spans(Option<Exporter>);

/// A request as it comes in.
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, without the query, which may hold what is nobody's business.
    pub path: &'a str,
    /// Its id.
    pub request_id: &'a Arc<str>,
    /// Its client's place in a trace.
    pub parent: Option<TraceParent>,
    /// When it came in.
    pub started: Instant,
}

/// What was done with a dataset for a request.
pub struct Done<'a> {
    /// `load` or `scan`.
    pub what: &'static str,
    /// The dataset.
    pub dataset: &'a str,
    /// The source, if it was one that did it.
    pub source: Option<&'a str>,
    /// How long it took, until now.
    pub took: Duration,
    /// Whether it succeeded.
    pub ok: bool,
}

/// The span of a request that is under way. One that is dropped before its end is of a client that has gone.
pub struct RequestSpan(Option<Open>);

impl Spans {
    /// Nobody is told.
    pub fn off() -> Self {
        Self(None)
    }

    /// Spans for the collector at `http://HOST:PORT`.
    ///
    /// # Errors
    /// A build without the feature, or an endpoint that makes no sense.
    pub fn to(endpoint: &str) -> Result<Self, SpansError> {
        Exporter::new(endpoint).map(|exporter| Self(Some(exporter)))
    }

    /// Whether anybody is told.
    #[inline]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// A request has come in.
    pub fn begin(&self, asked: &Asked<'_>) -> RequestSpan {
        RequestSpan(self.0.as_ref().and_then(|exporter| exporter.begin(asked)))
    }

    /// Something was done for the request of this id, and for all who joined it.
    pub fn tell(&self, request_id: &str, done: &Done<'_>) {
        if let Some(exporter) = &self.0 {
            exporter.tell(request_id, done);
        }
    }

    /// Exports what is left, for so long at most. Blocks.
    pub fn close(&self, patience: Duration) {
        if let Some(exporter) = &self.0 {
            exporter.close(patience);
        }
    }
}

impl RequestSpan {
    /// Its trace, if it is recorded.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(Open::trace_id)
    }

    /// The request was answered. An operation is a method and a route, or another text where there is no such route.
    pub fn end(self, operation: &str, status: u16) {
        if let Some(open) = self.0 {
            open.end(operation, status);
        }
    }
}
