//! Disks that are full for a while.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use cache_core::{ByteTier, Change};
use cache_redb::RedbTier;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{self, put};

/// What a test may take before it is stuck.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(25);

/// No file may grow beyond a limit, then none may be written at all, then all may.
pub(crate) fn under_a_limit(dir: &Path) {
    let tier = RedbTier::open(dir, support::options()).unwrap();
    put(&*tier, "old", 100_000);
    tier.flush().unwrap();
    let unlimited = getrlimit(Resource::Fsize);
    let limit = |bytes| setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: unlimited.maximum }).unwrap();

    limit(Some(fs::metadata(dir.join("cache.redb")).unwrap().len()));
    fill(&tier);
    until("what is stored is read again", || tier.get(&support::key("old")).is_some());
    support::check_hit(&*tier, "old", 100_000);
    assert!(tier.stats().dropped > 0);
    tier.record(&Change::Tag { tag: "small".into(), stamp: 1 }).expect("the log has room yet");

    limit(Some(10));
    let stamp = tier.restored().first_counter() + 1;
    tier.record(&Change::All { stamp }).expect_err("nothing can be made durable");
    tier.abandon();
    assert_eq!(tier.get(&support::key("old")), None);
    put(&*tier, "lost", 10);

    limit(unlimited.current);
    recovers(&tier);
    tier.record(&Change::Tag { tag: "later".into(), stamp: stamp + 1 }).unwrap();
    drop(tier);
    let tier = RedbTier::open(dir, support::options()).unwrap();
    support::check_hit(&*tier, "new", 100_000);
    assert_eq!(tier.get(&support::key("old")), None);
    let restored = tier.restored();
    assert_eq!(restored.floor, stamp, "what could not be made durable then is so now");
    assert_eq!(restored.tags, [("later".into(), stamp + 1)]);
}

/// The disk is full, then it is not.
pub(crate) fn on_a_small_disk(dir: &Path) {
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let tier = RedbTier::open(&dir.join("cache"), support::options()).unwrap();
    put(&*tier, "old", 100_000);
    tier.flush().unwrap();
    fill(&tier);
    until("what is stored is read again", || tier.get(&support::key("old")).is_some());
    fs::remove_file(&ballast).unwrap();
    recovers(&tier);
    support::check_hit(&*tier, "old", 100_000);
    drop(tier);
    let tier = RedbTier::open(&dir.join("cache"), support::options()).unwrap();
    support::check_hit(&*tier, "old", 100_000);
    support::check_hit(&*tier, "new", 100_000);
    drop(tier);
    // A process that starts while there is no room.
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
    drop(file);
    let tier = RedbTier::open(&dir.join("cache"), support::options()).unwrap();
    until("what is stored is read", || tier.get(&support::key("old")).is_some());
    assert!(tier.stats().degraded.is_some());
    tier.record(&Change::Tag { tag: "t".into(), stamp: 1 }).expect_err("there is no room for another log");
    fs::remove_file(&ballast).unwrap();
    recovers(&tier);
    support::check_hit(&*tier, "old", 100_000);
    tier.record(&Change::Tag { tag: "t".into(), stamp: 1 }).unwrap();
}

/// Puts records until the tier goes out of service.
fn fill(tier: &RedbTier) {
    for n in 0.. {
        put(tier, &format!("k{n}"), 100_000);
        if tier.flush().is_err() {
            break;
        }
        assert!(n < 100, "the disk is never full");
    }
    assert!(tier.stats().degraded.is_some());
}

/// A record can be stored again, in time.
fn recovers(tier: &RedbTier) {
    until("the tier is back", || tier.stats().degraded.is_none());
    until("a record is stored", || {
        put(tier, "new", 100_000);
        tier.flush().is_ok() && tier.get(&support::key("new")).is_some()
    });
    assert!(tier.stats().recoveries > 0);
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}
