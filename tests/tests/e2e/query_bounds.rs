//! A query has so much memory and so much time, and no more; reaching a bound is told, and nobody else notices.

use std::io::Write as _;
use std::net::TcpStream;

use tests::Server;
use tests::poll::{PATIENCE, until_true};

/// A table of many different values.
fn sidecar(rows: u64) -> String {
    format!(
        "[config.datasets.big]\nrows = {rows}\nseed = 7\ncolumns = [{{ name = \"id\", type = \"sequence\" }}, \
         {{ name = \"n\", type = \"int\", min = 0, max = 1000000000 }}, {{ name = \"x\", type = \"float\" }}, \
         {{ name = \"word\", type = \"string\", cardinality = 100000 }}]\n"
    )
}

fn with(rows: u64, args: &[&str]) -> Server {
    let options = Server::options().plugin("files").plugin("synthetic").file("synthetic.toml", &sidecar(rows));
    args.iter().fold(options, |options, arg| options.arg(arg)).start()
}

const BIG: &str = "/api/v1/datasets/big/rows";

#[test]
fn a_query_that_needs_more_memory_than_it_may_have_is_413() {
    let server = with(100_000, &["--query-max-bytes", "256 KiB"]);
    for query in [
        "select=n,count()",
        "select=word,x.sum()",
        "select=n.count_distinct()",
        "select=x.median()",
        "distinct=true&select=word,n",
        "n=gt.5&order=x",
        "select=id::text&n=gte.5",
    ] {
        let problem = server.get(&format!("{BIG}?{query}")).expect(413).json();
        assert_eq!(problem["code"], "query_too_large", "{query}: {problem:#}");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("query_max_bytes")), "{query}: {problem:#}");
    }
    // What needs little is answered, after the others as before them.
    let rows = server.rows("big", "select=count(),n.max()&n=gt.5&limit=5");
    assert_eq!(rows.len(), 1);
    assert_eq!(server.rows("big", "id=lt.10&select=id,n").len(), 10);
    assert_eq!(server.rows("big", "order=x.desc&limit=5").len(), 5);
    assert_eq!(server.rows("geographic", "").len(), 8);
}

#[test]
fn a_query_that_takes_longer_than_it_may_is_504() {
    let server = with(1_000_000, &["--query-timeout", "40ms"]);
    // The table's load has its own time-out, which is longer.
    let slow = "select=n,word,x.median(),n.count_distinct()&having=count().gt.5&order=x.median()";
    let problem = server.get(&format!("{BIG}?{slow}")).expect(504).json();
    assert_eq!(problem["code"], "query_timeout", "{problem:#}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("query_timeout")), "{problem:#}");
    server.until_idle();
    assert_eq!(server.rows("geographic", "").len(), 8, "the server works");
    assert_eq!(server.rows("big", "limit=3&select=id").len(), 3, "so does the dataset");
    let entries = server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["entries"].clone();
    assert_eq!(entries, 2, "a failure is never kept");
}

#[test]
fn a_slow_query_is_logged_with_its_plan() {
    let server = with(20_000, &["--slow-query", "1ms"]);
    server.rows("big", "n=gt.5&order=x.desc,word&limit=3&select=word,x");
    until_true("the log tells", PATIENCE, || server.log().contains("slow query"));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("slow query")).expect("a line");
    for part in ["big", "plan", "n.gt.5"] {
        assert!(line.contains(part), "'{part}' is not in: {line}");
    }
    let counted = [("prefer", "count=exact")];
    server.get_with(&format!("{BIG}?word=imatch.(1.*){{1,2}}7&limit=1"), &counted).expect(206);
    until_true("the log tells of the count", PATIENCE, || server.log().contains("slow count on dataset 'big'"));
    let quick = with(1_000, &["--slow-query", "1h"]);
    quick.rows("big", "n=gt.5&order=x.desc&limit=3");
    assert!(!quick.log().contains("slow query"));
}

#[test]
fn all_queries_together_have_so_much_memory() {
    let args = ["--bodies-max-bytes", "1 MiB", "--query-max-bytes", "48 MiB", "--queries-max-bytes", "48 MiB"];
    let server = with(200_000, &args);
    server.rows("big", "limit=1");
    // What is streamed to clients that do not read is held; at some time there is no room for one more such answer.
    let question = |n: usize| format!("n=gt.{n}&order=x&select=id,n,x,word");
    let mut sleepers = Vec::new();
    let refused = (0..40).find(|&n| {
        let answer = sleeper(&server, &question(n));
        let is_refused = answer.0.starts_with("HTTP/1.1 503");
        sleepers.push(answer.1);
        is_refused
    });
    assert!(refused.is_some_and(|n| n > 0), "{refused:?}: no bound was reached, or the first question did");
    let problem = server.get(&format!("{BIG}?{}", question(100))).expect(503);
    assert_eq!(problem.json()["code"], "queries_busy", "{}", problem.beginning());
    assert!(!problem.header("retry-after").is_empty());
    assert_eq!(server.rows("geographic", "").len(), 8, "small questions go on");
    drop(sleepers);
    until_true("the memory is given back", PATIENCE, || {
        let answer = sleeper(&server, &question(200));
        answer.0.starts_with("HTTP/1.1 200")
    });
}

/// A client that asks, reads the status and no more.
fn sleeper(server: &Server, query: &str) -> (String, TcpStream) {
    let request = format!("GET {BIG}?{query} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 65_536).expect("a small buffer");
    stream.write_all(request.as_bytes()).expect("a request is sent");
    let mut status = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut status).expect("an answer begins");
    (String::from_utf8_lossy(&status).into_owned(), stream)
}

#[test]
fn a_query_that_nobody_waits_for_stops() {
    let server = with(400_000, &["--bodies-max-bytes", "1 MiB", "--query-timeout", "5m"]);
    server.rows("big", "limit=1");
    // Two questions of one cost; nothing of the one helps the other.
    let question = |limit: u32| format!("{BIG}?select=n,word,x.median(),id.count_distinct()&having=count().gt.{limit}");
    let before = server.cpu_time();
    server.get(&question(5)).expect(200);
    let whole = server.cpu_time() - before;
    let before = server.cpu_time();
    let mut leaver = TcpStream::connect(server.address()).expect("the server accepts");
    let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", question(6), server.address());
    leaver.write_all(request.as_bytes()).expect("a request is sent");
    until_true("the work is under way", PATIENCE, || server.cpu_time() - before > whole / 10);
    drop(leaver);
    server.until_idle();
    let spent = server.cpu_time() - before;
    assert!(spent < whole * 7 / 10, "{spent:?} were spent on an answer for nobody, the whole costs {whole:?}");
}
