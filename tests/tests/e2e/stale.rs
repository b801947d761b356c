//! What is past its time: when it is served all the same, what is told of it, and when it is not.

use tests::Server;
use tests::cache_status::{CacheStatus, age};
use tests::control::Control;
use tests::http::Answer;
use tests::poll::{PATIENCE, until, until_true};

use crate::restart_from_disk::{controlled, versions};

/// What `Cache-Control` says under a policy, of a miss and of a hit.
#[track_caller]
fn check_header(policy: &str, expected: &str) {
    let control = Control::new("t");
    let server = controlled(&[(&control, policy)], "stale_if_error = \"0s\"\n");
    for _ in 0..3 {
        let answer = server.get(&control.rows("limit=1")).expect(200);
        let mut said: Vec<&str> = answer.header("cache-control").split(',').map(str::trim).collect();
        let mut wanted: Vec<&str> = expected.split(", ").collect();
        said.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "{policy} in {}", answer.header("cache-status"));
    }
}

#[test]
fn the_policy_is_told_to_caches_between() {
    check_header("ttl = \"30m\"", "max-age=1800");
    check_header(
        "ttl = \"30m\"\nstale_while_revalidate = \"1m\"\nstale_if_error = \"2h\"",
        "max-age=1800, stale-while-revalidate=60, stale-if-error=7200",
    );
    check_header("ttl = \"30m\"\nclient_max_age = \"10s\"", "max-age=10");
    check_header("ttl = \"30m\"\nclient_max_age = \"10s\"\nstale_if_error = \"1h\"", "max-age=10, stale-if-error=3600");
    check_header("ttl = \"30m\"\nclient_max_age = \"0s\"\nstale_if_error = \"1h\"", "no-cache");
}

#[test]
fn a_hit_tells_how_long_it_is_fresh() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "ttl = \"30m\"")], "");
    let miss = server.get(&control.rows("limit=1")).expect(200);
    assert_eq!(CacheStatus::expect(&miss, "source").fwd, "miss");
    let hit = server.get(&control.rows("limit=1")).expect(200);
    let ttl = CacheStatus::expect(&hit, "memory").ttl.expect("a ttl");
    assert!((1_700..=1_800).contains(&ttl), "{ttl}");
    assert!((0..100).contains(&age(&hit)));
}

/// Asks until an answer is past its time; until then all are of version 1.
#[track_caller]
fn until_stale(server: &Server, path: &str) -> Answer {
    until("an answer is stale", PATIENCE, || {
        let answer = server.get(path).expect(200);
        assert_eq!(versions(&answer), [1]);
        CacheStatus::of(&answer).is_stale().then_some(answer)
    })
}

#[test]
fn what_is_stale_is_served_while_one_refresh_runs_behind_it() {
    let control = Control::new("t");
    let policy = "ttl = \"1s\"\nstale_while_revalidate = \"1h\"\ncheck_interval = \"0s\"";
    // Without a change token: a source that says it has changed is an invalidation, and nothing old is served.
    control.set_mute(true);
    let server = controlled(&[(&control, policy)], "");
    let path = control.rows("limit=5");
    server.get(&path).expect(200);
    control.set_version(2);
    control.set_scans_hang(true);
    let stale = until_stale(&server, &path);
    assert!(age(&stale) >= 1);
    until_true("a refresh has begun", PATIENCE, || control.scans() == 2);
    // The source hangs: whoever asks is served from what is there, and starts no further scan.
    for limit in [5, 5, 4, 3] {
        let answer = server.get(&control.rows(&format!("limit={limit}"))).expect(200);
        assert_eq!(versions(&answer), [1]);
    }
    assert_eq!(control.scans(), 2);
    // What the refresh saw when it began is older than this change: a ttl later that is gone, too.
    control.set_version(3);
    control.set_scans_hang(false);
    let mut seen = 1;
    until("the newest rows are there", PATIENCE, || {
        let now = versions(&server.get(&path).expect(200))[0];
        assert!(now >= seen, "version {now} after {seen}");
        seen = now;
        (seen == 3).then_some(())
    });
}

#[test]
fn what_is_stale_on_disk_is_served_after_a_restart_while_it_is_loaded_again() {
    let control = Control::new("t");
    let policy = "ttl = \"1s\"\nstale_while_revalidate = \"1h\"\ncheck_interval = \"0s\"";
    let server = controlled(&[(&control, policy)], "");
    let path = control.rows("limit=5");
    let before = server.get(&path).expect(200);
    // No refresh ends before the stop: a newer table would have rows of its own.
    control.set_scans_hang(true);
    until_stale(&server, &path);
    let server = server.stop().start();
    let after = server.get(&path).expect(200);
    assert!(CacheStatus::of(&after).hit, "{}", after.header("cache-status"));
    assert_eq!(after.body, before.body);
    control.set_scans_hang(false);
    until_true("it is fresh again", PATIENCE, || {
        let status = CacheStatus::of(&server.get(&path).expect(200));
        status.hit && !status.is_stale()
    });
}

#[test]
fn without_a_window_nothing_stale_is_served() {
    let control = Control::new("t");
    let policy = "ttl = \"1s\"\nstale_while_revalidate = \"0s\"\nstale_if_error = \"0s\"\ncheck_interval = \"0s\"";
    let server = controlled(&[(&control, policy)], "");
    let path = control.rows("limit=5");
    server.get(&path).expect(200);
    control.set_version(2);
    until("the rows are loaded again", PATIENCE, || {
        let answer = server.get(&path).expect(200);
        assert!(!CacheStatus::of(&answer).is_stale(), "{}", answer.header("cache-status"));
        assert!(age(&answer) <= 1);
        (versions(&answer) == [2]).then_some(())
    });
    assert_eq!(control.scans(), 2);
    control.set_down(true);
    let problem = until("the source is missed", PATIENCE, || {
        let answer = server.get(&path);
        if answer.status == 200 {
            assert!(!CacheStatus::of(&answer).is_stale(), "{}", answer.header("cache-status"));
            return None;
        }
        Some(answer)
    });
    assert_eq!((problem.status, problem.json()["code"].as_str()), (503, Some("source_unavailable")));
    control.set_down(false);
    until_true("the source is back", PATIENCE, || server.get(&path).status == 200);
}

#[test]
fn when_the_source_fails_what_is_past_its_time_is_served_and_named() {
    let control = Control::new("t");
    let policy = "ttl = \"1s\"\nstale_while_revalidate = \"0s\"\nstale_if_error = \"1h\"\ncheck_interval = \"0s\"";
    let server = controlled(&[(&control, policy)], "");
    let path = control.rows("limit=5");
    let before = server.get(&path).expect(200);
    control.set_version(2);
    control.set_down(true);
    let stale = until_stale(&server, &path);
    let status = CacheStatus::expect(&stale, "stale-if-error");
    assert!(status.hit && status.ttl < Some(0), "{status:?}");
    assert_eq!((stale.header("etag"), &stale.body), (before.header("etag"), &before.body));
    assert!(age(&stale) >= 1);
    // A question that was never asked before is answered from the same table.
    let other = server.get(&control.rows("limit=4")).expect(200);
    assert_eq!(versions(&other), [1]);
    control.set_down(false);
    until_true("the source is back", PATIENCE, || versions(&server.get(&path).expect(200)) == [2]);
}
