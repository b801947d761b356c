//! The server against constant bytes from actix, whole requests: cached hits small and large, plain and compressed, 304s,
//! and small queries that nobody has asked before. nginx serving the same bytes from a file is measured beside them.
//!
//! All are measured in turn, round by round, and each ratio is the middle of the rounds' ratios, so that what else the
//! machine does strikes both. The peer of constant bytes is asked for the same path and query, and answers with the very
//! headers of the server's answer.

use anyhow::bail;

use crate::contender::{Contender, wrk_is_there};
use crate::nginx::Nginx;
use crate::recording::Recording;
use crate::report::{Goal, line, ratio};
use crate::server::Server;

/// Turns; each measures every contender once.
const ROUNDS: usize = 7;

const SMALL: &str = "/api/v1/datasets/sector_analysis/rows?adoption_rate=gte.70&order=avg_roi.desc&limit=5";
/// About 100 kB of JSON.
const LARGE: &str = "/api/v1/datasets/synthetic_orders/rows?limit=700";
/// The start of a query on nine rows; a number that is above every year completes it.
const UNASKED: &str = "/api/v1/datasets/historical_ai_data/rows?ai_use=gte.50&year=lt.";

/// Prints the ratios.
pub(crate) fn run() -> anyhow::Result<()> {
    if !wrk_is_there() {
        bail!("run wrk, which makes the load: install it (on Debian: apt-get install wrk)");
    }
    println!("{ROUNDS} rounds of {}", Contender::LOAD);
    cached()?;
    unasked()
}

/// An answer of the server, and the same one as constant bytes.
struct Duel {
    name: String,
    larder: Contender,
    constant: Contender,
    answer: Recording,
    _constant_server: Server,
}

impl Duel {
    /// The hit on `path`, once it is cached.
    fn of_hit(larder: &Server, name: &str, path: &str, headers: &[String]) -> anyhow::Result<Self> {
        let url = format!("{}{path}", larder.url);
        Recording::of(&url, headers)?;
        let answer = Recording::of(&url, headers)?;
        // A 304 says no more than that nothing has changed.
        if answer.status == 200 && !answer.header("cache-status").contains("hit") {
            bail!("measure {name}: it is not cached");
        }
        let (server, constant_url) = constant(&answer, path)?;
        let name = format!("{name} ({} bytes)", answer.body.len());
        Ok(Self {
            larder: Contender::new(name.clone(), url, headers),
            constant: Contender::new(format!("{name}, constant"), constant_url, headers),
            name,
            answer,
            _constant_server: server,
        })
    }

    /// Queries that nobody has asked before, on a table that is cached.
    fn of_misses(larder: &Server, name: &str, start: &str) -> anyhow::Result<Self> {
        let url = format!("{}{start}", larder.url);
        // No round counts so high. The first one loads the table.
        Recording::of(&format!("{url}2000000000"), &[])?;
        let answer = Recording::of(&format!("{url}2000000001"), &[])?;
        if answer.status != 200 || !answer.header("cache-status").contains("fwd=miss") {
            bail!("measure {name}: an answer came with {} and {:?}", answer.status, answer.headers);
        }
        let (server, constant_url) = constant(&answer, start)?;
        let name = format!("{name} ({} bytes)", answer.body.len());
        Ok(Self {
            larder: Contender::counting(name.clone(), url),
            constant: Contender::counting(format!("{name}, constant"), constant_url),
            name,
            answer,
            _constant_server: server,
        })
    }

    fn measure(&mut self) -> anyhow::Result<()> {
        self.constant.measure()?;
        self.larder.measure()
    }

    fn report(&self, rate: f64, p99: Option<f64>) {
        ratio(&format!("{}, of constant bytes", self.name), self.larder.rate_of(&self.constant), Goal::AtLeast(rate));
        let figure = self.larder.p99_of(&self.constant);
        match p99 {
            Some(bound) => ratio("  its p99, of constant bytes'", figure, Goal::AtMost(bound)),
            None => line("  its p99, of constant bytes'", format!("{figure:.3}"), "-"),
        }
    }
}

