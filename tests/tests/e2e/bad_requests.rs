//! Every mistake that a client can make is answered with a problem document that says which one.

use serde_json::Value;
use tests::Server;

/// One bad request: what is asked, and what the problem must say.
struct Case {
    method: &'static str,
    path: String,
    body: Option<&'static str>,
    status: u16,
    code: &'static str,
    parameter: Option<&'static str>,
    hint: &'static str,
}

/// A GET of rows of a dataset.
fn rows(query: &str, status: u16, code: &'static str, parameter: &'static str, hint: &'static str) -> Case {
    let path = format!("/api/v1/datasets/types/rows?{query}");
    Case { method: "GET", path, body: None, status, code, parameter: Some(parameter), hint }
}

/// Any request without a parameter to blame.
fn plain(method: &'static str, path: &str, status: u16, code: &'static str, hint: &'static str) -> Case {
    Case { method, path: path.to_owned(), body: None, status, code, parameter: None, hint }
}

/// A POST of filters.
fn post(body: &'static str, code: &'static str, parameter: Option<&'static str>, hint: &'static str) -> Case {
    let path = "/api/v1/datasets/types/query".to_owned();
    Case { method: "POST", path, body: Some(body), status: 400, code, parameter, hint }
}

fn filter_cases() -> Vec<Case> {
    let deep = format!("and={}id.eq.1{}", "(and".repeat(40), ")".repeat(40)).replace("(andid", "(id");
    let many: String = (0..1_100).map(|n| format!("id=neq.{n}&")).collect();
    vec![
        rows("regoin=eq.EU", 400, "unknown_column", "regoin", "'region'"),
        rows("Region=eq.EU", 400, "unknown_column", "Region", "'region'"),
        rows("zzzzzzzz=eq.1", 400, "unknown_column", "zzzzzzzz", ""),
        rows("region=open", 400, "missing_operator", "region", "region=eq.open"),
        rows("n=2020", 400, "missing_operator", "n", "n=eq.2020"),
        rows("n=", 400, "missing_operator", "n", ""),
        rows("x=1.5", 400, "missing_operator", "x", "x=eq.1.5"),
        rows("n=gtr.5", 400, "unknown_operator", "n", "gt"),
        rows("n=ge.5", 400, "unknown_operator", "n", "'gte'"),
        rows("n=EQ.5", 400, "unknown_operator", "n", "'eq'"),
        rows("n=eq", 400, "bad_syntax", "n", "n=eq."),
        rows("n=eq.five", 400, "bad_value", "n", ""),
        rows("n=eq.", 400, "bad_value", "n", ""),
        rows("n=eq.9223372036854775808", 400, "bad_value", "n", ""),
        rows("n=eq.1.5", 400, "bad_value", "n", ""),
        rows("n=in.1,2", 400, "bad_syntax", "n", "in.("),
        rows("n=in.(1,2", 400, "bad_syntax", "n", ""),
        rows("n=in.(1,x)", 400, "bad_value", "n", ""),
        rows("n=in.(1,2)x", 400, "bad_syntax", "n", ""),
        rows("n=is.5", 400, "bad_value", "n", "eq.5"),
        rows("n=is.true", 400, "unsupported_operator", "n", ""),
        rows("n=like.5*", 400, "unsupported_operator", "n", ""),
        rows("x=eq.abc", 400, "bad_value", "x", ""),
        rows("x=gt.1,5", 400, "bad_value", "x", ""),
        rows("flag=eq.maybe", 400, "bad_value", "flag", ""),
        rows("flag=like.t*", 400, "unsupported_operator", "flag", ""),
        rows("day=eq.2024-13-01", 400, "bad_value", "day", ""),
        rows("day=eq.2023-02-29", 400, "bad_value", "day", ""),
        rows("day=gt.yesterday", 400, "bad_value", "day", ""),
        rows("at=gt.2024-01-01T25:00:00", 400, "bad_value", "at", ""),
        rows("at=gt.2024", 400, "bad_value", "at", ""),
        rows("region=in.(%22a)", 400, "bad_syntax", "region", ""),
        rows("region=eq.%ff", 400, "bad_syntax", "region", ""),
        rows("list=eq.1", 400, "unsupported_operator", "list", ""),
        rows("and=n.gt.1", 400, "bad_syntax", "and", "and=("),
        rows("and=(n.gt.1", 400, "bad_syntax", "and", ""),
        rows("and=()", 400, "bad_syntax", "and", ""),
        rows("or=(n.gt.1,)", 400, "bad_syntax", "or", ""),
        rows("or=(n.gt)", 400, "bad_syntax", "or", ""),
        rows("or=(n.gtt.1)", 400, "unknown_operator", "or", "gt"),
        rows("or=(n.gt.1,m.eq.2)", 400, "unknown_column", "m", "'n'"),
        rows("or=(n.gt.x)", 400, "bad_value", "n", ""),
        rows("and=(n)", 400, "bad_syntax", "and", "column.operator.value"),
        rows("not.or=(n.5)", 400, "missing_operator", "not.or", ""),
        rows("and=(n.eq.1)(n.eq.2)", 400, "bad_syntax", "and", ""),
        rows("=eq.5", 400, "bad_syntax", "", ""),
        rows(&deep, 400, "too_complex", "and", ""),
        rows(&many, 400, "too_complex", "id", "in.("),
    ]
}

