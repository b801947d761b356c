//! Every error that a client can see: RFC 9457 problem documents, and the one place where HTTP
//! statuses are chosen.
//!
//! `code` is stable and meant for programs, `detail` for people, `hint` says what to do. Internal
//! causes go to the log under the request id and never into the document.

mod cache;
mod loads;
mod monitor;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use pipeline::Error;
use pipeline::eval::EvalError;
use pipeline::format::{EncodeError, Format};
use plugin_sdk::{ErrorCode, SourceError};
use serde::Serialize;

use crate::http::trace_parent::TraceId;

/// An error as a client sees it. One pointer, so that results with it stay small.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    parameter: Option<String>,
    value: Option<String>,
    retry_after_secs: Option<u64>,
    allow: Option<&'static str>,
    /// What the log says, and the client does not see.
    cause: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    request_id: &'a str,
}

impl Problem {
    /// A problem with a stable code and a detail for people.
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            hint: None,
            parameter: None,
            value: None,
            retry_after_secs: None,
            allow: None,
            cause: None,
        }))
    }

    /// Adds what the client can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the parameter at fault.
    #[must_use]
    pub fn parameter(mut self, parameter: impl Into<String>) -> Self {
        self.0.parameter = Some(parameter.into());
        self
    }

    /// Shows the value at fault.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.0.value = Some(value.into());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_secs = Some(seconds);
        self
    }

    /// Adds what the log is to say under the request's id.
    #[must_use]
    fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// 421 for a host that is not this server's.
    pub fn foreign_host(host: &str) -> Self {
        let detail = "this server does not answer to the host that the request names";
        Self::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail)
            .parameter("Host")
            .value(cut(host))
            .hint("name the server by its address, or start it with --allowed-hosts NAME")
    }

    /// 403 for a write that another origin's page sent.
    pub fn foreign_origin(origin: &str) -> Self {
        let detail = "a page of another origin may not change anything here";
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
            .parameter("Origin")
            .value(cut(origin))
            .hint("call the server from its own pages, or from a program that sends no Origin")
    }

    /// 414 for a target of more bytes than are read.
    pub fn uri_too_long(bytes: usize, max_bytes: usize) -> Self {
        let detail = format!("the URL has {bytes} bytes; at most {max_bytes} are read");
        Self::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail)
            .hint("send long filters as JSON: POST /api/v1/datasets/{name}/query")
    }

    /// 415 for a compressed request.
    pub fn compressed_request() -> Self {
        let detail = "request bodies are taken uncompressed only";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed_request", detail)
            .parameter("Content-Encoding")
            .hint("send the body as it is")
    }

    /// 415 for a body that is not declared as JSON.
    pub fn not_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "the body is not declared as JSON")
            .parameter("Content-Type")
            .hint("send Content-Type: application/json")
    }

    /// 413 for a request body of more bytes than are read.
    pub fn body_too_large(max_bytes: usize) -> Self {
        let detail = format!("the body is longer than the {max_bytes} bytes that are read");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            .hint("raise max_body_bytes if such requests are meant")
    }

    /// 400 for `format=` with a name that is none.
    pub fn unknown_format(name: &str) -> Self {
        let detail = format!("no format is called '{}'", cut(name));
        Self::new(StatusCode::BAD_REQUEST, "unknown_format", detail)
            .parameter("format")
            .value(cut(name))
            .hint(format!("the formats are {}", Format::ALL.map(Format::name).join(", ")))
    }

    /// 400 for a parameter that may be given once.
    pub fn given_twice(name: &'static str, second: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "duplicate_parameter", format!("{name} was given twice"))
            .parameter(name)
            .value(cut(second))
            .hint(format!("give {name} once"))
    }

    /// 400 for a member or a parameter that is not what it may be.
    pub fn bad_member(name: &'static str, value: &str, wanted: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_value", format!("'{name}' is not {wanted}"))
            .parameter(name)
            .value(cut(value))
            .hint(format!("say {wanted}, or leave '{name}' out"))
    }

    /// 400 for `raw=true` with a format that knows no formulas.
    pub fn raw_without_csv(format: Format) -> Self {
        let detail = format!("raw is about CSV, and the format is {}", format.name());
        Self::new(StatusCode::BAD_REQUEST, "bad_value", detail)
            .parameter("raw")
            .value("true")
            .hint("add format=csv, or leave raw out")
    }

    /// 406 for an `Accept` that takes none of `formats`.
    pub fn not_acceptable(accept: Option<&str>, formats: &[Format]) -> Self {
        let mut types: Vec<&str> = formats.iter().map(|format| format.media_type()).collect();
        types.dedup();
        let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
        let hint = format!("accept one of {}, or say format= with one of {}", types.join(", "), names.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "no format of the rows is acceptable")
            .parameter("Accept")
            .value(cut(accept.unwrap_or_default()))
            .hint(hint)
    }

    /// 404 for a path that is not served.
    pub fn no_route(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("nothing is served at {path}"))
            .hint("GET /api/v1/datasets lists the datasets; /docs shows every endpoint")
    }

    /// 405 for a path that is served, by other methods.
    pub fn method_not_allowed(method: &str, allow: &'static str) -> Self {
        let mut problem =
            Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{method} is not possible here"))
                .hint(format!("use {allow}"));
        problem.0.allow = Some(allow);
        problem
    }

    /// 400 for a request body that is not what the endpoint takes.
    pub fn bad_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_body", detail)
    }

    /// 503 while the plugins are being loaded for the first time.
    pub fn starting() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "starting", "the plugins are still being loaded")
            .hint("GET /readyz says when the server is ready")
            .retry_after(1)
    }

    /// 500 for a defect, whose cause only the log tells.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed to answer")
            .hint("the server's log has the cause under the request id")
            .cause(cause)
    }

    /// Says in the log what the server is to blame for, once, under the id that the client has, and in its trace.
    pub fn log(&self, request_id: &str, trace_id: Option<TraceId>, target: &str) {
        let Parts { status, code, detail, cause, .. } = &*self.0;
        if status.is_server_error() && *code != "starting" {
            let cause = cause.as_deref().unwrap_or(detail);
            tracing::warn!(
                request_id,
                trace_id = trace_id.map(tracing::field::display),
                code,
                status = status.as_u16(),
                "{target} failed ({code}, request {request_id}): {cause}"
            );
        }
    }

    /// Whether the request failed only because the dataset's schema was new to the server.
    pub fn is_schema_change(&self) -> bool {
        self.0.code == "schema_changed"
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The answer, for a request of this id.
    pub fn respond(&self, request_id: &str) -> HttpResponse {
        let parts = &*self.0;
        let document = Document {
            r#type: "about:blank",
            title: parts.status.canonical_reason().unwrap_or("Error"),
            status: parts.status.as_u16(),
            detail: &parts.detail,
            code: parts.code,
            hint: parts.hint.as_deref(),
            parameter: parts.parameter.as_deref(),
            value: parts.value.as_deref(),
            request_id,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = HttpResponse::build(parts.status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if let Some(seconds) = parts.retry_after_secs {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        if let Some(allow) = parts.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        response.body(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    /// The guard renders problems with the request's id; this is for what never passes it.
    fn error_response(&self) -> HttpResponse {
        self.respond("")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::UnknownDataset { name, suggestion } => {
                let detail = format!("no dataset named '{}'", cut(name));
                let problem = Self::new(StatusCode::NOT_FOUND, "unknown_dataset", detail).value(cut(name));
                match suggestion {
                    Some(close) => problem.hint(format!("did you mean '{close}'?")),
                    None => problem.hint("GET /api/v1/datasets lists what there is"),
                }
            }
            Error::Query(query) => {
                let mut problem = Self::new(StatusCode::BAD_REQUEST, query.code(), query.to_string());
                problem.0.hint = query.hint().map(str::to_owned);
                problem.0.parameter = Some(query.parameter().to_owned());
                problem.0.value = Some(query.value().to_owned());
                problem
            }
            Error::BrokenDataset { dataset, source } | Error::Source { dataset, source } => {
                source_problem(dataset, source)
            }
            Error::QueueFull { retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "scan_queue_full", error.to_string())
                    .hint("try again; raise concurrent_scans or scans_per_source if the sources can bear it")
                    .retry_after(retry_after.as_secs().max(1))
            }
            Error::BreakerOpen { source_name, retry_after, .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "breaker_open", error.to_string())
                    .value(&**source_name)
                    .hint(format!("it is tried again by itself; POST /api/v1/plugins/{source_name}/reset has it tried now"))
                    .retry_after(retry_after.as_secs() + 1)
            }
            Error::SchemaChanged { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "schema_changed", error.to_string())
                    .hint("read the dataset's schema again, then repeat the request")
                    .retry_after(1)
            }
            Error::Eval(eval) => eval_problem(&error, eval),
            Error::Encode(EncodeError::TooLarge { max_bytes }) => too_large(error.to_string(), *max_bytes as u64)
                .hint("page through it with limit= and offset=, or ask for fewer columns with select="),
            Error::TooLarge { narrower_helps, limit_bytes, .. } => {
                let hint = if *narrower_helps {
                    "ask for fewer rows (limit=), fewer columns (select=) or a narrower filter"
                } else {
                    "raise max_bytes in the dataset's policy, or set its mode to query"
                };
                too_large(error.to_string(), *limit_bytes).hint(hint)
            }
            Error::Timeout { .. } => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", error.to_string())
                .hint("the load may still be under way: try again; raise request_timeout, or load_timeout in the dataset's policy")
                .retry_after(5),
            Error::LoadDeadline { .. } => Self::new(StatusCode::GATEWAY_TIMEOUT, "load_deadline", error.to_string())
                .hint("raise the load's deadline, or leave it out; what was under way may have been loaded all the same"),
            Error::NotDurable(not_durable) => Self::invalidation_not_durable(not_durable),
            Error::Encode(encode) => Self::new(StatusCode::NOT_ACCEPTABLE, "not_encodable", encode.to_string())
                .hint("select fewer columns, or ask for format=arrow, which carries every type"),
            _ => Self::internal(&error),
        }
    }
}

/// A query that makes no sense on the data, or asks for more than a query may have.
fn eval_problem(error: &Error, eval: &EvalError) -> Problem {
    let bad = |code| Problem::new(StatusCode::BAD_REQUEST, code, error.to_string()).parameter("select");
    match eval {
        EvalError::BadCast { value, .. } => {
            bad("bad_cast").value(cut(value)).hint("filter out what cannot be cast, or leave the cast away")
        }
        EvalError::SumOverflow { column } => {
            let hint = "sum it as a float: column::float8.sum(); whole numbers fit decimals: column::numeric.sum()";
            bad("sum_overflow").value(column).hint(hint)
        }
        EvalError::TooLarge { max_bytes } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "query_too_large", error.to_string())
                .value(max_bytes.to_string())
                .hint("filter, select fewer columns, group by less or page with limit=; or raise query_max_bytes")
        }
        EvalError::Busy { max_bytes } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "queries_busy", error.to_string())
                .value(max_bytes.to_string())
                .hint("try again; raise queries_max_bytes if the machine has the memory")
                .retry_after(1)
        }
        EvalError::TimedOut => Problem::new(StatusCode::GATEWAY_TIMEOUT, "query_timeout", error.to_string())
            .hint("filter, or select fewer columns; or raise query_timeout"),
        _ => Problem::internal(error),
    }
}

