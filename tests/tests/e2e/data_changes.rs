//! The data changes: noticed within the check interval, at once on demand, and never missed, not even
//! while the server was down.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Server;
use tests::cache_status::CacheStatus;
use tests::control::Control;
use tests::http::Answer;
use tests::poll::{PATIENCE, until, until_true};

use crate::restart_from_disk::{controlled, versions};

/// How long an answer may take that waits for a source in vain: half a second by design, and what a busy
/// machine adds.
const AT_ONCE: Duration = Duration::from_secs(3);

fn touch(server: &Server, dataset: &str) -> Answer {
    server.send("POST", &format!("/api/v1/datasets/{dataset}/touch"), &[], Some(b""))
}

/// Puts a file in place as careful programs do: beside, then by rename.
fn put(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!(".{name}.new"));
    fs::write(&beside, text).expect("a file");
    fs::rename(beside, folder.join(name)).expect("a file in place");
}

#[test]
fn a_changed_file_shows_within_the_check_interval() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "t.csv", "id,n\n1,10\n");
    put(folder.path(), "u.csv", "id,n\n1,10\n");
    let server = Server::options().plugin("files").data(folder.path()).config("check_interval = \"100ms\"\n").start();
    assert_eq!(server.rows("t", "")[0]["n"], 10);
    server.rows("u", "");
    // Replaced, appended to, and overwritten in place with as many bytes.
    put(folder.path(), "t.csv", "id,n\n1,11\n");
    until_true("the new file shows", PATIENCE, || server.rows("t", "")[0]["n"] == 11);
    fs::write(folder.path().join("t.csv"), "id,n\n1,12\n").expect("a file");
    until_true("the overwritten file shows", PATIENCE, || server.rows("t", "")[0]["n"] == 12);
    fs::write(folder.path().join("t.csv"), "id,n\n1,12\n2,22\n").expect("a file");
    until_true("the longer file shows", PATIENCE, || server.rows("t", "").len() == 2);
    let neighbour = server.get("/api/v1/datasets/u/rows?").expect(200);
    assert!(CacheStatus::of(&neighbour).hit, "what did not change is kept");
}

#[test]
fn what_does_not_change_is_checked_and_kept() {
    let control = Control::new("t");
    let interval = Duration::from_millis(200);
    let start = Instant::now();
    let server = controlled(&[(&control, "check_interval = \"200ms\"")], "");
    server.get(&control.rows("limit=1")).expect(200);
    let before = control.checks();
    until_true("it was checked again and again", PATIENCE, || control.checks() >= before + 4);
    let most = start.elapsed().as_millis() / interval.as_millis();
    let checks = control.checks();
    // One is of the load, one may be of the start.
    assert!(checks as u128 <= most + 3, "{checks} checks where {most} intervals passed");
    assert!(CacheStatus::of(&server.get(&control.rows("limit=1")).expect(200)).hit);
    assert_eq!(control.scans(), 1);
}

#[test]
fn touch_is_answered_with_what_was_found() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "check_interval = \"0s\"")], "");
    let ask = || server.get(&control.rows("limit=5")).expect(200);
    assert_eq!(versions(&ask()), [1]);
    let said = |answer: Answer| {
        let told = answer.expect(200).json();
        assert_eq!(told["name"], "t", "{told:#}");
        assert!(told["checked_ms"].is_number(), "{told:#}");
        (told["changed"].clone(), told["invalidated"].clone())
    };
    assert_eq!(said(touch(&server, "t")), (Value::from(false), Value::from(false)));
    assert!(CacheStatus::of(&ask()).hit);

    control.set_version(2);
    assert_eq!(versions(&ask()), [1], "nobody looked");
    assert_eq!(said(touch(&server, "t")), (Value::from(true), Value::from(true)));
    let changed = ask();
    assert_eq!(versions(&changed), [2]);
    CacheStatus::expect(&changed, "source");
    assert_eq!(said(touch(&server, "t")), (Value::from(false), Value::from(false)));
    assert!(CacheStatus::of(&ask()).hit);

    control.set_mute(true);
    assert_eq!(said(touch(&server, "t")), (Value::Null, Value::from(true)), "who cannot tell has changed");
    CacheStatus::expect(&ask(), "source");
}

#[test]
fn a_dataset_tells_when_it_was_checked_and_what_was_found() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "check_interval = \"0s\"\ntags = [\"nightly\"]")], "");
    let told = || {
        touch(&server, "t").expect(200);
        let dataset = server.get("/api/v1/datasets/t").expect(200).json();
        assert_eq!(dataset["tags"], serde_json::json!(["nightly"]), "{dataset:#}");
        assert!(dataset["last_checked_at"].is_string(), "{dataset:#}");
        dataset["fingerprint"].as_str().expect("a fingerprint").to_owned()
    };
    let first = told();
    assert!(!first.is_empty() && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(told(), first);
    control.set_version(2);
    assert_ne!(told(), first);
}

