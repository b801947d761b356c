//! Each alert is raised by traffic and cleared by better traffic.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tests::control::Control;
use tests::events::Events;
use tests::poll::{PATIENCE, until, until_true};
use tests::{Options, Server};

/// A server of one dataset, whose alerts go soon after their cause.
fn options(control: &Control, policy: &str) -> Options {
    Server::options()
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&[(control, policy)]))
        .arg("--alert-clear-after=1s")
        .arg("--alert-quiet-after=2s")
}

fn active(server: &Server) -> Vec<Value> {
    let list = server.get("/api/v1/monitor/alerts").expect(200).json();
    list["alerts"].as_array().expect("alerts").clone()
}

/// The alert of an id, once it is raised.
#[track_caller]
fn raised(server: &Server, id: &str) -> Value {
    until(&format!("{id} is raised"), PATIENCE, || active(server).into_iter().find(|alert| alert["id"] == id))
}

#[track_caller]
fn cleared(server: &Server, id: &str) {
    until_true(&format!("{id} is cleared"), PATIENCE, || active(server).iter().all(|alert| alert["id"] != id));
    let list = server.get("/api/v1/monitor/alerts").expect(200).json();
    let past = list["cleared"].as_array().expect("alerts");
    let alert = past.iter().find(|alert| alert["id"] == id).expect("it is among those that are over");
    assert!(alert["cleared"].is_string(), "{alert}");
}

#[test]
fn a_slow_operation_is_told_of_until_it_is_quick_again() {
    let control = Control::new("orders");
    let server = options(&control, "").arg("--alert-slow-operation=300ms").start();
    control.set_delay_ms(500);
    server.get(&control.rows("")).expect(200);
    let alert = raised(&server, "slow_operation:load orders");
    assert_eq!((&alert["kind"], &alert["subject"]), (&json!("slow_operation"), &json!("load orders")), "{alert}");
    assert!(
        alert["severity"].is_string() && alert["message"].as_str().is_some_and(|text| text.contains("load orders"))
    );
    assert!(alert["evidence"].as_object().is_some_and(|numbers| !numbers.is_empty()), "{alert}");
    assert!(server.log().contains("alert: "), "{}", server.log());
    control.set_delay_ms(0);
    // One slow call of more than a hundred is beyond the p99.
    (0..150).for_each(|_| drop(server.refresh("orders").expect(200)));
    cleared(&server, "slow_operation:load orders");
}

#[test]
fn a_full_cache_is_told_of_until_it_has_room() {
    let control = Control::new("orders");
    let server = options(&control, "").arg("--bodies-max-bytes=1 MiB").arg("--alert-hit-rate=0").start();
    (0..700).for_each(|n| drop(server.get(&control.rows(&format!("id=gte.0&id=lt.{}", n + 100))).expect(200)));
    let alert = raised(&server, "memory:bodies");
    assert!(alert["evidence"]["bytes"].as_f64().is_some_and(|bytes| bytes > 900_000.0), "{alert}");
    server.send("DELETE", "/api/v1/cache", &[], None).expect(200);
    cleared(&server, "memory:bodies");
}

#[test]
fn a_low_hit_rate_is_told_of_until_most_reads_are_hits() {
    let control = Control::new("orders");
    let server = options(&control, "").start();
    (0..150).for_each(|n| drop(server.get(&control.rows(&format!("id=lt.{n}"))).expect(200)));
    let alert = raised(&server, "hit_rate:bodies");
    assert!(alert["evidence"].to_string().contains("hit_rate"), "{alert}");
    (0..700).for_each(|_| drop(server.get(&control.rows("id=lt.1")).expect(200)));
    cleared(&server, "hit_rate:bodies");
}

#[test]
fn failing_loads_are_told_of_with_what_was_done_about_them() {
    let control = Control::new("orders");
    let policy = "ttl = \"50ms\"\nstale_if_error = \"1h\"\ncheck_interval = \"0s\"";
    let server = options(&control, policy).arg("--breaker-failures=0").arg("--alert-stale-for=1s").start();
    server.get(&control.rows("")).expect(200);
    control.set_down(true);
    (0..7).for_each(|_| assert_ne!(server.refresh("orders").status, 200));
    // Old data stands in meanwhile, for too long.
    until_true("old data stands in", PATIENCE, || {
        server.get(&control.rows("")).expect(200).header("cache-status").contains("stale-if-error")
    });
    let failed = raised(&server, "failed_operations:load orders");
    assert!(failed["evidence"]["retried"].as_f64().is_some_and(|times| times >= 7.0), "{failed}");
    assert!(failed["evidence"].get("served_stale").is_some(), "{failed}");
    let stale = until("stale_too_long:orders is raised", PATIENCE, || {
        server.get(&control.rows("")).expect(200);
        active(&server).into_iter().find(|alert| alert["id"] == "stale_too_long:orders")
    });
    assert_eq!(stale["subject"], json!("orders"));
    control.set_down(false);
    (0..400).for_each(|_| drop(server.refresh("orders").expect(200)));
    cleared(&server, "failed_operations:load orders");
    cleared(&server, "stale_too_long:orders");
}

