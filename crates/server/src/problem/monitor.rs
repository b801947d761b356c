//! The problems of what is changed and told while the server runs.

use actix_web::http::StatusCode;

use super::{Problem, cut};

impl Problem {
    /// 400 for a setting that cannot be changed while the server runs.
    pub fn not_live(name: &str, live: &[&str]) -> Self {
        let detail = format!("'{}' cannot be changed while the server runs", cut(name));
        Self::new(StatusCode::BAD_REQUEST, "setting_not_live", detail)
            .parameter(cut(name))
            .hint(format!("these can be: {}; set others in larder.toml and start anew", live.join(", ")))
    }

    /// 400 for a name that no setting has.
    pub fn unknown_setting(name: &str, live: &[&'static str]) -> Self {
        let close = live.iter().map(|known| (strsim::jaro_winkler(known, name), *known));
        let close = close.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
        Self::new(StatusCode::BAD_REQUEST, "unknown_setting", format!("there is no setting '{}'", cut(name)))
            .parameter(cut(name))
            .hint(match close {
                Some((_, close)) => format!("did you mean '{close}'?"),
                None => "GET /api/v1/settings lists the settings".to_owned(),
            })
    }

    /// 400 for a value that a setting cannot take.
    pub fn bad_setting(name: &str, value: &str, reason: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_setting", format!("{name} cannot be that: {reason}"))
            .parameter(name)
            .value(cut(value))
            .hint("GET /api/v1/settings shows what is in force")
    }

    /// 404 for a setting that was not changed.
    pub fn not_applied(name: &str) -> Self {
        let detail = format!("'{}' was not changed while the server ran", cut(name));
        Self::new(StatusCode::NOT_FOUND, "not_applied", detail)
            .value(cut(name))
            .hint("GET /api/v1/settings shows which settings have the origin 'applied'")
    }

    /// 400 for a policy that makes no sense.
    pub fn bad_policy(dataset: &str, reason: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad_policy",
            format!("the policy makes no sense: {}", reason.chars().take(400).collect::<String>()),
        )
        .value(dataset)
        .hint("GET the policy to see its settings; times are written as \"90s\", sizes as \"64 MiB\"")
    }

    /// 503 for a change that cannot be written down.
    pub fn change_not_durable(error: &std::io::Error) -> Self {
        let detail = "the change could not be written to disk, and was taken back";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "change_not_durable", detail)
            .hint("see that the home has space and can be written to, and repeat the request")
            .cause(error)
    }

    /// 404 for a recommendation that holds no more.
    pub fn unknown_recommendation(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_recommendation",
            "there is no such recommendation, or it holds no more",
        )
        .value(cut(id))
        .hint("GET /api/v1/monitor/recommendations lists those that hold now")
    }

    /// 404 for a timer that does not run.
    pub fn unknown_timer(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_timer", "there is no such timer, or it was ended")
            .value(cut(id))
            .hint("POST /api/v1/monitor/timers begins one")
    }

    /// 503 for a timer while as many run as may.
    pub fn too_many_timers(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_timers", format!("as many timers run as may: {reason}"))
            .hint("end some, or POST /api/v1/monitor/operations with durations that were measured elsewhere")
            .retry_after(5)
    }
}
