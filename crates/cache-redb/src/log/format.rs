//! The bytes of `invalidations.log`.
//!
//! A header, then frames. Format version 1, little-endian:
//!
//! | bytes | header |
//! |---|---|
//! | 8 | `LARDRLOG` |
//! | 4 | format version, 1 |
//! | 4 | 0 |
//! | 16 | id of the store, the same as in `cache.redb` |
//! | 8 | epoch |
//! | 8 | sequence number of the last change that the snapshot holds |
//! | 8 | number of frames of the snapshot |
//! | 8 | xxh3-64 of the 56 bytes before |
//!
//! | bytes | frame |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | low half of the xxh3-64 of the length, the sequence number and the body's checksum |
//! | 8 | sequence number: 0 in the snapshot, then each one more than the one before |
//! | 8 | xxh3-64 of the body |
//! | n | body: kind (1), stamp (8), strings in the order of [`Change`]'s fields, each behind its length (4) |
//! | 1 | E5: a whole file never ends in a zero |
//!
//! Kinds: 1 all, 2 namespace, 3 tag, 4 key, 5 prefix, 6 fingerprint.
//!
//! A file that just ends, or is zeros from some sector on, *behind* the snapshot was torn while it was appended to; what
//! is torn was never acknowledged, and is cut. Everything else that is not as it was written is damage: some change that
//! was acknowledged may be lost.

use cache_core::Change;
use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{Put, Reader};

const MAGIC: &[u8; 8] = b"LARDRLOG";
const FORMAT: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 64;
const FRAME_BYTES: usize = 24;
const END: u8 = 0xE5;
/// The least that a disk writes at once, and the unit in which an append is torn.
const SECTOR: usize = 512;

/// The header of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store_id: u128,
    pub(crate) epoch: u64,
    pub(crate) base_seq: u64,
    pub(crate) snapshot_frames: u64,
}

/// What a log file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) header: Header,
    pub(crate) changes: Vec<Change>,
    /// The sequence number of the last change.
    pub(crate) last_seq: u64,
    /// Bytes that were cut from a torn end.
    pub(crate) cut: usize,
}

/// A log file that says nothing reliable: acknowledged invalidations may be lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// The epoch, if at least the header is whole.
    pub(crate) epoch: u64,
    pub(crate) what: &'static str,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.put_u32(FORMAT);
        bytes.put_u32(0);
        bytes.extend_from_slice(&self.store_id.to_le_bytes());
        bytes.put_u64(self.epoch);
        bytes.put_u64(self.base_seq);
        bytes.put_u64(self.snapshot_frames);
        bytes.put_u64(xxh3_64(&bytes));
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes.get(..HEADER_BYTES)?);
        let whole = reader.take(8)? == MAGIC && reader.u32()? == FORMAT && reader.u32()? == 0;
        let (store_id, epoch) = (reader.u128()?, reader.u64()?);
        let (base_seq, snapshot_frames) = (reader.u64()?, reader.u64()?);
        let hashed = reader.u64()? == xxh3_64(&bytes[..HEADER_BYTES - 8]);
        (whole && hashed).then_some(Self { store_id, epoch, base_seq, snapshot_frames })
    }
}

/// Appends the frame of a change.
pub(crate) fn put_frame(bytes: &mut Vec<u8>, seq: u64, change: &Change) {
    let body = body(change);
    let body_hash = xxh3_64(&body);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    bytes.put_u32(length);
    bytes.put_u32(frame_hash(length, seq, body_hash));
    bytes.put_u64(seq);
    bytes.put_u64(body_hash);
    bytes.extend_from_slice(&body);
    bytes.push(END);
}

