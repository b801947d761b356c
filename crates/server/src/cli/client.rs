//! Talking to a running server.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::ArgMatches;
use serde_json::Value;

use crate::home;

/// A server that runs.
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    /// What else can be done when there is no server.
    advice: &'static str,
}

impl Client {
    /// The server that `--url`, `LARDER_URL` or the home folder names.
    pub(super) fn new(args: &ArgMatches) -> anyhow::Result<Self> {
        Self::with_advice(args, "")
    }

    /// As [`new`](Self::new), with `advice` for whoever has no server.
    pub(super) fn with_advice(args: &ArgMatches, advice: &'static str) -> anyhow::Result<Self> {
        let given = args.get_one::<String>("url").cloned().or_else(|| std::env::var("LARDER_URL").ok());
        let url = match given {
            Some(url) => url,
            None => {
                let layers = super::layers(args)?;
                let home = layers.text("home");
                home::announced_url(Path::new(home)).ok_or_else(|| {
                    anyhow!("find a running server in the home '{home}': start one with `larder serve`, or name it with --url{advice}")
                })?
            }
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .build()
            .into();
        Ok(Self { agent, url: with_scheme(url.trim_end_matches('/')), advice })
    }

    /// The body of a successful GET.
    ///
    /// # Errors
    /// The server cannot be reached, or answers with a problem, which is then told with its hint.
    pub(super) fn get(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, accept, None)
    }

    /// The document that a request is answered with.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) fn json(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let answer = self.send(method, path, "application/json", body)?;
        serde_json::from_slice(&answer.body).context("read the answer")
    }

    /// The bytes of a stream of events, after the one of number `last`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) fn stream(&self, path: &str, last: u64) -> anyhow::Result<impl io::Read + use<>> {
        let request = ureq::http::Request::get(format!("{}{path}", self.url));
        let request = request.header("accept", "text/event-stream").header("last-event-id", last.to_string());
        Ok(self.call("GET", path, request.body(())?)?.into_body().into_reader())
    }

    /// Writes the body of a successful GET.
    ///
    /// # Errors
    /// As [`get`](Self::get), or it cannot be written.
    pub(super) fn download(&self, path: &str, to: &mut impl io::Write) -> anyhow::Result<()> {
        let request = ureq::http::Request::get(format!("{}{path}", self.url)).header("accept", "*/*");
        let answer = self.call("GET", path, request.body(())?)?;
        if answer.status() == ureq::http::StatusCode::PARTIAL_CONTENT {
            let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok()).unwrap_or("a part");
            bail!(
                "read all rows: the server gives rows {range} at once; raise its max_rows, or ask for less with --filters"
            );
        }
        let mut body = answer.into_body().into_reader();
        io::copy(&mut body, to).context("write the answer")?;
        Ok(())
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        request: ureq::http::Request<()>,
    ) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        let called = self.agent.run(request);
        let mut response = called.with_context(|| format!("reach the server at {}{}", self.url, self.advice))?;
        if !response.status().is_success() {
            let body = response.body_mut().read_to_vec().unwrap_or_default();
            let method = method.to_ascii_lowercase();
            bail!("{method} {path}: {}", problem(response.status().as_u16(), &body));
        }
        Ok(response)
    }

    fn send(&self, method: &str, path: &str, accept: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("accept", accept);
        let called = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                request.body(serde_json::to_vec(body)?).map_err(ureq::Error::from).and_then(|it| self.agent.run(it))
            }
            None => request.body(()).map_err(ureq::Error::from).and_then(|it| self.agent.run(it)),
        };
        let mut response = called.with_context(|| format!("reach the server at {}{}", self.url, self.advice))?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().context("read the answer")?;
        if !response.status().is_success() {
            let method = method.to_ascii_lowercase();
            bail!("{method} {path}: {}", problem(response.status().as_u16(), &body));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let next = header("next-cursor").filter(|_| response.status() == ureq::http::StatusCode::PARTIAL_CONTENT);
        Ok(Answer { rest: next.map(|next| (header("content-range").unwrap_or_default(), next)), body })
    }
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// Of a part of what was asked for: which rows it has, and the cursor of the next ones.
    pub(super) rest: Option<(String, String)>,
}

/// An address alone is one of a server that speaks HTTP, as all of them do.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// A problem document in one line.
fn problem(status: u16, body: &[u8]) -> String {
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return format!("the server answered {status}") };
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let detail = text("detail").unwrap_or("no detail given");
    let parameter = text("parameter").map(|p| format!(" (parameter {p})")).unwrap_or_default();
    let hint = text("hint").map(|h| format!("; {h}")).unwrap_or_default();
    format!("{detail}{parameter}{hint}")
}

/// `text` with what may not stand in a URL, and the bytes of `also`, percent-encoded. What is
/// encoded already stays.
pub(super) fn in_url(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let unsafe_byte =
            !byte.is_ascii_graphic() || br#""<>\^`{|}"#.contains(&byte) || also.as_bytes().contains(&byte);
        if unsafe_byte {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_url_is_encoded_once() {
        assert_eq!(in_url("a=eq.x y&b=in.(1,2)", "#"), "a=eq.x%20y&b=in.(1,2)");
        assert_eq!(in_url("a=eq.\"é\"", "#"), "a=eq.%22%C3%A9%22");
        assert_eq!(in_url("a=eq.50%25", "#"), "a=eq.50%25");
        assert_eq!(in_url("../x?", "/?#&"), "..%2Fx%3F");
        assert_eq!(in_url("sales/json+zstd?a=eq.%20", "%+&#"), "sales/json%2Bzstd?a=eq.%2520");
    }
}
