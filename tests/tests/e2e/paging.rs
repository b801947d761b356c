//! An answer in pages is the whole answer: each row once, in order, and each page says where it stands.

use tests::Server;
use tests::cell::{Column, Table};
use tests::http::Answer;
use tests::pages::{self, ContentRange};
use tests::question::Question;
use tests::rng::Rng;
use tests::tables::{self, Types};
use tests::{oracle, random, read};

const EXACT: (&str, &str) = ("prefer", "count=exact");

/// A server over the table of every type, and the table.
fn typed(policy: &str, args: &[&str]) -> (Server, Table, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let batch = tables::every_type(Types::Parquet);
    tables::write_parquet(&folder.path().join("types.parquet"), &batch, 16);
    let options = Server::options().plugin("files").file("files.toml", policy).data(folder.path());
    let server = args.iter().fold(options, |options, arg| options.arg(arg)).start();
    (server, Table::of(&[batch]), folder)
}

fn table_of(answer: &Answer) -> Table {
    Table::of(&read::arrow_stream(&answer.decoded()))
}

/// The tables one below the other.
fn joined(tables: Vec<Table>) -> Table {
    let mut tables = tables.into_iter();
    let mut whole = tables.next().expect("a page");
    for table in tables {
        whole.rows += table.rows;
        let pairs = whole.columns.iter_mut().zip(table.columns);
        pairs.for_each(|(column, more): (&mut Column, Column)| column.cells.extend(more.cells));
    }
    whole
}

#[test]
fn pages_of_a_table_that_is_kept_are_the_whole_answer() {
    check("", 40_000);
}

#[test]
fn pages_of_a_source_that_is_asked_each_time_are_the_whole_answer() {
    check("[policy]\nmode = \"query\"\n", 50_000);
}

