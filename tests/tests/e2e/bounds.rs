//! What is too large is refused with a name for it.

use tests::Server;

#[test]
fn a_list_longer_than_the_bound_is_refused() {
    let server = Server::bundled();
    // In the body of a POST, where the length of a URL is no bound.
    let years: Vec<u32> = (0..10_001).collect();
    let body = serde_json::json!({"filters": {"year": years}});
    let problem = server.post("/api/v1/datasets/historical_ai_data/query", &body).expect(400).json();
    assert_eq!(problem["code"], "too_complex", "{problem:#}");
}

#[test]
fn a_body_larger_than_the_bound_is_413() {
    let server = Server::bundled();
    let filler = "x".repeat(32 << 20);
    let head = format!(
        "POST /api/v1/datasets/geographic/query HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        server.address(),
        filler.len()
    );
    let answer = server.raw(&[head.as_bytes(), filler.as_bytes()].concat());
    assert_eq!(answer.status, 413, "{}", String::from_utf8_lossy(&answer.body));
    server.get("/livez").expect(200);
}

#[test]
fn a_compressed_request_is_415() {
    let server = Server::bundled();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let answer = server.send("POST", "/api/v1/datasets/geographic/query", &headers, Some(b"\x1f\x8b"));
    assert_eq!(answer.status, 415, "{}", answer.text());
}

#[test]
fn a_dataset_larger_than_its_bound_is_asked_query_by_query() {
    let sidecar = "[config.datasets.big]\nrows = 200000\nseed = 7\n\
         columns = [{ name = \"id\", type = \"sequence\" }, { name = \"n\", type = \"int\", min = 0, max = 9 }]\n\
         [datasets.big]\nmax_bytes = 200000\n";
    let server = Server::options().plugin("synthetic").file("synthetic.toml", sidecar).start();
    let rows = server.rows("big", "id=lt.3&select=id");
    assert_eq!(serde_json::Value::Array(rows), serde_json::json!([{"id": 0}, {"id": 1}, {"id": 2}]));
    assert_eq!(server.get("/api/v1/datasets/big").expect(200).json()["mode"], "query");
    // The whole of it is never held: it comes in parts, each of which says so and leads to the next.
    let pages = tests::pages::all(&server.client(), "/api/v1/datasets/big/rows?select=id&format=csv", &[]);
    assert!(pages.len() > 1 && pages[..pages.len() - 1].iter().all(|page| page.status == 206));
    assert_eq!(tests::pages::ContentRange::of(&pages[0]).map(|range| range.total), Some(None));
    let ids: Vec<u64> = pages
        .iter()
        .flat_map(|page| page.text().lines().skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|id| id.parse().expect("an id"))
        .collect();
    assert!(ids.iter().copied().eq(0..200_000), "each row once, in order; there are {}", ids.len());
}

#[test]
fn what_is_just_within_the_bounds_of_a_query_is_answered() {
    let server = Server::bundled();
    let path = "/api/v1/datasets/historical_ai_data/query";
    let years: Vec<u32> = (0..10_000).collect();
    let repeated = |what: &str, times: usize| vec![what; times].join(",");
    let deep = |levels: usize| format!("{}year.gt.2020{}", "(and".repeat(levels - 1) + "(", ")".repeat(levels));
    for body in [
        serde_json::json!({"where": {"column": "year", "op": "in", "value": years}}),
        serde_json::json!({"filters": {"year": years}}),
        serde_json::json!({"where": deep(32)}),
        serde_json::json!({"where": format!("({})", repeated("year.neq.1", 1_000))}),
        serde_json::json!({"order": repeated("year", 1)}),
        serde_json::json!({"select": (0..1_000).map(|n| format!("c{n}:year")).collect::<Vec<_>>()}),
        serde_json::json!({"limit": 1_000_000}),
        serde_json::json!({"offset": u64::MAX}),
    ] {
        let answer = server.post(path, &body);
        let asked: String = body.to_string().chars().take(80).collect();
        assert_eq!(answer.status, 200, "{asked}: {}", answer.beginning());
    }
    let pattern = "a".repeat(1_024);
    for operator in ["like", "ilike", "match", "imatch"] {
        let rows = server.rows("sector_analysis", &format!("sector={operator}.{pattern}"));
        assert!(rows.is_empty(), "{operator}");
    }
}
