//! Every mistake of the corpus is answered with a problem document that says which one, soon, and stops nothing.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::Server;
use tests::artifacts::root;
use tests::corpus::{self, BadRequest};
use tests::tables::{self, Types};

/// What one bad request may cost the server, in a debug build too.
const MOST_WORK: Duration = Duration::from_secs(1);

/// The sample data, a made-up table, and two tables that have columns of every type.
fn server() -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    for name in ["sector_analysis.csv", "geographic.csv", "historical_ai_data.csv"] {
        fs::copy(root().join("data").join(name), folder.path().join(name)).expect("sample data");
    }
    let lines = [
        r#"{"id": 1, "region": "EU", "n": 5, "x": 0.5, "flag": true, "day": "2024-01-01", "at": "2024-01-01T00:00:00", "list": [1], "big": 5000000000, "huge": 9223372036854775807}"#,
        r#"{"id": 2, "region": null, "n": null, "x": null, "flag": null, "day": null, "at": null, "list": null, "big": null, "huge": 9223372036854775807}"#,
    ];
    fs::write(folder.path().join("types.ndjson"), lines.join("\n")).expect("a file");
    tables::write_parquet(&folder.path().join("every.parquet"), &tables::every_type(Types::Parquet), 16);
    let server = Server::options().plugin("files").plugin("synthetic").data(folder.path()).start();
    (server, folder)
}

#[test]
fn every_mistake_is_told_with_its_code_its_parameter_its_value_and_a_hint() {
    let (server, _folder) = server();
    let text = fs::read_to_string(root().join("tests/data/bad_queries.jsonl")).expect("the corpus");
    let cases = corpus::read(&text);
    assert!(cases.len() >= 200, "the corpus has shrunk to {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| judge(&server, case)).collect();
    assert!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(server.rows("types", "").len(), 2, "the server goes on");
    let log = server.log();
    assert!(!log.contains("panicked"), "a request made the server panic");
}

fn judge(server: &Server, case: &BadRequest) -> Option<String> {
    let declared = case.headers.iter().any(|(name, _)| name == "content-type");
    let json = (case.body.is_some() && !declared).then_some(("content-type", "application/json"));
    let given = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: Vec<(&str, &str)> = json.into_iter().chain(given).collect();
    let body = case.body.as_deref().or((case.method != "GET").then_some("")).map(str::as_bytes);
    let before = server.cpu_time();
    let answer = match server.try_send(&case.method, &case.path, &headers, body) {
        Ok(answer) => answer,
        Err(error) => return Some(format!("line {}: no answer: {error}", case.line)),
    };
    let work = server.cpu_time() - before;
    let mut wrong = Vec::new();
    if work > MOST_WORK {
        wrong.push(format!("took {work:?} of a processor"));
    }
    if answer.status != case.status {
        wrong.push(format!("status {} instead of {}", answer.status, case.status));
    }
    if answer.header("content-type") != "application/problem+json" {
        wrong.push(format!("content type '{}'", answer.header("content-type")));
    }
    let text = String::from_utf8_lossy(&answer.decoded()).into_owned();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    wrong.extend(misses(case, &problem));
    if text.len() > 2_000 {
        wrong.push(format!("{} bytes of answer", text.len()));
    }
    if ["/tmp", concat!("/ho", "me"), ".so", "src/", ".rs"].iter().any(|part| text.contains(part)) {
        wrong.push("a path of the machine".into());
    }
    if case.status == 405 && answer.header("allow").is_empty() {
        wrong.push("no Allow".into());
    }
    let shown = |text: &str| text.chars().take(160).collect::<String>();
    (!wrong.is_empty()).then(|| {
        let body = case.body.as_deref().map(shown).unwrap_or_default();
        format!(
            "line {}: {} {} {body}\n    {}\n    {}",
            case.line,
            case.method,
            shown(&case.path),
            wrong.join("; "),
            text.chars().take(600).collect::<String>()
        )
    })
}

/// What the problem document does not say that it must.
fn misses(case: &BadRequest, problem: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if problem["code"] != case.code.as_str() {
        wrong.push(format!("code {} instead of {}", problem["code"], case.code));
    }
    if let Some(parameter) = &case.parameter {
        let said = problem["parameter"].as_str();
        // A very long name is repeated in part.
        let matches =
            said.is_some_and(|said| said == parameter || (parameter.len() > 8 && said.starts_with(parameter)));
        if !matches {
            wrong.push(format!("parameter {} instead of {parameter:?}", problem["parameter"]));
        }
        match problem["value"].as_str() {
            None if case.status == 400 => wrong.push("no value".into()),
            None => {}
            Some(value) if !value.contains(&case.value) => {
                wrong.push(format!("value {value:?} without '{}'", case.value))
            }
            Some(_) => {}
        }
    }
    match problem["hint"].as_str() {
        None if case.code != "bad_body" => wrong.push("no hint".into()),
        hint if !hint.unwrap_or_default().contains(&case.hint) => {
            wrong.push(format!("hint {} without '{}'", problem["hint"], case.hint));
        }
        _ => {}
    }
    if problem["status"] != case.status || !problem["title"].is_string() || !problem["detail"].is_string() {
        wrong.push("no whole problem document".into());
    }
    if problem["request_id"].as_str().is_none_or(str::is_empty) {
        wrong.push("no request_id".into());
    }
    wrong
}

#[test]
fn a_pattern_that_other_engines_never_end_with_is_answered_at_once() {
    let text = "a".repeat(5_000);
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("long.csv"), format!("id,text\n1,{text}!\n2,b\n")).expect("a file");
    let server = Server::over(folder.path());
    for pattern in ["(a%2B)%2B$", "(a|a)*$", "(a|aa)%2B$", "(.*a){20}$", "(%5Ba-z%5D%2B)*%5B0-9%5D$"] {
        let before = server.cpu_time();
        let rows = server.rows("long", &format!("select=id&text=match.{pattern}"));
        let work = server.cpu_time() - before;
        assert!(work < MOST_WORK * 5, "{pattern} took {work:?} of a processor");
        assert!(rows.len() <= 2, "{pattern}");
    }
}

#[test]
fn a_request_line_that_is_no_uri_is_refused_and_harms_nothing() {
    let (server, _folder) = server();
    let lines: [&[u8]; 6] = [
        b"GET /api/v1/datasets/types/rows?n=eq.\0 HTTP/1.1",
        b"GET /api/v1/datasets/types/rows?n=eq.\xff\xfe HTTP/1.1",
        b"GET /api/v1/datasets/types/rows?region=eq.\xc3\xa4 HTTP/1.1",
        b"GET /api/v1/datasets/types/rows?n=eq.\"5\" HTTP/1.1",
        b"GET /api/v1/datasets/types/rows?n=eq.<5> HTTP/1.1",
        b"GET /api/v1/datasets/ty\0pes/rows HTTP/1.1",
    ];
    for line in lines {
        let head = format!("\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address());
        let answer = server.raw(&[line, head.as_bytes()].concat());
        let shown = String::from_utf8_lossy(line).into_owned();
        assert!((200..500).contains(&answer.status), "{shown}: {}", answer.status);
        server.get("/livez").expect(200);
    }
}

#[test]
fn ten_thousand_levels_in_a_url_are_a_url_that_is_too_long() {
    let (server, _folder) = server();
    let path = format!("/api/v1/datasets/types/rows?and={}(n.eq.1{}", "(and".repeat(10_000), ")".repeat(10_001));
    let problem = server.get(&path).expect(414).json();
    assert_eq!(problem["code"], "uri_too_long", "{problem:#}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("/query")), "{problem:#}");
}
