//! A plugin that misbehaves while it runs fails its own requests, in a way that tells why, and nothing else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::Server;
use tests::poll::{PATIENCE, until_true};

/// A server with the files source and one faulty instance.
#[track_caller]
fn with_faulty(on: &str, what: &str) -> Server {
    let sidecar =
        format!("[config]\non = \"{on}\"\ndo = \"{what}\"\n[policy]\nload_timeout = \"1s\"\nmax_bytes = \"8 MiB\"\n");
    Server::options().plugin("files").plugin("faulty").file("faulty.toml", &sidecar).start()
}

/// What every server must still do, whatever its neighbour plugin does.
#[track_caller]
fn others_are_well(server: &Server) {
    assert_eq!(server.rows("sector_analysis", "").len(), 8);
    server.refresh("sector_analysis").expect(200);
    server.get("/readyz").expect(200);
    assert_eq!(server.plugin("files")["crashes"], json!(0));
}

/// Rows of the faulty dataset must fail as one of these codes, soon, and say nothing of the machine.
#[track_caller]
fn check_scan(on: &str, what: &str, codes: &[&str]) {
    let server = with_faulty(on, what);
    let start = Instant::now();
    let answer = server.get("/api/v1/datasets/bad/rows");
    // Generous: the load time-out is 1 s, and a busy machine is no defect.
    assert!(start.elapsed() < Duration::from_secs(20), "{on} {what}: {:?}", start.elapsed());
    let text = answer.text();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default();
    assert!(codes.contains(&code), "{on} {what} gave {} {text}, none of {codes:?}", answer.status);
    assert!(answer.status >= 400 && answer.header("content-type") == "application/problem+json", "{text}");
    assert!(problem["hint"].is_string() && !text.contains("/tmp"), "{text}");
    let entries = &server.get("/api/v1/cache/stats").expect(200).json()["tables"]["entries"];
    assert_eq!(entries, &json!(0), "a failure is never kept");
    others_are_well(&server);
    until_true("the source serves what is sound", PATIENCE, || server.get("/api/v1/datasets/good/rows").status == 200);
}

const CRASHED: &[&str] = &["source_crashed"];
const LATE: &[&str] = &["timeout", "source_timeout"];

#[test]
fn a_crash_in_a_scan_is_told_as_a_crash() {
    for what in ["segfault", "abort", "exit"] {
        check_scan("scan", what, CRASHED);
        check_scan("mid_stream", what, CRASHED);
    }
}

#[test]
fn a_panic_is_caught_and_told_as_one() {
    check_scan("scan", "panic", &["source_panicked"]);
    check_scan("mid_stream", "panic", &["source_panicked"]);
}

#[test]
fn an_error_is_told_as_one() {
    for on in ["scan", "mid_stream"] {
        check_scan(on, "error", &["source_failed", "source_unavailable", "source_data_invalid"]);
    }
}

#[test]
fn a_hang_ends_at_the_time_out() {
    for what in ["hang", "hang_ignoring_cancel"] {
        check_scan("scan", what, LATE);
        check_scan("mid_stream", what, LATE);
    }
}

#[test]
fn endless_data_ends_at_a_bound() {
    check_scan("mid_stream", "slow_drip", LATE);
    // As much of a flood as a result may hold is a page, which says that there is more; unless the time-out comes first.
    let server = with_faulty("mid_stream", "flood");
    let answer = server.get("/api/v1/datasets/bad/rows");
    if answer.status == 206 {
        assert!(answer.header("link").contains("rel=\"next\""), "{}", answer.header("link"));
        assert!(answer.body.len() < 64 << 20, "{} bytes", answer.body.len());
    } else {
        let code = answer.json()["code"].clone();
        assert!(["result_too_large", "timeout", "source_timeout"].iter().any(|known| code == *known), "{code}");
    }
    others_are_well(&server);
}

#[test]
fn lies_about_the_data_are_found_out() {
    check_scan("scan", "wrong_schema", &["source_data_invalid"]);
    check_scan("mid_stream", "bad_array", &["source_data_invalid", "source_crashed", "source_panicked"]);
}

#[test]
fn what_a_plugin_prints_goes_to_the_log_and_harms_nothing() {
    let server = with_faulty("scan", "print");
    assert_eq!(server.rows("bad", "").len(), 100);
    others_are_well(&server);
}

#[test]
fn open_descriptors_of_a_plugin_are_its_own_affair() {
    let server = with_faulty("scan", "fd_leak");
    let answer = server.get("/api/v1/datasets/bad/rows");
    assert!(matches!(answer.status, 200 | 502 | 503), "{}: {}", answer.status, answer.text());
    others_are_well(&server);
}

#[test]
fn a_source_that_fails_while_it_is_opened_is_listed_as_failed() {
    for what in ["segfault", "abort", "exit", "panic", "error"] {
        for on in ["open", "datasets"] {
            let server = with_faulty(on, what);
            let plugin = server.plugin_until("faulty", "failed");
            let steps = plugin["steps"].as_array().expect("steps");
            assert!(steps.last().is_some_and(|step| step["ok"] == false), "{on} {what}: {plugin:#}");
            others_are_well(&server);
        }
    }
}

#[test]
fn a_schema_that_cannot_be_had_breaks_one_dataset_and_no_start() {
    for what in ["segfault", "panic", "error", "hang"] {
        let server = with_faulty("schema", what);
        let answer = server.get("/api/v1/datasets/bad/rows");
        assert!(answer.status >= 400, "{what}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
        until_true("the source serves what is sound", PATIENCE, || {
            server.get("/api/v1/datasets/good/rows").status == 200
        });
        others_are_well(&server);
    }
}

#[test]
fn three_crashes_in_a_minute_end_in_quarantine_until_someone_resets_it() {
    let server = with_faulty("scan", "segfault");
    for _ in 0..3 {
        // The respawn waits a little longer each time: what counts is that the crash happened.
        until_true("the source crashes", PATIENCE, || {
            server.get("/api/v1/datasets/bad/rows").json()["code"] == "source_crashed"
        });
    }
    let plugin = server.plugin_until("faulty", "quarantined");
    assert_eq!(plugin["crashes"], json!(3), "{plugin:#}");
    let problem = server.get("/api/v1/datasets/bad/rows").expect(503).json();
    assert_eq!(problem["code"], "source_unavailable", "{problem:#}");
    others_are_well(&server);
    let log = server.log();
    assert!(log.contains("signal 11") || log.contains("SIGSEGV"), "the log says how it died");
}
