//! Many who ask for one thing at once cost the source one scan.

use std::sync::Barrier;

use tests::Server;

const SIDECAR: &str = "[config.datasets.slow]\nrows = 1000\nseed = 3\nlatency_ms = 400\n\
    columns = [{ name = \"id\", type = \"sequence\" }, { name = \"n\", type = \"int\", min = 0, max = 99 }]\n";

fn loads(server: &Server) -> u64 {
    let stats = server.get("/api/v1/cache/stats").expect(200).json();
    stats["tables"]["loads"].as_u64().expect("a number of loads")
}

/// A hundred threads that start together; gives how many distinct bodies there were.
fn hundred(server: &Server, path: impl Fn(usize) -> String + Sync) -> usize {
    let barrier = Barrier::new(100);
    let client = server.client();
    let mut bodies: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let (barrier, client, path) = (&barrier, &client, &path);
                scope.spawn(move || {
                    barrier.wait();
                    client.get(&path(n)).expect(200).body
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    bodies.sort();
    bodies.dedup();
    bodies.len()
}

#[test]
fn a_hundred_misses_of_one_key_are_one_scan() {
    let server = Server::options().plugin("synthetic").file("synthetic.toml", SIDECAR).start();
    let before = loads(&server);
    let distinct = hundred(&server, |_| "/api/v1/datasets/slow/rows?n=lt.50".into());
    assert_eq!(distinct, 1);
    assert_eq!(loads(&server) - before, 1);
}

#[test]
fn a_hundred_questions_to_one_cold_table_are_one_scan() {
    let server = Server::options().plugin("synthetic").file("synthetic.toml", SIDECAR).start();
    let before = loads(&server);
    let distinct = hundred(&server, |n| format!("/api/v1/datasets/slow/rows?id=lte.{n}&select=id"));
    assert_eq!(distinct, 100);
    assert_eq!(loads(&server) - before, 1);
}

#[test]
fn a_client_that_leaves_spoils_nothing_for_who_waits_with_it() {
    let server = Server::options().plugin("synthetic").file("synthetic.toml", SIDECAR).start();
    let before = loads(&server);
    let request = format!("GET /api/v1/datasets/slow/rows HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    let leaver = std::net::TcpStream::connect(server.address()).expect("the server accepts");
    std::io::Write::write_all(&mut &leaver, request.as_bytes()).expect("a request is sent");
    let client = server.client();
    let waiter = std::thread::spawn(move || client.get("/api/v1/datasets/slow/rows").expect(200));
    drop(leaver);
    assert_eq!(waiter.join().expect("an answer").json().as_array().expect("rows").len(), 1_000);
    assert!(loads(&server) - before <= 2, "the flight is taken over, or begun once more");
}

#[test]
fn a_failure_is_told_to_all_and_kept_for_nobody() {
    let sidecar = SIDECAR.replace("latency_ms = 400", "latency_ms = 100\nfailure_rate = 1.0");
    let server = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar).start();
    for _ in 0..2 {
        let answer = server.get("/api/v1/datasets/slow/rows");
        assert_eq!(answer.status, 503, "{}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["code"], "source_unavailable", "{problem:#}");
        assert!(!answer.header("retry-after").is_empty());
    }
    let entries = server.get("/api/v1/cache/stats").expect(200).json()["tables"]["entries"].clone();
    assert_eq!(entries, 0);
}
