//! `Cache-Control` and `Cache-Status` (RFC 9211) of rows.
//!
//! What a hit needs is made once where it can be: `Cache-Control` is a matter of the policy alone and is kept with what
//! was remembered of the request; `Cache-Status` changes once a second, and each thread keeps the last ones it made.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use pipeline::{AnswerFrom, Policy};

/// Values that a thread keeps. A hot body has the same one for a second.
const KEPT: usize = 64;

/// Where a body was found, or why an old one is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
    /// The load failed, and the old body is served.
    StaleIfError,
}

impl Detail {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::StaleIfError => "stale-if-error",
        }
    }
}

/// How long clients may keep rows of a dataset: a matter of its policy, made once.
#[derive(Debug, Clone)]
pub enum ForClients {
    /// The same for all answers: `Age` tells how much of it is over.
    Fixed(HeaderValue),
    /// So long from each answer on, as far as the data is fresh; and an old one for so long if the server cannot be had.
    FromNow(Duration, Duration),
}

impl ForClients {
    /// What a policy says.
    pub fn of(policy: &Policy) -> Self {
        match policy.client_max_age {
            Some(Duration::ZERO) => Self::Fixed(HeaderValue::from_static("no-cache")),
            Some(time) => Self::FromNow(time, policy.stale_if_error),
            None => {
                let mut text = format!("max-age={}", policy.ttl.as_secs());
                add_window(&mut text, "stale-while-revalidate", policy.stale_while_revalidate);
                add_window(&mut text, "stale-if-error", policy.stale_if_error);
                Self::Fixed(value(text))
            }
        }
    }

    /// The value for data of this age and with so much freshness left, negative when it is stale.
    pub fn value(&self, age: Duration, freshness_ms: i64) -> HeaderValue {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::FromNow(time, stale_if_error) => {
                let left = u64::try_from(seconds(freshness_ms)).unwrap_or(0);
                let mut text = format!("max-age={}", age.as_secs() + time.as_secs().min(left));
                add_window(&mut text, "stale-if-error", *stale_if_error);
                value(text)
            }
        }
    }
}

fn add_window(text: &mut String, name: &str, window: Duration) {
    if window >= Duration::from_secs(1) {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {name}={}", window.as_secs());
    }
}

/// Clients ask for these rows each time.
pub fn ask_again() -> HeaderValue {
    HeaderValue::from_static("max-age=0")
}

/// A hit with so many milliseconds of freshness left, negative when it is stale.
pub fn hit(freshness_ms: i64, detail: Detail) -> HeaderValue {
    let ttl = seconds(freshness_ms);
    if detail == Detail::Memory { memory_hit(ttl) } else { make(ttl, detail) }
}

/// A load of somebody else that was under way.
pub fn joined() -> HeaderValue {
    HeaderValue::from_static("larder; fwd=miss; collapsed")
}

/// A body that was made for this request, of data that came from there.
pub fn miss(freshness_ms: i64, stored: bool, from: AnswerFrom) -> HeaderValue {
    let mut text = "larder; fwd=miss".to_owned();
    if stored {
        text.push_str("; stored");
    }
    if from == AnswerFrom::SharedLoad {
        text.push_str("; collapsed");
    }
    if freshness_ms < 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, "; ttl={}", seconds(freshness_ms));
    }
    text.push_str(match from {
        AnswerFrom::Source | AnswerFrom::SharedLoad => "; detail=source",
        AnswerFrom::StaleOnError => "; detail=stale-if-error",
        _ => "; detail=table",
    });
    value(text)
}

/// Whole seconds; what is over by less than one is over by one.
fn seconds(freshness_ms: i64) -> i64 {
    freshness_ms.div_euclid(1000)
}

