//! Budgets, expiry and the length of the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{ByteTier, Change};
use cache_redb::{Error, RedbTier, TierOptions};

use crate::support::{self, Dir, key, put, put_meta};

#[test]
fn the_budget_is_kept_and_what_was_used_longest_ago_goes_first() {
    let dir = Dir::new();
    let tier = dir.open_with(TierOptions { max_bytes: 200_000, ..support::options() });
    for n in 0..150 {
        put(&*tier, &format!("k{n}"), 1_000);
        tier.flush().unwrap();
    }
    for n in 0..20 {
        support::check_hit(&*tier, &format!("k{n}"), 1_000);
    }
    for n in 150..230 {
        put(&*tier, &format!("k{n}"), 1_000);
    }
    tier.settle();
    let stats = tier.stats();
    assert!(stats.bytes <= 200_000, "{stats:?}");
    assert!(stats.evictions > 0 && stats.entries > 140, "{stats:?}");
    let kept = |range: std::ops::Range<u32>| range.filter(|n| tier.meta(&key(&format!("k{n}"))).is_some()).count();
    assert!(kept(0..20) >= 17, "those that were used stay: {}", kept(0..20));
    assert!(kept(20..100) < 60, "of those that were not used some go: {}", kept(20..100));
    assert!(tier.verify().unwrap().is_sound());
}

#[test]
fn a_value_larger_than_the_queue_is_stored_when_nothing_else_waits() {
    let dir = Dir::new();
    let tier = dir.open_with(TierOptions { queue_bytes: 1_000, ..support::options() });
    put(&*tier, "large", 20_000);
    tier.flush().unwrap();
    support::check_hit(&*tier, "large", 20_000);
}

#[test]
fn there_are_no_more_records_than_there_may_be() {
    let dir = Dir::new();
    for max_entries in [10, 4] {
        let tier = dir.open_with(TierOptions { max_entries, ..support::options() });
        for n in 0..50 {
            put(&*tier, &format!("k{n}"), 10);
            if n % 7 == 0 {
                tier.flush().unwrap();
            }
        }
        tier.settle();
        assert_eq!(tier.stats().entries, max_entries as u64);
        assert!(tier.verify().unwrap().is_sound());
    }
}

#[test]
fn a_value_larger_than_the_budget_is_dropped() {
    let dir = Dir::new();
    let tier = dir.open_with(TierOptions { max_bytes: 10_000, ..support::options() });
    put(&*tier, "small", 100);
    put(&*tier, "large", 20_000);
    tier.flush().unwrap();
    support::check_hit(&*tier, "small", 100);
    assert_eq!((tier.get(&key("large")), tier.stats().dropped), (None, 1));
}

#[test]
fn the_file_keeps_its_limit_though_its_records_keep_theirs() {
    let dir = Dir::new();
    let options = TierOptions { max_bytes: 64 << 20, max_file_bytes: Some(2 << 20), ..support::options() };
    let tier = dir.open_with(options);
    for n in 0..60 {
        put(&*tier, &format!("k{n}"), 100_000);
        tier.flush().unwrap();
    }
    for _ in 0..4 {
        put(&*tier, "last", 1_000);
        tier.settle();
    }
    let stats = tier.stats();
    assert!(stats.file_bytes <= 2 << 20, "{stats:?}");
    assert!(stats.evictions > 0 && stats.entries > 3, "{stats:?}");
    support::check_hit(&*tier, "last", 1_000);
}

const LIMIT: u64 = 6 << 20;

/// Puts values of about so many bytes, three times what the file may take; says how long it was at most.
fn churn(tier: &dyn ByteTier, bytes: usize, counter: u64) -> u64 {
    let (mut number, mut longest) = (0_u64, 0);
    while number * (bytes as u64) < 3 * LIMIT {
        for _ in 0..=100_000 / bytes {
            // In no order: pages are left half empty all over the place.
            let name = format!("k{}", number * 7_919 % 1_000_003);
            put_meta(tier, &name, bytes + number as usize % (bytes / 4), |meta| meta.counter = counter);
            number += 1;
        }
        tier.flush().unwrap();
        longest = longest.max(tier.stats().file_bytes);
    }
    longest
}

