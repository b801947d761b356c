//! Crashes, damage and full disks, each met in a process of its own, so that an abort would be seen.
//!
//! The processes are this test binary once more: [`child`] is what they run.

use cache_core::ByteTier;
use cache_redb::{Error, RedbTier};

use crate::support::{self, Dir, put};
use crate::{damage, full, kill, process};

/// What a process of this binary does when it was started by one of the tests here; nothing otherwise.
#[test]
fn child() {
    let Some((role, dir)) = process::role() else { return };
    match role.as_str() {
        "damage-database" => damage::database(&dir),
        "damage-log" => damage::log(&dir),
        "write" => kill::write(&dir),
        "hold" => assert!(matches!(RedbTier::open(&dir, support::options()), Err(Error::Held))),
        "limit" => full::under_a_limit(&dir),
        "tmpfs" => full::on_a_small_disk(&dir),
        role => panic!("nobody plays {role}"),
    }
    process::say("done");
}

#[test]
fn a_damaged_database_yields_no_wrong_byte_and_no_abort() {
    let dir = Dir::new();
    damage::prepare(dir.path());
    process::run("damage-database", dir.path());
}

#[test]
fn a_damaged_log_brings_nothing_back_and_aborts_nothing() {
    let dir = Dir::new();
    damage::prepare(dir.path());
    process::run("damage-log", dir.path());
}

#[test]
fn a_process_that_is_killed_loses_no_acknowledged_invalidation() {
    let dir = Dir::new();
    kill::rounds(dir.path(), 50);
}

#[test]
fn a_second_process_is_refused_and_the_first_is_unharmed() {
    let dir = Dir::new();
    let tier = dir.open();
    put(&*tier, "a", 10);
    tier.flush().unwrap();
    process::run("hold", dir.path());
    put(&*tier, "b", 10);
    tier.flush().unwrap();
    support::check_hit(&*tier, "a", 10);
    support::check_hit(&*tier, "b", 10);
}

#[test]
fn a_limit_on_files_leaves_reads_alone_and_is_recovered_from() {
    let dir = Dir::new();
    process::run_ignoring_limits("limit", dir.path());
}

#[test]
fn a_full_disk_leaves_reads_alone_and_is_recovered_from() {
    let dir = Dir::new();
    process::run_on_tmpfs("tmpfs", dir.path());
}
