//! Each recommendation follows from traffic, can be applied, and goes when it holds no more.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::control::Control;
use tests::poll::{PATIENCE, until};
use tests::{Options, Server, artifacts};

fn options(control: &Control, policy: &str) -> Options {
    Server::options().plugin("synthetic").file("synthetic.toml", &Control::sidecar(&[(control, policy)]))
}

fn recommendation(server: &Server, id: &str) -> Option<Value> {
    let list = server.get("/api/v1/monitor/recommendations").expect(200).json();
    list["recommendations"].as_array().expect("a list").iter().find(|it| it["id"] == id).cloned()
}

/// Waits for a recommendation, looks at its parts, and applies it; it must be gone then.
#[track_caller]
fn apply(server: &Server, id: &str) -> Value {
    let found = until(&format!("{id} is recommended"), PATIENCE, || recommendation(server, id));
    for part in ["observed", "expected"] {
        assert!(found[part]["text"].is_string(), "{found}");
        assert!(found[part]["numbers"].as_object().is_some_and(|numbers| !numbers.is_empty()), "{found}");
    }
    assert!(
        found["title"].is_string() && found["change"].is_string() && found["action"]["method"] == "PATCH",
        "{found}"
    );
    let path = found["apply"].as_str().expect("a link").to_owned();
    let action = server.post(&path, &json!({})).expect(200).json();
    // The numbers may have moved on between the two looks.
    assert_eq!((&action["method"], &action["uri"]), (&found["action"]["method"], &found["action"]["uri"]));
    assert_eq!(recommendation(server, id), None, "it holds no more");
    assert_eq!(server.post(&path, &json!({})).expect(404).json()["code"], json!("unknown_recommendation"));
    found
}

fn setting(server: &Server, name: &str) -> Value {
    let list = server.get("/api/v1/settings").expect(200).json();
    list["settings"].as_array().expect("a list").iter().find(|it| it["name"] == name).expect("the setting").clone()
}

fn policy(server: &Server, dataset: &str) -> Value {
    server.get(&format!("/api/v1/datasets/{dataset}/policy")).expect(200).json()
}

#[test]
fn a_cache_that_is_too_small_is_to_be_larger_and_stays_so() {
    let control = Control::new("orders");
    let server = options(&control, "").arg("--bodies-max-bytes=1 MiB").start();
    assert_eq!(recommendation(&server, "cache_size:bodies"), None);
    // Bodies of some 3 KiB each, in a round that is larger than the cache.
    for _ in 0..5 {
        (0..600).for_each(|n| drop(server.get(&control.rows(&format!("id=gte.0&id=lt.{}", n + 100))).expect(200)));
    }
    let found = apply(&server, "cache_size:bodies");
    assert_eq!(found["action"]["uri"], json!("/api/v1/settings"));
    let bytes = &server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["max_bytes"];
    assert!(bytes.as_u64() >= Some(2 << 20), "in force at once: {bytes}");
    assert_eq!(setting(&server, "bodies_max_bytes")["origin"], json!("applied"));

    // It outlives the server, and wins over its flags until it is taken back.
    let server = server.stop().start();
    assert_eq!(&server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["max_bytes"], bytes);
    let mut config = Command::new(artifacts::larder());
    let config = config.args(["config", "--home"]).arg(server.home()).output().expect("the binary runs");
    let config = String::from_utf8_lossy(&config.stdout).into_owned();
    let line = config.lines().find(|line| line.starts_with("bodies_max_bytes")).expect("the setting");
    assert!(line.contains("applied"), "{line}");
    server.send("DELETE", "/api/v1/settings/bodies_max_bytes", &[], None).expect(204);
    assert_eq!(server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["max_bytes"], json!(1 << 20));
    assert_eq!(setting(&server, "bodies_max_bytes")["origin"], json!("flag"));
    server.send("DELETE", "/api/v1/settings/bodies_max_bytes", &[], None).expect(404);
}

