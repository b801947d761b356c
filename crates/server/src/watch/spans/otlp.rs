//! Spans as OpenTelemetry has them, by its semantic conventions for HTTP servers.
//!
//! What OpenTelemetry's SDK reads from the environment (`OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`,
//! `OTEL_EXPORTER_OTLP_HEADERS` and so on) holds here too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use parking_lot::Mutex;

use super::collector::Collector;
use super::{Asked, Done, SpansError};
use crate::http::trace_parent::{TraceId, TraceParent};

const NAME: &str = "larder";
/// The path of traces below an endpoint (OTLP/HTTP).
const TRACES: &str = "/v1/traces";
/// What is shown of a longer path.
const MAX_PATH_BYTES: usize = 512;
/// The methods that have names (HTTP semantic conventions).
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// The recorded requests that are under way, by their ids.
type Listed = Arc<Mutex<HashMap<Arc<str>, SpanContext>>>;

pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    listed: Listed,
}

pub(super) struct Open {
    span: Span,
    method: &'static str,
    request_id: Arc<str>,
    listed: Listed,
}

impl Exporter {
    pub(super) fn new(endpoint: &str) -> Result<Self, SpansError> {
        let base = endpoint.trim_end_matches('/');
        let url = format!("{}{TRACES}", base.strip_suffix(TRACES).unwrap_or(base));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::default())
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| SpansError::SetUp(error.into()))?;
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        let scope = InstrumentationScope::builder(NAME).with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { tracer: provider.tracer_with_scope(scope), provider, listed: Listed::default() })
    }

    /// The span of a request, if it is recorded.
    pub(super) fn begin(&self, asked: &Asked<'_>) -> Option<Open> {
        let context =
            asked.parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(of(parent)));
        let method = METHODS.into_iter().find(|known| *known == asked.method.as_str());
        let builder = SpanBuilder::from_name(method.unwrap_or("HTTP"))
            .with_kind(SpanKind::Server)
            .with_start_time(time_of_day(asked.started.elapsed()));
        let mut span = self.tracer.build_with_context(builder, &context);
        // One that is not sampled is not recorded either.
        if !span.is_recording() {
            return None;
        }
        let path = &asked.path[..asked.path.floor_char_boundary(MAX_PATH_BYTES)];
        span.set_attributes([
            KeyValue::new("http.request.method", method.unwrap_or("_OTHER")),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("url.path", path.to_owned()),
            KeyValue::new("larder.request_id", Arc::clone(asked.request_id)),
        ]);
        self.listed.lock().insert(Arc::clone(asked.request_id), span.span_context().clone());
        Some(Open {
            span,
            method: method.unwrap_or("HTTP"),
            request_id: Arc::clone(asked.request_id),
            listed: Arc::clone(&self.listed),
        })
    }

    pub(super) fn tell(&self, request_id: &str, done: &Done<'_>) {
        let Some(parent) = self.listed.lock().get(request_id).cloned() else { return };
        let attributes = [
            Some(KeyValue::new("larder.dataset", done.dataset.to_owned())),
            done.source.map(|source| KeyValue::new("larder.source", source.to_owned())),
        ];
        let builder = SpanBuilder::from_name(format!("{} {}", done.what, done.dataset))
            .with_kind(SpanKind::Internal)
            .with_start_time(time_of_day(done.took))
            .with_attributes(attributes.into_iter().flatten());
        let mut span = self.tracer.build_with_context(builder, &Context::new().with_remote_span_context(parent));
        if !done.ok {
            span.set_status(Status::error(""));
        }
        span.end();
    }

    pub(super) fn close(&self, patience: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!(error = %error, "the last spans are lost: {error}");
        }
    }
}

impl Open {
    pub(super) fn trace_id(&self) -> TraceId {
        TraceId(u128::from_be_bytes(self.span.span_context().trace_id().to_bytes()))
    }

    pub(super) fn end(mut self, operation: &str, status: u16) {
        let method = self.method;
        let route = operation.strip_prefix(method).and_then(|rest| rest.strip_prefix(' '));
        if let Some(route) = route {
            self.span.update_name(operation.to_owned());
            self.span.set_attribute(KeyValue::new("http.route", route.to_owned()));
        }
        self.span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            self.span.set_attribute(KeyValue::new("error.type", status.to_string()));
            self.span.set_status(Status::error(""));
        }
        self.span.end();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut listed = self.listed.lock();
        // Ids are the clients' own, so another request may have it too.
        if listed.get(&self.request_id) == Some(self.span.span_context()) {
            listed.remove(&self.request_id);
        }
    }
}

fn of(parent: TraceParent) -> SpanContext {
    let (trace_id, parent_id) = (parent.trace_id.0.to_be_bytes(), parent.parent_id.to_be_bytes());
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace_id, parent_id) = (opentelemetry::TraceId::from_bytes(trace_id), SpanId::from_bytes(parent_id));
    SpanContext::new(trace_id, parent_id, flags, true, TraceState::NONE)
}

/// What the spans are of: `larder`, unless the environment says otherwise.
fn resource() -> Resource {
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| NAME.to_owned()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The time of day so long ago.
fn time_of_day(ago: Duration) -> SystemTime {
    SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)
}