/// Reads a log file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Content, Damaged> {
    let header = Header::decode(bytes).ok_or(Damaged { epoch: 0, what: "its header is damaged" })?;
    let damaged = |what| Damaged { epoch: header.epoch, what };
    let mut content = Content { header, changes: Vec::new(), last_seq: header.base_seq, cut: 0 };
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let in_snapshot = (content.changes.len() as u64) < header.snapshot_frames;
        match parse_frame(&bytes[at..]) {
            Frame::Whole { seq, change, length } => {
                let expected = if in_snapshot { 0 } else { content.last_seq + 1 };
                if seq != expected {
                    return Err(damaged("a change is missing"));
                }
                content.last_seq = content.last_seq.max(seq);
                content.changes.push(change);
                at += length;
            }
            Frame::Cut | Frame::Wrong if in_snapshot => return Err(damaged("its snapshot is damaged")),
            Frame::Wrong if !is_torn(bytes, at) => return Err(damaged("a change is damaged")),
            Frame::Cut | Frame::Wrong => {
                content.cut = bytes.len() - at;
                break;
            }
        }
    }
    if (content.changes.len() as u64) < header.snapshot_frames {
        return Err(damaged("its snapshot is cut"));
    }
    Ok(content)
}

enum Frame {
    Whole {
        seq: u64,
        change: Change,
        length: usize,
    },
    /// The file ends before the frame does.
    Cut,
    Wrong,
}

fn parse_frame(bytes: &[u8]) -> Frame {
    let mut reader = Reader(bytes);
    let (Some(length), Some(hash), Some(seq), Some(body_hash)) =
        (reader.u32(), reader.u32(), reader.u64(), reader.u64())
    else {
        return Frame::Cut;
    };
    if frame_hash(length, seq, body_hash) != hash {
        return Frame::Wrong;
    }
    let Some(body) = reader.take(length as usize) else { return Frame::Cut };
    let Some(end) = reader.u8() else { return Frame::Cut };
    if xxh3_64(body) != body_hash || end != END {
        return Frame::Wrong;
    }
    match parse_body(body) {
        Some(change) => Frame::Whole { seq, change, length: FRAME_BYTES + body.len() + 1 },
        None => Frame::Wrong,
    }
}

/// Whether a frame that is wrong may have been torn: nothing but zeros from one of the sectors on that it touches.
fn is_torn(bytes: &[u8], frame: usize) -> bool {
    let written = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let zeros_from = written.next_multiple_of(SECTOR).max(frame);
    zeros_from < bytes.len() || written <= frame
}

fn frame_hash(length: u32, seq: u64, body_hash: u64) -> u32 {
    let mut bytes = Vec::with_capacity(20);
    bytes.put_u32(length);
    bytes.put_u64(seq);
    bytes.put_u64(body_hash);
    xxh3_64(&bytes) as u32
}

fn body(change: &Change) -> Vec<u8> {
    let (kind, stamp, strings): (u8, u64, Vec<&[u8]>) = match change {
        Change::All { stamp } => (1, *stamp, vec![]),
        Change::Namespace { namespace, stamp } => (2, *stamp, vec![namespace.as_bytes()]),
        Change::Tag { tag, stamp } => (3, *stamp, vec![tag.as_bytes()]),
        Change::Key { cache, namespace, bytes, stamp } => {
            (4, *stamp, vec![cache.as_bytes(), namespace.as_bytes(), bytes])
        }
        Change::Prefix { cache, namespace, prefix, stamp } => {
            (5, *stamp, vec![cache.as_bytes(), namespace.as_bytes(), prefix])
        }
        Change::Fingerprint { namespace, fingerprint, stamp } => (6, *stamp, vec![namespace.as_bytes(), fingerprint]),
    };
    let mut bytes = vec![kind];
    bytes.put_u64(stamp);
    for string in strings {
        bytes.put_bytes(string);
    }
    bytes
}

fn parse_body(body: &[u8]) -> Option<Change> {
    let mut reader = Reader(body);
    let (kind, stamp) = (reader.u8()?, reader.u64()?);
    let change = match kind {
        1 => Change::All { stamp },
        2 => Change::Namespace { namespace: reader.text()?, stamp },
        3 => Change::Tag { tag: reader.text()?, stamp },
        4 => {
            let (cache, namespace) = (reader.text()?, reader.text()?);
            Change::Key { cache, namespace, bytes: reader.bytes()?.into(), stamp }
        }
        5 => {
            let (cache, namespace) = (reader.text()?, reader.text()?);
            Change::Prefix { cache, namespace, prefix: reader.bytes()?.into(), stamp }
        }
        6 => Change::Fingerprint { namespace: reader.text()?, fingerprint: reader.bytes()?.into(), stamp },
        _ => return None,
    };
    reader.end()?;
    Some(change)
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