#[test]
fn a_touch_that_reaches_nobody_drops_nothing() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "check_interval = \"0s\"")], "");
    server.get(&control.rows("limit=5")).expect(200);
    control.set_version(2);
    control.set_down(true);
    let problem = touch(&server, "t");
    assert!([502, 503, 504].contains(&problem.status), "{}: {}", problem.status, problem.text());
    assert_eq!(problem.header("content-type"), "application/problem+json");
    let kept = server.get(&control.rows("limit=5")).expect(200);
    assert!(CacheStatus::of(&kept).hit);
    assert_eq!(versions(&kept), [1]);
    touch(&server, "nope").expect(404);
}

#[test]
fn what_changed_while_the_server_was_down_is_never_served_old() {
    let control = Control::new("t");
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "f.csv", "id,v\n1,1\n2,1\n");
    let server = Server::options()
        .plugin("files")
        .plugin("synthetic")
        .data(folder.path())
        .file("synthetic.toml", &Control::sidecar(&[(&control, "")]))
        .start();
    let paths = [control.rows("limit=5"), "/api/v1/datasets/f/rows?".to_owned()];
    let ask = |server: &Server| paths.each_ref().map(|path| server.get(path).expect(200));
    for answer in ask(&server) {
        assert_eq!(versions(&answer), [1]);
    }
    let down = server.stop();
    control.set_version(2);
    put(folder.path(), "f.csv", "id,v\n1,2\n2,2\n");
    let server = down.start();
    for answer in ask(&server) {
        assert_eq!(versions(&answer), [2], "{}", answer.asked);
        CacheStatus::expect(&answer, "source");
    }
    // And once more, with a kill in between.
    let down = server.kill();
    control.set_version(3);
    put(folder.path(), "f.csv", "id,v\n1,3\n2,3\n");
    for answer in ask(&down.start()) {
        assert_eq!(versions(&answer), [3], "{}", answer.asked);
    }
}

/// Restarts a server while its source is away, which `leave` and `come` make it, and demands that what was
/// kept is served at once, then the new rows once the source is back.
#[track_caller]
fn check_away(leave: impl Fn(&Control), come: impl Fn(&Control)) {
    let control = Control::new("t");
    let server = controlled(&[(&control, "check_interval = \"200ms\"")], "");
    let before = server.get(&control.rows("limit=5")).expect(200);
    let down = server.stop();
    leave(&control);
    let server = down.start();
    let start = Instant::now();
    let answer = server.get(&control.rows("limit=5")).expect(200);
    assert!(start.elapsed() < AT_ONCE, "answered after {:?}", start.elapsed());
    assert!(CacheStatus::of(&answer).hit, "{}", answer.header("cache-status"));
    assert_eq!((answer.header("etag"), &answer.body), (before.header("etag"), &before.body));
    let again = Instant::now();
    server.get(&control.rows("limit=5")).expect(200);
    assert!(again.elapsed() < AT_ONCE);
    control.set_version(2);
    come(&control);
    until("the source is asked again", PATIENCE, || {
        let versions = versions(&server.get(&control.rows("limit=5")).expect(200));
        assert!(versions == [1] || versions == [2]);
        (versions == [2]).then_some(())
    });
}

#[test]
fn while_the_source_is_down_at_a_restart_what_was_kept_is_served() {
    check_away(|control| control.set_down(true), |control| control.set_down(false));
}

#[test]
fn while_the_source_hangs_at_a_restart_what_was_kept_is_served_at_once() {
    let hang = |hang: bool| {
        move |control: &Control| {
            control.set_checks_hang(hang);
            control.set_scans_hang(hang);
        }
    };
    check_away(hang(true), hang(false));
}

#[test]
fn a_load_that_began_before_the_change_is_not_kept_after_it() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "check_interval = \"0s\"")], "");
    control.set_scans_hang(true);
    let client = server.client();
    let path = control.rows("limit=5");
    let late = std::thread::spawn(move || client.get(&path).expect(200));
    until_true("the scan has begun", PATIENCE, || control.scans() == 1);
    control.set_version(2);
    let told = server.post("/api/v1/cache/invalidate", &serde_json::json!({"dataset": "t"})).expect(200).json();
    assert_eq!(told["durable"], true, "{told:#}");
    control.set_scans_hang(false);
    // Who asked before the invalidation may get either; who asks after it, only the new rows.
    late.join().expect("an answer");
    assert_eq!(versions(&server.get(&control.rows("limit=5")).expect(200)), [2]);
    assert_eq!(versions(&server.get(&control.rows("limit=4")).expect(200)), [2]);
    let server = server.stop().start();
    assert_eq!(versions(&server.get(&control.rows("limit=5")).expect(200)), [2]);
}
