//! The cache seen and emptied over REST: statistics, entries, invalidations of every scope.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::Server;
use tests::cache_status::CacheStatus;
use tests::control::Control;
use tests::http::{Answer, encode};
use tests::poll::{PATIENCE, until};

use crate::restart_from_disk::controlled;

const ENTRIES: &str = "/api/v1/cache/entries";

/// The entries of one page and the key to go on from.
fn page(server: &Server, query: &str) -> (Vec<Value>, Option<String>) {
    let page = server.get(&format!("{ENTRIES}?{query}")).expect(200).json();
    let entries = page["entries"].as_array().expect("entries").clone();
    (entries, page["next"].as_str().map(str::to_owned))
}

fn keys(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["key"].as_str().expect("a key").to_owned()).collect()
}

fn all_keys(server: &Server) -> Vec<String> {
    keys(&page(server, "limit=1000").0)
}

fn entry_path(key: &str) -> String {
    format!("{ENTRIES}/{}", encode(key))
}

pub(crate) fn invalidate(server: &Server, body: &Value) -> Answer {
    server.post("/api/v1/cache/invalidate", body)
}

/// Where the rows of a request come from now.
fn detail(server: &Server, path: &str) -> String {
    CacheStatus::of(&server.get(path).expect(200)).detail
}

#[test]
fn entries_tell_what_they_are() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "ttl = \"1h\"\ntags = [\"nightly\", \"sales\"]")], "");
    let path = control.rows("n=lt.5");
    for _ in 0..4 {
        server.get(&path).expect(200);
    }
    let entries = until("both entries are on disk", PATIENCE, || {
        let (entries, next) = page(&server, "");
        assert_eq!((entries.len(), next), (2, None), "{entries:#?}");
        entries.iter().all(|entry| entry["tier"] == "both").then_some(entries)
    });
    for entry in &entries {
        assert_eq!((&entry["dataset"], &entry["state"]), (&"t".into(), &"fresh".into()), "{entry:#}");
        assert_eq!(entry["tags"], json!(["nightly", "sales"]), "{entry:#}");
        let number = |name: &str| entry[name].as_f64().unwrap_or_else(|| panic!("{name} in {entry:#}"));
        assert!((0.0..100.0).contains(&number("age_seconds")), "{entry:#}");
        assert!((3_500.0..=3_600.0).contains(&number("ttl_seconds")), "{entry:#}");
        assert!(number("bytes") > 0.0 && number("stored_bytes") > 0.0 && number("cost_ms") >= 0.0, "{entry:#}");
    }
    let kept = |cache: &str| entries.iter().find(|entry| entry["cache"] == cache).expect("an entry");
    assert!(kept("bodies")["key"].as_str().is_some_and(|key| key.starts_with("t/json+")), "{entries:#?}");
    assert!(kept("tables")["key"].as_str().is_some_and(|key| key.starts_with("t/table")), "{entries:#?}");
    assert_eq!(kept("bodies")["hits"], 3, "{entries:#?}");
    let server = server.stop().start();
    let (entries, _) = page(&server, "");
    assert!(entries.len() == 2 && entries.iter().all(|entry| entry["tier"] == "disk"), "{entries:#?}");
}

#[test]
fn entries_come_in_pages_sorted_by_key() {
    let (a, b) = (Control::new("a"), Control::new("b"));
    let server = controlled(&[(&a, ""), (&b, "")], "");
    for limit in 1..=7 {
        server.get(&a.rows(&format!("limit={limit}"))).expect(200);
        server.get(&b.rows(&format!("n=lt.{limit}"))).expect(200);
    }
    let all = all_keys(&server);
    assert_eq!(all.len(), 16, "{all:?}");
    assert!(all.is_sorted() && all.iter().collect::<BTreeSet<_>>().len() == 16, "{all:?}");
    for limit in [1, 3, 16] {
        let (mut seen, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let (entries, next) = page(&server, &query);
            assert!(!entries.is_empty() && entries.len() <= limit);
            seen.extend(keys(&entries));
            let Some(next) = next else { break };
            query = format!("limit={limit}&after={}", encode(&next));
        }
        assert_eq!(seen, all, "in pages of {limit}");
    }
    let of_b = keys(&page(&server, "dataset=b").0);
    assert!(of_b.len() == 8 && of_b.iter().all(|key| key.starts_with("b/")), "{of_b:?}");
    for query in ["limit=0", "limit=1001", "limit=x", "limt=5"] {
        let problem = server.get(&format!("{ENTRIES}?{query}")).expect(400).json();
        assert!(problem["detail"].is_string() && problem["code"].is_string(), "{query}: {problem:#}");
    }
}

