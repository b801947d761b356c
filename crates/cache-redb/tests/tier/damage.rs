//! Files that are cut or changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cache_core::{ByteTier, Change};
use cache_redb::RedbTier;

use crate::support::{self, content, key, put, put_meta};

/// The records, by the number in their names, and their sizes.
const SIZES: [usize; 21] = [
    0, 1, 10, 100, 500, 1_000, 2_000, 3_000, 4_000, 4_080, 4_096, 5_000, 6_000, 8_176, 9_000, 12_000, 16_384, 17_000,
    20_000, 24_560, 33_000,
];
/// Those of them that the log has made invalid and the database still has.
const INVALID: [usize; 4] = [2, 9, 15, 20];

/// The records' names and contents.
static RECORDS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let names = SIZES.into_iter().enumerate().map(|(n, size)| (format!("k{n}/"), size));
    names.map(|(name, size)| (name.clone(), content(&name, size))).collect()
});

/// Makes a directory as a crash leaves it: invalidations are in the log that the database has not followed yet.
pub(crate) fn prepare(dir: &Path) {
    let good = dir.join("good");
    let tier = RedbTier::open(&good, support::options()).unwrap();
    let first = tier.restored().first_counter();
    for (n, size) in SIZES.into_iter().enumerate() {
        put_meta(&*tier, &format!("k{n}/"), size, |meta| meta.counter = first);
    }
    tier.flush().unwrap();
    tier.settle();
    let database = fs::read(good.join("cache.redb")).unwrap();
    for (stamp, n) in (first + 1..).zip(INVALID) {
        let (cache, namespace) = ("bodies".into(), "sales".into());
        let bytes = format!("k{n}/").into_bytes().into();
        let change = match n % 2 {
            0 => Change::Key { cache, namespace, bytes, stamp },
            _ => Change::Prefix { cache, namespace, prefix: bytes, stamp },
        };
        tier.record(&change).unwrap();
    }
    let log = fs::read(good.join("invalidations.log")).unwrap();
    drop(tier);
    fs::write(good.join("cache.redb"), database).unwrap();
    fs::write(good.join("invalidations.log"), log).unwrap();
    check(&copy(dir), SIZES.len() - INVALID.len());
}

/// Cuts the database at each 4 KiB, and changes single bits of it.
pub(crate) fn database(dir: &Path) {
    let bytes = fs::read(dir.join("good/cache.redb")).unwrap();
    let mut served = 0;
    for length in (0..bytes.len()).step_by(4_096) {
        served += with(dir, "cache.redb", &bytes[..length]);
    }
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for case in 0..150 {
        let mut changed = bytes.clone();
        // A third of the changes in the first pages, where the database's own header is.
        let range = if case % 3 == 0 { 3 * 4_096 } else { bytes.len() };
        let bit = next(&mut random) as usize % (range * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        served += with(dir, "cache.redb", &changed);
    }
    assert!(served > 150 * SIZES.len() / 2, "most records are served still: {served}");
}

/// Cuts the log everywhere, and changes each of its bytes.
pub(crate) fn log(dir: &Path) {
    let bytes = fs::read(dir.join("good/invalidations.log")).unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (next(&mut random) % 8);
        with(dir, "invalidations.log", &changed);
    }
    // What is cut off was acknowledged: only whole bytes can be asked for then.
    for length in (0..bytes.len()).step_by(5) {
        let copy = copy(dir);
        fs::write(copy.join("invalidations.log"), &bytes[..length]).unwrap();
        let tier = RedbTier::open(&copy, support::options()).unwrap();
        for (name, content) in RECORDS.iter() {
            let found = tier.get(&key(name)).map(|(_, payload)| payload.bytes);
            assert!(found.is_none_or(|found| found == *content), "{name}, cut at {length}");
        }
    }
    let copy = copy(dir);
    fs::remove_file(copy.join("invalidations.log")).unwrap();
    assert_eq!(check(&copy, 0), 0, "without a log nothing is served");
}

fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

/// A fresh copy of the good directory.
fn copy(dir: &Path) -> PathBuf {
    let copy = dir.join("copy");
    // There is none the first time.
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir(&copy).unwrap();
    for name in ["cache.redb", "invalidations.log"] {
        fs::copy(dir.join("good").join(name), copy.join(name)).unwrap();
    }
    copy
}

fn with(dir: &Path, name: &str, bytes: &[u8]) -> usize {
    let copy = copy(dir);
    fs::write(copy.join(name), bytes).unwrap();
    check(&copy, 0)
}

/// Opens a directory; nothing that it serves is wrong or invalid, it takes new records, and has them when it is opened
/// once more.
fn check(dir: &Path, at_least: usize) -> usize {
    let tier = RedbTier::open(dir, support::options()).unwrap();
    let served = serve(&tier);
    assert!(served >= at_least, "{served} are served");
    put(&*tier, "new", 5_000);
    if tier.flush().is_err() || tier.get(&key("new")).is_none() {
        // The damage was met while writing; the file has been made anew by now, or will be.
        support::wait_for_service(&*tier);
        put(&*tier, "new", 5_000);
        tier.flush().unwrap();
    }
    support::check_hit(&*tier, "new", 5_000);
    drop(tier);
    let tier = RedbTier::open(dir, support::options()).unwrap();
    serve(&tier);
    served
}

fn serve(tier: &RedbTier) -> usize {
    let mut served = 0;
    for (n, (name, content)) in RECORDS.iter().enumerate() {
        let Some((meta, payload)) = tier.get(&key(name)) else { continue };
        assert!(payload.bytes == *content, "{name} is wrong");
        assert!(!INVALID.contains(&n), "{name} is invalid");
        assert_eq!((meta.layout, meta.expires_ms), (7, support::NOW_MS + 60_000));
        served += 1;
    }
    served
}
