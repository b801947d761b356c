//! A plugin's library is copied into the folder of the running server, replaced and removed.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::poll::{PATIENCE, RaiseOnDrop, until_true};
use tests::{Server, artifacts};

/// The paths of the live OpenAPI document.
fn documented(server: &Server) -> Vec<String> {
    let document = server.get("/openapi.json").expect(200).json();
    document["paths"].as_object().expect("paths").keys().cloned().collect()
}

#[test]
fn a_library_that_is_copied_in_is_served_and_documented() {
    let server = Server::options().plugin("files").start();
    let path = "/api/v1/datasets/synthetic_orders/rows".to_owned();
    let before = server.get("/openapi.json").expect(200);
    assert!(!documented(&server).contains(&path));
    server.get(&path).expect(404);
    let generation = |server: &Server| server.get("/api/v1/datasets").expect(200).json()["generation"].as_u64();
    let first = generation(&server);

    let library = artifacts::plugin("synthetic");
    let placed = server.plugin_folder().join("libsynthetic.so");
    fs::copy(&library, &placed).expect("the library is copied");
    until_true("the datasets appear", PATIENCE, || server.datasets().contains(&"synthetic_orders".to_owned()));
    assert!(generation(&server) > first);
    assert!(documented(&server).contains(&path));
    let after = server.get_with("/openapi.json", &[("if-none-match", before.header("etag"))]);
    assert_eq!(after.status, 200, "a cached document is void");
    assert_eq!(server.rows("synthetic_orders", "limit=5").len(), 5);
    let plugin = server.plugin("synthetic");
    assert_eq!(plugin["state"], "loaded", "{plugin:#}");
    assert!(plugin["version"].is_string() && plugin["description"].is_string(), "{plugin:#}");
    assert_eq!(server.rows("sector_analysis", "").len(), 8, "the others are as they were");

    fs::remove_file(&placed).expect("the library is removed");
    until_true("the datasets disappear", PATIENCE, || !server.datasets().contains(&"synthetic_orders".to_owned()));
    assert!(!documented(&server).contains(&path));
    server.get(&path).expect(404);
}

#[test]
fn a_library_that_is_copied_in_slowly_is_taken_when_it_is_whole() {
    let server = Server::options().plugin("files").start();
    let bytes = fs::read(artifacts::plugin("synthetic")).expect("a library");
    let mut file = fs::File::create(server.plugin_folder().join("libsynthetic.so")).expect("a file");
    for part in bytes.chunks(bytes.len().div_ceil(6)) {
        std::io::Write::write_all(&mut file, part).expect("a part");
        // Give the watch a chance to see a partial file: it must not load it.
        server.get("/api/v1/plugins").expect(200);
        assert!(!server.datasets().contains(&"synthetic_orders".to_owned()));
    }
    drop(file);
    until_true("the datasets appear", PATIENCE, || server.datasets().contains(&"synthetic_orders".to_owned()));
}

#[test]
fn a_sidecar_that_changes_is_taken_over() {
    let sidecar = |name: &str, rows: usize| {
        format!(
            "[config.datasets.{name}]\nrows = {rows}\nseed = 1\ncolumns = [{{ name = \"id\", type = \"sequence\" }}]\n"
        )
    };
    let server = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar("one", 3)).start();
    assert_eq!(server.datasets(), ["one"]);
    assert_eq!(server.rows("one", "").len(), 3);
    let path = server.plugin_folder().join("synthetic.toml");
    fs::write(&path, sidecar("one", 4)).expect("a sidecar");
    until_true("the table has 4 rows", PATIENCE, || server.rows("one", "").len() == 4);
    fs::write(&path, sidecar("two", 5)).expect("a sidecar");
    until_true("the dataset has its new name", PATIENCE, || server.datasets() == ["two"]);
    server.get("/api/v1/datasets/one/rows").expect(404);
}

