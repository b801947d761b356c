//! `explain=true` says how an answer is come by, and what it says is what happens.

use serde_json::{Value, json};
use tests::Server;

fn server(mode: &str) -> Server {
    let sidecar = format!("[policy]\nmode = \"{mode}\"\n");
    Server::options().plugin("files").file("files.toml", &sidecar).start()
}

#[track_caller]
fn explain(server: &Server, query: &str) -> Value {
    let path = format!("/api/v1/datasets/geographic/rows?{query}");
    let separator = if query.is_empty() { "" } else { "&" };
    let answer = server.get(&format!("{path}{separator}explain=true")).expect(200);
    assert!(answer.header("content-type").starts_with("application/json"));
    assert_eq!(answer.header("cache-control"), "no-store");
    let explained = answer.json();
    let real = server.get(&path);
    assert_eq!(explained["status"], json!(real.status), "{explained:#}");
    assert_eq!(explained["body_bytes"], json!(real.body.len()), "{explained:#}");
    assert_eq!(explained["rows"]["answered"], json!(real.json().as_array().map(Vec::len)), "{explained:#}");
    assert_eq!(explained["more"], json!(tests::pages::next(&real).is_some()), "{explained:#}");
    for time in ["table", "evaluate", "encode", "total"] {
        assert!(explained["times_ms"][time].as_f64().is_some_and(|ms| ms >= 0.0), "{time}: {explained:#}");
    }
    explained
}

#[test]
fn a_table_that_is_kept_is_evaluated_here() {
    let server = server("table");
    let explained = explain(&server, "rate=gte.7&order=rate.desc&limit=3&select=city");
    assert_eq!((&explained["dataset"], &explained["mode"]), (&json!("geographic"), &json!("table")));
    assert_eq!(explained["source"], Value::Null, "{explained:#}");
    assert_eq!(explained["rows"]["tested"], json!(8), "{explained:#}");
    // Six do; whether all of them are looked for is not said.
    assert!(explained["rows"]["matched"].as_u64().is_some_and(|rows| (4..=6).contains(&rows)), "{explained:#}");
    assert_eq!((&explained["table_rows"], &explained["more"]), (&json!(8), &json!(true)), "{explained:#}");
    let steps = explained["here"].as_array().expect("steps");
    assert!(steps.len() >= 2 && steps.iter().all(Value::is_string), "{explained:#}");
    assert_eq!(explained["from"], "source", "this was the first question: {explained:#}");
    let again = explain(&server, "rate=gte.7&order=rate.desc&limit=3&select=city");
    assert_eq!((&again["from"], &again["body_is_cached"]), (&json!("memory"), &json!(true)), "{again:#}");
    assert_eq!(explain(&server, "rate=gte.6.9")["body_is_cached"], json!(false));
}

#[test]
fn two_spellings_of_one_question_are_explained_alike() {
    let server = server("table");
    let one = explain(&server, "rate=gte.7&state=in.(Texas,Nevada)&limit=5");
    let two = explain(&server, "limit=5&rate__gte=7.0&state=eq(any).{Nevada,Texas}");
    assert_eq!(one["query"], two["query"]);
}

#[test]
fn what_a_source_is_asked_for_is_listed() {
    let server = server("query");
    let explained = explain(&server, "rate=gte.7&select=city&limit=3");
    assert_eq!(explained["mode"], "query");
    for of_a_table in ["tested", "matched", "batches", "batches_skipped"] {
        assert_eq!(explained["rows"][of_a_table], Value::Null, "nobody counts them: {explained:#}");
    }
    let pushed = &explained["source"];
    let columns = pushed["columns"].as_array().unwrap_or_else(|| panic!("{explained:#}"));
    assert!(columns.contains(&json!("city")) && !columns.contains(&json!("lat")), "{explained:#}");
    assert!(pushed["filters"].as_array().is_some_and(|filters| filters.len() == 1), "{explained:#}");
    let ordered = explain(&server, "rate=gte.7&select=city&order=rate&limit=3");
    assert_eq!(ordered["source"]["limit"], Value::Null, "an ordered page needs all rows: {ordered:#}");
    let grouped = explain(&server, "select=state,count()&limit=3");
    assert_eq!(grouped["source"]["limit"], Value::Null, "groups need all rows: {grouped:#}");
    assert_eq!(grouped["source"]["columns"], json!(["state"]), "{grouped:#}");
}

#[test]
fn an_explanation_counts_if_the_request_does_and_is_never_kept() {
    let server = server("table");
    let path = "/api/v1/datasets/geographic/rows?limit=2&explain=true";
    let counted = server.get_with(path, &[("prefer", "count=exact")]).expect(200).json();
    assert_eq!((&counted["rows"]["total"], &counted["status"]), (&json!(8), &json!(206)), "{counted:#}");
    let entries = || server.get("/api/v1/cache/stats").expect(200).json()["bodies"]["entries"].clone();
    let before = entries();
    for _ in 0..3 {
        server.get(path).expect(200);
    }
    assert_eq!(entries(), before);
    let formatted = server.get(&format!("{path}&format=csv")).expect(200);
    assert_eq!(formatted.json()["format"], "csv", "the answer's format; the explanation is JSON");
    let rows = server.get("/api/v1/datasets/geographic/rows?limit=2&explain=false").expect(200);
    assert!(rows.json().is_array());
}
