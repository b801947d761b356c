//! One address under load, measured with wrk, round by round.

use std::process::Command;

use anyhow::{Context, bail};

use crate::report::{median, median_ratio};
use crate::server::workspace;

/// What is measured, and what came out in each round.
pub(crate) struct Contender {
    what: String,
    url: String,
    headers: Vec<String>,
    counting: bool,
    /// Requests a second.
    rates: Vec<f64>,
    /// The 99th percentile of the latency, in milliseconds.
    p99s: Vec<f64>,
}

impl Contender {
    /// Asks for `url` with further header lines.
    pub(crate) fn new(what: String, url: String, headers: &[String]) -> Self {
        Self { what, url, headers: headers.to_vec(), counting: false, rates: Vec::new(), p99s: Vec::new() }
    }

    /// Asks for `url` with another number at its end in each request.
    pub(crate) fn counting(what: String, url: String) -> Self {
        Self { counting: true, ..Self::new(what, url, &[]) }
    }

    /// How the load is made, for people.
    pub(crate) const LOAD: &str = "wrk -t1 -c32 -d2s";

    /// One more round.
    pub(crate) fn measure(&mut self) -> anyhow::Result<()> {
        let mut load = Self::LOAD.split(' ');
        let mut command = Command::new(load.next().unwrap_or_default());
        command.args(load).arg("--latency");
        for header in &self.headers {
            command.args(["-H", header]);
        }
        if self.counting {
            command.arg("-s").arg(workspace().join("bench/src/counting.lua"));
        }
        // The round's number is for the script alone.
        let output = command.arg(&self.url).arg(self.rates.len().to_string()).output().context("run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
        if value("Non-2xx or 3xx responses:").is_some() || value("Socket errors:").is_some() {
            bail!("measure {}: some requests failed:\n{text}", self.what);
        }
        self.rates.push(value("Requests/sec:").and_then(|v| v.parse().ok()).context("read wrk's rate")?);
        self.p99s.push(value("99%").and_then(milliseconds).context("read wrk's latency")?);
        Ok(())
    }

    /// How many times the requests of `other` it answers.
    pub(crate) fn rate_of(&self, other: &Self) -> f64 {
        median_ratio(&self.rates, &other.rates)
    }

    /// How many times the 99th percentile of `other` its own is.
    pub(crate) fn p99_of(&self, other: &Self) -> f64 {
        median_ratio(&self.p99s, &other.p99s)
    }

    /// Prints its own figures.
    pub(crate) fn print(&self) {
        let (rate, p99) = (median(&mut self.rates.clone()), median(&mut self.p99s.clone()));
        println!("{:<58} {rate:>9.0} requests/s, p99 {p99:.2} ms", self.what);
    }
}

/// Whether there is a wrk to make the load.
pub(crate) fn wrk_is_there() -> bool {
    Command::new("wrk").arg("--version").output().is_ok()
}

fn milliseconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_alphabetic())?;
    let number: f64 = text[..split].parse().ok()?;
    match &text[split..] {
        "us" => Some(number / 1e3),
        "ms" => Some(number),
        "s" => Some(number * 1e3),
        _ => None,
    }
}
