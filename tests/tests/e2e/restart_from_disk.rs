//! The cache outlives the server: what was kept is served after a restart, and only what still holds.

use std::time::{Duration, Instant};

use tests::cache_status::{CacheStatus, age};
use tests::control::{Control, ROWS};
use tests::http::Answer;
use tests::poll::{PATIENCE, until};
use tests::{Server, Stopped};

use serde_json::json;

use crate::cache_admin::{invalidate, until_on_disk};

/// Starts a server over controlled datasets.
pub(crate) fn controlled(datasets: &[(&Control, &str)], config: &str) -> Server {
    let sidecar = Control::sidecar(datasets);
    Server::options().plugin("synthetic").file("synthetic.toml", &sidecar).config(config).start()
}

/// The versions of the rows of an answer, each once.
pub(crate) fn versions(answer: &Answer) -> Vec<i64> {
    let rows = answer.json();
    let rows = rows.as_array().expect("rows");
    let mut versions: Vec<i64> = rows.iter().map(|row| row["v"].as_i64().expect("a version")).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

#[test]
fn the_first_request_after_a_restart_is_a_hit_from_disk() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    let asked: Vec<(String, &str)> = ["json", "csv", "arrow"]
        .iter()
        .flat_map(|format| ["identity", "gzip", "zstd"].map(|coding| (format!("n=lt.8&format={format}"), coding)))
        .collect();
    let ask = |server: &Server, (query, coding): &(String, &str)| {
        server.get_with(&control.rows(query), &[("accept-encoding", coding)]).expect(200)
    };
    let before: Vec<Answer> = asked.iter().map(|one| ask(&server, one)).collect();
    assert_eq!(control.scans(), 1);
    let down = server.stop();
    let checks = control.checks();
    let server = down.start();
    for (one, before) in asked.iter().zip(&before) {
        let after = ask(&server, one);
        assert!(CacheStatus::expect(&after, "disk").hit, "{one:?}");
        assert_eq!(after.body, before.body, "{one:?}");
        for header in ["etag", "content-type", "content-encoding", "vary", "cache-control"] {
            assert_eq!(after.header(header), before.header(header), "{header} of {one:?}");
        }
        let again = ask(&server, one);
        assert!(CacheStatus::expect(&again, "memory").hit, "{one:?}");
        assert_eq!(again.body, before.body);
    }
    assert_eq!(control.scans(), 1, "the source is not read again");
    assert!(control.checks() > checks, "but its change token is asked for");
}

#[test]
fn a_ttl_that_was_shortened_meanwhile_holds_for_what_is_on_disk() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    let path = control.rows("n=lt.5");
    server.get(&path).expect(200);
    let down = server.stop();
    std::thread::sleep(Duration::from_millis(1_200));
    let server = down.config("[datasets.t]\nttl = \"1s\"\n").start();
    let answer = server.get(&path).expect(200);
    assert_eq!(CacheStatus::expect(&answer, "source").fwd, "miss");
    assert_eq!(control.scans(), 2, "the source is read again");
}

#[test]
fn another_question_after_a_restart_is_answered_from_the_table_on_disk() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    server.get(&control.rows("id=eq.1")).expect(200);
    let server = server.stop().start();
    let answer = server.get(&control.rows("select=id,v,n&order=id.desc")).expect(200);
    assert_eq!(CacheStatus::expect(&answer, "table").fwd, "miss");
    assert_eq!(answer.json().as_array().map(Vec::len), Some(ROWS));
    assert_eq!(control.scans(), 1);
}

#[test]
fn results_of_a_dataset_that_is_never_kept_whole_are_on_disk_too() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "mode = \"query\"")], "");
    let before = server.get(&control.rows("n=eq.3&select=id,v")).expect(200);
    let server = server.stop().start();
    let after = server.get(&control.rows("n=eq.3&select=id,v")).expect(200);
    assert!(CacheStatus::expect(&after, "disk").hit);
    assert_eq!(after.body, before.body);
    assert_eq!(control.scans(), 1);
}

#[test]
fn files_are_served_from_disk_after_a_restart() {
    let server = Server::bundled();
    let paths = ["sector_analysis", "historical_ai_data", "synthetic_orders"]
        .map(|dataset| format!("/api/v1/datasets/{dataset}/rows?limit=50"));
    let before = paths.clone().map(|path| server.get(&path).expect(200));
    let server = server.stop().start();
    for (path, before) in paths.iter().zip(&before) {
        let after = server.get(path).expect(200);
        assert!(CacheStatus::expect(&after, "disk").hit, "{path}");
        assert_eq!((after.header("etag"), &after.body), (before.header("etag"), &before.body), "{path}");
    }
    assert_eq!(server.get("/api/v1/cache/stats").expect(200).json()["tables"]["loads"], 0);
}

