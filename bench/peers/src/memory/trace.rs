//! Requests to be replayed: block traces of the ARC paper from a folder, and some that are made here.
//!
//! A trace is a file `NAME.lis`, or packed `NAME.lis.zst`, of lines "first block, number of blocks, two fields that are
//! ignored"; a request is each block of the run.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use crate::random::{Random, Zipf};

/// Requests, and the number of entries that the caches under comparison have.
pub(super) struct Trace {
    pub(super) name: String,
    pub(super) capacity: u64,
    pub(super) requests: Vec<u64>,
}

/// The traces of a folder, in the order of their names.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Trace>> {
    let mut traces = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("list the traces in {}", folder.display()))? {
        let path = entry?.path();
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (name, packed) = match (file_name.strip_suffix(".lis"), file_name.strip_suffix(".lis.zst")) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => continue,
        };
        let file = File::open(&path).with_context(|| format!("open the trace {file_name}"))?;
        let lines: Box<dyn Read> =
            if packed { Box::new(zstd::stream::read::Decoder::new(file)?) } else { Box::new(file) };
        let requests = parse(BufReader::new(lines)).with_context(|| format!("read the trace {file_name}"))?;
        traces.push(Trace { name: name.to_owned(), capacity: capacity(name), requests });
    }
    if traces.is_empty() {
        bail!("find traces in {}: there is no .lis or .lis.zst", folder.display());
    }
    traces.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(traces)
}

/// The capacities that other caches' figures on these traces are given for.
fn capacity(name: &str) -> u64 {
    if name.eq_ignore_ascii_case("oltp") { 1_000 } else { 20_000 }
}

fn parse(lines: impl BufRead) -> anyhow::Result<Vec<u64>> {
    let mut requests = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line?;
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        match (fields.next(), fields.next()) {
            (Some(Ok(first)), Some(Ok(count))) => requests.extend(first..first + count),
            (None, _) => {}
            _ => return Err(anyhow!("line {}: '{line}' does not begin with two numbers", number + 1)),
        }
    }
    Ok(requests)
}

/// Traces of our own: popularity alone, and popularity with scans in between.
pub(super) fn made() -> Vec<Trace> {
    const REQUESTS: usize = 1_000_000;
    const KEYS: usize = 100_000;
    let zipf = |exponent: f64, scans: f64| -> Vec<u64> {
        const SCAN: u64 = 1_000;
        let (law, mut random) = (Zipf::new(KEYS, exponent), Random::new(3));
        let mut requests = Vec::with_capacity(REQUESTS + SCAN as usize);
        let mut fresh = KEYS as u64;
        while requests.len() < REQUESTS {
            // A scan is a thousand requests long: it begins that much more seldom.
            if random.unit() < scans / SCAN as f64 {
                requests.extend(fresh..fresh + SCAN);
                fresh += SCAN;
            } else {
                requests.push(law.rank(&mut random) as u64);
            }
        }
        requests
    };
    let trace = |name: &str, capacity, requests| Trace { name: name.to_owned(), capacity, requests };
    vec![
        trace("Zipf 0.8", 10_000, zipf(0.8, 0.0)),
        trace("Zipf 1.0", 5_000, zipf(1.0, 0.0)),
        trace("Zipf 0.9 + scans", 10_000, zipf(0.9, 0.5)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_run_of_blocks() {
        assert_eq!(parse("7 3 0 0\n\n1 1 0 1\n".as_bytes()).unwrap(), [7, 8, 9, 1]);
        assert!(parse("7 x".as_bytes()).is_err());
    }
}
