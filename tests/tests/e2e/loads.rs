//! Many datasets at once: side by side, watched, cancelled; with sources that are slow, broken, or hang.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Server;
use tests::control::Control;
use tests::events::{Event, Events};
use tests::http::Answer;
use tests::poll::{PATIENCE, until_true};

/// Begins a load and waits for it.
#[track_caller]
fn load(server: &Server, body: &Value) -> Value {
    let headers = [("content-type", "application/json"), ("prefer", "wait=30")];
    let answer = server.send("POST", "/api/v1/loads", &headers, Some(body.to_string().as_bytes())).expect(200);
    assert_eq!(answer.header("preference-applied"), "wait=30");
    answer.json()
}

#[track_caller]
fn start(server: &Server, body: &Value) -> Answer {
    server.post("/api/v1/loads", body).expect(202)
}

/// The outcome of the request of a name.
fn outcome<'a>(load: &'a Value, name: &str) -> &'a Value {
    let requests = load["requests"].as_array().expect("requests");
    &requests.iter().find(|request| request["name"] == name).expect("a request of that name")["outcome"]
}

#[test]
fn a_load_tells_of_each_request_and_its_results_are_read_in_any_format() {
    let server = Server::bundled();
    let done = load(
        &server,
        &json!({"requests": [
            {"source": "sector_analysis"},
            {"name": "recent", "source": "historical_ai_data", "filters": {"year_min": 2020, "colour": "red"}, "format": "csv"},
            {"name": "few", "source": "geographic", "query": {"select": ["city"], "limit": 2}},
            {"source": "nowhere"},
        ]}),
    );
    assert_eq!(
        (&done["state"], &done["total"], &done["done"], &done["failed"]),
        (&json!("finished"), &json!(4), &json!(4), &json!(1))
    );
    assert_eq!(done["progress"], json!(1.0));
    let first = outcome(&done, "sector_analysis");
    assert_eq!(
        (&first["rows"], &first["from"], &first["attempts"]),
        (&json!(8), &json!("source"), &json!(1)),
        "{first}"
    );
    assert!(first["bytes"].as_u64().is_some_and(|bytes| bytes > 0) && first["error"].is_null());
    assert_eq!(outcome(&done, "recent")["ignored_filters"], json!(["colour"]));
    assert_eq!(outcome(&done, "few")["rows"], json!(2));
    let failed = outcome(&done, "nowhere");
    assert_eq!((&failed["error"]["code"], &failed["result"]), (&json!("unknown_dataset"), &Value::Null));
    assert!(failed["error"]["hint"].is_string(), "{failed}");

    let result = |name: &str| outcome(&done, name)["result"].as_str().expect("a result").to_owned();
    let csv = server.get(&result("recent")).expect(200);
    assert!(csv.header("content-type").starts_with("text/csv") && csv.text().lines().count() == 7, "{}", csv.text());
    let rows = server.get(&format!("{}?format=json", result("recent"))).expect(200).json();
    assert_eq!(rows["rows"].as_array().map(Vec::len), Some(6), "{rows}");
    let accepted = server.get_with(&result("few"), &[("accept", "application/x-ndjson")]).expect(200);
    assert_eq!(accepted.text().lines().count(), 2);
    let again = server
        .get_with(&result("few"), &[("accept", "application/x-ndjson"), ("if-none-match", accepted.header("etag"))]);
    assert_eq!(again.status, 304);

    // What was loaded is in the cache, for everybody.
    let again = load(&server, &json!({"requests": [{"source": "sector_analysis"}]}));
    let kept = outcome(&again, "sector_analysis");
    assert_eq!((&kept["from"], &kept["attempts"]), (&json!("memory"), &json!(0)));
    assert!(server.get("/api/v1/datasets/sector_analysis/rows").header("cache-status").contains("detail=table"));

    let list = server.get("/api/v1/loads").expect(200).json();
    let ids: Vec<&Value> = list["loads"].as_array().expect("loads").iter().map(|load| &load["id"]).collect();
    assert_eq!(ids, [&again["id"], &done["id"]], "the newest first");
}