#[track_caller]
fn check(policy: &str, seed: u64) {
    let (server, table, _folder) = typed(policy, &[]);
    let mut wrong = Vec::new();
    for kind in [random::plain, random::distinct, random::grouped] {
        for seed in seed..seed + 60 {
            let mut rng = Rng::new(seed);
            let question = kind(&table, &mut rng);
            let limit = 1 + rng.below(25);
            for headers in [&[][..], &[EXACT][..]] {
                let what = judge(&server, &table, &question, limit, headers);
                wrong.extend(
                    what.map(|what| format!("seed {seed}: {} in pages of {limit}\n    {what}", question.url())),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

fn judge(
    server: &Server,
    table: &Table,
    question: &Question,
    limit: usize,
    headers: &[(&str, &str)],
) -> Option<String> {
    let expected = oracle::rows(table, &Question { limit: None, ..question.clone() }).ok()?;
    let total = oracle::rows(table, &Question { limit: None, offset: 0, ..question.clone() }).ok()?.rows as u64;
    let asked = Question { limit: Some(limit), ..question.clone() };
    let path = format!("/api/v1/datasets/types/rows?format=arrow&{}", asked.url());
    let pages = pages::all(&server.client(), &path, headers);
    let mut given = question.offset as u64;
    for (at, page) in pages.iter().enumerate() {
        if !matches!(page.status, 200 | 206) {
            return Some(format!("page {at}: {} {}", page.status, page.text()));
        }
        let rows = table_of(page).rows as u64;
        let said = page.header("content-range");
        let Some(range) = ContentRange::of(page) else { return Some(format!("page {at} has no content-range")) };
        if range.count() != rows || range.rows.is_some_and(|(first, _)| first != given) {
            return Some(format!("page {at} is '{said}' with {rows} rows from row {given} on"));
        }
        let counted = !headers.is_empty();
        // Without counting, only who sees the last row knows how many there are.
        let sees_the_end = at + 1 == pages.len() && (rows > 0 || given == 0);
        if range.total != (counted || sees_the_end).then_some(total) {
            return Some(format!("page {at} of {} is '{said}' of {total} rows", pages.len()));
        }
        let status = if counted && rows < total { 206 } else { 200 };
        if page.status != status {
            return Some(format!("page {at} is {} and not {status}, content-range '{said}'", page.status));
        }
        if counted && page.header("preference-applied") != "count=exact" {
            return Some(format!("page {at}: preference-applied is '{}'", page.header("preference-applied")));
        }
        given += rows;
    }
    let most = expected.rows.div_ceil(limit).max(1);
    if pages.len() != most {
        return Some(format!("{} pages instead of {most}", pages.len()));
    }
    read::difference(&expected, &joined(pages.iter().map(table_of).collect()))
}

#[test]
fn what_is_cut_says_so_and_leads_to_the_rest() {
    let (server, table, _folder) = typed("", &["--max-rows", "10"]);
    let first = server.get("/api/v1/datasets/types/rows?select=id").expect(206);
    assert_eq!(first.header("content-range"), "0-9/*");
    assert!(pages::next(&first).is_some(), "link is '{}'", first.header("link"));
    let pages = pages::all(&server.client(), "/api/v1/datasets/types/rows?select=id&format=arrow", &[]);
    let ids = joined(pages.iter().map(table_of).collect());
    let select = vec!["id".into()];
    let expected = oracle::rows(&table, &Question { select, ..Question::default() }).expect("rows");
    assert_eq!(read::difference(&expected, &ids), None);
    assert!(pages.iter().rev().skip(1).all(|page| page.status == 206), "each page but the last is cut");
    let counted = server.get_with("/api/v1/datasets/types/rows?select=id", &[EXACT]).expect(206);
    assert_eq!(counted.header("content-range"), "0-9/72");
    // What fits is whole, with no range and no link.
    let whole = server.get("/api/v1/datasets/types/rows?select=id&id=lt.10").expect(200);
    assert_eq!((whole.header("content-range"), whole.header("link")), ("", ""));
    let problem = server.get("/api/v1/datasets/types/rows?limit=11").expect(400).json();
    assert_eq!(problem["code"], "limit_too_large", "{problem:#}");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains("10")), "{problem:#}");
    server.get("/api/v1/datasets/types/rows?limit=10").expect(200);
}

#[test]
fn groups_and_posted_questions_are_cut_and_continued_as_rows_are() {
    let (server, _table, _folder) = typed("", &["--max-rows", "10"]);
    let path = "/api/v1/datasets/types/rows?select=id,count()&order=id.desc";
    let pages = pages::all(&server.client(), path, &[]);
    let ids: Vec<i64> = pages
        .iter()
        .flat_map(|page| page.json().as_array().cloned().unwrap_or_default())
        .map(|row| row["id"].as_i64().expect("an id"))
        .collect();
    assert_eq!(ids, (0..72).rev().collect::<Vec<_>>());
    let posted = server.post("/api/v1/datasets/types/query", &serde_json::json!({"select": ["id"]})).expect(206);
    assert_eq!(posted.json().as_array().map(Vec::len), Some(10));
    assert_eq!(posted.header("content-range"), "0-9/*");
}

#[test]
fn a_count_is_told_as_it_was_asked_for() {
    let (server, _table, _folder) = typed("", &[]);
    let path = "/api/v1/datasets/types/rows?select=id&id=lt.20";
    for (prefer, applied) in [
        ("count=exact", "count=exact"),
        ("count=estimated", "count=estimated"),
        ("count=planned", "count=estimated"),
        ("return=minimal, count=exact", "count=exact"),
        ("Count=exact", "count=exact"),
    ] {
        let whole = server.get_with(path, &[("prefer", prefer)]).expect(200);
        assert_eq!(whole.header("content-range"), "0-19/20", "{prefer}");
        assert_eq!(whole.header("preference-applied"), applied, "{prefer}");
        let page = server.get_with(&format!("{path}&limit=5&offset=5"), &[("prefer", prefer)]).expect(206);
        assert_eq!(page.header("content-range"), "5-9/20", "{prefer}");
        let none = server.get_with(&format!("{path}&id=lt.0"), &[("prefer", prefer)]).expect(200);
        assert_eq!(none.header("content-range"), "*/0", "{prefer}");
    }
    let nothing = server.get(&format!("{path}&limit=0")).expect(200);
    assert_eq!(nothing.header("content-range"), "*/*", "who asks for no rows is not told that there are none");
    let nothing = server.get_with(&format!("{path}&limit=0"), &[("prefer", "count=exact")]).expect(206);
    assert_eq!(nothing.header("content-range"), "*/20");
    let plain = server.get(path).expect(200);
    assert_eq!((plain.header("content-range"), plain.header("preference-applied")), ("", ""));
    assert!(plain.header("vary").to_ascii_lowercase().contains("prefer"), "vary is '{}'", plain.header("vary"));
    // What is not understood is ignored, as RFC 7240 asks.
    for prefer in ["return=minimal", "count=sometimes", "count", "=", "count=exactly"] {
        let other = server.get_with(path, &[("prefer", prefer)]).expect(200);
        assert_eq!((other.header("content-range"), other.header("preference-applied")), ("", ""), "{prefer}");
    }
}

#[test]
fn a_cursor_belongs_to_its_question() {
    let (server, _table, _folder) = typed("", &[]);
    let page = server.get("/api/v1/datasets/types/rows?select=id&order=i32&limit=5&id=gte.0").expect(200);
    let next = pages::next(&page).expect("a next page");
    let cursor = next.split(['?', '&']).find_map(|pair| pair.strip_prefix("cursor=")).expect("a cursor").to_owned();
    assert!(!next.contains("offset="), "{next}");
    let ask = |query: &str| server.get(&format!("/api/v1/datasets/types/rows?cursor={cursor}&{query}"));
    // Another page size is the same question.
    ask("select=id&order=i32&limit=7&id=gte.0").expect(200);
    for other in [
        "select=id&order=i32.desc&limit=5&id=gte.0",
        "select=id&order=i32&limit=5&id=gte.1",
        "select=id&order=i64&limit=5&id=gte.0",
        "select=id&limit=5&id=gte.0",
        "select=id&order=i32&limit=5&id=gte.0&offset=5",
        "select=id,count()&order=id&limit=5&id=gte.0",
    ] {
        let problem = ask(other).expect(400).json();
        assert_eq!(problem["code"], "bad_cursor", "{other}: {problem:#}");
        assert!(problem["hint"].is_string(), "{other}: {problem:#}");
    }
    // One that was damaged on its way, at any place.
    for at in 0..cursor.len() {
        let mut damaged = cursor.clone().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).expect("ASCII");
        let path = format!("/api/v1/datasets/types/rows?cursor={damaged}&select=id&order=i32&limit=5&id=gte.0");
        let answer = server.get(&path);
        assert!(matches!(answer.status, 200 | 400), "{path}: {}", answer.text());
    }
}
