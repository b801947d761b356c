//! What goes with a body: compression, ETag, age, cache status, request id.

use tests::Server;
use tests::http::Answer;

const PATH: &str = "/api/v1/datasets/sector_analysis/rows?adoption_rate=gte.10";

#[test]
fn the_accept_encoding_header_is_weighed() {
    let server = Server::bundled();
    for (accept, expected) in [
        ("", ""),
        ("br", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.2, gzip;q=0.9", "gzip"),
        ("gzip;q=0, identity", ""),
        ("*", "zstd"),
    ] {
        let path = "/api/v1/datasets/synthetic_orders/rows";
        let answer = server.get_with(path, &[("accept-encoding", accept)]).expect(200);
        assert_eq!(answer.header("content-encoding"), expected, "{accept}");
    }
}

#[track_caller]
fn has(answer: &Answer, header: &str, part: &str) {
    let value = answer.header(header).to_ascii_lowercase();
    assert!(value.contains(part), "{}: {header} is '{value}', without '{part}'", answer.asked);
}

#[test]
fn an_answer_carries_what_a_cache_between_needs_to_know() {
    let server = Server::bundled();
    let miss = server.get(PATH).expect(200);
    let hit = server.get(PATH).expect(200);
    has(&miss, "cache-status", "larder; fwd=miss");
    has(&hit, "cache-status", "larder; hit");
    assert_eq!(miss.body, hit.body);
    for answer in [&miss, &hit] {
        has(answer, "vary", "accept");
        has(answer, "vary", "accept-encoding");
        assert!(!answer.header("cache-control").is_empty());
        assert!(answer.header("age").parse::<u64>().is_ok_and(|age| age < 300), "age '{}'", answer.header("age"));
        let etag = answer.header("etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag} is no strong ETag");
    }
    assert_eq!(miss.header("etag"), hit.header("etag"));
}

#[test]
fn two_spellings_of_one_question_share_an_answer() {
    let server = Server::bundled();
    let path = |query: &str| format!("/api/v1/datasets/sector_analysis/rows?{query}");
    let first = server.get(&path("adoption_rate=gte.60&sector=in.(Technology,Education)&order=sector")).expect(200);
    for query in [
        "sector=in.(Education,Technology)&adoption_rate=gte.60&order=sector.asc",
        "order=sector&adoption_rate=not.lt.60.0&sector=in.(%22Technology%22,Education,Education)",
        "and=(adoption_rate.gte.60,sector.in.(Technology,Education))&order=sector.asc.nullslast",
    ] {
        let again = server.get(&path(query)).expect(200);
        has(&again, "cache-status", "hit");
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("etag"), first.header("etag"));
    }
    let other = server.get(&path("adoption_rate=gt.60&sector=in.(Technology,Education)&order=sector")).expect(200);
    has(&other, "cache-status", "fwd=miss");
}

#[test]
fn who_has_the_answer_already_gets_304() {
    let server = Server::bundled();
    for coding in ["identity", "gzip", "zstd"] {
        let get = |tag: &str| server.get_with(PATH, &[("accept-encoding", coding), ("if-none-match", tag)]);
        let whole = get("\"other\"").expect(200);
        let etag = whole.header("etag").to_owned();
        for tag in [etag.clone(), format!("\"a\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
            let short = get(&tag).expect(304);
            assert!(short.body.is_empty(), "{tag}");
            for header in ["etag", "vary", "cache-control"] {
                assert_eq!(short.header(header), whole.header(header), "{header} with {tag}");
            }
        }
        get(&etag.to_uppercase().replace("\"", "\"x")).expect(200);
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::bundled();
    let get = server.get(PATH).expect(200);
    let head = server.send("HEAD", PATH, &[], None).expect(200);
    assert!(head.body.is_empty());
    for header in ["etag", "content-type", "content-length", "vary"] {
        assert_eq!(head.header(header), get.header(header), "{header}");
    }
}

#[test]
fn every_answer_has_a_request_id() {
    let server = Server::bundled();
    let mut seen = std::collections::BTreeSet::new();
    for (method, path) in [
        ("GET", PATH),
        ("GET", PATH),
        ("GET", "/api/v1/datasets"),
        ("GET", "/api/v1/datasets/nope/rows"),
        ("GET", "/nowhere"),
        ("DELETE", "/api/v1/datasets"),
        ("GET", "/livez"),
        ("GET", "/openapi.json"),
        ("GET", "/docs/"),
    ] {
        let answer = server.send(method, path, &[], None);
        let id = answer.header("x-request-id").to_owned();
        assert!(!id.is_empty(), "{method} {path} has no request id");
        if answer.status >= 400 {
            assert_eq!(answer.json()["request_id"], id.as_str(), "{method} {path}");
        }
        assert!(seen.insert(id), "{method} {path}: an id was given twice");
    }
}

#[test]
fn the_statistics_count_what_happened() {
    let server = Server::bundled();
    let stats = || server.get("/api/v1/cache/stats").expect(200).json();
    let number = |stats: &serde_json::Value, cache: &str, name: &str| {
        stats[cache][name].as_u64().unwrap_or_else(|| panic!("{cache}.{name} is no number in {stats:#}"))
    };
    let before = stats();
    server.get(PATH).expect(200);
    for _ in 0..5 {
        server.get(PATH).expect(200);
    }
    let after = stats();
    assert_eq!(number(&after, "tables", "loads") - number(&before, "tables", "loads"), 1);
    assert_eq!(number(&after, "bodies", "hits") - number(&before, "bodies", "hits"), 5);
    assert_eq!(number(&after, "bodies", "loads") - number(&before, "bodies", "loads"), 1);
    assert!(number(&after, "tables", "entries") >= 1 && number(&after, "tables", "bytes") > 0);
    assert!(number(&after, "tables", "bytes") <= number(&after, "tables", "max_bytes"));
}
