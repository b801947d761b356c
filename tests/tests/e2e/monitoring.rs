//! The server on itself: report, metrics, timings on request, timers of clients.

use serde_json::{Value, json};
use tests::Server;
use tests::poll::{PATIENCE, until_true};

fn report(server: &Server) -> Value {
    server.get("/api/v1/monitor/report").expect(200).json()
}

fn operation<'a>(report: &'a Value, name: &str) -> &'a Value {
    let operations = report["operations"].as_array().expect("operations");
    operations.iter().find(|operation| operation["name"] == name).unwrap_or_else(|| panic!("no '{name}' in {report:#}"))
}

#[test]
fn the_report_tells_of_every_part_with_the_names_that_people_know() {
    let server = Server::bundled();
    for _ in 0..5 {
        server.get("/api/v1/datasets/sector_analysis/rows").expect(200);
    }
    server.get("/api/v1/datasets/nowhere/rows").expect(404);
    server.send("HEAD", "/api/v1/datasets/sector_analysis/rows", &[], None).expect(200);
    let report = report(&server);
    let rows = operation(&report, "GET /api/v1/datasets/{name}/rows");
    assert_eq!(
        (&rows["total"]["count"], &rows["total"]["errors"]),
        (&json!(6), &json!(0)),
        "a client's mistake is no failure"
    );
    for window in ["minute", "hour", "total"] {
        let figures = &rows[window];
        let times: Vec<f64> =
            ["p50_ms", "p90_ms", "p99_ms", "max_ms"].map(|name| figures[name].as_f64().expect("a time")).into();
        assert!(times.is_sorted() && times[0] > 0.0 && figures["rate"].as_f64() > Some(0.0), "{figures}");
    }
    for name in ["load sector_analysis", "scan sector_analysis", "evaluate sector_analysis", "encode sector_analysis"] {
        assert_eq!(operation(&report, name)["total"]["count"], json!(1), "{name}");
    }
    operation(&report, "plugin files");
    operation(&report, "HEAD /api/v1/datasets/{name}/rows");
    assert!(report["avg_operation_time"].as_f64() > Some(0.0) && report["total_operations"].as_u64() > Some(8));
    assert!(report["slowest_operation"]["name"].is_string());
    assert_eq!(report["cache_performance"]["bodies"]["hits"], json!(5), "four of GET, one of HEAD");
    assert_eq!(report["datasets"][0]["name"], json!("sector_analysis"), "the costliest first");
    assert!(
        report["process"]["resident_bytes"].as_u64() > Some(1 << 20)
            && report["process"]["open_fds"].as_u64() > Some(3)
    );
    assert_eq!(report["miss_ratio_curve"].as_array().map(Vec::len), Some(4));
    assert!(report["plugins"].as_array().is_some_and(|plugins| plugins.iter().any(|plugin| plugin["name"] == "files")));

    let shown = server.cli(&["report"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for expected in ["GET /api/v1/datasets/{name}/rows", "load sector_analysis", "no alerts", "no recommendations"] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let as_json = server.cli(&["report", "--json"]);
    assert!(serde_json::from_slice::<Value>(&as_json.stdout).is_ok_and(|report| report["operations"].is_array()));
}

#[test]
fn metrics_grow_with_what_happens_and_their_labels_are_bounded() {
    let server = Server::bundled();
    server.get("/api/v1/datasets/sector_analysis/rows").expect(200);
    server.get("/api/v1/datasets/sector_analysis/rows").expect(200);
    for n in 0..50 {
        server.get(&format!("/api/v1/datasets/none-{n}/rows")).expect(404);
        server.get(&format!("/nothing/{n}")).expect(404);
        server.send(&format!("METHOD{n}"), "/api/v1/datasets", &[], None);
    }
    let metrics = server.get("/metrics").expect(200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = metrics.text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    };
    assert_eq!(value("larder_cache_hits_total{cache=\"bodies\",tier=\"memory\"}"), 1.0);
    assert_eq!(value("larder_operation_duration_seconds_count{operation=\"GET /api/v1/datasets/{name}/rows\"}"), 52.0);
    assert_eq!(value("larder_operation_duration_seconds_count{operation=\"a route that is none\"}"), 100.0);
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_start_time_seconds") > 1.7e9);
    assert!(!text.contains("none-") && !text.contains("/nothing") && !text.contains("METHOD"), "{text}");
}

#[test]
fn clients_that_want_to_know_are_told_what_their_answer_took() {
    let server = Server::bundled();
    let path = "/api/v1/datasets/sector_analysis/rows";
    assert_eq!(server.get(path).header("server-timing"), "");
    for _ in 0..2 {
        let told = server.get_with(path, &[("prefer", "timing")]);
        let timing = told.header("server-timing");
        assert!(timing.contains("total;dur="), "{timing}");
    }
    let told = server.get_with("/api/v1/datasets/geographic/rows", &[("prefer", "count=exact, timing")]);
    let timing = told.header("server-timing");
    assert!(timing.starts_with("table;dur=") && timing.contains("body;dur="), "{timing}");
    assert_eq!(told.header("preference-applied"), "count=exact");
}

#[test]
fn timers_of_clients_are_in_the_report() {
    let server = Server::bundled();
    let begun = server.post("/api/v1/monitor/timers", &json!({"operation": "render overview"})).expect(201);
    let end = begun.json()["end"].as_str().expect("a link").to_owned();
    assert_eq!(begun.header("location"), end);
    let ended = server.send("DELETE", &end, &[], None).expect(200).json();
    assert!(ended["duration_ms"].as_f64() > Some(0.0), "{ended}");
    server.send("DELETE", &end, &[], None).expect(404);
    server.send("DELETE", "/api/v1/monitor/timers/nonsense", &[], None).expect(404);
    server
        .post("/api/v1/monitor/operations", &json!({"operation": "render overview", "duration_ms": 40.5}))
        .expect(204);
    server
        .post("/api/v1/monitor/operations", &json!({"operation": "render overview", "duration_ms": 1, "ok": false}))
        .expect(204);
    let report = report(&server);
    let rendered = &operation(&report, "client render overview")["total"];
    assert_eq!((&rendered["count"], &rendered["errors"]), (&json!(3), &json!(1)), "{rendered}");
    assert!(rendered["max_ms"].as_f64().is_some_and(|max| (40.0..41.0).contains(&max)), "{rendered}");
    for (path, body) in [
        ("timers", json!({})),
        ("timers", json!({"operation": ""})),
        ("timers", json!({"operation": "<script>"})),
        ("timers", json!({"operation": "a", "colour": 1})),
        ("operations", json!({"operation": "a"})),
        ("operations", json!({"operation": "a", "duration_ms": -1})),
        ("operations", json!({"operation": "a", "duration_ms": 1, "ok": "yes"})),
    ] {
        let refused = server.post(&format!("/api/v1/monitor/{path}"), &body).expect(400).json();
        assert!(refused["hint"].is_string(), "{body}: {refused}");
    }
    // However many names clients make up, only so many are told apart.
    for n in 0..200 {
        server
            .post("/api/v1/monitor/operations", &json!({"operation": format!("name {n}"), "duration_ms": 1}))
            .expect(204);
    }
    let names = server.get("/api/v1/monitor/report").expect(200).json();
    let names = names["operations"].as_array().expect("operations").iter().filter_map(|it| it["name"].as_str());
    assert!(names.filter(|name| name.starts_with("client name ")).count() < 150);
}

#[test]
fn a_look_at_the_head_of_a_stream_takes_no_place() {
    let server = Server::options().plugin("files").arg("--event-streams=1").start();
    for _ in 0..3 {
        let head = server.send("HEAD", "/api/v1/monitor/events", &[], None).expect(200);
        assert!(head.header("content-type").starts_with("text/event-stream"));
    }
    let first = tests::events::Events::follow(&server.client(), "/api/v1/monitor/events", None);
    let refused = server.get("/api/v1/monitor/events").expect(503);
    assert_eq!(refused.json()["code"], json!("too_many_streams"));
    drop(first);
    until_true("the place is free again", PATIENCE, || {
        server.get("/metrics").text().contains("larder_event_streams 0")
    });
}

#[test]
fn a_server_that_stops_ends_the_streams_that_follow_it() {
    use tests::events::Events;
    let mut server = Server::bundled();
    let client = server.client();
    let following = std::thread::spawn(move || Events::follow(&client, "/api/v1/monitor/events", None).count());
    until_true("somebody follows", PATIENCE, || server.get("/metrics").text().contains("larder_event_streams 1"));
    let started = std::time::Instant::now();
    assert!(server.terminate().success());
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    following.join().expect("the stream ends");
}
