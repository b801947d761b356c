//! A question that is posted as JSON has the answer of its URL.

use serde_json::{Value, json};
use tests::Server;
use tests::cell::Table;
use tests::posted::document;
use tests::rng::Rng;
use tests::tables::{self, Types};
use tests::{random, read};

fn typed() -> (Server, Table, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(Types::Parquet);
    tables::write_parquet(&folder.path().join("types.parquet"), &batch, 16);
    (Server::over(folder.path()), Table::of(&[batch]), folder)
}

const QUERY: &str = "/api/v1/datasets/types/query";

#[test]
fn random_questions_have_one_answer_however_they_are_asked() {
    let (server, table, _folder) = typed();
    let mut wrong = Vec::new();
    for kind in [random::plain, random::distinct, random::grouped] {
        for seed in 70_000..70_200 {
            let question = kind(&table, &mut Rng::new(seed));
            let url = question.url();
            let body = document(&question, &table);
            let got = server.get(&format!("/api/v1/datasets/types/rows?format=arrow&{url}"));
            let mut asked = body.clone();
            asked["format"] = json!("arrow");
            let posted = server.post(QUERY, &asked);
            let what = if got.status != posted.status {
                Some(format!("GET {} and POST {}: {}", got.status, posted.status, posted.text()))
            } else if got.status != 200 {
                (got.json()["code"] != posted.json()["code"]).then(|| posted.text())
            } else {
                let of = |bytes: &[u8]| Table::of(&read::arrow_stream(bytes));
                read::difference(&of(&got.decoded()), &of(&posted.decoded()))
            };
            wrong.extend(what.map(|what| format!("seed {seed}: {url}\n    {body}\n    {what}")));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn each_member_may_be_a_text_as_in_the_url() {
    let (server, _table, _folder) = typed();
    for (url, body) in [
        ("", json!({})),
        ("select=id,x:i32::text&limit=3", json!({"select": "id,x:i32::text", "limit": 3})),
        ("select=id&or=(id.lt.3,b.is.true)", json!({"select": ["id"], "where": "(or(id.lt.3,b.is.true))"})),
        ("select=id&id=lt.3&b=is.null", json!({"select": "id", "where": "(id.lt.3,b.is.null)"})),
        ("select=id&order=i32.desc.nullslast,id", json!({"select": "id", "order": "i32.desc.nullslast,id"})),
        (
            "select=b,count()&having=count.gt.1&order=count.desc",
            json!({"select": "b,count()", "having": "(count.gt.1)", "order": "count.desc"}),
        ),
        (
            "select=b,count()&having=i32.sum().gt.1",
            json!({"select": ["b", "count()"], "having": {"column": "i32.sum()", "op": "gt", "value": 1}}),
        ),
        (
            "select=s&id=in.(5,6)&format=csv&raw=true",
            json!({"select": "s", "where": {"column": "id", "op": "in", "value": [5, 6]}, "format": "csv", "raw": true}),
        ),
        (
            "select=id&s=not.like.a*",
            json!({"select": "id", "where": {"not": {"column": "s", "op": "like", "value": "a*"}}}),
        ),
        ("select=b&distinct=true", json!({"select": "b", "distinct": true})),
        ("select=id&limit=2&offset=3", json!({"select": "id", "limit": 2, "offset": 3})),
    ] {
        let got = server.get(&format!("/api/v1/datasets/types/rows?{url}")).expect(200);
        let posted = server.post(QUERY, &body).expect(200);
        assert_eq!(posted.text(), got.text(), "{body}");
        assert_eq!(posted.header("etag"), got.header("etag"), "{body}");
        assert_eq!(posted.header("content-range"), got.header("content-range"), "{body}");
    }
}

#[test]
fn parameters_in_the_url_of_a_posted_query_are_refused() {
    let server = Server::bundled();
    for (beside, name) in [("format=csv", "format"), ("limit=1", "limit"), ("&&select=year", "select")] {
        let path = format!("/api/v1/datasets/historical_ai_data/query?{beside}");
        let problem = server.post(&path, &json!({"select": ["year"]})).expect(400).json();
        assert_eq!(
            (&problem["code"], &problem["parameter"]),
            (&json!("unknown_parameter"), &json!(name)),
            "{problem:#}"
        );
        assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("body")), "{problem:#}");
    }
    server.post("/api/v1/datasets/historical_ai_data/query?", &json!({"select": ["year"], "limit": 1})).expect(200);
}

#[test]
fn what_goes_beside_a_query_goes_with_a_posted_one() {
    let (server, _table, _folder) = typed();
    let counted = server.post(QUERY, &json!({"select": ["id"], "limit": 5, "count": "exact"})).expect(206);
    assert_eq!(counted.header("content-range"), "0-4/72");
    assert_eq!(counted.header("preference-applied"), "count=exact");
    let next = tests::pages::next(&counted).expect("a next page");
    let second = server.get(&next).expect(200);
    assert_eq!(second.json()[0]["id"], 5, "{next}");
    let cursor = counted.header("next-cursor").to_owned();
    assert!(!cursor.is_empty(), "whoever posts pages by the cursor itself");
    let third = server.post(QUERY, &json!({"select": ["id"], "limit": 5, "cursor": cursor})).expect(200);
    assert_eq!(third.json()[0]["id"], 5);
    let body = json!({"select": ["id"], "limit": 2}).to_string();
    for (accept, media_type) in
        [("text/csv", "text/csv"), ("application/vnd.apache.parquet", "application/vnd.apache.parquet")]
    {
        let headers = [("content-type", "application/json"), ("accept", accept)];
        let answer = server.send("POST", QUERY, &headers, Some(body.as_bytes())).expect(200);
        assert!(answer.header("content-type").starts_with(media_type), "{}", answer.header("content-type"));
    }
    let known = [("content-type", "application/json"), ("if-none-match", "*")];
    let posted = server.send("POST", QUERY, &known, Some(body.as_bytes())).expect(200);
    assert_eq!(posted.json().as_array().map(Vec::len), Some(2), "only what is read by GET can be known");
    let explained = server.post(QUERY, &json!({"select": ["id"], "explain": true})).expect(200).json();
    assert!(explained["times_ms"].is_object(), "{explained:#}");
}

#[test]
fn filters_of_a_dashboard_go_with_all_the_rest() {
    let server = Server::bundled();
    let path = "/api/v1/datasets/historical_ai_data/query";
    let body =
        json!({"filters": {"year_min": 2018, "sectors": ["a"]}, "select": ["year"], "order": "year.desc", "limit": 2});
    let answer = server.post(path, &body).expect(200);
    let document = answer.json();
    assert_eq!(document["ignored_filters"], json!(["sectors"]), "{document:#}");
    assert_eq!(document["row_count"], 2, "{document:#}");
    let years: Vec<i64> =
        document["rows"].as_array().expect("rows").iter().map(|row| row["year"].as_i64().expect("a year")).collect();
    assert!(years.len() == 2 && years[0] > years[1], "{years:?}");
    let both = json!({"filters": {"year_min": 2018}, "where": {"column": "year", "op": "lt", "value": 2020}, "select": ["year"]});
    assert_eq!(server.post(path, &both).expect(200).json()["rows"], json!([{"year": 2018}, {"year": 2019}]));
    let mut csv = both.clone();
    csv["format"] = json!("csv");
    csv["filters"]["nothing"] = json!(1);
    let answer = server.post(path, &csv).expect(200);
    assert_eq!(answer.text(), "year\n2018\n2019\n");
    assert_eq!(answer.header("ignored-filters"), "nothing");
    for name in 0..800 {
        csv["filters"][format!("nothing_{name}_{}", "x".repeat(80))] = json!(1);
    }
    let ignored = server.post(path, &csv).expect(200).header("ignored-filters").to_owned();
    assert!(ignored.len() < 5_000 && ignored.ends_with(",..."), "{} bytes: {ignored}", ignored.len());
    let grouped = json!({"filters": {"year_min": 2018}, "select": ["count()"]});
    assert!(server.post(path, &grouped).expect(200).json()["rows"][0]["count"].is_u64());
    let _: Value = answer_without_rows(&server, path);
}

#[track_caller]
fn answer_without_rows(server: &Server, path: &str) -> Value {
    let document = server.post(path, &json!({"filters": {"year_min": 9999}})).expect(200).json();
    assert_eq!((&document["row_count"], &document["rows"]), (&json!(0), &json!([])));
    document
}