fn shape_cases() -> Vec<Case> {
    vec![
        rows("select=id,nope", 400, "unknown_column", "select", ""),
        rows("select=id,id", 400, "duplicate_column", "select", ""),
        rows("select=", 400, "bad_syntax", "select", ""),
        rows("select=id,", 400, "bad_syntax", "select", ""),
        rows("select=count(*)", 400, "bad_syntax", "select", ""),
        rows("select=id&select=n", 400, "duplicate_parameter", "select", ""),
        rows("order=nope", 400, "unknown_column", "order", ""),
        rows("order=regin.desc", 400, "unknown_column", "order", "'region'"),
        rows("order=", 400, "bad_syntax", "order", ""),
        rows("order=n&order=id", 400, "duplicate_parameter", "order", ""),
        rows("order=list", 400, "unsupported_operator", "order", ""),
        rows("limit=-1", 400, "bad_value", "limit", "limit="),
        rows("limit=ten", 400, "bad_value", "limit", ""),
        rows("limit=1.5", 400, "bad_value", "limit", ""),
        rows("limit=", 400, "bad_value", "limit", ""),
        rows("limit=1&limit=2", 400, "duplicate_parameter", "limit", ""),
        rows("limit=1000001", 400, "limit_too_large", "limit", "1000000"),
        rows("limit=99999999999999999999999", 400, "bad_value", "limit", ""),
        rows("offset=-5", 400, "bad_value", "offset", ""),
        rows("offset=x", 400, "bad_value", "offset", ""),
        rows("format=xml", 400, "unknown_format", "format", "csv"),
        rows("format=jsn", 400, "unknown_format", "format", "json"),
    ]
}

