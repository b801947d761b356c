//! Alerts for a program elsewhere: a POST of JSON, tried a few times, and never waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Those under way at a time; further ones are left out, and the log says so.
const MAX_UNDER_WAY: usize = 16;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Sends a document on a thread of its own. The log never shows the URL, which may hold a secret.
pub(super) fn send(url: &str, document: Value) {
    if UNDER_WAY.fetch_add(1, Ordering::Relaxed) >= MAX_UNDER_WAY {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!("an alert is not told to the webhook: {MAX_UNDER_WAY} others are on their way to it");
        return;
    }
    let url = url.to_owned();
    let sending = move || {
        if let Err(error) = try_send(&url, &document) {
            tracing::warn!("an alert is not told to the webhook: {error}");
        }
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    };
    if std::thread::Builder::new().name("webhook".into()).spawn(sending).is_err() {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

fn try_send(url: &str, document: &Value) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let body = document.to_string();
    let mut last = String::new();
    for number in 0..TRIES {
        if number > 0 {
            std::thread::sleep(Duration::from_secs(1 << number));
        }
        match agent.post(url).header("content-type", "application/json").send(body.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(ureq::Error::StatusCode(status)) => last = format!("it answers {status}"),
            Err(ureq::Error::Timeout(_)) => last = "it does not answer in time".to_owned(),
            Err(_) => last = "it cannot be reached".to_owned(),
        }
    }
    Err(last)
}
