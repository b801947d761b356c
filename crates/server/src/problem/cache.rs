//! The problems of the cache's endpoints.

use actix_web::http::StatusCode;
use cache_core::NotDurable;

use super::{Problem, cut};

impl Problem {
    /// 404 for a name that no entry has.
    pub fn entry_not_found(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "entry_not_found", "no entry of the cache has this key")
            .value(cut(key))
            .hint("GET /api/v1/cache/entries lists the keys; percent-encode the key in the path")
    }

    /// 400 for a key that cannot be one.
    pub fn bad_key(parameter: &str, key: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_key", "a key is a dataset's name, a slash and the key within it")
            .parameter(parameter)
            .value(cut(key))
            .hint("GET /api/v1/cache/entries lists the keys, such as sales/table")
    }

    /// 400 for a parameter that the endpoint does not have.
    pub fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", format!("there is no parameter '{}' here", cut(name)))
            .parameter(cut(name))
            .hint(match known {
                [] => "this takes no parameters; POST /api/v1/cache/invalidate drops a part".to_owned(),
                known => format!("the parameters are {}", known.join(", ")),
            })
    }

    /// 400 for a parameter in the URL of a request whose body has all that it takes.
    pub fn parameter_beside_body(name: &str) -> Self {
        let detail = format!("'{}' stands in the URL, where a query in JSON has no parameters", cut(name));
        Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", detail)
            .parameter(cut(name))
            .hint("put it into the body: {\"select\": [...], \"limit\": 10, \"format\": \"csv\"}; GET .../rows takes parameters")
    }

    /// 503 for what looks at everything, while others do.
    pub fn busy() -> Self {
        let detail = "others are looking through the cache, and that takes its time";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).hint("ask again in a moment").retry_after(5)
    }

    /// 400 for a value that the parameter cannot take.
    pub fn bad_value(name: &str, value: &str, expected: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_value", format!("{name} cannot be '{}'", cut(value)))
            .parameter(name)
            .value(cut(value))
            .hint(format!("expected {expected}"))
    }

    /// 503 for an invalidation that a restart might undo.
    pub fn invalidation_not_durable(error: &NotDurable) -> Self {
        let detail = "what was named is dropped, but that could not be written to disk; the cache on disk was given up";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "invalidation_not_durable", detail)
            .hint("see that the disk has space and can be written to, and repeat the request")
            .cause(chain(error))
    }

    /// 503 for an invalidation that holds in this process, while entries of an earlier one are out of its reach.
    pub fn entries_may_return(why: &str) -> Self {
        let detail = "what was named is dropped, but entries of an earlier start are still in the cache folder, which \
                      cannot be written to: a later start might serve them";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "invalidation_not_durable", detail)
            .hint("make the cache folder writable and start again, or remove it")
            .cause(why)
    }

    /// 409 for a task of the disk tier where there is none.
    pub fn no_disk_tier() -> Self {
        Self::new(StatusCode::CONFLICT, "no_disk_tier", "nothing is kept on disk here")
            .hint("GET /api/v1/cache/stats says why; persist = true turns the disk tier on")
    }

    /// 503 for a task that the disk tier could not do.
    pub fn disk_tier_failed(error: &dyn std::error::Error) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "disk_tier_failed", "the cache on disk could not be worked on")
            .hint("the server's log has the cause under the request id; GET /api/v1/cache/stats has the tier's state")
            .cause(chain(error))
    }
}

impl From<NotDurable> for Problem {
    fn from(error: NotDurable) -> Self {
        Self::invalidation_not_durable(&error)
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