#[test]
fn replacing_a_source_under_load_fails_no_request_and_mixes_no_answers() {
    let sidecar = |rows: usize| {
        format!(
            "[config.datasets.t]\nrows = {rows}\nseed = {rows}\ncolumns = [{{ name = \"id\", type = \"sequence\" }}, \
             {{ name = \"n\", type = \"int\", min = {rows}, max = {rows} }}]\n"
        )
    };
    let server = Server::options().plugin("synthetic").file("synthetic.toml", &sidecar(100)).start();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|reader| {
                let (client, done) = (server.client(), &done);
                scope.spawn(move || {
                    let mut answers = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let path = format!("/api/v1/datasets/t/rows?id=gte.{}&select=n", reader + answers % 7);
                        let rows = client.get(&path).expect(200).json();
                        let rows = rows.as_array().expect("rows").clone();
                        let version = rows[0]["n"].as_u64().expect("a version");
                        assert!(rows.iter().all(|row| row["n"] == version), "two versions in one answer");
                        assert!(rows.len() as u64 <= version && rows.len() as u64 + 9 >= version);
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        let _end = RaiseOnDrop(&done);
        for rows in 101..=105 {
            let beside = server.plugin_folder().join("synthetic.new");
            fs::write(&beside, sidecar(rows)).expect("a sidecar");
            fs::rename(beside, server.plugin_folder().join("synthetic.toml")).expect("a rename");
            until_true("the new source serves", PATIENCE, || server.rows("t", "limit=1")[0]["n"] == rows);
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("no request fails") > 0);
        }
    });
}

#[test]
fn a_newer_library_that_fails_leaves_the_older_one_serving() {
    let server = Server::options().plugin("files").plugin("synthetic").start();
    let rows = server.rows("synthetic_orders", "limit=5");
    let beside = server.plugin_folder().join("libsynthetic.new");
    fs::write(&beside, b"this is no library").expect("a file");
    fs::rename(beside, server.plugin_folder().join("libsynthetic.so")).expect("a rename");
    until_true("the failure is told", PATIENCE, || {
        let plugin = server.plugin("synthetic");
        plugin["steps"].as_array().is_some_and(|steps| steps.iter().any(|step| step["ok"] == false))
    });
    assert_eq!(server.rows("synthetic_orders", "limit=5"), rows);
    server.refresh("synthetic_orders").expect(200);
}

#[test]
fn two_instances_of_one_library_stand_side_by_side() {
    let sidecar = |name: &str| {
        format!(
            "library = \"libsynthetic.so\"\n[config.datasets.{name}]\nrows = 2\nseed = 1\n\
             columns = [{{ name = \"id\", type = \"sequence\" }}]\n"
        )
    };
    let server = Server::options()
        .plugin("synthetic")
        .file("first.toml", &sidecar("ones"))
        .file("second.toml", &sidecar("twos"))
        .start();
    let names = server.datasets();
    assert!(names.contains(&"ones".into()) && names.contains(&"twos".into()), "{names:?}");
    let (first, second) = (server.plugin("first"), server.plugin("second"));
    assert_eq!((&first["state"], &second["state"]), (&"loaded".into(), &"loaded".into()), "{first:#}\n{second:#}");
    assert_eq!(server.rows("ones", "").len() + server.rows("twos", "").len(), 4);
    assert_ne!(server.plugin("first")["worker_pid"], server.plugin("second")["worker_pid"]);
}

#[test]
fn one_library_under_two_names_is_two_sources() {
    let server = Server::options().plugin("synthetic").start();
    let copy = server.plugin_folder().join("libdemo.so");
    fs::copy(artifacts::plugin("synthetic"), copy).expect("the library is copied");
    // The first source by name keeps the dataset's name.
    until_true("both serve", PATIENCE, || {
        let datasets = server.datasets();
        ["synthetic_orders", "synthetic-synthetic_orders"].iter().all(|name| datasets.contains(&(*name).to_owned()))
    });
    let source =
        |name: &str| server.get(&format!("/api/v1/datasets/{name}")).expect(200).json()["source"]["name"].clone();
    assert_eq!(source("synthetic_orders"), "demo");
    assert_eq!(source("synthetic-synthetic_orders"), "synthetic");
}
