//! `persist = true` and nothing else: results outlive the program that made them.
//!
//! The programs are this one once more, each in a directory of its own; they return from `main` as soon as they have said
//! what they found.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::CacheConfig;
use cache_redb::RedbTier;
use smart_cache::{global, persist_in, smart_cache};

const ROLE: &str = "SMART_CACHE_ROLE";

static RUNS: AtomicU32 = AtomicU32::new(0);

#[smart_cache(persist = true)]
fn double(number: u32) -> u32 {
    RUNS.fetch_add(1, Ordering::SeqCst);
    2 * number
}

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role);
    }
    results_are_kept_in_the_folder_cache_of_the_program();
    invalidations_outlive_the_program_too();
    another_folder_can_be_named_before_the_first_call();
    what_a_thread_has_made_is_kept_though_it_has_ended();
    a_folder_that_cannot_be_used_changes_no_result();
}

/// What a program does.
fn play(role: &str) {
    match role {
        "invalidate" => double::invalidate(21).unwrap(),
        "elsewhere" => persist_in("else/where").unwrap(),
        "thread" => drop(std::thread::spawn(|| double(21)).join().unwrap()),
        _ => {}
    }
    let found = double(21);
    let late = persist_in("late").is_err();
    let stats = double::stats();
    let (runs, problem) = (RUNS.load(Ordering::SeqCst), stats.problem.unwrap_or_default());
    println!("{found} {late} {runs} {:?} {problem}", stats.persistence);
    if role == "flush" {
        global().flush().unwrap();
        std::process::abort();
    }
}

/// Runs such a program, and gives what it said.
fn run(role: &str, directory: &Path) -> String {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).env(ROLE, role).current_dir(directory).output().unwrap();
    assert!(output.status.success() || role == "flush", "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn results_are_kept_in_the_folder_cache_of_the_program() {
    for first in ["", "flush"] {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(run(first, directory.path()), "42 true 1 Tier");
        assert!(directory.path().join("cache/cache.redb").exists());
        assert_eq!(run("", directory.path()), "42 true 0 Tier", "the body is not run again");
    }
}

fn invalidations_outlive_the_program_too() {
    let directory = tempfile::tempdir().unwrap();
    run("", directory.path());
    assert_eq!(run("invalidate", directory.path()), "42 true 1 Tier");
    assert_eq!(run("", directory.path()), "42 true 0 Tier");
}

fn another_folder_can_be_named_before_the_first_call() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run("elsewhere", directory.path()), "42 true 1 Tier");
    assert_eq!(run("elsewhere", directory.path()), "42 true 0 Tier");
    assert!(!directory.path().join("cache").exists());
}

fn what_a_thread_has_made_is_kept_though_it_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run("thread", directory.path()), "42 true 1 Tier");
    assert_eq!(run("", directory.path()), "42 true 0 Tier");
}

fn a_folder_that_cannot_be_used_changes_no_result() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("cache"), "a file").unwrap();
    let said = run("", directory.path());
    assert!(said.starts_with("42 true 1 NoTier persist results in './cache': make the cache directory: "), "{said}");

    let directory = tempfile::tempdir().unwrap();
    let disk_cache_dir = directory.path().join("cache");
    let held = RedbTier::open_for(&CacheConfig { disk_cache_dir, ..CacheConfig::default() }).unwrap();
    let said = run("", directory.path());
    assert!(said.starts_with("42 true 1 NoTier ") && said.contains("another process holds it"), "{said}");
    drop(held);
    assert_eq!(run("", directory.path()), "42 true 1 Tier");
}
