//! What is too large to be kept is streamed: it arrives whole and right, and is held by nobody.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use tests::Server;
use tests::cell::{Cell, Table};
use tests::control::{Control, ROWS};
use tests::poll::{PATIENCE, until_true};
use tests::read;

const BIG: u64 = 150_000;

/// A server whose cache of bodies takes none of the answers.
fn server(args: &[&str]) -> Server {
    let sidecar = format!(
        "[config.datasets.big]\nrows = {BIG}\nseed = 7\nbatch_rows = 10000\ncolumns = [{{ name = \"id\", type = \"sequence\" }}, \
         {{ name = \"n\", type = \"int\", min = 0, max = 1000000000 }}, {{ name = \"word\", type = \"string\", null_ratio = 0.1 }}]\n"
    );
    let options = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar);
    args.iter().fold(options.arg("--bodies-max-bytes").arg("1 MiB"), |options, arg| options.arg(arg)).start()
}

const ROWS_OF_BIG: &str = "/api/v1/datasets/big/rows";

#[test]
fn a_large_answer_arrives_whole_and_right_in_every_format_and_coding() {
    let server = server(&[]);
    let whole =
        Table::of(&read::arrow_stream(&server.get(&format!("{ROWS_OF_BIG}?format=arrow")).expect(200).decoded()));
    assert_eq!(whole.rows as u64, BIG);
    assert!(whole.column("id").cells.iter().zip(0..).all(|(cell, id)| *cell == Cell::Int(id)), "rows keep their order");
    for coding in ["identity", "gzip", "zstd"] {
        let get = |format: &str| {
            let path = format!("{ROWS_OF_BIG}?format={format}");
            let answer = server.get_with(&path, &[("accept-encoding", coding)]).expect(200);
            assert_eq!(answer.header("content-encoding"), if coding == "identity" { "" } else { coding });
            answer.decoded()
        };
        for batches in
            [read::arrow_stream(&get("arrow")), read::arrow_file(&get("arrow-file")), read::parquet(&get("parquet"))]
        {
            assert_eq!(read::difference(&whole, &Table::of(&batches)), None, "in {coding}");
        }
        let rows: Vec<Value> = serde_json::from_slice(&get("json")).expect("JSON");
        check_rows(&whole, rows.len(), |row, column| rows[row][column].clone());
        let packed: Vec<Value> = rmp_serde::from_slice(&get("msgpack")).expect("MessagePack");
        assert!(packed == rows, "MessagePack in {coding}");
        let columns: Value = serde_json::from_slice(&get("json-columns")).expect("JSON");
        check_rows(&whole, columns["id"].as_array().map_or(0, Vec::len), |row, column| columns[column][row].clone());
        let ndjson = String::from_utf8(get("ndjson")).expect("UTF-8");
        let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(lines == rows, "NDJSON in {coding}");
        let csv = String::from_utf8(get("csv")).expect("UTF-8");
        let mut cells = csv.lines().skip(1).zip(&rows);
        assert_eq!(csv.lines().count() as u64, BIG + 1);
        let wrong = cells.find(|(line, row)| {
            let word = row["word"].as_str().unwrap_or_default();
            **line != format!("{},{},{word}", row["id"], row["n"])
        });
        assert!(wrong.is_none(), "CSV in {coding}: {wrong:?}");
    }
}

#[track_caller]
fn check_rows(table: &Table, rows: usize, value: impl Fn(usize, &str) -> Value) {
    assert_eq!(rows, table.rows);
    for column in &table.columns {
        for (row, cell) in column.cells.iter().enumerate() {
            let same = match (cell, value(row, &column.name)) {
                (Cell::Null, Value::Null) => true,
                (Cell::Int(number), Value::Number(said)) => said.as_i64().map(i128::from) == Some(*number),
                (Cell::Text(text), Value::String(said)) => *text == said,
                _ => false,
            };
            assert!(same, "{} of row {row} is {}, not {cell:?}", column.name, value(row, &column.name));
        }
    }
}

#[test]
fn a_streamed_answer_is_not_kept_and_has_a_tag_all_the_same() {
    let server = server(&[]);
    let first = server.get(&format!("{ROWS_OF_BIG}?format=csv")).expect(200);
    let second = server.get(&format!("{ROWS_OF_BIG}?format=csv")).expect(200);
    for answer in [&first, &second] {
        assert!(!answer.header("cache-status").contains("hit"), "{}", answer.header("cache-status"));
        assert_eq!(answer.header("content-length"), "", "its length is not known when it begins");
    }
    assert!(first.body == second.body);
    let entries = server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["entries"].clone();
    assert_eq!(entries, 0);
    let tag = first.header("etag");
    assert!(tag.len() > 4 && tag == second.header("etag"), "{tag} and {}", second.header("etag"));
    server.get_with(&format!("{ROWS_OF_BIG}?format=csv"), &[("if-none-match", tag)]).expect(304);
    let json = server.get(&format!("{ROWS_OF_BIG}?format=json")).expect(200);
    let packed = server.get_with(&format!("{ROWS_OF_BIG}?format=csv"), &[("accept-encoding", "gzip")]).expect(200);
    assert!(json.header("etag") != tag && packed.header("etag") != tag, "other bytes have other tags");
    let head = server.send("HEAD", &format!("{ROWS_OF_BIG}?format=csv"), &[], None).expect(200);
    assert_eq!((head.header("etag"), head.body.len()), (tag, 0));
}

