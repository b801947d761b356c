//! Who may ask: names that the server knows itself by, pages of its own, addresses it may listen on.

use std::process::Command;

use tests::http::Answer;
use tests::{Server, artifacts};

#[track_caller]
fn ask(server: &Server, method: &str, path: &str, host: &str, more: &str) -> Answer {
    let length = if method == "POST" { "content-length: 0\r\n" } else { "" };
    server
        .raw(format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{length}{more}connection: close\r\n\r\n").as_bytes())
}

#[test]
fn a_foreign_host_is_421() {
    let server = Server::bundled();
    let port = server.address().rsplit(':').next().expect("a port").to_owned();
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"] {
        for path in ["/api/v1/datasets", "/api/v1/datasets/sector_analysis/rows", "/openapi.json", "/docs/"] {
            let answer = ask(&server, "GET", path, host, "");
            assert_eq!(answer.status, 421, "{host} {path}: {}", String::from_utf8_lossy(&answer.body));
        }
    }
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost".into(),
        format!("LOCALHOST:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(ask(&server, "GET", "/api/v1/datasets", &host, "").status, 200, "{host}");
    }
}

#[test]
fn a_foreign_origin_may_not_write() {
    let server = Server::bundled();
    let host = server.address().to_owned();
    let port = host.rsplit(':').next().expect("a port").to_owned();
    for path in ["/api/v1/datasets/sector_analysis/refresh", "/api/v1/plugins/reload"] {
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"] {
            let answer = ask(&server, "POST", path, &host, &format!("origin: {origin}\r\n"));
            assert_eq!(answer.status, 403, "{origin} {path}: {}", String::from_utf8_lossy(&answer.body));
        }
        let own = format!("origin: http://localhost:{port}\r\n");
        assert_eq!(ask(&server, "POST", path, &format!("localhost:{port}"), &own).status, 200, "{path}");
        assert_eq!(ask(&server, "POST", path, &host, "").status, 200, "{path} without an origin");
    }
    let read = ask(&server, "GET", "/api/v1/datasets", &host, "origin: https://evil.example\r\n");
    assert_eq!(read.status, 200);
    assert_eq!(read.header("access-control-allow-origin"), "", "no page of another origin may read");
}

#[test]
fn an_address_that_others_reach_needs_insecure() {
    let folder = tempfile::tempdir().expect("a folder");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = Command::new(artifacts::larder())
            .args(["serve", "--listen", address, "--home"])
            .arg(folder.path().join("home"))
            .current_dir(folder.path())
            .env_clear()
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{address}: {text}");
        assert!(text.contains("--insecure"), "{address}: {text}");
    }
}