#[test]
fn a_load_that_makes_no_sense_is_told_where() {
    let server = Server::options().plugin("files").start();
    let check = |body: &Value, parameter: &str| {
        let answer = server.post("/api/v1/loads", body).expect(400).json();
        assert_eq!(answer["parameter"], json!(parameter), "{body}: {answer}");
        assert!(answer["hint"].is_string(), "{answer}");
    };
    check(&json!({}), "requests");
    check(&json!({"requests": []}), "requests");
    check(&json!({"requests": ["a"]}), "requests[0]");
    check(&json!({"requests": [{"source": "a"}, {"source": "a"}]}), "requests[1].name");
    check(&json!({"requests": [{"source": "../a"}]}), "requests[0].source");
    check(&json!({"requests": [{"name": "a"}]}), "requests[0].source");
    check(&json!({"requests": [{"source": "a", "name": "a/b"}]}), "requests[0].name");
    check(&json!({"requests": [{"source": "a", "filters": []}]}), "requests[0].filters");
    check(&json!({"requests": [{"source": "a", "filters": {}, "query": {}}]}), "requests[0].query");
    check(&json!({"requests": [{"source": "a", "format": "xls"}]}), "format");
    check(&json!({"requests": [{"source": "a", "colour": 1}]}), "requests[0].colour");
    check(&json!({"requests": [{"source": "a"}], "max_workers": 0}), "max_workers");
    check(&json!({"requests": [{"source": "a"}], "timeout": "soon"}), "timeout");
    check(&json!({"requests": [{"source": "a"}], "retries": -1}), "retries");
    check(&json!({"requests": [{"source": "a"}], "deadline": "0s"}), "deadline");
    check(&json!({"requests": [{"source": "a"}], "colour": 1}), "colour");
    server.get("/api/v1/loads/0000").expect(404);
    server.get("/api/v1/loads/0000/events").expect(404);
    server.send("DELETE", "/api/v1/loads/0000", &[], None).expect(404);
    server.send("PUT", "/api/v1/loads", &[], None).expect(405);
}

/// A source that gives its rows in ten batches, 60 ms each.
fn slow_sidecar() -> &'static str {
    "[config.datasets.slow]\nrows = 1000\nbatch_rows = 100\nbatch_latency_ms = 60\n\
     columns = [{ name = \"id\", type = \"sequence\" }]\n\
     [config.datasets.quick]\nrows = 10\ncolumns = [{ name = \"id\", type = \"sequence\" }]\n"
}

#[test]
fn progress_is_followed_across_a_broken_connection_and_ends_at_all() {
    let server = Server::options().plugin("synthetic").file("synthetic.toml", slow_sidecar()).start();
    let begun = start(&server, &json!({"requests": [{"source": "slow"}, {"source": "quick"}]}));
    let path = begun.json()["links"]["events"].as_str().expect("a link").to_owned();
    assert_eq!(begun.header("location"), begun.json()["links"]["self"].as_str().expect("a link"));
    let client = server.client();
    let mut seen: Vec<Event> = Vec::new();
    // Three connections, each broken off after a few events.
    for most in [3, 4, usize::MAX] {
        let last = seen.last().and_then(|event| event.id);
        seen.extend(Events::follow(&client, &path, last).take(most));
    }
    let numbers: Vec<u64> = seen.iter().filter_map(|event| event.id).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "each event once, in order: {numbers:?}");
    let names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names[0], *names.last().expect("events")), ("began", "ended"), "{names:?}");
    let progress: Vec<&Value> = seen
        .iter()
        .filter(|event| event.name == "progress" && event.data["name"] == "slow")
        .map(|event| &event.data["progress"])
        .collect();
    assert!(progress.len() >= 3, "{progress:?}");
    let rows: Vec<u64> = progress.iter().map(|seen| seen["rows"].as_u64().expect("rows")).collect();
    let fractions: Vec<f64> = progress.iter().filter_map(|seen| seen["fraction"].as_f64()).collect();
    assert!(rows.is_sorted() && rows.last() == Some(&1000), "{rows:?}");
    assert!(fractions.is_sorted() && fractions.last() == Some(&1.0) && fractions.len() > 3, "{fractions:?}");
    assert!(
        progress.iter().any(|seen| seen["total_rows"] == json!(1000) && seen["time_left_ms"].is_number()),
        "{progress:?}"
    );
    let millis: Vec<u64> = seen.iter().filter_map(|event| event.data["at_ms"].as_u64()).collect();
    assert!(millis.is_sorted());
    // All of it can be read again.
    assert_eq!(Events::follow(&client, &path, None).collect::<Vec<_>>(), seen);
}

