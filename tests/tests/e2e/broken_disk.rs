//! The files of the cache are damaged while the server is down, or cannot be written at all: it starts,
//! serves what is right, and needs no repair.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tests::cache_status::CacheStatus;
use tests::control::Control;
use tests::poll::{PATIENCE, until, until_true};
use tests::rng::Rng;
use tests::{Server, Stopped, artifacts};

use crate::cache_admin::until_on_disk;
use crate::restart_from_disk::{controlled, versions};

/// The file of the payloads, and the log of invalidations.
const DATABASE: &str = "cache.redb";
const LOG: &str = "invalidations.log";

fn file(down: &Stopped, name: &str) -> PathBuf {
    let files = down.cache_files();
    files.iter().find(|path| path.ends_with(name)).unwrap_or_else(|| panic!("no {name} in {files:?}")).clone()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").len()
}

fn truncate(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).expect("a file").set_len(len).expect("a length");
}

/// Flips bits here and there in a part of a file.
fn flip(path: &Path, part: std::ops::Range<u64>, bits: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut file = OpenOptions::new().read(true).write(true).open(path).expect("a file");
    let len = usize::try_from(part.end - part.start).expect("a small file");
    for _ in 0..bits {
        let at = part.start + rng.below(len) as u64;
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).expect("a byte");
        byte[0] ^= 1 << rng.below(8);
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&byte)).expect("a byte");
    }
}

/// A damage with its name.
type Damage<'a> = (&'a str, &'a dyn Fn(&Stopped));

