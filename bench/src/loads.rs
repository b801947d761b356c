//! Many datasets in one load: sources that take 100 ms each, side by side, and small requests that the cache answers.
//!
//! Both are measured twice: as a library, where the sources are in the process, and over HTTP, where each is a process of
//! its own behind the real server. A round loads each source by itself, then all of them in one load, each time with
//! nothing in the cache. Then come loads of all the cached requests. The first round of either warms up.

mod in_process;
mod over_http;

use loader::{Ask, LoadRequest};
use serde_json::Map;

use crate::report::{Goal, line, median, ratio};

/// Sources, and workers of every load.
const SOURCES: usize = 8;
/// What each of them takes.
const LATENCY_MS: u64 = 100;
/// Rows of each.
const ROWS: usize = 200;
/// Small requests in one load: none is like another.
const REQUESTS: usize = 1_000;
const ROUNDS: usize = 11;
const CACHED_ROUNDS: usize = 31;
/// What the Python module that this product grew from took for three sources of 100 ms, on the machine that its figures
/// come from.
const SEED_POOL_MS: f64 = 178.0;

/// Where loads are made.
trait Place {
    /// Has the next load read all sources anew.
    fn forget(&self) -> anyhow::Result<()>;

    /// Makes one load, and says how many milliseconds it took. All of its rows must be `from` there.
    fn load(&self, requests: &[LoadRequest], from: Rows) -> anyhow::Result<f64>;
}

/// Where the rows of a load come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    OfSource,
    Kept,
}

/// Prints the times.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("# loads: {SOURCES} sources of {LATENCY_MS} ms each, {SOURCES} workers; then {REQUESTS} cached requests");
    measure("library", &in_process::Library::new()?)?;
    measure("HTTP", &over_http::Http::new()?)?;
    line("three in the pool of the Python module, on its machine", format!("{SEED_POOL_MS:.0} ms"), "-");
    Ok(())
}

fn measure(what: &str, place: &dyn Place) -> anyhow::Result<()> {
    let all: Vec<LoadRequest> = (0..SOURCES).map(|number| LoadRequest::new(name_of(number))).collect();
    let cold = |requests: &[LoadRequest]| {
        place.forget()?;
        place.load(requests, Rows::OfSource)
    };
    let mut alone: Vec<Vec<f64>> = vec![Vec::new(); SOURCES];
    let mut together = Vec::new();
    for round in 0..=ROUNDS {
        // The first one warms up.
        let is_counted = round > 0;
        for (request, times) in all.chunks(1).zip(&mut alone) {
            times.extend(Some(cold(request)?).filter(|_| is_counted));
        }
        together.extend(Some(cold(&all)?).filter(|_| is_counted));
    }
    // By its median: the slowest of a round is the one that the machine held up, which makes the load look good.
    let slowest = alone.iter_mut().map(|times| median(times)).fold(0.0, f64::max);
    let together = median(&mut together);
    line(&format!("{what}: the slowest of {SOURCES} sources alone"), format!("{slowest:.1} ms"), "-");
    line(&format!("{what}: all {SOURCES} in one load"), format!("{together:.1} ms"), "-");
    ratio("  of the slowest alone", together / slowest, Goal::AtMost(1.15));

    let requests = cached_requests();
    let mut times = Vec::new();
    for _ in 0..=CACHED_ROUNDS {
        times.push(place.load(&requests, Rows::Kept)?);
    }
    ratio(&format!("{what}: {REQUESTS} cached requests, ms"), median(&mut times.split_off(1)), Goal::Below(50.0));
    Ok(())
}

/// A dashboard's requests: each source is asked for the rows from another one on.
fn cached_requests() -> Vec<LoadRequest> {
    let request = |number: usize| LoadRequest {
        ask: Ask::Filters(Map::from_iter([("id_min".to_owned(), (number / SOURCES).into())])),
        ..LoadRequest::new(name_of(number % SOURCES)).named(format!("request{number}"))
    };
    (0..REQUESTS).map(request).collect()
}

/// The source of a number, and its one dataset.
fn name_of(source: usize) -> String {
    format!("source{source}")
}