#[test]
fn an_entry_is_told_and_deleted_by_its_key() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    // A key with all that a path cannot hold as it is.
    let paths = [control.rows("word=like.*a%20%25%2F%3F%23%C3%A4*"), control.rows("limit=2")];
    for path in &paths {
        server.get(path).expect(200);
    }
    let keys = all_keys(&server);
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in &keys {
        let entry = server.get(&entry_path(key)).expect(200).json();
        assert_eq!(entry["key"], key.as_str(), "{entry:#}");
        let gone = server.send("DELETE", &entry_path(key), &[], None).expect(204);
        assert!(gone.body.is_empty());
        assert_eq!(server.get(&entry_path(key)).expect(404).json()["code"], "entry_not_found");
        server.send("DELETE", &entry_path(key), &[], None).expect(404);
    }
    assert!(all_keys(&server).is_empty());
    let server = server.kill().start();
    assert!(all_keys(&server).is_empty(), "what was deleted does not come back");
    assert_eq!(detail(&server, &paths[0]), "source");
    for nonsense in ["t", "nope/table", "t/table@x", "%00", "t%2F"] {
        server.get(&format!("{ENTRIES}/{nonsense}")).expect(404);
    }
}

#[test]
fn a_deleted_body_is_made_again_of_the_table() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    let path = control.rows("limit=2");
    let before = server.get(&path).expect(200);
    let key = all_keys(&server).into_iter().find(|key| key.starts_with("t/json")).expect("a body");
    server.send("DELETE", &entry_path(&key), &[], None).expect(204);
    let after = server.get(&path).expect(200);
    CacheStatus::expect(&after, "table");
    assert_eq!(after.body, before.body);
    assert_eq!(detail(&server, &path), "memory", "and kept again");
    invalidate(&server, &json!({"prefix": "t/json"})).expect(200);
    assert_eq!([&path; 3].map(|path| detail(&server, path)), ["table", "memory", "memory"]);
    assert_eq!(control.scans(), 1);
}

/// Waits until so many entries are on disk and nothing is left to write; gives the statistics.
#[track_caller]
pub(crate) fn until_on_disk(server: &Server, entries: u64) -> Value {
    until("all is on disk", PATIENCE, || {
        let stats = server.get("/api/v1/cache/stats").expect(200).json();
        (stats["disk"]["entries"] == entries && stats["disk"]["queued"] == 0).then_some(stats)
    })
}

/// Three datasets, of which `sales_eu` and `sales_us` are tagged; all are in the cache.
fn warm(controls: &[Control; 3]) -> Server {
    let [eu, us, other] = controls;
    let server = controlled(&[(eu, "tags = [\"nightly\"]"), (us, "tags = [\"nightly\", \"us\"]"), (other, "")], "");
    for control in controls {
        server.get(&control.rows("limit=2")).expect(200);
        server.get(&control.rows("limit=2&format=csv")).expect(200);
    }
    server
}

/// Invalidates on a warm server; gives, dataset by dataset, where JSON rows and CSV rows are from then.
#[track_caller]
fn check_scope(body: &Value, touched: &[&str], expected: [[&str; 2]; 3]) {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    let server = warm(&controls);
    let told = invalidate(&server, body).expect(200).json();
    let (scope, target) = body.as_object().and_then(|body| body.iter().next()).expect("a scope");
    assert_eq!((&told["scope"], &told["target"]), (&scope.as_str().into(), target), "{told:#}");
    assert!(told["durable"] == true && told["stamp"].as_u64() > Some(0), "{told:#}");
    let mut names: Vec<&str> = told["datasets"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, touched, "{told:#}");
    let found = controls
        .each_ref()
        .map(|control| ["limit=2", "limit=2&format=csv"].map(|query| detail(&server, &control.rows(query))));
    assert_eq!(found, expected.map(|pair| pair.map(str::to_owned)), "after {body}");
}