#[test]
fn age_goes_on_counting_through_a_restart() {
    let control = Control::new("t");
    let start = Instant::now();
    let server = controlled(&[(&control, "ttl = \"1h\"")], "");
    let path = control.rows("limit=3");
    server.get(&path).expect(200);
    // Seconds are what an age is told in: until one has passed there is nothing to see.
    let before = until("the answer is a second old", PATIENCE, || {
        let answer = server.get(&path).expect(200);
        (age(&answer) >= 1).then_some(age(&answer))
    });
    let server = server.stop().start();
    let after = server.get(&path).expect(200);
    let status = CacheStatus::expect(&after, "disk");
    let most = i64::try_from(start.elapsed().as_secs()).expect("a short test") + 1;
    assert!((before..=most).contains(&age(&after)), "{before} before, {} after, at most {most}", age(&after));
    let whole = age(&after) + status.ttl.expect("a ttl");
    assert!((3_599..=3_600).contains(&whole), "age and ttl are {whole} s together");
}

#[test]
fn what_expires_is_loaded_again_after_a_restart_too() {
    let control = Control::new("t");
    let policy = "ttl = \"2s\"\nstale_if_error = \"0s\"\nstale_while_revalidate = \"0s\"";
    let server = controlled(&[(&control, policy)], "");
    let path = control.rows("limit=3");
    server.get(&path).expect(200);
    let server = server.stop().start();
    let fresh = until("it is loaded again", PATIENCE, || {
        let answer = server.get(&path).expect(200);
        let status = CacheStatus::of(&answer);
        assert!(!status.is_stale(), "a hit past its time: {status:?}");
        (status.detail == "source").then_some(answer)
    });
    assert!(age(&fresh) <= 1);
    assert_eq!(control.scans(), 2);
}

#[test]
fn another_configuration_never_sees_what_was_kept_for_the_first() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    assert_eq!(server.get(&control.rows("")).expect(200).json().as_array().map(Vec::len), Some(ROWS));
    let down = server.stop();
    let sidecar = down.plugin_folder().join("synthetic.toml");
    let text = std::fs::read_to_string(&sidecar).expect("a sidecar");
    std::fs::write(&sidecar, text.replace(&format!("rows = {ROWS}"), "rows = 7")).expect("a sidecar");
    let server = down.start();
    let answer = server.get(&control.rows("")).expect(200);
    CacheStatus::expect(&answer, "source");
    assert_eq!(answer.json().as_array().map(Vec::len), Some(7));
}

/// What the first request after a restart is answered from.
#[track_caller]
fn check_first(down: Stopped, control: &Control, expected: &str) {
    let server = down.start();
    CacheStatus::expect(&server.get(&control.rows("limit=1")).expect(200), expected);
}

#[test]
fn what_is_not_to_be_persisted_is_not() {
    let (kept, dropped) = (Control::new("kept"), Control::new("dropped"));
    let server = controlled(&[(&kept, ""), (&dropped, "persist = false")], "");
    for control in [&kept, &dropped] {
        server.get(&control.rows("limit=1")).expect(200);
    }
    let server = server.stop().start();
    CacheStatus::expect(&server.get(&kept.rows("limit=1")).expect(200), "disk");
    CacheStatus::expect(&server.get(&dropped.rows("limit=1")).expect(200), "source");

    let server = controlled(&[(&kept, "")], "persist = false\n");
    server.get(&kept.rows("limit=1")).expect(200);
    let down = server.stop();
    assert!(down.cache_files().is_empty(), "{:?}", down.cache_files());
    check_first(down, &kept, "source");
}

#[test]
fn what_was_kept_is_there_after_a_kill_too() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    server.get(&control.rows("limit=1")).expect(200);
    until_on_disk(&server, 2);
    let server = server.kill().start();
    assert!(server.ready_in() < Duration::from_secs(5), "ready after {:?}", server.ready_in());
    CacheStatus::expect(&server.get(&control.rows("limit=1")).expect(200), "disk");
    assert_eq!(control.scans(), 1);
}

#[test]
fn what_a_server_without_a_disk_was_told_to_drop_does_not_come_back() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    server.get(&control.rows("id=eq.1")).expect(200);
    let server = server.stop().config("persist = false").start();
    let told = invalidate(&server, &json!({"dataset": "t"})).expect(200).json();
    assert_eq!(told["durable"], true, "{told:#}");
    let server = server.stop().config("").start();
    let answer = server.get(&control.rows("id=eq.1")).expect(200);
    assert!(!CacheStatus::of(&answer).hit, "{:?}", answer.header("cache-status"));
    assert_eq!(control.scans(), 2);
}
