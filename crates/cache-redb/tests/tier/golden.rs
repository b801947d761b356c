//! Directories that each format made, and what this version reads in them.
//!
//! A change of a layout needs a new format, and a directory of it here: `LARDER_BLESS=1 cargo test -p cache-redb golden`
//! makes that of the present one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_core::{ByteTier, Change, Meta};

use crate::support::{self, Dir, check_hit, key, put, put_begun, put_meta};

/// The newest directory.
const PRESENT: &str = "format-2";
const FILES: [&str; 3] = ["cache.redb", "invalidations.log", "lock"];

fn golden(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format)
}

/// A copy that may be opened.
fn copy_of(format: &str) -> Dir {
    let dir = Dir::new();
    for name in FILES {
        fs::copy(golden(format).join(name), dir.path().join(name)).unwrap();
    }
    dir
}

/// Every kind of record and of change, as this version writes them.
fn write(dir: &Dir) {
    let tier = dir.open();
    let first = tier.restored().first_counter();
    let (cache, sales): (Arc<str>, Arc<str>) = ("bodies".into(), "sales".into());
    tier.record(&Change::All { stamp: first + 1 }).unwrap();
    for (name, size) in [("empty", 0), ("small", 100), ("page", 4_096), ("chunks", 30_000)] {
        put(&*tier, name, size);
        tier.flush().unwrap();
    }
    put_meta(&*tier, "tagged", 50, |meta| meta.tags = vec!["eu".into(), "größe".into()]);
    let table = Meta { counter: first + 1, ..support::meta() };
    put_begun(&*tier, "deleted", 10, first + 1, table.clone());
    put_begun(&*tier, "prefix/a", 10, first + 1, table.clone());
    put_begun(&*tier, "made", 10, first + 1, table.clone());
    tier.flush().unwrap();
    for (name, stamp) in [("deleted", first + 2), ("made", first + 3)] {
        let (cache, namespace, bytes) = (Arc::clone(&cache), Arc::clone(&sales), name.as_bytes().into());
        tier.record(&Change::Key { cache, namespace, bytes, stamp }).unwrap();
    }
    let prefix = (*b"prefix/").into();
    tier.record(&Change::Prefix { cache, namespace: Arc::clone(&sales), prefix, stamp: first + 4 }).unwrap();
    tier.record(&Change::Namespace { namespace: "other".into(), stamp: first + 5 }).unwrap();
    tier.record(&Change::Tag { tag: "us".into(), stamp: first + 6 }).unwrap();
    tier.record(&Change::Fingerprint { namespace: sales, fingerprint: (*b"print").into(), stamp: 0 }).unwrap();
    tier.settle();
    put_begun(&*tier, "made", 20, first + 6, table);
    tier.flush().unwrap();
}

/// Where a version of a layout stands: behind these bytes, as two of them.
fn versions(format: &Path, file: &str, magic: &[u8]) -> Vec<u16> {
    let bytes = fs::read(format.join(file)).unwrap();
    let found = bytes.windows(magic.len() + 2).filter(|window| window.starts_with(magic));
    let mut versions: Vec<u16> =
        found.map(|window| u16::from_le_bytes([window[magic.len()], window[magic.len() + 1]])).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

/// The versions of records, state and log.
fn layouts(dir: &Path) -> [Vec<u16>; 3] {
    [
        versions(dir, "cache.redb", b"LREC"),
        versions(dir, "cache.redb", b"LSTA"),
        versions(dir, "invalidations.log", b"LARDRLOG"),
    ]
}

/// The bytes of the log behind its header, which has an identity in it.
fn frames(dir: &Path) -> Vec<u8> {
    fs::read(dir.join("invalidations.log")).unwrap().split_off(64)
}

#[test]
fn the_newest_golden_directory_has_the_layouts_that_this_version_writes() {
    let dir = Dir::new();
    write(&dir);
    if std::env::var_os("LARDER_BLESS").is_some() {
        fs::create_dir_all(golden(PRESENT)).unwrap();
        for name in FILES {
            fs::copy(dir.path().join(name), golden(PRESENT).join(name)).unwrap();
        }
    }
    assert_eq!(layouts(dir.path()), layouts(&golden(PRESENT)), "a layout has changed: it needs a golden directory");
    assert_eq!(frames(dir.path()), frames(&golden(PRESENT)), "a frame has changed: it needs a golden directory");
    assert_eq!(layouts(&golden("format-1")), [[1], [1], [1]]);
    assert_eq!(layouts(&golden("format-2")), [vec![2], vec![2], vec![1]]);
}

#[test]
fn a_directory_that_format_1_made_is_read_by_this_version() {
    let dir = copy_of("format-1");
    assert!(cache_redb::verify(dir.path()).unwrap().is_sound());
    let tier = dir.open();
    for (name, size) in [("empty", 0), ("small", 100), ("page", 4_096), ("chunks", 30_000)] {
        check_hit(&*tier, name, size);
    }
    assert_eq!(tier.get(&key("deleted")), None);
    let restored = tier.restored();
    assert_eq!((restored.epoch, restored.floor), (2, 0));
    assert_eq!(restored.namespaces, [("other".into(), (1 << 40) + 2)]);
    assert_eq!(restored.tags, [("eu".into(), (1 << 40) + 3)]);
    assert_eq!(restored.fingerprints, [("sales".into(), (*b"print").into())]);
}

#[test]
fn a_directory_that_format_2_made_is_read_by_this_version() {
    let dir = copy_of("format-2");
    assert!(cache_redb::verify(dir.path()).unwrap().is_sound());
    let tier = dir.open();
    for (name, size) in [("empty", 0), ("small", 100), ("page", 4_096), ("chunks", 30_000), ("tagged", 50)] {
        check_hit(&*tier, name, size);
    }
    check_hit(&*tier, "made", 20);
    assert_eq!(tier.meta(&key("tagged")).unwrap().tags, ["eu".into(), "größe".into()]);
    for name in ["deleted", "prefix/a"] {
        assert_eq!(tier.get(&key(name)), None);
    }
    let restored = tier.restored();
    assert_eq!((restored.epoch, restored.floor, restored.last_stamp), (2, (1 << 40) + 1, (1 << 40) + 6));
    assert_eq!(restored.namespaces, [("other".into(), (1 << 40) + 5)]);
    assert_eq!(restored.tags, [("us".into(), (1 << 40) + 6)]);
    assert_eq!(restored.fingerprints, [("sales".into(), (*b"print").into())]);
}

#[test]
fn a_golden_directory_that_has_seen_a_later_time_is_not_believed() {
    let earlier = |format: &str| {
        let options = cache_redb::TierOptions { clock: Arc::new(|| support::NOW_MS - 60_000), ..support::options() };
        copy_of(format).open_with(options).stats().entries
    };
    assert_eq!(earlier("format-2"), 0, "format 2 knows the time of day");
}
