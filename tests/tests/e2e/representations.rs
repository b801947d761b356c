//! Each format in each coding is a representation of its own: it has its own bytes, tag and headers, and is the same answer.

use std::collections::BTreeMap;

use tests::Server;
use tests::http::Answer;

use crate::formats::FORMATS;

const ROWS: &str = "/api/v1/datasets/synthetic_orders/rows?limit=400&order=amount.desc";
const CODINGS: [&str; 3] = ["identity", "gzip", "zstd"];

/// Every representation of the rows: the target, its format's media type, and the coding.
fn representations() -> Vec<(String, &'static str, &'static str)> {
    let formats = FORMATS.iter().map(|(name, media_type)| (format!("{ROWS}&format={name}"), *media_type));
    let raw = (format!("{ROWS}&format=csv&raw=true"), "text/csv");
    formats.chain([raw]).flat_map(|(path, media)| CODINGS.map(|coding| (path.clone(), media, coding))).collect()
}

fn get(server: &Server, path: &str, coding: &str) -> Answer {
    server.get_with(path, &[("accept-encoding", coding)]).expect(200)
}

#[test]
fn compressed_or_not_it_is_the_same_answer() {
    let server = Server::bundled();
    for (path, media_type, coding) in representations() {
        let plain = get(&server, &path, "identity");
        let coded = get(&server, &path, coding);
        assert!(coded.header("content-type").starts_with(media_type), "{path}");
        assert!(coded.decoded() == plain.body, "{path} in {coding}");
        let text = ["json", "text/csv"].iter().any(|part| media_type.contains(part));
        if text && coding != "identity" {
            assert_eq!(coded.header("content-encoding"), coding, "{path}");
            assert!(coded.body.len() * 2 < plain.body.len(), "{path} in {coding} is hardly smaller");
        }
    }
}

#[test]
fn each_representation_has_a_tag_of_its_own_that_stays() {
    let server = Server::bundled();
    let mut tags: BTreeMap<String, (Vec<u8>, String)> = BTreeMap::new();
    for (path, _, coding) in representations() {
        let first = get(&server, &path, coding);
        let tag = first.header("etag").to_owned();
        assert!(tag.len() > 4 && tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag} is no strong tag");
        assert_eq!(get(&server, &path, coding).header("etag"), tag, "{path} in {coding}, from the cache");
        let what = format!("{path} in {coding}");
        if let Some((body, other)) = tags.insert(tag.clone(), (first.body.clone(), what.clone())) {
            assert!(body == first.body, "{other} and {what} are other bytes under one tag");
        }
    }
    assert!(tags.len() >= FORMATS.len() * 2, "only {} tags", tags.len());
    // The same data gives the same bytes after it was loaded again.
    server.refresh("synthetic_orders").expect(200);
    server.send("POST", "/api/v1/cache/clear", &[], Some(b""));
    for (path, _, coding) in representations() {
        let again = get(&server, &path, coding);
        assert!(tags.contains_key(again.header("etag")), "{path} in {coding} has another tag for the same data");
    }
}

#[test]
fn who_has_a_representation_already_gets_304_for_it_and_for_no_other() {
    let server = Server::bundled();
    let json = get(&server, ROWS, "identity").header("etag").to_owned();
    for (path, media_type, coding) in representations() {
        let whole = get(&server, &path, coding);
        let tag = whole.header("etag").to_owned();
        let ask = |tag: &str| server.get_with(&path, &[("accept-encoding", coding), ("if-none-match", tag)]);
        let short = ask(&tag).expect(304);
        assert!(short.body.is_empty(), "{path}");
        for header in ["etag", "vary", "cache-control", "content-range", "link"] {
            assert_eq!(short.header(header), whole.header(header), "{header} of {path} in {coding}");
        }
        if media_type != "application/json" || coding != "identity" {
            ask(&json).expect(200);
        }
    }
}

#[test]
fn head_has_the_headers_of_get() {
    let server = Server::bundled();
    let own = ["date", "x-request-id", "age", "cache-status", "cache-control", "connection"];
    for (path, _, coding) in representations() {
        let headers = [("accept-encoding", coding), ("prefer", "count=exact")];
        let get = server.get_with(&path, &headers).expect(206);
        let head = server.send("HEAD", &path, &headers, None).expect(206);
        assert!(head.body.is_empty(), "{path}");
        let of = |answer: &Answer| -> BTreeMap<String, String> {
            let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned())).collect()
        };
        assert_eq!(of(&head), of(&get), "{path} in {coding}");
    }
}

#[test]
fn what_an_answer_depends_on_is_in_vary() {
    let server = Server::bundled();
    for (path, _, coding) in representations() {
        let vary = get(&server, &path, coding).header("vary").to_ascii_lowercase();
        let names: Vec<&str> = vary.split(',').map(str::trim).collect();
        for name in ["accept", "accept-encoding", "prefer"] {
            assert!(names.contains(&name), "{path}: vary is '{vary}'");
        }
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_run_is_escaped_unless_it_is_wanted_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = ["=1+1", "+a", "-b", "@x", "\tt", "\rr", "plain", "a=b", "-5", ""];
    let lines: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(id, text)| serde_json::json!({"id": id, "text": text, "n": -5, "x": -0.5}).to_string())
        .collect();
    std::fs::write(folder.path().join("t.ndjson"), lines.join("\n")).expect("a file");
    let server = Server::over(folder.path());
    let cells = |query: &str| -> Vec<String> {
        let answer = server.get(&format!("/api/v1/datasets/t/rows?select=text,n,x&{query}")).expect(200);
        let text = answer.text();
        // A cell with a line break is in quotes, which these texts do not hold.
        let rest = text.strip_prefix("text,n,x\n").expect("a header");
        let rows = rest.split_inclusive(",-5,-0.5\n").map(|row| row.trim_end_matches(",-5,-0.5\n"));
        rows.map(|cell| cell.trim_matches('"').to_owned()).collect()
    };
    let escaped: Vec<String> = texts
        .iter()
        .map(|text| match text.chars().next() {
            Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
            _ => (*text).to_owned(),
        })
        .collect();
    assert_eq!(cells("format=csv"), escaped);
    assert_eq!(cells("format=csv&raw=false"), escaped);
    assert_eq!(cells("format=csv&raw=true"), texts);
    let accepted = server.get_with("/api/v1/datasets/t/rows?raw=true", &[("accept", "text/csv")]).expect(200);
    assert!(accepted.text().contains("\n=1+1,") || accepted.text().contains(",=1+1,"), "{}", accepted.text());
    // The other formats are read by programs: nothing is put before a text.
    assert_eq!(server.rows("t", "id=eq.0")[0]["text"], "=1+1");
}
