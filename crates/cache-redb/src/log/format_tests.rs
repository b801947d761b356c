//! The bytes of the log, and what is made of bytes that are not as they were written.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const HEADER: Header = Header { store_id: 0x0102_0304, epoch: 5, base_seq: 6, snapshot_frames: 1 };

fn key(name: &str, stamp: u64) -> Change {
    Change::Key { cache: "c".into(), namespace: "n".into(), bytes: name.as_bytes().into(), stamp }
}

/// A log with one frame of snapshot and these changes behind it.
fn log(changes: &[Change]) -> Vec<u8> {
    let mut bytes = HEADER.encode();
    put_frame(&mut bytes, 0, &Change::All { stamp: 1 });
    for (seq, change) in (HEADER.base_seq + 1..).zip(changes) {
        put_frame(&mut bytes, seq, change);
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_header_and_a_frame_are_those_of_format_1() {
    let header = [
        "4c415244524c4f47",
        "01000000",
        "00000000",
        "04030201000000000000000000000000",
        "0500000000000000",
        "0600000000000000",
        "0100000000000000",
        "49001049efc2e0fa",
    ];
    assert_eq!(hex(&HEADER.encode()), header.concat());
    let mut frame = Vec::new();
    put_frame(&mut frame, 7, &key("k", 8));
    let expected = [
        "18000000",
        "745d4371",
        "0700000000000000",
        "fe63799da899f3d5",
        "04",
        "0800000000000000",
        "0100000063",
        "010000006e",
        "010000006b",
        "e5",
    ];
    assert_eq!(hex(&frame), expected.concat());
}

#[test]
fn every_kind_of_change_comes_back() {
    let (namespace, cache): (Arc<str>, Arc<str>) = ("größe".into(), "".into());
    let changes = [
        Change::All { stamp: u64::MAX },
        Change::Namespace { namespace: Arc::clone(&namespace), stamp: 2 },
        Change::Tag { tag: "".into(), stamp: 3 },
        key("x", 4),
        Change::Prefix { cache, namespace: Arc::clone(&namespace), prefix: (*b"\0\xFF").into(), stamp: 5 },
        Change::Fingerprint { namespace, fingerprint: (*b"\x01").into(), stamp: 0 },
    ];
    let content = parse(&log(&changes)).unwrap();
    assert_eq!(content.header, HEADER);
    assert_eq!(content.changes[1..], changes);
    assert_eq!((content.last_seq, content.cut), (12, 0));
}

#[test]
fn no_changed_bit_loses_a_change() {
    let bytes = log(&[key("a", 2), key(&"b".repeat(600), 3), key("\0\0\0\0\0\0\0\0", 4)]);
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(parse(&changed).is_err(), "bit {at}");
    }
}

#[test]
fn a_file_that_just_ends_is_cut_behind_its_snapshot_and_damaged_before() {
    let changes = [key("a", 2), key("b", 3)];
    let bytes = log(&changes);
    let ends: Vec<usize> = (0..=2).map(|count| log(&changes[..count]).len()).collect();
    for length in 0..bytes.len() {
        let parsed = parse(&bytes[..length]);
        let Some(whole) = ends.iter().rposition(|&end| end <= length) else {
            assert!(parsed.is_err(), "cut at {length}");
            continue;
        };
        let content = parsed.unwrap();
        assert_eq!(content.changes[1..], changes[..whole], "cut at {length}");
        assert_eq!(content.cut, length - ends[whole]);
    }
}

#[test]
fn a_missing_a_repeated_and_a_moved_change_are_damage() {
    let frame = |seq| {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, seq, &key("a", seq));
        bytes
    };
    for seqs in [vec![8], vec![7, 7], vec![7, 9], vec![8, 7], vec![0]] {
        let mut bytes = log(&[]);
        bytes.extend(seqs.iter().flat_map(|&seq| frame(seq)));
        assert!(parse(&bytes).is_err(), "{seqs:?}");
    }
}

proptest! {
    /// A crash of the machine: what was synced is there, of what was being appended any sectors are, in a file of any
    /// length that it had meanwhile.
    #[test]
    fn a_torn_append_loses_nothing_that_was_acknowledged(
        acknowledged in 0usize..20,
        appended in 1usize..40,
        kept in prop::collection::vec(any::<bool>(), 64),
        cut in 0usize..4_000,
    ) {
        let changes: Vec<Change> = (0..acknowledged + appended).map(|n| key(&"k".repeat(n * 7), n as u64)).collect();
        let synced = log(&changes[..acknowledged]).len();
        let mut bytes = log(&changes);
        for (sector, _) in kept.iter().enumerate().filter(|(_, kept)| !**kept) {
            let range = (sector * SECTOR).max(synced)..((sector + 1) * SECTOR).max(synced).min(bytes.len());
            if let Some(lost) = bytes.get_mut(range) {
                lost.fill(0);
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut).max(synced));
        if let Ok(content) = parse(&bytes) {
            prop_assert!(content.changes.len() > acknowledged);
            prop_assert_eq!(&content.changes[1..], &changes[..content.changes.len() - 1]);
        }
    }

    #[test]
    fn an_append_of_which_nothing_arrived_is_cut(acknowledged in 0usize..20, zeros in 0usize..9_000) {
        let changes: Vec<Change> = (0..acknowledged).map(|n| key(&"k".repeat(n * 7), n as u64)).collect();
        let mut bytes = log(&changes);
        bytes.resize(bytes.len() + zeros, 0);
        let content = parse(&bytes).unwrap();
        prop_assert_eq!(&content.changes[1..], &changes[..]);
        prop_assert_eq!(content.cut, zeros);
    }
}