#[test]
fn a_cache_that_needs_less_gives_it_back_and_a_start_never_fails_of_what_was_applied() {
    let control = Control::new("orders");
    let server = options(&control, "").arg("--bodies-max-bytes=8 MiB").start();
    let patch = |server: &Server, body: &Value| {
        let headers = [("content-type", "application/json")];
        server.send("PATCH", "/api/v1/settings", &headers, Some(body.to_string().as_bytes())).expect(200);
    };
    let budget = |server: &Server, cache: &str| {
        server.get("/api/v1/cache/stats").expect(200).json()[cache]["max_bytes"].as_u64().expect("a size")
    };
    patch(&server, &json!({"bodies_max_bytes": "4 MiB", "tables_max_bytes": "128 MiB"}));
    patch(&server, &json!({"bodies_max_bytes": "2 MiB", "concurrent_scans": 3}));
    assert_eq!((budget(&server, "bodies"), budget(&server, "tables")), (2 << 20, 128 << 20));
    server.get(&control.rows("")).expect(200);
    // The largest table follows the budget, unless somebody has set it.
    let detail = server.get("/api/v1/datasets/orders").expect(200).json();
    assert_eq!(detail["policy"]["max_bytes"], json!(32 << 20), "{detail}");
    let server = server.stop().with_arg("--tables-max-bytes=2 GiB").start();
    assert_eq!((budget(&server, "bodies"), budget(&server, "tables")), (2 << 20, 128 << 20));
    server.get(&control.rows("")).expect(200);
}

#[test]
fn data_that_hardly_changes_is_to_be_fresh_for_longer() {
    let control = Control::new("orders");
    let server = options(&control, "ttl = \"200ms\"\ncheck_interval = \"100ms\"").start();
    assert_eq!(recommendation(&server, "ttl:orders"), None);
    until("it was loaded in vain for long enough", PATIENCE, || {
        server.get(&control.rows("")).expect(200);
        recommendation(&server, "ttl:orders")
    });
    let found = apply(&server, "ttl:orders");
    assert_eq!(found["action"]["uri"], json!("/api/v1/datasets/orders/policy"));
    let after = policy(&server, "orders");
    assert!(after["policy"]["ttl_seconds"].as_f64() > Some(0.2), "{after}");
    assert_eq!((&after["origins"]["ttl"], &after["origins"]["mode"]), (&json!("applied"), &json!("default")));
}

#[test]
fn what_is_costly_to_load_is_to_be_kept_on_disk() {
    let control = Control::new("orders");
    let server = options(&control, "persist = false").start();
    control.set_delay_ms(1_100);
    assert_eq!(recommendation(&server, "persist:orders"), None);
    server.get(&control.rows("")).expect(200);
    apply(&server, "persist:orders");
    let after = policy(&server, "orders");
    assert_eq!((&after["policy"]["persist"], &after["needs_restart"]), (&json!(true), &json!([])), "{after}");
}

#[test]
fn many_queries_that_read_all_of_it_are_to_be_answered_from_the_table() {
    let control = Control::new("orders");
    let server = options(&control, "mode = \"query\"").start();
    control.set_delay_ms(50);
    assert_eq!(recommendation(&server, "mode:orders"), None);
    (0..12).for_each(|n| drop(server.get(&control.rows(&format!("id=lt.{n}"))).expect(200)));
    let found = apply(&server, "mode:orders");
    assert_eq!(found["action"]["body"], json!({"mode": "table"}));
    assert_eq!(server.get("/api/v1/datasets/orders").expect(200).json()["mode"], json!("table"));
}

#[test]
fn a_large_table_that_is_hardly_asked_for_is_to_go_query_by_query() {
    let sidecar = "[config.datasets.big]\nrows = 4000000\nrepeat = true\n\
        columns = [{ name = \"id\", type = \"sequence\" }, { name = \"n\", type = \"int\" }, { name = \"m\", type = \"int\" }]\n";
    let server = Server::options().plugin("synthetic").file("synthetic.toml", sidecar).arg("--persist=false").start();
    server.get("/api/v1/datasets/big/rows?limit=1").expect(200);
    assert_eq!(recommendation(&server, "mode:big"), None);
    (0..5).for_each(|_| drop(server.refresh("big").expect(200)));
    let found = apply(&server, "mode:big");
    assert_eq!(found["action"]["body"], json!({"mode": "query"}));
}

