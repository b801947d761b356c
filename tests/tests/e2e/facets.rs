//! Facets: how often each value occurs under the same filters as rows, counted again by hand here.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::Server;
use tests::http::encode;

/// What the rows themselves say of a column.
fn counted(server: &Server, dataset: &str, column: &str, filters: &str) -> (usize, u64, BTreeMap<String, u64>) {
    let rows = server.rows(dataset, &format!("select={column}&{filters}"));
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut nulls = 0;
    for row in &rows {
        match &row[column] {
            Value::Null => nulls += 1,
            value => *counts.entry(value.to_string()).or_default() += 1,
        }
    }
    (rows.len(), nulls, counts)
}

#[track_caller]
fn check(server: &Server, dataset: &str, columns: &[&str], filters: &str) {
    let path = format!("/api/v1/datasets/{dataset}/facets?columns={}&limit=1000&{filters}", encode(&columns.join(",")));
    let answer = server.get(&path).expect(200);
    let document = answer.json();
    let facets = document["facets"].as_array().expect("facets");
    assert_eq!(facets.iter().map(|facet| facet["column"].clone()).collect::<Vec<_>>(), columns, "{path}");
    for (facet, column) in facets.iter().zip(columns) {
        let (rows, nulls, counts) = counted(server, dataset, column, filters);
        assert_eq!(document["rows"], json!(rows), "{path}");
        assert_eq!(facet["nulls"], json!(nulls), "{path}: {column}");
        assert_eq!(facet["distinct"], json!(counts.len()), "{path}: {column}");
        let values = facet["values"].as_array().expect("values");
        let said: BTreeMap<String, u64> = values
            .iter()
            .filter(|value| !value["value"].is_null())
            .map(|value| (value["value"].to_string(), value["count"].as_u64().expect("a count")))
            .collect();
        assert_eq!(said, counts, "{path}: {column}");
        let order: Vec<u64> = values.iter().map(|value| value["count"].as_u64().expect("a count")).collect();
        assert!(order.is_sorted_by(|a, b| a >= b), "{path}: {column} is ordered {order:?}");
    }
}

#[test]
fn values_are_counted_under_the_filters_of_rows() {
    let server = Server::bundled();
    for filters in [
        "",
        "quantity=gt.15",
        "region=in.(Asia,Europe)&or=(express.is.true,amount.lt.100)",
        "region=match.%5EA",
        "amount__gt=2400",
        "amount=gt.1000000",
    ] {
        check(&server, "synthetic_orders", &["region", "quantity", "express"], filters);
    }
    check(&server, "geographic", &["state", "population_millions"], "rate=gt.7");
}

#[test]
fn the_most_frequent_values_come_first_and_equal_ones_by_value() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("t.csv"), "id,k\n1,b\n2,a\n3,c\n4,c\n5,\n6,d\n").expect("a file");
    let server = Server::over(folder.path());
    let facet = |query: &str| {
        let document = server.get(&format!("/api/v1/datasets/t/facets?columns=k{query}")).expect(200).json();
        document["facets"][0].clone()
    };
    let values = |facet: &Value| -> Vec<String> {
        let values = facet["values"].as_array().expect("values").iter().filter(|value| !value["value"].is_null());
        values.map(|value| format!("{}:{}", value["value"].as_str().expect("a text"), value["count"])).collect()
    };
    let all = facet("");
    assert_eq!(values(&all), ["c:2", "a:1", "b:1", "d:1"]);
    assert_eq!((&all["distinct"], &all["nulls"]), (&json!(4), &json!(1)));
    let some = facet("&limit=2");
    assert_eq!(values(&some), ["c:2", "a:1"]);
    assert_eq!(some["distinct"], json!(4), "what is left out of the list is counted all the same");
}

#[test]
fn twenty_values_are_shown_unless_more_are_asked_for() {
    let server = Server::bundled();
    let count = |query: &str| {
        let path = format!("/api/v1/datasets/synthetic_orders/facets?columns=customer{query}");
        let document = server.get(&path).expect(200).json();
        document["facets"][0]["values"].as_array().map(Vec::len)
    };
    assert_eq!(count(""), Some(20));
    assert_eq!(count("&limit=1000"), Some(500));
    assert_eq!(count("&limit=1"), Some(1));
}

#[test]
fn facets_are_cached_compressed_and_revalidated_as_rows_are() {
    let server = Server::bundled();
    let path = "/api/v1/datasets/synthetic_orders/facets?columns=customer&limit=500";
    let first = server.get(path).expect(200);
    let again = server.get(path).expect(200);
    assert!(again.header("cache-status").contains("hit"), "{}", again.header("cache-status"));
    assert_eq!((first.header("etag"), &first.body), (again.header("etag"), &again.body));
    let packed = server.get_with(path, &[("accept-encoding", "zstd")]).expect(200);
    assert_eq!(packed.header("content-encoding"), "zstd");
    assert_eq!(packed.decoded(), first.body);
    server.get_with(path, &[("if-none-match", first.header("etag"))]).expect(304);
    let spelled = "/api/v1/datasets/synthetic_orders/facets?limit=500&columns=%22customer%22";
    assert!(server.get(spelled).expect(200).header("cache-status").contains("hit"), "another spelling");
    let head = server.send("HEAD", path, &[], None).expect(200);
    assert_eq!((head.header("etag"), head.body.len()), (first.header("etag"), 0));
    server.get_with(path, &[("accept", "text/csv")]).expect(406);
    assert_eq!(server.get(&format!("{path}&format=json")).expect(200).body, first.body);
}

#[test]
fn facets_of_a_source_that_is_asked_each_time_are_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("t.csv"), "id,k\n1,b\n2,a\n3,c\n4,c\n5,\n6,d\n").expect("a file");
    let sidecar = "[policy]\nmode = \"query\"\n";
    let server = Server::options().plugin("files").file("files.toml", sidecar).data(folder.path()).start();
    check(&server, "t", &["k", "id"], "id=lt.6");
}

#[test]
fn a_bound_on_rows_is_none_on_values() {
    let server = Server::options().plugin("files").arg("--max-rows=2").start();
    let document = server.get("/api/v1/datasets/sector_analysis/facets?columns=sector").expect(200).json();
    assert_eq!(document["facets"][0]["values"].as_array().map(Vec::len), Some(8), "{document}");
}