/// Damages the cache of a server again and again. Each time it must start, know that the rows of `old`
/// were invalidated, serve right rows, and keep rows on disk afterwards.
#[track_caller]
fn check(damages: &[Damage<'_>]) {
    let (old, other) = (Control::new("old"), Control::new("other"));
    // Without change tokens, the disk alone could tell that the rows are old.
    old.set_mute(true);
    other.set_mute(true);
    let mut server = controlled(&[(&old, ""), (&other, "")], "");
    let mut version = 1;
    for (what, damage) in damages {
        server.get(&old.rows("")).expect(200);
        let right = server.get(&other.rows("")).expect(200);
        until_true("both are on disk", PATIENCE, || {
            let stats = server.get("/api/v1/cache/stats").expect(200).json();
            stats["disk"]["entries"].as_u64() >= Some(4) && stats["disk"]["queued"] == 0
        });
        version += 1;
        old.set_version(version);
        server.post("/api/v1/cache/invalidate", &json!({"dataset": "old"})).expect(200);
        // So that the log has an end which is not that invalidation.
        for key in 0..20 {
            server.post("/api/v1/cache/invalidate", &json!({"tag": format!("tag-{key}")})).expect(200);
        }
        let down = server.stop();
        damage(&down);
        server = down.start();
        assert_eq!(versions(&server.get(&old.rows("")).expect(200)), [version], "{what}");
        let after = server.get(&other.rows("")).expect(200);
        assert_eq!((after.header("etag"), &after.body), (right.header("etag"), &right.body), "{what}");
        let stats = server.get("/api/v1/cache/stats").expect(200).json();
        assert!(stats["disk"].is_object(), "{what}: {stats:#}");
        until(&format!("the disk is in use again after: {what}"), PATIENCE, || {
            let stats = server.get("/api/v1/cache/stats").expect(200).json();
            let is_used = stats["disk"]["degraded"].is_null() && stats["disk"]["entries"].as_u64() >= Some(4);
            (is_used && stats["disk"]["queued"] == 0).then_some(())
        });
    }
    let down = server.stop();
    let verified = down.cli(&["cache", "verify", "--offline"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_damaged_database_is_no_obstacle() {
    let database = |down: &Stopped| file(down, DATABASE);
    check(&[
        ("one bit", &|down| flip(&database(down), 0..length(&database(down)), 1, 1)),
        ("many bits", &|down| flip(&database(down), 0..length(&database(down)), 5_000, 2)),
        ("the header", &|down| flip(&database(down), 0..512, 64, 3)),
        ("half of it is gone", &|down| truncate(&database(down), length(&database(down)) / 2)),
        ("all of it is gone", &|down| truncate(&database(down), 0)),
        ("something else is there", &|down| fs::write(database(down), "this is no database").expect("a file")),
        ("it was removed", &|down| fs::remove_file(database(down)).expect("a file")),
    ]);
}

#[test]
fn a_damaged_log_of_invalidations_makes_nothing_old_valid_again() {
    let log = |down: &Stopped| file(down, LOG);
    check(&[
        ("the header", &|down| flip(&log(down), 0..8, 3, 1)),
        ("one bit", &|down| flip(&log(down), 0..length(&log(down)) / 2, 1, 2)),
        ("many bits", &|down| flip(&log(down), 0..length(&log(down)) / 2, 100, 3)),
        ("all of it is gone", &|down| truncate(&log(down), 0)),
        ("something else is there", &|down| fs::write(log(down), "this is no log").expect("a file")),
        ("it was removed", &|down| fs::remove_file(log(down)).expect("a file")),
        ("the whole cache was removed", &|down| {
            fs::remove_dir_all(log(down).parent().expect("a folder")).expect("a folder");
        }),
    ]);
}

#[test]
fn a_damaged_record_is_found_by_verify_and_missed_by_requests() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    let path = control.rows("select=word,id");
    let right = server.get_with(&path, &[("accept-encoding", "identity")]).expect(200);
    until_on_disk(&server, 2);
    let down = server.stop();
    let database = file(&down, DATABASE);
    let len = length(&database);
    // Far more than any redundancy forgives, but the first page is as it was: what is damaged are records.
    flip(&database, 8_192.min(len / 2)..len, 20_000, 7);
    let verified = down.cli(&["cache", "verify", "--offline"]);
    assert!(!verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let server = down.start();
    let answer = server.get_with(&path, &[("accept-encoding", "identity")]).expect(200);
    assert_eq!(answer.body, right.body);
}

#[test]
fn a_cache_that_another_server_holds_is_refused_and_that_one_goes_on() {
    let control = Control::new("t");
    let server = controlled(&[(&control, "")], "");
    let path = control.rows("limit=5");
    server.get(&path).expect(200);
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(artifacts::larder())
        .args(["serve", "--listen", "127.0.0.1:0", "--home"])
        .arg(home.path())
        .env_clear()
        .env("LARDER_CACHE_DIR", server.home().join("cache"))
        .current_dir(home.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("another"), "{}: {said}", output.status);
    until_on_disk(&server, 2);
    let server = server.stop().start();
    CacheStatus::expect(&server.get(&path).expect(200), "disk");
}

/// Starts a server whose cache cannot be written; it must serve from memory and say so.
#[track_caller]
fn check_unwritable(cache_dir: &Path) {
    let control = Control::new("t");
    let config = format!("cache_dir = \"{}\"\n", cache_dir.display());
    let server: Server = controlled(&[(&control, "")], &config);
    let path = control.rows("limit=5");
    let first = server.get(&path).expect(200);
    let second = server.get(&path).expect(200);
    CacheStatus::expect(&second, "memory");
    assert_eq!(second.body, first.body);
    let stats = server.get("/api/v1/cache/stats").expect(200).json();
    assert!(stats["disk"]["degraded"].is_string(), "{stats:#}");
    assert!(server.log().to_lowercase().contains("memory"), "the log says what is amiss:\n{}", server.log());
    assert!(!stats["disk"]["degraded"].to_string().contains(&*cache_dir.to_string_lossy()), "{stats:#}");
    // Without a disk there is nothing that a crash could bring back: an invalidation holds.
    control.set_version(2);
    server.post("/api/v1/cache/invalidate", &json!({"dataset": "t"})).expect(200);
    assert_eq!(versions(&server.get(&path).expect(200)), [2]);
    server.stop();
}

#[test]
fn a_cache_that_cannot_be_written_is_told_and_memory_serves() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("in-the-way");
    fs::write(&file, "a file where a folder should be").expect("a file");
    check_unwritable(&file);
    // Not even the administrator creates a folder there.
    check_unwritable(Path::new("/proc/larder-cache"));
}