/// A server that answers `target` with constant bytes, and the address; it is made sure that it gives the same answer.
fn constant(answer: &Recording, target: &str) -> anyhow::Result<(Server, String)> {
    let server = Server::constant(answer, target.split('?').next().unwrap_or(target))?;
    let url = format!("{}{target}", server.url);
    let copy = Recording::of(&url, &[])?;
    if (copy.status, copy.header_names(), &copy.body) != (answer.status, answer.header_names(), &answer.body) {
        bail!("serve constant bytes: {:?} became {:?}", answer.headers, copy.headers);
    }
    Ok((server, url))
}

fn cached() -> anyhow::Result<()> {
    let larder = Server::larder()?;
    let accept = |coding: &str| [format!("Accept-Encoding: {coding}")];
    let small = Duel::of_hit(&larder, "small hit", SMALL, &[])?;
    let tag = small.answer.header("etag").to_owned();
    let known = [format!("If-None-Match: {tag}")];
    // As long a request, so that a 304 and a 200 differ in nothing but the answer.
    let outdated = [format!("If-None-Match: \"{}\"", "0".repeat(tag.len() - 2))];
    let not_modified = Duel::of_hit(&larder, "304", SMALL, &known)?;
    if not_modified.answer.status != 304 {
        bail!("measure 304s: a {} came", not_modified.answer.status);
    }
    let changed = Duel::of_hit(&larder, "small hit, other tag", SMALL, &outdated)?;
    let small_gzip = Duel::of_hit(&larder, "small hit, gzip", SMALL, &accept("gzip"))?;
    let small_zstd = Duel::of_hit(&larder, "small hit, zstd", SMALL, &accept("zstd"))?;
    let large = Duel::of_hit(&larder, "large hit", LARGE, &[])?;
    let large_gzip = Duel::of_hit(&larder, "large hit, gzip", LARGE, &accept("gzip"))?;
    let large_zstd = Duel::of_hit(&larder, "large hit, zstd", LARGE, &accept("zstd"))?;
    let nginx = Nginx::serving(&[("small.json", &small.answer.body), ("large.json", &large.answer.body)])?;
    let tuned = |name: &str| nginx.as_ref().map(|nginx| file_of(&nginx.tuned, "tuned, ", name));
    let mut small_file = nginx.as_ref().map(|nginx| file_of(&nginx.plain, "", "small.json"));
    let (mut small_tuned, mut large_tuned) = (tuned("small.json"), tuned("large.json"));
    let mut duels = [small, not_modified, changed, small_gzip, small_zstd, large, large_gzip, large_zstd];
    for _ in 0..ROUNDS {
        for duel in &mut duels {
            duel.measure()?;
        }
        for file in [&mut small_file, &mut small_tuned, &mut large_tuned].into_iter().flatten() {
            file.measure()?;
        }
    }
    duels.iter().flat_map(|duel| [&duel.constant, &duel.larder]).for_each(Contender::print);
    [&small_file, &small_tuned, &large_tuned].into_iter().flatten().for_each(Contender::print);
    duels.iter().for_each(|duel| duel.report(0.9, Some(1.5)));
    let [small, not_modified, changed, _, _, large, ..] = &duels;
    ratio("304, of a small hit with another tag", not_modified.larder.rate_of(&changed.larder), Goal::Above(1.0));
    match (&small_file, &small_tuned, &large_tuned) {
        (Some(small_file), Some(small_tuned), Some(large_tuned)) => {
            ratio("small hit, of nginx and a file", small.larder.rate_of(small_file), Goal::Above(1.0));
            let of_tuned = |duel: &Duel, file| format!("{:.3}", duel.larder.rate_of(file));
            line("small hit, of nginx without a log, with open files kept", of_tuned(small, small_tuned), "-");
            line("large hit, of nginx without a log, with open files kept", of_tuned(large, large_tuned), "-");
        }
        _ => println!("nginx is missing and was left out (on Debian: apt-get install nginx)"),
    }
    Ok(())
}

fn file_of(url: &str, how: &str, name: &str) -> Contender {
    Contender::new(format!("nginx, {how}{name}"), format!("{url}/{name}"), &[])
}

fn unasked() -> anyhow::Result<()> {
    let larder = Server::larder()?;
    let mut duel = Duel::of_misses(&larder, "uncached query on nine rows", UNASKED)?;
    for _ in 0..ROUNDS {
        duel.measure()?;
        // What the server still writes after the round must not slow the peer's next one.
        larder.settle()?;
    }
    duel.constant.print();
    duel.larder.print();
    duel.report(0.5, None);
    Ok(())
}