#[test]
fn an_invalidation_reaches_what_it_names_and_nothing_else() {
    const KEPT: [&str; 2] = ["memory", "memory"];
    // The first question loads the table again, the second is made of it.
    const GONE: [&str; 2] = ["source", "table"];
    check_scope(&json!({"dataset": "sales_us"}), &["sales_us"], [KEPT, GONE, KEPT]);
    check_scope(&json!({"tag": "nightly"}), &["sales_eu", "sales_us"], [GONE, GONE, KEPT]);
    check_scope(&json!({"tag": "us"}), &["sales_us"], [KEPT, GONE, KEPT]);
    check_scope(&json!({"tag": "nobody-has-it"}), &[], [KEPT, KEPT, KEPT]);
    check_scope(&json!({"prefix": "sal"}), &["sales_eu", "sales_us"], [GONE, GONE, KEPT]);
    check_scope(&json!({"prefix": "sales_eu/json"}), &["sales_eu"], [["table", "memory"], KEPT, KEPT]);
    check_scope(&json!({"prefix": "nothing"}), &[], [KEPT, KEPT, KEPT]);
}

#[test]
fn an_invalidation_by_key_reaches_that_entry() {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    let server = warm(&controls);
    let key = all_keys(&server).into_iter().find(|key| key.starts_with("other/csv")).expect("a body");
    let first = invalidate(&server, &json!({"key": key})).expect(200).json();
    assert_eq!(detail(&server, &controls[2].rows("limit=2&format=csv")), "table");
    assert_eq!(detail(&server, &controls[2].rows("limit=2")), "memory");
    let second = invalidate(&server, &json!({"dataset": "other"})).expect(200).json();
    assert!(second["stamp"].as_u64() > first["stamp"].as_u64(), "{first:#} then {second:#}");
}

#[test]
fn clearing_leaves_nothing_in_any_tier() {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    let server = warm(&controls);
    let told = server.send("DELETE", "/api/v1/cache", &[], None).expect(200).json();
    assert!(told["scope"] == "all" && told["durable"] == true, "{told:#}");
    assert_eq!(all_keys(&server), Vec::<String>::new());
    let server = server.kill().start();
    assert_eq!(all_keys(&server), Vec::<String>::new());
    for control in &controls {
        assert_eq!(detail(&server, &control.rows("limit=2")), "source");
    }
}

#[test]
fn an_acknowledged_invalidation_outlives_a_kill() {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    // Without a change token, only the invalidation itself tells that the rows are old.
    controls.iter().for_each(|control| control.set_mute(true));
    let mut server = warm(&controls);
    until_on_disk(&server, 9);
    for (body, of) in [(json!({"dataset": "sales_eu"}), 0), (json!({"tag": "us"}), 1), (json!({"prefix": "oth"}), 2)] {
        invalidate(&server, &body).expect(200);
        server = server.kill().start();
        assert_eq!(detail(&server, &controls[of].rows("limit=2")), "source", "after {body}");
    }
}

