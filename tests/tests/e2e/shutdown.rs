//! SIGTERM and Ctrl-C: what was accepted is answered, the workers go, the status is 0.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::Server;
use tests::poll::{PATIENCE, until_true};

use crate::worker_crash::is_alive;

const SLOW: &str = "[config.datasets.slow]\nrows = 100\nseed = 3\nlatency_ms = 700\n\
    columns = [{ name = \"id\", type = \"sequence\" }]\n";

fn workers(server: &Server) -> Vec<Pid> {
    let plugins = server.get("/api/v1/plugins").expect(200).json();
    let plugins = plugins["plugins"].as_array().expect("plugins").clone();
    let pids = plugins.iter().filter_map(|plugin| i32::try_from(plugin["worker_pid"].as_i64()?).ok());
    pids.filter_map(Pid::from_raw).collect()
}

/// Sends requests on one connection after another until the server accepts none; every request that was
/// written to an accepted connection before the end must be answered whole.
fn hammer(address: &str, answered: &AtomicU64, path: &str) -> Result<(), String> {
    loop {
        let Ok(mut stream) = TcpStream::connect(address) else { return Ok(()) };
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        let written = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        if bytes.is_empty() {
            // The connection was in the kernel's queue and never accepted: no request was begun.
            return Ok(());
        }
        read.map_err(|error| format!("cut off after {} bytes: {error}", bytes.len()))?;
        written.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&bytes);
        if !text.starts_with("HTTP/1.1 200") || !text.ends_with(']') {
            return Err(format!("not a whole answer: {text}"));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn leaves_well(signal: Signal) {
    let mut server = Server::options().plugin("files").plugin("synthetic").file("synthetic.toml", SLOW).start();
    server.rows("sector_analysis", "");
    let answered = AtomicU64::new(0);
    let address = server.address().to_owned();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| hammer(&address, &answered, "/api/v1/datasets/sector_analysis/rows")))
            .collect();
        until_true("there is load", PATIENCE, || answered.load(Ordering::Relaxed) > 100);
        // One request is in the middle of its scan when the signal comes.
        let slow = server.client();
        let slow = scope.spawn(move || slow.get("/api/v1/datasets/slow/rows"));
        until_true("the scan has begun", PATIENCE, || {
            let stats = server.get("/api/v1/cache/stats").expect(200).json();
            stats["tables"]["misses"].as_u64().is_some_and(|misses| misses >= 2)
        });
        let workers = workers(&server);
        assert!(!workers.is_empty());
        kill_process(server.pid(), signal).expect("the signal is sent");
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{status}\n{}", server.log());
        assert_eq!(slow.join().expect("a thread").expect(200).json().as_array().map(Vec::len), Some(100));
        for thread in threads {
            thread.join().expect("a thread").expect("every accepted request is answered");
        }
        until_true("no worker is left", PATIENCE, || workers.iter().all(|pid| !is_alive(*pid)));
    });
}

#[test]
fn sigterm_under_load_drains_and_leaves_with_0() {
    leaves_well(Signal::TERM);
}

#[test]
fn ctrl_c_under_load_drains_and_leaves_with_0() {
    leaves_well(Signal::INT);
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let endless = SLOW.replace("latency_ms = 700", "latency_ms = 600000");
    let mut server = Server::options().plugin("synthetic").file("synthetic.toml", &endless).start();
    let mut slow = TcpStream::connect(server.address()).expect("the server accepts");
    let request = format!("GET /api/v1/datasets/slow/rows HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
    slow.write_all(request.as_bytes()).expect("a request is sent");
    until_true("the scan has begun", PATIENCE, || {
        server.get("/api/v1/cache/stats").expect(200).json()["tables"]["misses"].as_u64() == Some(1)
    });
    let workers = workers(&server);
    kill_process(server.pid(), Signal::TERM).expect("the signal is sent");
    until_true("it is told", PATIENCE, || server.log().contains("stopping: open requests are finished first"));
    let asked = Instant::now();
    kill_process(server.pid(), Signal::INT).expect("the signal is sent");
    assert_eq!(server.wait().code(), Some(1));
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert!(server.log().contains("stopping at once"), "{}", server.log());
    until_true("no worker is left", PATIENCE, || workers.iter().all(|pid| !is_alive(*pid)));
    let mut answer = Vec::new();
    let end = slow.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{end:?}: {}", String::from_utf8_lossy(&answer));
}

#[test]
fn an_idle_connection_does_not_hold_the_server_up() {
    let mut server = Server::options().start();
    let idle = TcpStream::connect(server.address()).expect("the server accepts");
    let mut half = TcpStream::connect(server.address()).expect("the server accepts");
    half.write_all(b"GET /livez HTTP/1.1\r\nhost:").expect("half a request");
    let status = server.terminate();
    assert_eq!(status.code(), Some(0));
    drop((idle, half));
}
