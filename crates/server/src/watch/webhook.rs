//! Alerts for a program elsewhere: a POST of JSON, tried a few times, and never waited for.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use serde_json::Value;

const TRIES: u32 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Those that wait to be sent; further ones are left out, and the log says so.
const MAX_WAITING: usize = 64;

/// Sends documents one after the other, on a thread of its own.
pub(super) struct Webhook(SyncSender<Value>);

impl Webhook {
    /// A webhook at this URL. The log never shows it, as it may hold a secret.
    pub(super) fn new(url: String) -> std::io::Result<Self> {
        let (send, documents) = sync_channel::<Value>(MAX_WAITING);
        let sending = move || {
            for document in documents {
                if let Err(error) = try_send(&url, &document) {
                    tracing::warn!("an alert is not told to the webhook: {error}");
                }
            }
        };
        std::thread::Builder::new().name("webhook".into()).spawn(sending)?;
        Ok(Self(send))
    }

    /// Sends a document, when those before it are sent.
    pub(super) fn send(&self, document: Value) {
        if self.0.try_send(document).is_err() {
            tracing::warn!("an alert is not told to the webhook: {MAX_WAITING} others wait to be");
        }
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