#[test]
fn an_open_breaker_is_told_of_until_it_is_closed() {
    let control = Control::new("orders");
    let server = options(&control, "").arg("--breaker-failures=2").arg("--breaker-open=1h").start();
    control.set_down(true);
    server.get(&control.rows("")).expect(503);
    raised(&server, "breaker_open:synthetic");
    control.set_down(false);
    server.post("/api/v1/plugins/synthetic/reset", &json!({})).expect(200);
    cleared(&server, "breaker_open:synthetic");
}

#[test]
fn a_crash_is_told_of_until_it_is_quiet() {
    let server = Server::options()
        .plugin("faulty")
        .file("faulty.toml", "[config]\non = \"scan\"\ndo = \"segfault\"\n")
        .arg("--alert-quiet-after=2s")
        .start();
    // A crash is one that happens while somebody watches.
    until_true("the server watches", PATIENCE, || {
        server.get("/metrics").text().contains("larder_plugin_crashes_total")
    });
    server.get("/api/v1/datasets/bad/rows").expect(502);
    let alert = raised(&server, "plugin_crash:faulty");
    assert!(alert["count"].as_u64() >= Some(1), "{alert}");
    cleared(&server, "plugin_crash:faulty");
}

#[test]
fn a_full_queue_is_told_of_until_it_is_quiet() {
    let control = Control::new("orders");
    let options = options(&control, "mode = \"query\"");
    let server = options.arg("--concurrent-scans=1").arg("--scan-queue=0").start();
    control.set_scans_hang(true);
    let (client, path) = (server.client(), control.rows("id=lt.1"));
    let waiting = std::thread::spawn(move || client.get(&path).status);
    until_true("the scan hangs", PATIENCE, || server.get("/metrics").text().contains("larder_scans_running 1"));
    let refused = server.get(&control.rows("id=lt.2")).expect(503);
    assert_eq!(refused.json()["code"], json!("scan_queue_full"));
    assert_eq!(refused.header("retry-after"), "1");
    raised(&server, "queue_full:scans");
    control.set_scans_hang(false);
    assert_eq!(waiting.join().expect("the request ends"), 200);
    cleared(&server, "queue_full:scans");
}

#[test]
fn a_disk_that_cannot_be_used_is_told_of() {
    let control = Control::new("orders");
    // A file stands where the folder should be.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let server = options(&control, "").arg(&format!("--cache-dir={}", file.path().display())).start();
    let alert = raised(&server, "disk_degraded:cache");
    assert_eq!(alert["kind"], json!("disk_degraded"));
    assert_eq!(server.get(&control.rows("")).expect(200).status, 200, "it serves from memory");
}

#[test]
fn alerts_go_to_the_event_stream_and_to_the_webhook() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook?token=secret-of-the-hook", listener.local_addr().expect("an address"));
    let (send, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let _ = reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            if send.send(serde_json::from_slice::<Value>(&body).unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    let control = Control::new("orders");
    let server = options(&control, "")
        .arg(&format!("--alert-webhook={url}"))
        .arg("--breaker-failures=2")
        .arg("--breaker-open=1h")
        .start();
    let mut events = Events::follow(&server.client(), "/api/v1/monitor/events", None);
    control.set_down(true);
    server.get(&control.rows("")).expect(503);
    let event = events.find(|event| event.name == "alert").expect("an alert");
    assert_eq!((&event.data["what"], &event.data["alert"]["kind"]), (&json!("raised"), &json!("breaker_open")));
    let hook = told.recv_timeout(PATIENCE).expect("the webhook is told");
    assert_eq!((&hook["what"], &hook["alert"]["id"]), (&json!("raised"), &json!("breaker_open:synthetic")));
    let tick = events.find(|event| event.name == "tick").expect("a tick");
    assert!(tick.data["requests_per_second"].is_number() && tick.data["alerts"] == json!(1), "{tick:?}");
    server.post("/api/v1/plugins/synthetic/reset", &json!({})).expect(200);
    let hook = until("the webhook is told that it is over", PATIENCE, || {
        told.recv_timeout(Duration::from_secs(1)).ok().filter(|hook| hook["what"] == "cleared")
    });
    assert_eq!(hook["alert"]["id"], json!("breaker_open:synthetic"));
    assert!(!server.log().contains("secret-of-the-hook"));
    let settings = server.get("/api/v1/settings").expect(200).text();
    assert!(!settings.contains("secret-of-the-hook") && settings.contains("(set)"), "{settings}");
}
