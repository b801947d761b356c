//! Talking to a running server.

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
}

impl Client {
    /// The server that `--url`, `LARDER_URL` or the home folder names.
    pub(super) fn new(args: &ArgMatches) -> anyhow::Result<Self> {
        let given = args.get_one::<String>("url").cloned().or_else(|| std::env::var("LARDER_URL").ok());
        let url = match given {
            Some(url) => url,
            None => {
                let layers = super::layers(args)?;
                let home = layers.text("home");
                home::announced_url(Path::new(home)).ok_or_else(|| {
                    anyhow!("find a running server in the home '{home}': start one with `larder serve`, or name it with --url")
                })?
            }
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .build()
            .into();
        Ok(Self { agent, url: url.trim_end_matches('/').to_owned() })
    }

    /// The body of a successful GET.
    ///
    /// # Errors
    /// The server cannot be reached, or answers with a problem, which is then told with its hint.
    pub(super) fn get(&self, path: &str, accept: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.url);
        let request = self.agent.get(&url).header("accept", accept);
        let mut response = request.call().with_context(|| format!("reach the server at {}", self.url))?;
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().context("read the answer")?;
        if !response.status().is_success() {
            bail!("get {path}: {}", problem(response.status().as_u16(), &body));
        }
        Ok(body)
    }
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
