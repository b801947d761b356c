//! Spans reach an OpenTelemetry collector: those that are wanted, with what belongs to them, and no others; and a collector
//! that is unwell harms nobody.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::collector::{Collector, Manner};
use tests::control::Control;
use tests::poll::{PATIENCE, until_true};
use tests::{Options, Server};

/// The span that all requests here come from.
const CALLER: u64 = 0x00f0_67aa_0ba9_02b7;

/// The number of the `n`th trace.
fn trace(n: u128) -> u128 {
    0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4700 + n
}

/// A server of a build with the feature, of these datasets.
fn options(larder: &Path, datasets: &[&Control], endpoint: &str, every_ms: u32) -> Options {
    let datasets: Vec<_> = datasets.iter().map(|control| (*control, "")).collect();
    Server::options()
        .program(larder)
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&datasets))
        .arg("--log=server=debug,info")
        .env("LARDER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", &every_ms.to_string())
}

fn ask(server: &Server, path: &str, n: u128, flags: &str) -> u16 {
    let traceparent = format!("00-{:032x}-{CALLER:016x}-{flags}", trace(n));
    server.send("GET", path, &[("traceparent", traceparent.as_str())], None).status
}

pub(crate) fn check(larder: &Path) -> Result<()> {
    spans_of_what_is_done(larder)?;
    spans_at_the_end(larder)?;
    for (manner, word) in [(Manner::Refuses, "answers 503"), (Manner::Hangs, "timeout")] {
        an_unwell_collector(larder, Collector::start(manner).url(), word)?;
    }
    let nowhere = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    an_unwell_collector(larder, &format!("http://{nowhere}"), "refused")?;
    println!("spans reach a collector, and one that is unwell harms nobody");
    Ok(())
}

fn spans_of_what_is_done(larder: &Path) -> Result<()> {
    let (orders, broken) = (Control::new("orders"), Control::new("broken"));
    broken.set_down(true);
    let collector = Collector::start(Manner::Takes);
    let server = options(larder, &[&orders, &broken], collector.url(), 100).start();
    let seen = |n: u128| collector.count(&trace(n).to_be_bytes());

    ensure!(ask(&server, &orders.rows("id=lt.7"), 1, "01") == 200);
    collector.receives("the trace of a request", &trace(1).to_be_bytes());
    collector.receives("the route", b"GET /api/v1/datasets/{name}/rows");
    for wanted in
        ["POST /v1/traces ", "application/x-protobuf", "http.route", "url.path", "/api/v1/datasets/orders/rows"]
    {
        ensure!(collector.count(wanted.as_bytes()) > 0, "the collector has not received {wanted}");
    }
    ensure!(collector.count(b"id=lt.7") == 0, "the query is nobody's business");
    collector.receives("the load", b"load orders");
    collector.receives("the scan", b"scan orders");
    // The request, the load and the scan, of which the first is the caller's child.
    ensure!(seen(1) == 3, "{} spans are of the trace", seen(1));
    ensure!(collector.count(&CALLER.to_be_bytes()) == 1);

    // Hits are told of only to those who follow them; what is not sampled is not told of at all.
    server.get(&orders.rows("id=lt.7")).expect(200);
    ensure!(ask(&server, &orders.rows("id=lt.7"), 2, "00") == 200);
    ensure!(ask(&server, "/api/v1/datasets", 3, "00") == 200);
    ensure!(ask(&server, &orders.rows("id=lt.7"), 4, "01") == 200);
    collector.receives("the trace of a hit", &trace(4).to_be_bytes());
    ensure!((seen(2), seen(3), seen(4)) == (0, 0, 1), "{:?}", (seen(2), seen(3), seen(4)));
    let rows = collector.count(b"GET /api/v1/datasets/{name}/rows");
    ensure!(rows == 2, "{rows} spans are of requests for rows");

    // A failure is an error, and what nobody traces yet is a trace of its own, which the log names.
    ensure!(ask(&server, &broken.rows(""), 5, "01") == 503);
    collector.receives("the failure", b"error.type");
    ensure!(seen(5) >= 3, "the request, its load and its scans failed, and {} spans are of the trace", seen(5));
    server.send("GET", "/api/v1/plugins", &[("x-request-id", "alone")], None).expect(200);
    collector.receives("the request's id", b"alone");
    let log = server.log();
    let named = |line: &&str| line.contains("alone") && line.contains("trace_id");
    let line = log.lines().find(named).unwrap_or_default();
    let (_, rest) = line.split_once("trace_id").unwrap_or_default();
    let digits: String = rest.chars().skip_while(|c| !c.is_ascii_hexdigit()).take(32).collect();
    let trace = u128::from_str_radix(&digits, 16)?;
    ensure!(collector.count(&trace.to_be_bytes()) == 1, "{line} names no trace that was received");
    ensure!(!log.contains("spans are not exported"), "{log}");
    Ok(())
}

fn spans_at_the_end(larder: &Path) -> Result<()> {
    let (orders, collector) = (Control::new("orders"), Collector::start(Manner::Takes));
    let server = options(larder, &[&orders], &format!("{}/v1/traces/", collector.url()), 3_600_000).start();
    ensure!(ask(&server, &orders.rows(""), 1, "01") == 200);
    ensure!(collector.count(&trace(1).to_be_bytes()) == 0);
    server.stop();
    ensure!(collector.count(&trace(1).to_be_bytes()) == 3, "the last spans are exported before the server leaves");
    Ok(())
}

/// Requests are answered, the log tells of it once, and the server leaves well and soon.
fn an_unwell_collector(larder: &Path, endpoint: &str, word: &str) -> Result<()> {
    let orders = Control::new("orders");
    let server = options(larder, &[&orders], endpoint, 50).start();
    for n in 0..40 {
        let asked = Instant::now();
        ensure!(ask(&server, &orders.rows(&format!("id=lt.{n}")), n, "01") == 200);
        ensure!(asked.elapsed() < Duration::from_secs(2), "a request waits for {endpoint}");
    }
    until_true("the log tells that spans are lost", PATIENCE, || {
        server.log().lines().any(|line| line.contains("spans are not exported") && line.contains(word))
    });
    ensure!(ask(&server, &orders.rows("id=gt.1"), 99, "01") == 200);
    let log = server.log();
    ensure!(log.matches("spans are not exported").count() == 1, "{log}");
    let leaving = Instant::now();
    server.stop();
    ensure!(leaving.elapsed() < Duration::from_secs(8), "it takes {:?} to leave", leaving.elapsed());
    Ok(())
}
