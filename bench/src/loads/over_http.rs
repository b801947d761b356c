//! Loads over HTTP: the real server, and each source in a process of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use loader::{Ask, LoadRequest};
use serde_json::{Value, json};

use super::{LATENCY_MS, Place, ROWS, Rows, SOURCES, name_of};
use crate::server::Server;

/// How long the server may take until it serves all sources.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and a client that stays connected.
pub(super) struct Http {
    server: Server,
    agent: ureq::Agent,
}

impl Http {
    /// A server of all sources, once it is ready.
    pub(super) fn new() -> anyhow::Result<Self> {
        let sidecars: Vec<(String, String)> = (0..SOURCES).map(|number| sidecar(name_of(number))).collect();
        let http = Self { server: Server::of_synthetic(&sidecars)?, agent: ureq::Agent::new_with_defaults() };
        let started = Instant::now();
        while http.agent.get(format!("{}/readyz", http.server.url)).call().is_err() {
            if started.elapsed() > PATIENCE {
                bail!("wait for a server to be ready");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(http)
    }

    fn post(&self, body: &str) -> anyhow::Result<String> {
        let request = self.agent.post(format!("{}/api/v1/loads", self.server.url));
        let request = request.header("content-type", "application/json").header("prefer", "wait=30");
        let mut answer = request.send(body)?;
        Ok(answer.body_mut().read_to_string()?)
    }
}

/// Name and text of the sidecar of one source.
fn sidecar(name: String) -> (String, String) {
    let columns = r#"{ name = "id", type = "sequence" }, { name = "n", type = "int", min = 0, max = 9 }, { name = "s", type = "string" }"#;
    let text = format!("[config.datasets.{name}]\nrows = {ROWS}\nlatency_ms = {LATENCY_MS}\ncolumns = [{columns}]\n");
    (name, text)
}

impl Place for Http {
    fn forget(&self) -> anyhow::Result<()> {
        self.agent.delete(format!("{}/api/v1/cache", self.server.url)).call().context("clear the cache")?;
        Ok(())
    }

    fn load(&self, requests: &[LoadRequest], from: Rows) -> anyhow::Result<f64> {
        let requests: Vec<Value> = requests.iter().map(as_json).collect();
        let body = json!({ "requests": requests, "max_workers": SOURCES }).to_string();
        let started = Instant::now();
        let answer = self.post(&body).context("load over HTTP")?;
        let time = started.elapsed().as_secs_f64() * 1e3;
        let answer: Value = serde_json::from_str(&answer).context("read the answer of a load")?;
        let outcomes = answer["requests"].as_array().context("read the outcomes of a load")?;
        ensure!(outcomes.len() == requests.len(), "load {} requests: {} came", requests.len(), outcomes.len());
        let expected = match from {
            Rows::OfSource => "source",
            Rows::Kept => "memory",
        };
        for request in outcomes {
            let outcome = &request["outcome"];
            let is_there = outcome["from"] == expected && outcome["rows"].as_u64().is_some_and(|rows| rows > 0);
            ensure!(is_there, "load {} from {expected}: {outcome}", request["name"]);
        }
        Ok(time)
    }
}

fn as_json(request: &LoadRequest) -> Value {
    let mut body = json!({ "name": request.name, "source": request.source });
    if let Ask::Filters(filters) = &request.ask {
        body["filters"] = Value::Object(filters.clone());
    }
    body
}
