//! The errors, each with the codes that it may have and an example of its document.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

/// A response that many operations share.
struct Problem {
    component: &'static str,
    status: u16,
    description: &'static str,
    codes: &'static [&'static str],
    /// Detail, hint, parameter and value of an example, whose code is the first.
    example: [Option<&'static str>; 4],
}

const PROBLEMS: [Problem; 12] = [
    Problem {
        component: "BadQuery",
        status: 400,
        description: "The question makes no sense: `parameter` and `value` say where, `hint` what to write instead.",
        codes: &[
            "unknown_column",
            "unknown_operator",
            "missing_operator",
            "unsupported_operator",
            "bad_value",
            "bad_syntax",
            "duplicate_parameter",
            "duplicate_column",
            "limit_too_large",
            "too_complex",
            "unknown_type",
            "unsupported_cast",
            "bad_cast",
            "bad_pattern",
            "bad_cursor",
            "unknown_aggregate",
            "unsupported_aggregate",
            "sum_overflow",
            "unknown_format",
            "bad_body",
        ],
        example: [Some("unknown column 'regoin'"), Some("did you mean 'region'?"), Some("regoin"), Some("regoin")],
    },
    Problem {
        component: "ForeignOrigin",
        status: 403,
        description: "A page of another origin may not change anything here.",
        codes: &["foreign_origin"],
        example: [
            Some("a page of another origin may not change anything here"),
            Some("call the server from its own pages, or from a program that sends no Origin"),
            Some("Origin"),
            Some("http://elsewhere.example"),
        ],
    },
    Problem {
        component: "UnknownDataset",
        status: 404,
        description: "There is no such dataset.",
        codes: &["unknown_dataset", "dataset_gone"],
        example: [Some("no dataset is called 'slaes'"), Some("did you mean 'sales'?"), None, Some("slaes")],
    },
    Problem {
        component: "NotAcceptable",
        status: 406,
        description: "`Accept` takes none of the formats, or the format cannot carry a column.",
        codes: &["not_acceptable", "not_encodable"],
        example: [
            Some("no format of the rows is acceptable"),
            Some("accept one of application/json, text/csv, or say format= with one of json, csv"),
            Some("Accept"),
            Some("image/png"),
        ],
    },
    Problem {
        component: "TooLarge",
        status: 413,
        description: "The query needs more memory than one may have, its answer is longer than one may be, or so is its body.",
        codes: &["query_too_large", "result_too_large", "body_too_large"],
        example: [
            Some("the query needs more than 268435456 bytes"),
            Some("filter, select fewer columns, group by less or page with limit="),
            None,
            Some("268435456"),
        ],
    },
    Problem {
        component: "UriTooLong",
        status: 414,
        description: "The URL is longer than is read.",
        codes: &["uri_too_long"],
        example: [
            Some("the URL has 20000 bytes; at most 16384 are read"),
            Some("send long filters as JSON: POST /api/v1/datasets/{name}/query"),
            None,
            None,
        ],
    },
    Problem {
        component: "NotTaken",
        status: 415,
        description: "The body is compressed, or is not declared as JSON.",
        codes: &["not_json", "compressed_request"],
        example: [
            Some("the body is not declared as JSON"),
            Some("send Content-Type: application/json"),
            Some("Content-Type"),
            None,
        ],
    },
    Problem {
        component: "ForeignHost",
        status: 421,
        description: "The request names a host that is not this server.",
        codes: &["foreign_host"],
        example: [
            Some("this server does not answer to the host that the request names"),
            Some("name the server by its address, or start it with --allowed-hosts NAME"),
            Some("Host"),
            Some("elsewhere.example"),
        ],
    },
    Problem {
        component: "Defect",
        status: 500,
        description: "The server failed to answer, by a fault of its own.",
        codes: &["internal"],
        example: [
            Some("the server failed to answer"),
            Some("the server's log has the cause under the request id"),
            None,
            None,
        ],
    },
    Problem {
        component: "SourceFailed",
        status: 502,
        description: "The source failed.",
        codes: &[
            "source_failed",
            "source_crashed",
            "source_panicked",
            "source_data_invalid",
            "source_permission_denied",
        ],
        example: [
            Some("the source of dataset 'sales' failed: failed"),
            Some("the server's log has the source's own words under the request id; GET /api/v1/plugins has its state"),
            None,
            None,
        ],
    },
    Problem {
        component: "Unavailable",
        status: 503,
        description: "Not now: the plugins are still being loaded, the source cannot be reached, its schema has just \
                      changed, or the server has too much to do. `Retry-After` says when to come back.",
        codes: &[
            "starting",
            "source_unavailable",
            "source_exhausted",
            "schema_changed",
            "queries_busy",
            "busy",
            "invalidation_not_durable",
            "disk_tier_failed",
        ],
        example: [
            Some("the plugins are still being loaded"),
            Some("GET /readyz says when the server is ready"),
            None,
            None,
        ],
    },
    Problem {
        component: "TooLate",
        status: 504,
        description: "The source, or the query, did not end in time.",
        codes: &["query_timeout", "timeout", "source_timeout"],
        example: [
            Some("the query took longer than 30s"),
            Some("filter, or select fewer columns; or raise query_timeout"),
            None,
            None,
        ],
    },
];

/// The responses by the names of their components.
pub(super) fn components() -> Map<String, Value> {
    PROBLEMS.iter().map(|problem| (problem.component.to_owned(), problem.response())).collect()
}

/// References to the responses of these statuses.
pub(super) fn of(statuses: &[u16]) -> Map<String, Value> {
    let wanted = PROBLEMS.iter().filter(|problem| statuses.contains(&problem.status));
    let reference = |problem: &Problem| json!({ "$ref": format!("#/components/responses/{}", problem.component) });
    wanted.map(|problem| (problem.status.to_string(), reference(problem))).collect()
}

impl Problem {
    fn response(&self) -> Value {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": self.status,
            "code": self.codes[0],
            "request_id": "9e3779b97f4a7c15",
        });
        for (member, text) in ["detail", "hint", "parameter", "value"].into_iter().zip(self.example) {
            if let Some(text) = text {
                document[member] = json!(text);
            }
        }
        let mut response = json!({
            "description": self.description,
            "headers": { "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } },
            "content": { "application/problem+json": {
                "schema": {
                    "allOf": [{ "$ref": "#/components/schemas/ProblemDocument" }],
                    "properties": { "status": { "const": self.status }, "code": { "enum": self.codes } },
                },
                "example": document,
            } },
        });
        if matches!(self.status, 503 | 504) {
            response["headers"]["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" });
        }
        response
    }
}