#[test]
fn a_source_that_hangs_is_killed_and_the_next_call_works() {
    let sidecar = "[config]\non = \"scan\"\ndo = \"hang_ignoring_cancel\"\n";
    let server = Server::options().plugin("files").plugin("faulty").file("faulty.toml", sidecar).start();
    let body = json!({
        "requests": [{"source": "bad"}, {"source": "sector_analysis"}, {"source": "geographic"}],
        "timeout": "500ms", "retries": 0, "max_workers": 1,
    });
    let started = Instant::now();
    let done = load(&server, &body);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(outcome(&done, "bad")["error"]["code"], json!("source_timeout"), "{done}");
    assert_eq!(
        (&outcome(&done, "sector_analysis")["rows"], &outcome(&done, "geographic")["rows"]),
        (&json!(8), &json!(8))
    );
    until_true("the source works again", PATIENCE, || server.get("/api/v1/datasets/good/rows").status == 200);
    assert_eq!(server.plugin("faulty")["crashes"], json!(0), "our own kill is no crash");
}

#[test]
fn a_crash_in_mid_stream_and_a_slow_drip_lose_no_other_request() {
    for (what, code) in [("segfault", Some("source_crashed")), ("slow_drip", None)] {
        let on = if code.is_some() { "mid_stream" } else { "scan" };
        let sidecar = format!("[config]\non = \"{on}\"\ndo = \"{what}\"\n");
        let server = Server::options().plugin("files").plugin("faulty").file("faulty.toml", &sidecar).start();
        let done = load(&server, &json!({"requests": [{"source": "bad"}, {"source": "sector_analysis"}]}));
        let bad = outcome(&done, "bad");
        match code {
            Some(code) => assert_eq!(bad["error"]["code"], json!(code), "{done}"),
            None => assert_eq!(bad["rows"], json!(100), "{done}"),
        }
        assert_eq!(outcome(&done, "sector_analysis")["rows"], json!(8));
    }
}

#[test]
fn what_may_help_is_tried_again_and_an_old_value_stands_in_when_it_does_not() {
    let control = Control::new("orders");
    let policy = "ttl = \"1ms\"\nstale_if_error = \"1h\"\ncheck_interval = \"0s\"";
    let server =
        Server::options().plugin("synthetic").file("synthetic.toml", &Control::sidecar(&[(&control, policy)])).start();
    let requests = json!({"requests": [{"source": "orders"}], "retries": 2});
    assert_eq!(outcome(&load(&server, &requests), "orders")["from"], json!("source"));
    control.set_down(true);
    // Until its time is over it is answered as it is.
    until_true("an old value stands in", PATIENCE, || {
        let done = load(&server, &requests);
        let stale = outcome(&done, "orders");
        stale["stale"] == json!(true) && {
            assert_eq!((&stale["from"], &stale["attempts"]), (&json!("stale_if_error"), &json!(3)), "{done}");
            true
        }
    });
}