fn too_large(detail: String, bound: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "result_too_large", detail).value(bound.to_string())
}

/// A problem as a part of another document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProblemPart {
    /// The status that the problem has by itself.
    pub status: u16,
    /// What is wrong, for programs; stable.
    #[schema(example = "source_unavailable")]
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<&Problem> for ProblemPart {
    fn from(problem: &Problem) -> Self {
        let parts = &*problem.0;
        Self {
            status: parts.status.as_u16(),
            code: parts.code.to_owned(),
            detail: parts.detail.clone(),
            hint: parts.hint.clone(),
        }
    }
}

/// What of a client's text is repeated to it.
fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A failed source is a bad gateway, unless it said something more exact.
fn source_problem(dataset: &str, source: &SourceError) -> Problem {
    let (status, code) = match source.code {
        ErrorCode::Timeout => (StatusCode::GATEWAY_TIMEOUT, "source_timeout"),
        ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "source_unavailable"),
        ErrorCode::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "source_exhausted"),
        ErrorCode::Crashed => (StatusCode::BAD_GATEWAY, "source_crashed"),
        ErrorCode::Panic => (StatusCode::BAD_GATEWAY, "source_panicked"),
        ErrorCode::InvalidData => (StatusCode::BAD_GATEWAY, "source_data_invalid"),
        ErrorCode::NotFound => (StatusCode::NOT_FOUND, "dataset_gone"),
        ErrorCode::PermissionDenied => (StatusCode::BAD_GATEWAY, "source_permission_denied"),
        _ => (StatusCode::BAD_GATEWAY, "source_failed"),
    };
    let detail = format!("the source of dataset '{dataset}' failed: {}", source.code.name().replace('_', " "));
    let problem = Problem::new(status, code, detail)
        .hint("the server's log has the source's own words under the request id; GET /api/v1/plugins has its state");
    let problem = problem.cause(format!("source of dataset '{dataset}': {source}"));
    match source.retry_after {
        Some(wait) => problem.retry_after(wait.as_secs().max(1)),
        None if source.retryable => problem.retry_after(1),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    #[test]
    fn a_source_error_never_shows_its_own_text() {
        let source = SourceError::new(ErrorCode::Unavailable, "open /home/ann/secret.csv: no such file");
        let problem = Problem::from(Error::Source { dataset: "t".into(), source });
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        let document = problem.respond("id").into_body().try_into_bytes().unwrap();
        let document = String::from_utf8_lossy(&document);
        assert!(document.contains("\"code\":\"source_unavailable\"") && !document.contains("/home"), "{document}");
    }
}
