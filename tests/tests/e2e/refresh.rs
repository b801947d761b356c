//! Changed data: what refresh and reload do, and what they leave alone.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tests::Server;
use tests::poll::RaiseOnDrop;

/// Puts a file in place as careful programs do: beside, then by rename.
fn put(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!(".{name}.new"));
    fs::write(&beside, text).expect("a file");
    fs::rename(beside, folder.join(name)).expect("a file in place");
}

#[test]
fn a_replaced_file_shows_after_a_refresh() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "t.csv", "id,n\n1,10\n2,20\n");
    let server = Server::over(folder.path());
    let before = server.get("/api/v1/datasets/t/rows").expect(200);
    assert_eq!(before.json(), json!([{"id": 1, "n": 10}, {"id": 2, "n": 20}]));

    put(folder.path(), "t.csv", "id,n\n1,11\n2,20\n3,30\n");
    let report = server.refresh("t").expect(200).json();
    assert_eq!(report["name"], "t");
    assert_eq!(report["rows"], 3, "{report:#}");
    assert!(report["duration_ms"].is_number() && report["loaded_at"].is_string(), "{report:#}");
    let after = server.get("/api/v1/datasets/t/rows").expect(200);
    assert_eq!(after.json(), json!([{"id": 1, "n": 11}, {"id": 2, "n": 20}, {"id": 3, "n": 30}]));
    assert_ne!(after.header("etag"), before.header("etag"));
    let stale = server.get_with("/api/v1/datasets/t/rows", &[("if-none-match", before.header("etag"))]);
    assert_eq!(stale.status, 200);
}

#[test]
fn a_refresh_takes_a_new_column_over() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "t.csv", "id,n\n1,10\n");
    let server = Server::over(folder.path());
    server.rows("t", "");
    put(folder.path(), "t.csv", "id,n,word\n1,10,new\n");
    server.refresh("t").expect(200);
    assert_eq!(Value::Array(server.rows("t", "word=eq.new")), json!([{"id": 1, "n": 10, "word": "new"}]));
    let document = server.get("/openapi.json").expect(200).text();
    assert!(document.contains("\"word\""), "the new column is documented");
}

#[test]
fn a_failed_refresh_leaves_the_old_rows_in_service() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "t.csv", "id,n\n1,10\n");
    let server = Server::over(folder.path());
    server.rows("t", "");
    put(folder.path(), "t.csv", "id,n\n1,10\n2,20,surplus,fields\n");
    let problem = server.refresh("t");
    assert!((500..600).contains(&problem.status), "{}: {}", problem.status, problem.text());
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert!(!problem.text().contains(&*folder.path().to_string_lossy()), "{}", problem.text());
    assert_eq!(Value::Array(server.rows("t", "")), json!([{"id": 1, "n": 10}]));

    put(folder.path(), "t.csv", "id,n\n1,10\n2,20\n");
    server.refresh("t").expect(200);
    assert_eq!(server.rows("t", "").len(), 2);
}

#[test]
fn a_new_file_is_a_dataset_after_a_reload_and_a_removed_one_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "old.csv", "id\n1\n");
    let server = Server::over(folder.path());
    assert_eq!(server.datasets(), ["old"]);
    put(folder.path(), "new.csv", "id\n1\n2\n");
    fs::remove_file(folder.path().join("old.csv")).expect("a file is removed");
    server.send("POST", "/api/v1/plugins/reload", &[], Some(b"")).expect(200);
    assert_eq!(server.datasets(), ["new"]);
    assert_eq!(server.rows("new", "").len(), 2);
    server.get("/api/v1/datasets/old/rows").expect(404);
}

#[test]
fn readers_see_the_old_table_or_the_new_one_and_never_a_mixture() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = |version: usize| {
        let rows: String = (0..500).map(|id| format!("{id},{version}\n")).collect();
        format!("id,version\n{rows}")
    };
    put(folder.path(), "t.csv", &table(0));
    let server = Server::over(folder.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (client, done) = (server.client(), &done);
                scope.spawn(move || {
                    let mut newest = 0;
                    while !done.load(Ordering::Relaxed) {
                        let path = format!("/api/v1/datasets/t/rows?id=gte.{reader}&select=version");
                        let rows = client.get(&path).expect(200).json();
                        let rows = rows.as_array().expect("rows");
                        assert_eq!(rows.len(), 500 - reader);
                        assert!(rows.iter().all(|row| row == &rows[0]), "two versions in one answer");
                        let version = rows[0]["version"].as_u64().expect("a version");
                        assert!(version >= newest, "version {version} after {newest}");
                        newest = version;
                    }
                })
            })
            .collect();
        let _end = RaiseOnDrop(&done);
        for version in 1..=10 {
            put(folder.path(), "t.csv", &table(version));
            server.refresh("t").expect(200);
            assert_eq!(server.rows("t", "limit=1")[0]["version"], version, "seen by whoever was told");
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
    });
}