fn memory_hit(ttl: i64) -> HeaderValue {
    thread_local! {
        static MADE: RefCell<[(i64, HeaderValue); KEPT]> =
            RefCell::new(std::array::from_fn(|_| (i64::MIN, HeaderValue::from_static(""))));
    }
    MADE.with_borrow_mut(|made| {
        let slot = &mut made[ttl.rem_euclid(KEPT as i64) as usize];
        if slot.0 != ttl {
            *slot = (ttl, make(ttl, Detail::Memory));
        }
        slot.1.clone()
    })
}

fn make(ttl: i64, detail: Detail) -> HeaderValue {
    value(format!("larder; hit; ttl={ttl}; detail={}", detail.name()))
}

/// Letters, digits and punctuation always make a header value.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use pipeline::Mode;

    use super::*;

    const POLICY: Policy = Policy {
        ttl: Duration::from_secs(3600),
        load_timeout: Duration::from_secs(60),
        max_bytes: 1 << 20,
        mode: Mode::Auto,
        persist: true,
        stale_while_revalidate: Duration::ZERO,
        stale_if_error: Duration::ZERO,
        check_interval: Duration::ZERO,
        client_max_age: None,
        refresh_every: None,
        warm: false,
    };

    #[track_caller]
    fn check_control(policy: Policy, expected: &str) {
        let value = ForClients::of(&policy).value(Duration::from_secs(600), 3_000_000);
        assert_eq!(value, expected);
    }

    #[test]
    fn clients_may_keep_rows_as_long_as_the_policy_says() {
        let seconds = Duration::from_secs;
        check_control(POLICY, "max-age=3600");
        check_control(Policy { client_max_age: Some(Duration::ZERO), ..POLICY }, "no-cache");
        check_control(
            Policy { stale_while_revalidate: seconds(60), stale_if_error: seconds(7200), ..POLICY },
            "max-age=3600, stale-while-revalidate=60, stale-if-error=7200",
        );
        check_control(
            Policy { client_max_age: Some(seconds(5)), stale_if_error: Duration::from_millis(900), ..POLICY },
            "max-age=605",
        );
        check_control(
            Policy { client_max_age: Some(seconds(7200)), stale_while_revalidate: seconds(60), ..POLICY },
            "max-age=3600",
        );
    }

    #[track_caller]
    fn check_miss(freshness_ms: i64, stored: bool, from: AnswerFrom, expected: &str) {
        assert_eq!(miss(freshness_ms, stored, from), expected);
    }

    #[test]
    fn a_miss_says_what_the_body_was_made_of() {
        check_miss(9_000, true, AnswerFrom::Source, "larder; fwd=miss; stored; detail=source");
        check_miss(9_000, true, AnswerFrom::SharedLoad, "larder; fwd=miss; stored; collapsed; detail=source");
        check_miss(9_000, true, AnswerFrom::Cache, "larder; fwd=miss; stored; detail=table");
        check_miss(9_000, false, AnswerFrom::Disk, "larder; fwd=miss; detail=table");
        check_miss(-4_500, true, AnswerFrom::Stale, "larder; fwd=miss; stored; ttl=-5; detail=table");
        check_miss(-1, false, AnswerFrom::StaleOnError, "larder; fwd=miss; ttl=-1; detail=stale-if-error");
    }

    #[track_caller]
    fn check_hit(freshness_ms: i64, detail: Detail, expected: &str) {
        assert_eq!(hit(freshness_ms, detail), expected);
    }

    #[test]
    fn a_hit_says_how_fresh_it_is_and_where_it_was() {
        for _ in 0..2 {
            check_hit(3_540_999, Detail::Memory, "larder; hit; ttl=3540; detail=memory");
            check_hit(3_604_000, Detail::Memory, "larder; hit; ttl=3604; detail=memory");
            check_hit(0, Detail::Memory, "larder; hit; ttl=0; detail=memory");
            check_hit(-1, Detail::Memory, "larder; hit; ttl=-1; detail=memory");
        }
        check_hit(5_000, Detail::Disk, "larder; hit; ttl=5; detail=disk");
        check_hit(-5_000, Detail::StaleIfError, "larder; hit; ttl=-5; detail=stale-if-error");
    }
}
