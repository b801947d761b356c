//! Requests that are bad before their query is looked at; those whose query is are data (`bad_queries`).

use tests::Server;

fn server() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        r#"{"id": 1, "region": "EU", "n": 5, "x": 0.5, "flag": true, "day": "2024-01-01", "at": "2024-01-01T00:00:00", "list": [1]}"#,
        r#"{"id": 2, "region": null, "n": null, "x": null, "flag": null, "day": null, "at": null, "list": null}"#,
    ];
    std::fs::write(folder.path().join("types.ndjson"), lines.join("\n")).expect("a file");
    (Server::over(folder.path()), folder)
}

#[test]
fn a_url_that_is_too_long_is_414() {
    let (server, _folder) = server();
    let path = format!("/api/v1/datasets/types/rows?region=eq.{}", "x".repeat(20_000));
    let answer = server.get(&path);
    assert_eq!(answer.status, 414, "{}", answer.text());
    server.get("/livez").expect(200);
}

#[test]
fn quotes_and_letters_in_a_url_may_be_sent_as_they_are_typed() {
    let (server, _folder) = server();
    let ask = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address());
        server.client().raw(head.as_bytes())
    };
    let rows = "/api/v1/datasets/types/rows";
    let typed = ask(&format!("{rows}?region=in.(\"EU\",\"a,b\",ü)&select=id")).expect(200);
    assert_eq!(typed.text(), server.get(&format!("{rows}?region=in.(EU)&select=id")).text());
    assert_eq!(ask(&format!("{rows}?region=eq.ü<>\"")).expect(200).text(), "[]");
    let problem = ask(&format!("{rows}?Ünï=eq.\"")).expect(400).json();
    assert_eq!((&problem["code"], &problem["value"]), (&"unknown_column".into(), &"Ünï".into()), "{problem:#}");
}

#[test]
fn a_long_value_is_repeated_in_part() {
    let (server, _folder) = server();
    let path = format!("/api/v1/datasets/types/rows?n=eq.{}", "x".repeat(3_000));
    let answer = server.get(&path).expect(400);
    assert!(answer.body.len() < 1_000, "{}", answer.text());
}

#[test]
fn garbage_on_the_wire_does_not_stop_the_server() {
    let (server, _folder) = server();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n"[..],
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /api/v1/datasets/types/query HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let stream = std::net::TcpStream::connect(server.address()).expect("the server accepts");
        std::io::Write::write_all(&mut &stream, garbage).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a time-out");
        std::io::copy(&mut &stream, &mut std::io::sink()).ok();
    }
    server.get("/livez").expect(200);
}
