//! The same question in Datasette's words; and columns whose names are words of the language.

use serde_json::Value;
use tests::Server;

fn people() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = [
        r#"{"id": 1, "name": "Ann", "note": "a_b", "age": 31, "born": "1994-05-01", "seen": "2024-01-01T10:00:00", "ok": true}"#,
        r#"{"id": 2, "name": "Bob", "note": "", "age": 5, "born": "2019-05-01", "seen": "2024-01-01T23:59:59", "ok": false}"#,
        r#"{"id": 3, "name": null, "note": null, "age": null, "born": null, "seen": null, "ok": null}"#,
        r#"{"id": 4, "name": "anna", "note": "50%", "age": 40, "born": "1985-01-01", "seen": "2024-01-02T00:00:00", "ok": true}"#,
        r#"{"id": 5, "name": "A*a", "note": "x\\y", "age": 31, "born": "1994-05-02", "seen": "2024-01-03T00:00:00", "ok": true}"#,
    ];
    std::fs::write(folder.path().join("people.ndjson"), lines.join("\n")).expect("a file");
    let header = "id,select,order,limit,offset,and,or,format,having,distinct,cursor,raw,explain,not.and,age__gt,age";
    std::fs::write(folder.path().join("words.csv"), format!("{header}\n1{}\n2{}\n", ",1".repeat(15), ",2".repeat(15)))
        .expect("a file");
    (Server::over(folder.path()), folder)
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

#[test]
fn datasettes_words_mean_what_they_mean_there() {
    let (server, _folder) = people();
    let check = |query: &str, expected: &[i64]| assert_eq!(ids(&server.rows("people", query)), expected, "{query}");
    check("name__exact=Ann", &[1]);
    check("name__not=Ann", &[2, 4, 5]);
    check("name__contains=nn", &[1, 4]);
    check("note__contains=%25", &[4]);
    check("note__contains=_", &[1]);
    check("note__contains=*", &[]);
    check("name__contains=*", &[5]);
    check("note__contains=%5C", &[5]);
    check("name__notcontains=nn", &[2, 5]);
    // As SQLite's LIKE, which Datasette makes of these, whatever the letters' case.
    check("name__contains=NN", &[1, 4]);
    check("name__startswith=A", &[1, 4, 5]);
    check("name__endswith=a", &[4, 5]);
    check("note__endswith=%25", &[4]);
    check("age__gt=31", &[4]);
    check("age__gte=31", &[1, 4, 5]);
    check("age__lt=31", &[2]);
    check("age__lte=31", &[1, 2, 5]);
    check("name__like=A%25", &[1, 5]);
    check("name__notlike=A%25", &[2, 4]);
    check("name__glob=A*", &[1, 5]);
    check("name__glob=?nn", &[1]);
    check("name__in=Ann,Bob", &[1, 2]);
    check("name__in=%5B%22Ann%22,%22Bob%22%5D", &[1, 2]);
    check("age__in=31,40", &[1, 4, 5]);
    check("age__in=%5B31,%2040%5D", &[1, 4, 5]);
    check("name__notin=Ann,Bob", &[4, 5]);
    check("name__isnull=1", &[3]);
    check("name__isnull=true", &[3]);
    check("name__notnull=1", &[1, 2, 4, 5]);
    check("note__isblank=1", &[2, 3]);
    check("note__notblank=1", &[1, 4, 5]);
    check("seen__date=2024-01-01", &[1, 2]);
    // Our own operators' names as well.
    check("age__eq=31", &[1, 5]);
    check("age__neq=31", &[2, 4]);
    check("name__ilike=a*", &[1, 4, 5]);
    check("name__match=%5EA", &[1, 5]);
    check("name__imatch=%5Ea", &[1, 4, 5]);
    check("ok__is=true", &[1, 4, 5]);
    check("age__isdistinct=31", &[2, 3, 4]);
    check("name__startswith=A&age__gt=31", &[4]);
    check("name__glob=%5BA-B%5D*", &[1, 2, 5]);
    check("name__notmatch=%5EA", &[2, 4]);
}

#[test]
fn both_spellings_are_one_question_with_one_entry() {
    let (server, _folder) = people();
    for (ours, theirs) in [
        ("age=gte.31", "age__gte=31"),
        ("name=eq.Ann", "name__exact=Ann"),
        ("name=in.(Ann,Bob)", "name__in=Bob,Ann"),
        ("name=ilike.A*", "name__startswith=A"),
        ("name=is.null", "name__isnull=1"),
        ("age=eq(any).{31,40}", "age=in.(40,31)"),
    ] {
        let path = |query: &str| format!("/api/v1/datasets/people/rows?{query}");
        let first = server.get(&path(ours)).expect(200);
        let second = server.get(&path(theirs)).expect(200);
        assert_eq!(first.body, second.body, "{theirs}");
        assert!(second.header("cache-status").contains("hit"), "{theirs}: {}", second.header("cache-status"));
    }
}

#[test]
fn a_column_of_exactly_that_name_wins() {
    let (server, _folder) = people();
    let ids_of = |query: &str| ids(&server.rows("words", query));
    assert_eq!(ids_of("age__gt=eq.2"), [2]);
    assert_eq!(ids_of("age__gte=2"), [2]);
    assert_eq!(ids_of("age__gt__eq=1"), [1]);
    let problem = server.get("/api/v1/datasets/words/rows?age__gt=1").expect(400).json();
    assert_eq!(problem["code"], "missing_operator", "{problem:#}");
}

#[test]
fn columns_that_are_called_as_words_of_the_language_can_be_asked_for() {
    let (server, _folder) = people();
    let reserved = ["select", "order", "limit", "offset", "format", "having", "distinct", "cursor", "raw", "explain"];
    for column in reserved {
        let rows = server.rows("words", &format!("and=({column}.eq.2)&select=id,{column}&order={column}.desc"));
        assert_eq!(ids(&rows), [2], "{column}");
        assert_eq!(rows[0][column], 2, "{column}");
        let rows = server.rows("words", &format!("select={column},count()&order={column}.desc&having=({column}.lt.2)"));
        assert_eq!(rows.len(), 1, "{column}");
    }
    for column in ["%22and%22", "%22or%22", "%22not.and%22"] {
        assert_eq!(ids(&server.rows("words", &format!("and=({column}.eq.2)"))), [2], "{column}");
    }
}