#[test]
fn a_breaker_opens_is_shown_and_is_closed_by_hand() {
    let control = Control::new("orders");
    let server = Server::options()
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&[(&control, "stale_if_error = \"0s\"")]))
        .arg("--breaker-open=1h")
        .arg("--breaker-failures=3")
        .start();
    control.set_down(true);
    server.get(&control.rows("")).expect(503);
    let refused = server.get(&control.rows("")).expect(503);
    assert_eq!(refused.json()["code"], json!("breaker_open"), "{}", refused.text());
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 3_000));
    let breaker = server.plugin("synthetic")["breaker"].clone();
    assert_eq!((&breaker["state"], &breaker["failures"]), (&json!("open"), &json!(3)));
    control.set_down(false);
    server.get(&control.rows("")).expect(503);
    server.post("/api/v1/plugins/synthetic/reset", &json!({})).expect(200);
    server.get(&control.rows("")).expect(200);
    assert_eq!(server.plugin("synthetic")["breaker"]["state"], json!("closed"));
    server.post("/api/v1/plugins/nobody/reset", &json!({})).expect(404);
}

#[test]
fn a_cancelled_load_stops_its_source() {
    let control = Control::new("orders");
    let server =
        Server::options().plugin("synthetic").file("synthetic.toml", &Control::sidecar(&[(&control, "")])).start();
    control.set_scans_hang(true);
    let begun = start(&server, &json!({"requests": [{"source": "orders"}]})).json();
    let path = begun["links"]["self"].as_str().expect("a link").to_owned();
    let result = format!("{path}/results/orders");
    until_true("the scan hangs", PATIENCE, || control.calls().iter().any(|(call, _)| call == "scan"));
    assert_eq!(server.get(&result).expect(409).json()["code"], json!("not_loaded_yet"));
    let cancelled = server.send("DELETE", &path, &[], None).expect(200).json();
    assert_eq!((&cancelled["state"], &cancelled["requests"][0]["state"]), (&json!("cancelled"), &json!("cancelled")));
    assert_eq!(server.get(&result).expect(409).json()["code"], json!("load_cancelled"));
    let last = Events::follow(&server.client(), &format!("{path}/events"), None).last().expect("events");
    assert_eq!((last.name.as_str(), &last.data["state"]), ("ended", &json!("cancelled")));
    // The source is free: its next call is answered at once.
    control.set_scans_hang(false);
    let started = Instant::now();
    server.get(&control.rows("")).expect(200);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn requests_are_begun_in_their_order_and_a_deadline_ends_those_that_wait() {
    let control = Control::new("orders");
    let server =
        Server::options().plugin("synthetic").file("synthetic.toml", &Control::sidecar(&[(&control, "")])).start();
    let names = ["e", "b", "d", "a", "c"];
    let request = |name: &str| json!({"name": name, "source": "orders", "query": {"limit": 1}});
    let requests: Vec<Value> = names.iter().map(|name| request(name)).collect();
    let done = load(&server, &json!({"requests": requests, "max_workers": 1}));
    let path = done["links"]["events"].as_str().expect("a link").to_owned();
    let started: Vec<Value> = Events::follow(&server.client(), &path, None)
        .filter(|event| event.name == "started")
        .map(|event| event.data["name"].clone())
        .collect();
    assert_eq!(started, names);
    control.set_scans_hang(true);
    server.post("/api/v1/cache/invalidate", &json!({"dataset": "orders"})).expect(200);
    let done = load(&server, &json!({"requests": requests, "max_workers": 1, "deadline": "300ms"}));
    assert_eq!(done["failed"], json!(5), "{done}");
    let error = &outcome(&done, "c")["error"];
    assert_eq!((&error["code"], &error["status"]), (&json!("load_deadline"), &json!(504)), "{done}");
    assert!(server.log().contains(outcome(&done, "e")["request_id"].as_str().expect("an id")));
}

#[test]
fn too_many_loads_are_refused_with_a_time_to_come_back() {
    let control = Control::new("orders");
    let server = Server::options()
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&[(&control, "")]))
        .arg("--loads-running=1")
        .start();
    control.set_scans_hang(true);
    let body = json!({"requests": [{"source": "orders"}]});
    start(&server, &body);
    let refused = server.post("/api/v1/loads", &body).expect(503);
    assert_eq!((refused.json()["code"].clone(), refused.header("retry-after")), (json!("too_many_loads"), "1"));
}

