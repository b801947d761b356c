//! The server is killed without a warning, in the middle of loads, refreshes and invalidations. It may
//! lose what it kept; it must not lose an invalidation that it acknowledged, nor serve a wrong row.
//!
//! The oracle is outside the server: rows carry the version that the source had when they were read.
//! Whoever asks after an invalidation was acknowledged must not see a version from before it, whatever
//! happened in between.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tests::cache_status::CacheStatus;
use tests::control::{Control, ROWS};
use tests::http::{Answer, Client};
use tests::poll::{PATIENCE, RaiseOnDrop, until_true};
use tests::rng::Rng;

use crate::restart_from_disk::controlled;

const ROUNDS: u64 = 8;
const READY: Duration = Duration::from_secs(5);

/// One dataset and what may be seen of it.
struct Subject {
    name: &'static str,
    control: Control,
    /// The version that the source has.
    written: AtomicI64,
    /// The least version that an answer may have.
    floor: AtomicI64,
    invalidations: AtomicU64,
}

impl Subject {
    fn new(name: &'static str) -> Self {
        let control = Control::new(name);
        Self { name, control, written: AtomicI64::new(1), floor: AtomicI64::new(1), invalidations: AtomicU64::new(0) }
    }

    /// Changes the data, tells the server and notes that it was told.
    fn change(&self, client: &Client, body: &Value) -> bool {
        let version = self.written.load(SeqCst) + 1;
        // Raised first: nobody can have seen a version that was not written yet.
        self.written.store(version, SeqCst);
        self.control.set_version(version);
        let told = client.try_send("POST", "/api/v1/cache/invalidate", &JSON, Some(body.to_string().as_bytes()));
        let Ok(told) = told else { return false };
        let told = told.expect(200).json();
        assert_eq!(told["durable"], true, "{told:#}");
        self.floor.store(version, SeqCst);
        self.invalidations.fetch_add(1, SeqCst);
        true
    }

    /// Asks for rows and judges them; nothing when the server was killed meanwhile.
    fn ask(&self, client: &Client, least: i64) -> Option<Answer> {
        let floor = self.floor.load(SeqCst);
        let answer =
            client.try_send("GET", &self.control.rows(&format!("id=gte.{least}")), &[], None).ok()?.expect(200);
        let rows = answer.json();
        let rows = rows.as_array().expect("rows");
        assert_eq!(rows.len() as i64, ROWS as i64 - least, "{}", answer.asked);
        let version = rows[0]["v"].as_i64().expect("a version");
        for (row, id) in rows.iter().zip(least..) {
            assert_eq!((row["id"].as_i64(), row["v"].as_i64()), (Some(id), Some(version)), "{}", answer.asked);
        }
        let newest = self.written.load(SeqCst);
        let name = self.name;
        assert!(version >= floor, "{name}: version {version} after the invalidation of {floor}, {:?}", answer.headers);
        assert!(version <= newest, "{name}: version {version} is none, the newest is {newest}");
        Some(answer)
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Keeps asking, refreshing and changing until the server is gone; counts what went well.
fn load(client: &Client, subjects: &[Subject; 2], seed: u64, done: &AtomicBool, steps: &AtomicU64) {
    // Also when a judgement fails, so that nobody waits for what does not come.
    let _end = RaiseOnDrop(done);
    let mut rng = Rng::new(seed);
    while !done.load(SeqCst) {
        let subject = &subjects[rng.below(2)];
        let went_well = if rng.one_in(10) {
            let path = format!("/api/v1/datasets/{}/refresh", subject.name);
            client.try_send("POST", &path, &[], Some(b"")).is_ok_and(|answer| answer.expect(200).status == 200)
        } else {
            subject.ask(client, rng.between(0, 9)).is_some()
        };
        if !went_well {
            return;
        }
        steps.fetch_add(1, SeqCst);
    }
}

/// Changes the data again and again, told to the server in each of the ways; between two changes there is
/// time for more or fewer requests, so that rows of all ages are on disk when the kill comes.
fn change(client: &Client, subjects: &[Subject; 2], seed: u64, done: &AtomicBool, steps: &AtomicU64) {
    let _end = RaiseOnDrop(done);
    let mut rng = Rng::new(seed);
    while !done.load(SeqCst) {
        let subject = &subjects[rng.below(2)];
        let bodies = [json!({"dataset": subject.name}), json!({"tag": subject.name}), json!({"prefix": subject.name})];
        if !subject.change(client, rng.pick(&bodies)) {
            return;
        }
        let next = steps.load(SeqCst) + rng.number() % 60;
        until_true("there are requests", PATIENCE, || done.load(SeqCst) || steps.load(SeqCst) >= next);
    }
}

#[test]
fn a_kill_costs_no_acknowledged_invalidation_and_shows_no_wrong_row() {
    // One source has change tokens; of the other, the invalidations alone tell what is old.
    let subjects = ["told", "mute"].map(Subject::new);
    subjects[1].control.set_mute(true);
    let policy = "check_interval = \"0s\"";
    let sources = [
        (&subjects[0].control, format!("{policy}\ntags = [\"told\"]")),
        (&subjects[1].control, format!("{policy}\ntags = [\"mute\"]")),
    ];
    let mut server = controlled(&sources.each_ref().map(|(control, policy)| (*control, policy.as_str())), "");
    let mut rng = Rng::new(9);
    let mut kept = 0;
    for round in 0..ROUNDS {
        let (done, steps) = (AtomicBool::new(false), AtomicU64::new(0));
        let kill_after = 20 + rng.number() % 300;
        let acknowledged = || subjects.iter().map(|subject| subject.invalidations.load(SeqCst)).sum::<u64>();
        let before = acknowledged();
        std::thread::scope(|scope| {
            let _end = RaiseOnDrop(&done);
            for thread in 0..3 {
                let (client, subjects, done, steps) = (server.client(), &subjects, &done, &steps);
                scope.spawn(move || load(&client, subjects, round * 10 + thread, done, steps));
            }
            let (client, subjects, done, steps) = (server.client(), &subjects, &done, &steps);
            scope.spawn(move || change(&client, subjects, round, done, steps));
            until_true("there was load", PATIENCE, || {
                done.load(SeqCst) || (steps.load(SeqCst) >= kill_after && acknowledged() > before)
            });
            kill_process(server.pid(), Signal::KILL).expect("the server is killed");
        });
        server = server.kill().start();
        assert!(server.ready_in() < READY, "ready after {:?}", server.ready_in());
        let client = server.client();
        for subject in &subjects {
            let answer = subject.ask(&client, 0).expect("a server that was not killed");
            // A change token is looked at before anything from disk is served.
            let status = CacheStatus::of(&answer);
            let version = answer.json()[0]["v"].as_i64();
            kept += u64::from(status.detail != "source");
            let told = subject.name == "told" && !status.is_stale();
            assert!(!told || version == Some(subject.written.load(SeqCst)), "{version:?} with {status:?}");
        }
    }
    assert!(kept > 0, "nothing was ever served from disk, so nothing was tried");
    let down = server.stop();
    let verified = down.cli(&["cache", "verify", "--offline"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
