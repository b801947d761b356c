//! A cached hit against constant bytes from actix: as many headers, as many workers, measured in turn
//! with wrk, so that what else the machine does strikes both.

use std::process::Command;

use anyhow::{Context, bail};

use crate::report::{line, median};
use crate::server::Server;

/// Turns; each measures every contender once.
const ROUNDS: usize = 7;
const TARGET: &str = "/api/v1/datasets/sector_analysis/rows?adoption_rate=gte.70&order=avg_roi.desc&limit=5";

struct Contender<'a> {
    url: String,
    headers: Vec<String>,
    of: &'a str,
    rates: Vec<f64>,
    p99s: Vec<f64>,
}

/// Prints the ratios.
pub(crate) fn run() -> anyhow::Result<()> {
    if Command::new("wrk").arg("--version").output().is_err() {
        bail!("run wrk, which makes the load: install it (on Debian: apt-get install wrk)");
    }
    let larder = Server::larder()?;
    let url = format!("{}{TARGET}", larder.url);
    let plain = answer(&url, "identity")?;
    let zstd = answer(&url, "zstd")?;
    let constant = Server::constant(plain.bytes)?;
    let mut contenders = [
        contender(format!("{}/", constant.url), &[], "constant bytes, 200"),
        contender(url.clone(), &[], "cached hit, 200"),
        contender(url.clone(), &["Accept-Encoding: zstd".to_owned()], "cached hit, 200, zstd"),
        contender(format!("{}/", constant.url), &[format!("If-None-Match: {}", plain.etag)], "constant bytes, 304"),
        contender(url, &[format!("If-None-Match: {}", plain.etag)], "cached hit, 304"),
    ];
    println!("body {} bytes, zstd {} bytes; {ROUNDS} rounds of wrk -t1 -c32 -d3s", plain.bytes, zstd.bytes);
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            let (rate, p99) = wrk(contender)?;
            contender.rates.push(rate);
            contender.p99s.push(p99);
        }
    }
    for contender in &contenders {
        let (rate, p99) = (median(&mut contender.rates.clone()), median(&mut contender.p99s.clone()));
        println!("{:<58} {rate:>9.0} requests/s, p99 {p99:.2} ms", contender.of);
    }
    let [constant, hit, zstd_hit, constant_304, hit_304] = &contenders;
    line("cached hit of constant bytes", ratio(hit, constant), ">= 0.85");
    line("cached hit, zstd, of constant bytes", ratio(zstd_hit, constant), ">= 0.85");
    line("304 of constant bytes' 304", ratio(hit_304, constant_304), ">= 0.85");
    line("304 of a cached hit", ratio(hit_304, hit), ">= 1 (no slower)");
    Ok(())
}

/// The middle of the rounds' ratios: what else the machine does in a round strikes both.
fn ratio(of: &Contender<'_>, to: &Contender<'_>) -> String {
    let mut ratios: Vec<f64> = of.rates.iter().zip(&to.rates).map(|(of, to)| of / to).collect();
    format!("{:.3}", median(&mut ratios))
}

fn contender(url: String, headers: &[String], of: &'static str) -> Contender<'static> {
    Contender { url, headers: headers.to_vec(), of, rates: Vec::new(), p99s: Vec::new() }
}

struct Answer {
    bytes: usize,
    etag: String,
}

/// One request, which also puts the answer in the cache.
fn answer(url: &str, coding: &str) -> anyhow::Result<Answer> {
    let mut response = ureq::get(url).header("accept-encoding", coding).call().context("make the first request")?;
    let etag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default().to_owned();
    let bytes = response.body_mut().read_to_vec().context("read the first answer")?.len();
    Ok(Answer { bytes, etag })
}

/// Requests per second and the 99th percentile in milliseconds.
fn wrk(contender: &Contender<'_>) -> anyhow::Result<(f64, f64)> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", "-d3s", "--latency"]);
    for header in &contender.headers {
        command.args(["-H", header]);
    }
    let output = command.arg(&contender.url).output().context("run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(str::trim);
    if value("Non-2xx or 3xx responses:").is_some() || value("Socket errors:").is_some() {
        bail!("measure {}: some requests failed:\n{text}", contender.of);
    }
    let rate = value("Requests/sec:").and_then(|v| v.parse().ok()).context("read wrk's rate")?;
    let p99 = value("99%").and_then(milliseconds).context("read wrk's latency")?;
    Ok((rate, p99))
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