#[test]
fn warm_datasets_are_loaded_at_the_start_and_scheduled_ones_again_and_again() {
    let (warm, again) = (Control::new("warmed"), Control::new("again"));
    let policies = [(&warm, "warm = true"), (&again, "refresh_every = \"400ms\"\ncheck_interval = \"0s\"")];
    let server = Server::options().plugin("synthetic").file("synthetic.toml", &Control::sidecar(&policies)).start();
    let scans = |control: &Control| control.calls().iter().filter(|(call, _)| call == "scan").count();
    until_true("both are loaded", PATIENCE, || scans(&warm) == 1 && scans(&again) >= 3);
    let load = &server.get("/api/v1/loads").expect(200).json()["loads"][0];
    assert_eq!(load["total"], json!(1), "the warming is a load like any other");
    assert!(server.get(&warm.rows("")).expect(200).header("cache-status").contains("detail=table"));
    let policy = &server.get("/api/v1/datasets/again").expect(200).json()["policy"];
    assert_eq!(policy["refresh_every_seconds"], json!(0.4), "{policy}");
}

#[test]
fn the_command_line_loads_into_files_and_fails_if_any_failed() {
    let server = Server::options().plugin("files").plugin("synthetic").file("synthetic.toml", slow_sidecar()).start();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("today");
    let out_text = out.to_str().expect("UTF-8");
    let done = server.cli(&[
        "load",
        "slow",
        "quick",
        "sector_analysis",
        "--workers",
        "8",
        "--out",
        out_text,
        "--format",
        "csv",
    ]);
    let (said, told) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}{told}");
    assert!(said.contains("3 of 3 loaded"), "{said}");
    assert!(told.contains("began: 3 datasets") && told.contains("slow: 1000 rows from source"), "{told}");
    let lines = |name: &str| std::fs::read_to_string(out.join(name)).expect("a file").lines().count();
    assert_eq!((lines("slow.csv"), lines("quick.csv"), lines("sector_analysis.csv")), (1_001, 11, 9));

    let parquet = server.cli(&["load", "quick", "--out", out_text]);
    assert!(parquet.status.success());
    assert_eq!(&std::fs::read(out.join("quick.parquet")).expect("a file")[..4], b"PAR1");

    let failed = server.cli(&["load", "quick", "nowhere"]);
    let (said, told) = (String::from_utf8_lossy(&failed.stdout), String::from_utf8_lossy(&failed.stderr));
    assert!(!failed.status.success() && said.contains("1 of 2 loaded"), "{said}{told}");
    assert!(
        said.contains("no dataset named 'nowhere'") && told.contains("failed to load 1 of 2 datasets: nowhere"),
        "{said}{told}"
    );
}

#[test]
fn a_file_that_cannot_be_written_keeps_no_other_from_its_rows() {
    let server = Server::options().plugin("files").arg("--max-rows=8").start();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("UTF-8");
    let done =
        server.cli(&["load", "historical_ai_data", "sector_analysis", "nowhere", "--out", out, "--format", "csv"]);
    let (said, told) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(!done.status.success() && said.contains("2 of 3 loaded"), "{said}{told}");
    assert!(told.contains("failed to write 'historical_ai_data': ") && told.contains("max_rows"), "{told}");
    assert!(told.contains("failed to load 2 of 3 datasets: historical_ai_data, nowhere"), "{told}");
    let mut files: Vec<_> =
        std::fs::read_dir(folder.path()).expect("a folder").flatten().map(|it| it.file_name()).collect();
    files.sort();
    assert_eq!(files, ["sector_analysis.csv"], "and nothing half done stays");
}