#[test]
fn other_data_has_another_tag_even_where_the_source_cannot_tell_that_it_changed() {
    let control = Control::new("t");
    control.set_mute(true);
    let sidecar = Control::sidecar(&[(&control, "")]);
    // An entry may have a quarter of the cache: the sixty rows are more than that.
    let options = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar);
    let server = options.arg("--bodies-max-bytes").arg("4 KiB").start();
    let get = || server.get(&control.rows("")).expect(200);
    let first = get();
    assert_eq!(first.json().as_array().map(Vec::len), Some(ROWS));
    assert_eq!(first.header("content-length"), "", "the answer is streamed");
    control.set_version(2);
    server.refresh("t").expect(200);
    let second = get();
    assert!(first.body != second.body && first.header("etag") != second.header("etag"), "after a refresh");
    control.set_version(3);
    server.post("/api/v1/cache/invalidate", &serde_json::json!({"dataset": "t"})).expect(200);
    let third = get();
    assert!(third.body != second.body && third.header("etag") != second.header("etag"), "after an invalidation");
    control.set_version(4);
    let server = server.stop().start();
    server.post("/api/v1/cache/invalidate", &serde_json::json!({"dataset": "t"})).expect(200);
    let fourth = server.get(&control.rows("")).expect(200);
    assert!(fourth.body != third.body && fourth.header("etag") != third.header("etag"), "after a restart");
}

/// A client that asks and does not read.
fn sleeper(server: &Server, query: &str) -> TcpStream {
    let request =
        format!("GET {ROWS_OF_BIG}?{query} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address());
    let mut stream = TcpStream::connect(server.address()).expect("the server accepts");
    // What the kernel takes for the client is little.
    rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 65_536).expect("a small buffer");
    stream.write_all(request.as_bytes()).expect("a request is sent");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("an answer begins");
    stream
}

#[test]
fn clients_that_do_not_read_cost_little_memory() {
    let server = server(&[]);
    let whole = server.get(&format!("{ROWS_OF_BIG}?format=json")).expect(200).body.len() as u64;
    drop(sleeper(&server, "format=json"));
    let before = server.resident_bytes();
    let sleepers: Vec<TcpStream> = (0..40).map(|_| sleeper(&server, "format=json")).collect();
    server.until_idle();
    let grown = server.resident_bytes().saturating_sub(before);
    let all = whole * sleepers.len() as u64;
    assert!(grown < all / 3, "{grown} bytes for {} sleepers; their answers are {all} bytes", sleepers.len());
    server.get("/livez").expect(200);
    // Who wakes up gets the rest.
    let mut last = sleepers.into_iter().next_back().expect("a sleeper");
    let mut rest = Vec::new();
    last.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    last.read_to_end(&mut rest).expect("the rest");
    assert!(rest.len() as u64 >= whole && rest.ends_with(b"\r\n0\r\n\r\n"), "{} of {whole} bytes", rest.len());
}

#[test]
fn who_sleeps_too_long_gets_a_broken_answer_and_not_one_that_looks_whole() {
    let server = server(&["--stall-timeout", "1s"]);
    let mut sleeper = sleeper(&server, "format=json&select=a:id,b:id,c:n,d:n,e:word,f:word,g:word,h:word");
    until_true("the server gives up", PATIENCE, || server.log().contains("unread"));
    let mut rest = Vec::new();
    sleeper.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    // A connection that is reset is as good an end as one that is closed early.
    sleeper.read_to_end(&mut rest).ok();
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "{} bytes end as if they were the whole", rest.len());
    server.get("/livez").expect(200);
}

#[test]
fn who_leaves_in_the_middle_stops_the_work() {
    let server = server(&[]);
    let path = format!("{ROWS_OF_BIG}?format=json");
    server.get(&path).expect(200);
    let before = server.cpu_time();
    server.get(&path).expect(200);
    let whole = server.cpu_time() - before;
    let before = server.cpu_time();
    drop(sleeper(&server, "format=json"));
    server.until_idle();
    let spent = server.cpu_time() - before;
    assert!(spent < whole * 7 / 10, "{spent:?} were spent on an answer for nobody, the whole costs {whole:?}");
}

#[test]
fn large_pages_and_counted_answers_are_streamed_with_their_headers() {
    let server = server(&["--max-rows", "100000"]);
    let cut = server.get(&format!("{ROWS_OF_BIG}?format=csv")).expect(206);
    assert_eq!(cut.header("content-range"), "0-99999/*");
    let next = tests::pages::next(&cut).expect("a next page");
    let rest = server.get(&next).expect(200);
    assert_eq!(rest.header("content-range"), format!("100000-{}/{BIG}", BIG - 1));
    let lines = |text: &str| text.lines().count() as u64 - 1;
    assert_eq!(lines(&cut.text()) + lines(&rest.text()), BIG);
    let counted = server.get_with(&format!("{ROWS_OF_BIG}?format=csv"), &[("prefer", "count=exact")]).expect(206);
    assert_eq!(counted.header("content-range"), format!("0-99999/{BIG}"));
    assert_eq!(counted.header("content-length"), "");
}