fn other_cases() -> Vec<Case> {
    vec![
        plain("GET", "/api/v1/datasets/typs/rows", 404, "unknown_dataset", "'types'"),
        plain("GET", "/api/v1/datasets/typs", 404, "unknown_dataset", "'types'"),
        plain("GET", "/api/v1/datasets/zzzzzzzzz", 404, "unknown_dataset", "/api/v1/datasets"),
        plain("GET", "/api/v1/datasets/..%2f..%2fetc/rows", 404, "unknown_dataset", ""),
        plain("POST", "/api/v1/datasets/typs/refresh", 404, "unknown_dataset", "'types'"),
        plain("GET", "/nowhere", 404, "not_found", "/docs"),
        plain("GET", "/api/v1/nowhere", 404, "not_found", ""),
        plain("GET", "/api/v2/datasets", 404, "not_found", ""),
        plain("DELETE", "/api/v1/datasets", 405, "method_not_allowed", "GET"),
        plain("POST", "/api/v1/datasets/types/rows", 405, "method_not_allowed", "GET"),
        plain("PUT", "/api/v1/datasets/types", 405, "method_not_allowed", "GET"),
        plain("GET", "/api/v1/datasets/types/refresh", 405, "method_not_allowed", "POST"),
        plain("GET", "/api/v1/datasets/types/query", 405, "method_not_allowed", "POST"),
        plain("GET", "/api/v1/plugins/reload", 405, "method_not_allowed", "POST"),
        plain("PATCH", "/api/v1/cache/stats", 405, "method_not_allowed", "GET"),
        plain("DELETE", "/openapi.json", 405, "method_not_allowed", "GET"),
        post("", "bad_body", None, ""),
        post("{", "bad_body", None, ""),
        post("[]", "bad_body", None, ""),
        post(r#"{"filters": []}"#, "bad_body", None, ""),
        post(r#"{"filtres": {}}"#, "bad_body", None, ""),
        post(r#"{"filters": {}, "strict": "yes"}"#, "bad_body", None, ""),
        post(r#"{"filters": {"n": "five"}}"#, "bad_value", Some("n"), ""),
        post(r#"{"filters": {"n_min": "x"}}"#, "bad_value", Some("n_min"), ""),
        post(r#"{"filters": {"n": {"a": 1}}}"#, "bad_value", Some("n"), ""),
        post(r#"{"filters": {"regions": [1, {}]}}"#, "bad_value", Some("regions"), ""),
        post(r#"{"filters": {"nope": 1}, "strict": true}"#, "unknown_column", Some("nope"), ""),
    ]
}

fn server() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        r#"{"id": 1, "region": "EU", "n": 5, "x": 0.5, "flag": true, "day": "2024-01-01", "at": "2024-01-01T00:00:00", "list": [1]}"#,
        r#"{"id": 2, "region": null, "n": null, "x": null, "flag": null, "day": null, "at": null, "list": null}"#,
    ];
    std::fs::write(folder.path().join("types.ndjson"), lines.join("\n")).expect("a file");
    (Server::over(folder.path()), folder)
}

#[test]
fn every_mistake_is_told_with_its_code_its_parameter_and_a_hint() {
    let (server, _folder) = server();
    let cases = [filter_cases(), shape_cases(), other_cases()].concat_all();
    assert!(cases.len() >= 60);
    let wrong: Vec<String> = cases.iter().filter_map(|case| judge(&server, case)).collect();
    assert!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(server.rows("types", "").len(), 2, "the server goes on");
}

/// Joins lists of cases, which cannot be cloned.
trait ConcatAll {
    fn concat_all(self) -> Vec<Case>;
}

impl<const N: usize> ConcatAll for [Vec<Case>; N] {
    fn concat_all(self) -> Vec<Case> {
        self.into_iter().flatten().collect()
    }
}

fn judge(server: &Server, case: &Case) -> Option<String> {
    let headers: &[(&str, &str)] = if case.body.is_some() { &[("content-type", "application/json")] } else { &[] };
    let body = case.body.or((case.method != "GET").then_some("")).map(str::as_bytes);
    let answer = server.send(case.method, &case.path, headers, body);
    let asked: String =
        format!("{} {} {}", case.method, case.path, case.body.unwrap_or_default()).chars().take(110).collect();
    let mut wrong = Vec::new();
    if answer.status != case.status {
        wrong.push(format!("status {} instead of {}", answer.status, case.status));
    }
    if answer.header("content-type") != "application/problem+json" {
        wrong.push(format!("content type '{}'", answer.header("content-type")));
    }
    let text = answer.text();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    if problem["code"] != case.code {
        wrong.push(format!("code {} instead of {}", problem["code"], case.code));
    }
    if case.parameter.is_some_and(|parameter| problem["parameter"] != parameter) {
        wrong.push(format!("parameter {} instead of {:?}", problem["parameter"], case.parameter));
    }
    if case.parameter.is_some() && !problem["value"].is_string() {
        wrong.push("no value".into());
    }
    if !problem["hint"].as_str().unwrap_or_default().contains(case.hint) {
        wrong.push(format!("hint {} without '{}'", problem["hint"], case.hint));
    }
    if problem["status"] != case.status || !problem["title"].is_string() || !problem["detail"].is_string() {
        wrong.push("no whole problem document".into());
    }
    if problem["request_id"].as_str().is_none_or(str::is_empty) {
        wrong.push("no request_id".into());
    }
    if ["/tmp", "/home", ".so", "src/"].iter().any(|part| text.contains(part)) {
        wrong.push("a path of the machine".into());
    }
    if case.status == 405 && answer.header("allow").is_empty() {
        wrong.push("no Allow".into());
    }
    (!wrong.is_empty()).then(|| format!("{asked}\n    {}\n    {text}", wrong.join("; ")))
}

#[test]
fn a_format_that_nobody_writes_is_406() {
    let (server, _folder) = server();
    for accept in ["image/png", "application/json;q=0", "text/html"] {
        let problem = server.get_with("/api/v1/datasets/types/rows", &[("accept", accept)]).expect(406).json();
        assert_eq!(problem["code"], "not_acceptable", "{problem:#}");
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("application/json")), "{problem:#}");
    }
}

#[test]
fn a_url_that_is_too_long_is_414() {
    let (server, _folder) = server();
    let path = format!("/api/v1/datasets/types/rows?region=eq.{}", "x".repeat(20_000));
    let answer = server.get(&path);
    assert_eq!(answer.status, 414, "{}", answer.text());
    server.get("/livez").expect(200);
}

#[test]
fn a_long_value_is_repeated_in_part() {
    let (server, _folder) = server();
    let path = format!("/api/v1/datasets/types/rows?n=eq.{}", "x".repeat(3_000));
    let answer = server.get(&path).expect(400);
    assert!(answer.body.len() < 1_000, "{}", answer.text());
}

#[test]
fn garbage_on_the_wire_does_not_stop_the_server() {
    let (server, _folder) = server();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n"[..],
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /api/v1/datasets/types/query HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let stream = std::net::TcpStream::connect(server.address()).expect("the server accepts");
        std::io::Write::write_all(&mut &stream, garbage).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a time-out");
        std::io::copy(&mut &stream, &mut std::io::sink()).ok();
    }
    server.get("/livez").expect(200);
}
