//! Traces: the log says of which trace a request is a part.

use std::process::Command;

use serde_json::Value;
use tests::control::Control;
use tests::poll::{PATIENCE, until};
use tests::{Server, artifacts};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the log says of a request, once it does.
#[track_caller]
fn logged(server: &Server, id: &str, level: &str) -> Value {
    until(&format!("the log tells of {id}"), PATIENCE, || {
        let lines = server.log();
        let documents = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        documents.into_iter().find(|line| line["fields"]["request_id"] == id && line["level"] == level)
    })
}

#[test]
fn log_lines_of_a_request_name_the_trace_that_its_client_says() {
    let control = Control::new("orders");
    let server = Server::options()
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&[(&control, "")]))
        .arg("--log=server=debug,info")
        .arg("--log-format=json")
        .start();
    control.set_down(true);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-00");
    let ask = |path: &str, id: &str, traceparent: &str| {
        server.send("GET", path, &[("x-request-id", id), ("traceparent", traceparent)], None)
    };
    ask(&control.rows(""), "failing", &traceparent).expect(503);
    assert_eq!(logged(&server, "failing", "WARN")["fields"]["trace_id"], TRACE);
    assert_eq!(logged(&server, "failing", "DEBUG")["fields"]["trace_id"], TRACE);
    ask("/api/v1/datasets", "plain", &traceparent).expect(200);
    assert_eq!(logged(&server, "plain", "DEBUG")["fields"]["trace_id"], TRACE);
    ask("/api/v1/datasets", "odd", &traceparent.to_uppercase()).expect(200);
    assert_eq!(logged(&server, "odd", "DEBUG")["fields"].get("trace_id"), None);
}

#[test]
fn a_server_that_cannot_export_spans_does_not_start_as_if_it_could() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(artifacts::larder())
        .args(["serve", "--listen", "127.0.0.1:0", "--home"])
        .arg(folder.path().join("home"))
        .current_dir(folder.path())
        .env_clear()
        .env("LARDER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("otlp_endpoint") && text.contains("--features otlp"), "{text}");
}