#[test]
fn an_invalidation_that_makes_no_sense_is_refused() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    server.get(&control.rows("limit=2")).expect(200);
    for (body, status) in [
        ("{}", 400),
        ("[]", 400),
        ("nonsense", 400),
        (r#"{"dataset": "t", "tag": "x"}"#, 400),
        (r#"{"dataset": 5}"#, 400),
        (r#"{"dataset": null}"#, 400),
        (r#"{"datset": "t"}"#, 400),
        (r#"{"tag": ""}"#, 400),
        (r#"{"prefix": ""}"#, 400),
        (r#"{"dataset": "nope"}"#, 404),
    ] {
        let headers = [("content-type", "application/json")];
        let problem = server.send("POST", "/api/v1/cache/invalidate", &headers, Some(body.as_bytes()));
        assert_eq!(problem.status, status, "{body}: {}", problem.text());
        assert_eq!(problem.header("content-type"), "application/problem+json", "{body}");
        let problem = problem.json();
        assert!(problem["code"].is_string(), "{body}: {problem:#}");
        assert!(status != 400 || problem["hint"].is_string(), "{body}: {problem:#}");
    }
    assert_eq!(detail(&server, &control.rows("limit=2")), "memory", "nothing was dropped");
}

#[test]
fn the_statistics_have_the_names_that_users_know_and_are_true() {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    let server = warm(&controls);
    let stats = until_on_disk(&server, 9);
    assert_eq!(stats["entries"], 9, "{stats:#}");
    assert!(stats["total_size_mb"].as_f64() > Some(0.0), "{stats:#}");
    assert_eq!((&stats["tables"]["entries"], &stats["bodies"]["entries"]), (&3.into(), &6.into()), "{stats:#}");
    assert_eq!((&stats["tables"]["loads"], &stats["bodies"]["loads"]), (&3.into(), &6.into()), "{stats:#}");
    assert!(stats["durable"] == true && stats["disk"]["degraded"].is_null(), "{stats:#}");
    for name in ["bytes", "max_bytes", "file_bytes"] {
        assert!(stats["disk"][name].as_u64() > Some(0), "disk.{name} in {stats:#}");
    }
    for name in ["evictions", "expirations", "corrupt", "recoveries", "dropped"] {
        assert_eq!(stats["disk"][name], 0, "disk.{name} in {stats:#}");
    }
    let datasets = stats["datasets"].as_array().expect("datasets");
    assert_eq!(datasets.len(), 3, "{stats:#}");
    for dataset in datasets {
        assert_eq!((&dataset["memory_entries"], &dataset["disk_entries"]), (&3.into(), &3.into()), "{dataset:#}");
        assert!(dataset["memory_bytes"].as_u64() > Some(0) && dataset["disk_bytes"].as_u64() > Some(0), "{dataset:#}");
    }
    let hits = |stats: &Value| stats["bodies"]["hits"].as_u64().expect("hits");
    for _ in 0..18 {
        server.get(&controls[0].rows("limit=2")).expect(200);
    }
    let after = server.get("/api/v1/cache/stats").expect(200).json();
    assert_eq!(hits(&after) - hits(&stats), 18);
    let (before, rate) = (stats["hit_rate"].as_f64().unwrap_or(0.0), after["hit_rate"].as_f64().expect("a rate"));
    assert!(rate > before && rate < 1.0, "{before}, then {rate}");

    let server = server.stop().start();
    server.get(&controls[0].rows("limit=2")).expect(200);
    let stats = server.get("/api/v1/cache/stats").expect(200).json();
    assert_eq!(stats["bodies"]["disk_hits"], 1, "{stats:#}");
    assert_eq!(stats["disk"]["entries"], 9, "{stats:#}");
}

#[test]
fn verify_and_compact_report_what_they_did() {
    let controls = ["sales_eu", "sales_us", "other"].map(Control::new);
    let server = warm(&controls);
    let verified = server.send("POST", "/api/v1/cache/verify", &[], Some(b"")).expect(200).json();
    assert!(verified.is_object(), "{verified:#}");
    let compacted = server.send("POST", "/api/v1/cache/compact", &[], Some(b"")).expect(200).json();
    for name in ["file_bytes_before", "file_bytes_after", "duration_ms"] {
        assert!(compacted[name].is_number(), "{compacted:#}");
    }
    let server = server.stop().start();
    assert_eq!(detail(&server, &controls[1].rows("limit=2")), "disk");
}

#[test]
fn clearing_a_part_of_everything_is_refused() {
    let server = Server::bundled();
    let problem = server.send("DELETE", "/api/v1/cache?dataset=sector_analysis", &[], None).expect(400).json();
    assert!(problem["parameter"] == "dataset" && problem["hint"].as_str().is_some(), "{problem:#}");
}