/// The file stays within its limit, and is made use of.
#[track_caller]
fn check_churn(tier: &RedbTier, bytes: usize, counter: u64) {
    let longest = churn(tier, bytes, counter);
    tier.settle();
    let stats = tier.stats();
    assert!(stats.file_bytes <= LIMIT, "{bytes}: {stats:?}");
    assert!(longest <= LIMIT + LIMIT / 8, "{bytes}: for moments it was {longest}");
    assert!(stats.bytes >= LIMIT / 4, "{bytes}: the room is used: {stats:?}");
    assert!(stats.evictions > 0 && stats.dropped == 0, "{bytes}: {stats:?}");
}

#[test]
fn the_file_stays_within_what_it_may_take_whatever_comes_and_goes() {
    for bytes in [1_000, 4_096, 50_000] {
        let dir = Dir::new();
        let tier = dir.open_with(TierOptions { max_bytes: LIMIT, ..support::options() });
        check_churn(&tier, bytes, 1);
        assert!(tier.verify().unwrap().is_sound());
    }
}

#[test]
fn a_file_that_was_full_takes_as_much_again_of_another_kind() {
    let dir = Dir::new();
    let tier = dir.open_with(TierOptions { max_bytes: LIMIT, ..support::options() });
    check_churn(&tier, 1_000, 1);
    tier.record(&Change::All { stamp: 2 }).unwrap();
    tier.settle();
    assert_eq!(tier.stats().entries, 0);
    check_churn(&tier, 20_000, 2);
    assert!(tier.stats().bytes >= LIMIT / 2, "{:?}", tier.stats());
    assert!(tier.verify().unwrap().is_sound());
}

#[test]
fn expired_records_are_removed_and_a_clock_that_jumps_takes_no_more_than_those() {
    let dir = Dir::new();
    let clock = Arc::new(AtomicU64::new(support::NOW_MS));
    let told = Arc::clone(&clock);
    let options = TierOptions { clock: Arc::new(move || told.load(Ordering::SeqCst)), ..support::options() };
    let tier = dir.open_with(options);
    put_meta(&*tier, "short", 10, |meta| meta.expires_ms = support::NOW_MS + 10);
    put_meta(&*tier, "stale", 10, |meta| {
        meta.expires_ms = support::NOW_MS + 10;
        meta.stale_if_error_ms = 90;
    });
    put_meta(&*tier, "long", 10, |meta| meta.expires_ms = support::NOW_MS + 1_000);
    tier.flush().unwrap();
    for (now, left) in [(-500_000, 3), (10, 3), (11, 2), (0, 2), (101, 1)] {
        clock.store(support::NOW_MS.saturating_add_signed(now), Ordering::SeqCst);
        tier.sweep();
        assert_eq!(tier.stats().entries, left, "at {now} ms");
    }
    support::check_hit(&*tier, "long", 10);
    assert_eq!(tier.stats().expirations, 2);
}

#[test]
fn compacting_gives_room_back_while_open_and_while_nobody_holds_it() {
    let dir = Dir::new();
    let tier = dir.open();
    for n in 0..40 {
        put(&*tier, &format!("k{n}"), 100_000);
    }
    tier.flush().unwrap();
    for n in 1..40 {
        tier.remove(&key(&format!("k{n}")));
    }
    tier.flush().unwrap();
    let report = tier.compact().unwrap();
    assert!(report.file_bytes_after * 4 < report.file_bytes_before, "{report:?}");
    support::check_hit(&*tier, "k0", 100_000);
    for n in 1..40 {
        put(&*tier, &format!("k{n}"), 100_000);
    }
    drop(tier);
    let report = cache_redb::compact(dir.path()).unwrap();
    assert!(report.file_bytes_after <= report.file_bytes_before, "{report:?}");
    support::check_hit(&*dir.open(), "k39", 100_000);
    assert!(matches!(cache_redb::compact(&dir.path().join("nowhere")), Err(Error::Missing)));
    assert!(matches!(cache_redb::verify(&dir.path().join("nowhere")), Err(Error::Missing)));
}