#[test]
fn calls_that_wait_for_workers_are_to_have_more() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let controls: Vec<Control> = names.iter().map(|name| Control::new(name)).collect();
    let policies: Vec<(&Control, &str)> = controls.iter().map(|control| (control, "")).collect();
    let server = Server::options()
        .plugin("synthetic")
        .file("synthetic.toml", &Control::sidecar(&policies))
        .arg("--concurrent-scans=1")
        .start();
    controls.iter().for_each(|control| control.set_delay_ms(150));
    assert_eq!(recommendation(&server, "workers"), None);
    for _ in 0..5 {
        let requests: Vec<Value> = names.iter().map(|name| json!({"source": name})).collect();
        let body = json!({"requests": requests, "max_workers": 6});
        let headers = [("content-type", "application/json"), ("prefer", "wait=30")];
        server.send("POST", "/api/v1/loads", &headers, Some(body.to_string().as_bytes())).expect(200);
        server.send("DELETE", "/api/v1/cache", &[], None).expect(200);
    }
    apply(&server, "workers");
    let report = server.get("/api/v1/monitor/report").expect(200).json();
    assert!(report["scans"]["concurrent"].as_u64() > Some(1), "in force at once: {}", report["scans"]);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let control = Control::new("orders");
    let server = options(&control, "").config("[datasets.orders]\nttl = \"10m\"\n").start();
    let patch = |path: &str, body: &Value| {
        let headers = [("content-type", "application/json")];
        server.send("PATCH", path, &headers, Some(body.to_string().as_bytes()))
    };
    for (body, parameter) in [
        (json!({"max_rows": 5}), "max_rows"),
        (json!({"colour": 1}), "colour"),
        (json!({"bodies_max_bytes": "much"}), "bodies_max_bytes"),
        (json!({"bodies_max_bytes": "1 KiB"}), "bodies_max_bytes"),
        (json!({"concurrent_scans": 0}), "concurrent_scans"),
        (json!({"concurrent_scans": true}), "concurrent_scans"),
    ] {
        let refused = patch("/api/v1/settings", &body).expect(400).json();
        assert_eq!(refused["parameter"], json!(parameter), "{body}: {refused}");
        assert!(refused["hint"].is_string(), "{refused}");
    }
    assert_eq!(setting(&server, "concurrent_scans")["value"], json!("16"));
    let orders = "/api/v1/datasets/orders/policy";
    for body in [json!({"ttl": "soon"}), json!({"ttl": "0s"}), json!({"tll": "1s"}), json!({"max_bytes": "1 TiB"})] {
        assert_eq!(patch(orders, &body).expect(400).json()["code"], json!("bad_policy"), "{body}");
    }
    patch("/api/v1/datasets/nowhere/policy", &json!({"ttl": "1s"})).expect(404);
    assert_eq!(policy(&server, "orders")["origins"]["ttl"], json!("file"));

    let changed = patch(orders, &json!({"ttl": "2h", "warm": true})).expect(200).json();
    assert_eq!((&changed["policy"]["ttl_seconds"], &changed["origins"]["ttl"]), (&json!(7200.0), &json!("applied")));
    let part = patch(orders, &json!({"ttl": null})).expect(200).json();
    assert_eq!((&part["policy"]["ttl_seconds"], &part["applied"]), (&json!(600.0), &json!({"warm": true})));
    let server = server.stop().start();
    assert_eq!(policy(&server, "orders")["policy"]["warm"], json!(true));
    server.send("DELETE", orders, &[], None).expect(204);
    let back = policy(&server, "orders");
    assert_eq!((&back["policy"]["warm"], &back["applied"]), (&json!(false), &json!({})));
}

#[test]
fn an_answer_that_was_kept_obeys_a_new_ttl_soon() {
    let control = Control::new("orders");
    let server = options(&control, "").start();
    server.get(&control.rows("")).expect(200);
    assert!(server.get(&control.rows("")).header("cache-control").contains("max-age=3600"));
    let headers = [("content-type", "application/json")];
    server.send("PATCH", "/api/v1/datasets/orders/policy", &headers, Some(br#"{"ttl": "7s"}"#)).expect(200);
    until("the new ttl holds", Duration::from_secs(20), || {
        let answer = server.get(&control.rows("")).expect(200);
        answer.header("cache-control").contains("max-age=7").then_some(())
    });
}
