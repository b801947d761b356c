//! The short form of filters that dashboards send, by POST.

use serde_json::{Value, json};
use tests::Server;
use tests::cache_status::CacheStatus;

#[track_caller]
fn check(server: &Server, dataset: &str, filters: &Value, years_or_names: &[Value], ignored: &[&str]) {
    let path = format!("/api/v1/datasets/{dataset}/query");
    let answer = server.post(&path, &json!({"filters": filters})).expect(200).json();
    let first: Vec<Value> = answer["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row.as_object().and_then(|row| row.values().next()).cloned().expect("a first column"))
        .collect();
    assert_eq!(first, years_or_names, "{filters}");
    assert_eq!(answer["row_count"], json!(first.len()), "{filters}");
    assert_eq!(answer["ignored_filters"], json!(ignored), "{filters}");
}

#[test]
fn one_set_of_filters_serves_many_datasets() {
    let server = Server::bundled();
    let filters = json!({"year_min": 2020, "year_max": 2022, "sectors": ["Technology", "Education"]});
    check(&server, "historical_ai_data", &filters, &[json!(2020), json!(2021), json!(2022)], &["sectors"]);
    check(&server, "sector_analysis", &filters, &[json!("Technology"), json!("Education")], &["year_min", "year_max"]);
    check(&server, "investment_trends", &filters, &[json!(2020), json!(2021), json!(2022)], &["sectors"]);
}

#[test]
fn each_form_of_a_filter_means_what_it_says() {
    let server = Server::bundled();
    let city = |filters: Value, expected: &[&str]| {
        let expected: Vec<Value> = expected.iter().map(|name| json!(name)).collect();
        check(&server, "geographic", &filters, &expected, &[]);
    };
    city(json!({"state": "Tennessee"}), &["Nashville"]);
    city(json!({"states": ["Tennessee", "Washington"]}), &["Nashville", "Seattle"]);
    city(json!({"cities": ["Boston"]}), &["Boston"]);
    city(json!({"rate_min": 8.0, "lat_max": 30}), &["San Antonio"]);
    city(json!({"population_millions": 0.7}), &["Nashville", "Boston"]);
    city(json!({"state": null}), &[]);
    let all = server.rows("geographic", "").len();
    for filters in [json!({}), json!({"states": []})] {
        let answer = server.post("/api/v1/datasets/geographic/query", &json!({"filters": filters})).expect(200).json();
        assert_eq!(answer["row_count"], json!(all), "{filters}");
    }
}

#[test]
fn an_exact_column_name_wins_over_a_suffix() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("t.csv"), "id,price,price_max,news\n1,5,9,a\n2,9,5,b\n").expect("a file");
    let server = Server::over(folder.path());
    check(&server, "t", &json!({"price_max": 5}), &[json!(2)], &[]);
    check(&server, "t", &json!({"price_min": 6}), &[json!(2)], &[]);
    check(&server, "t", &json!({"news": ["a"]}), &[json!(1)], &[]);
}

#[test]
fn strict_refuses_what_names_no_column() {
    let server = Server::bundled();
    let body = json!({"filters": {"year_min": 2020, "sectors": ["Technology"]}, "strict": true});
    let problem = server.post("/api/v1/datasets/historical_ai_data/query", &body).expect(400).json();
    assert_eq!(problem["code"], "unknown_column", "{problem:#}");
    assert_eq!(problem["parameter"], "sectors", "{problem:#}");
}

#[test]
fn an_answer_to_filters_is_cached_negotiated_and_compressed() {
    let server = tests::Server::bundled();
    let path = "/api/v1/datasets/historical_ai_data/query";
    let body = br#"{"filters": {"year_min": 2018, "nonsense": 1}}"#;
    let ask =
        |extra: (&str, &str)| server.send("POST", path, &[("content-type", "application/json"), extra], Some(body));
    let first = ask(("accept-encoding", "gzip")).expect(200);
    assert_eq!(first.header("content-encoding"), "gzip");
    let second = ask(("accept-encoding", "gzip")).expect(200);
    assert!(CacheStatus::expect(&second, "memory").hit);
    assert_eq!(second.header("etag"), first.header("etag"));
    let csv = ask(("accept", "text/csv")).expect(200);
    assert!(csv.text().starts_with("year,") && csv.header("ignored-filters") == "nonsense", "{}", csv.text());
    let problem = ask(("accept", "image/png")).expect(406).json();
    assert_eq!(problem["code"], "not_acceptable", "{problem:#}");
}
