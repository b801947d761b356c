//! The problems of loads and of streams of events.

use actix_web::http::StatusCode;

use super::{Problem, cut};

impl Problem {
    /// 400 for a member of a load's body that makes no sense.
    pub fn bad_load(parameter: impl Into<String>, value: &str, detail: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_load", detail).parameter(parameter).value(cut(value)).hint(hint)
    }

    /// 404 for a name that no plugin has.
    pub fn unknown_plugin(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_plugin", format!("no plugin is called '{}'", cut(name)))
            .value(cut(name))
            .hint("GET /api/v1/plugins lists the plugins")
    }

    /// 404 for an id that no load has.
    pub fn unknown_load(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_load", "there is no load of this id, or it was over too long ago")
            .value(cut(id))
            .hint("GET /api/v1/loads lists the loads; loads_kept and loads_keep_for say how long they can be looked at")
    }

    /// 404 for a name that no request of a load has.
    pub fn unknown_request(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_request", "the load has no request of this name")
            .value(cut(name))
            .hint("GET /api/v1/loads/{id} lists its requests")
    }

    /// 409 for the rows of a request that are not loaded yet.
    pub fn not_loaded_yet(name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "not_loaded_yet", "the request is not done with yet")
            .value(cut(name))
            .hint("GET /api/v1/loads/{id}/events tells when it is")
            .retry_after(1)
    }

    /// 409 for the rows of a request that will not be loaded.
    pub fn load_cancelled(name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "load_cancelled", "the load was cancelled before this request was done with")
            .value(cut(name))
            .hint("POST /api/v1/loads begins another one")
    }

    /// 503 for a load while as many are under way as may be.
    pub fn too_many_loads(running: usize) -> Self {
        let detail = format!("{running} loads are under way, and no more may");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_loads", detail)
            .value(running.to_string())
            .hint("try again, or raise loads_running")
            .retry_after(1)
    }

    /// 503 for a stream of events while as many are followed as may be.
    pub fn too_many_streams(most: usize) -> Self {
        let detail = format!("{most} clients follow events, and no more may");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
            .value(most.to_string())
            .hint("close one, or raise event_streams")
            .retry_after(5)
    }
}
