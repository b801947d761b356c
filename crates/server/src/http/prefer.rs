//! What a client prefers: RFC 7240's `Prefer`, of which `count=`, `wait=` and `timing` are understood.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use pipeline::Counting;

/// The header's name.
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How the client wants the rows of the whole answer counted. Preferences that are not understood are ignored, as the
/// standard asks; the first `count` is the one that holds.
pub(super) fn counting(headers: &HeaderMap) -> Option<Counting> {
    let values = headers.get_all(PREFER).filter_map(|value| HeaderValue::to_str(value).ok());
    values.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("count") {
            return None;
        }
        by_name(value.trim().trim_matches('"'))
    })
}

/// Whether the client wants to know what its answer took.
pub(super) fn timing(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).filter_map(|value| HeaderValue::to_str(value).ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    preferences
        .any(|preference| preference.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("timing")))
}

/// How long the client wants to wait for what takes its time.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).filter_map(|value| HeaderValue::to_str(value).ok());
    values.flat_map(|value| value.split(',')).find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds))
    })
}

/// The way to count that a name stands for.
pub(super) fn by_name(name: &str) -> Option<Counting> {
    match name {
        "exact" => Some(Counting::Exact),
        // PostgREST's third name; here both are estimates.
        "estimated" | "planned" => Some(Counting::Estimated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&'static str], expected: Option<Counting>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        assert_eq!(counting(&headers), expected, "{values:?}");
    }

    #[test]
    fn the_first_count_that_is_understood_holds() {
        check(&[], None);
        check(&["count=exact"], Some(Counting::Exact));
        check(&["return=minimal, Count=\"exact\"; why=not"], Some(Counting::Exact));
        check(&["wait=10", "count=planned"], Some(Counting::Estimated));
        check(&["count=estimated,count=exact"], Some(Counting::Estimated));
        check(&["count=all"], None);
        check(&["counted=exact"], None);
    }

    #[test]
    fn a_wait_is_so_many_seconds() {
        let mut headers = HeaderMap::new();
        assert_eq!(wait(&headers), None);
        headers.append(PREFER, HeaderValue::from_static("respond-async, Wait=10"));
        assert_eq!(wait(&headers), Some(Duration::from_secs(10)));
        headers.insert(PREFER, HeaderValue::from_static("wait=soon"));
        assert_eq!(wait(&headers), None);
    }
}
