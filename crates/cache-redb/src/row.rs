//! The row of a record in the table `meta`: all that is known of it, and where and what its payload is.
//!
//! The layout of format version 2, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `LREC` |
//! | 2 | format version, 2 |
//! | 1 | codec |
//! | 1 | 0 |
//! | 8 | xxh3-64 of the record's name followed by the rest of this row |
//! | 8 | id of the payload |
//! | 8 | bytes of the payload, decompressed |
//! | 8 | bytes of the payload, as stored |
//! | 8 | xxh3-64 of the payload, as stored |
//! | 8 x 8 | layout, loaded at, expires, stale while revalidate, stale if error, counter, cost, bytes of the value |
//! | 8 | the counter from before the record's own load began |
//! | 4, then each 4 + n | number of tags; each tag's length and its UTF-8 |
//!
//! Version 1 had one counter, which counts for both.

use cache_core::{Codec, Meta};
use xxhash_rust::xxh3::Xxh3;

use crate::wire::{Put, Reader};

const MAGIC: &[u8; 4] = b"LREC";
/// The version of the format that is written; those before it are read.
const FORMAT: u16 = 2;
/// Bytes before those that the checksum covers.
const UNCHECKED: usize = 16;

/// A row of the table `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) meta: Meta,
    /// The invalidation counter from before the record's own load began.
    pub(crate) began: u64,
    pub(crate) id: u64,
    pub(crate) codec: Codec,
    pub(crate) plain_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) payload_hash: u64,
}

impl Row {
    pub(crate) fn encode(&self, name: &[u8]) -> Vec<u8> {
        let meta = &self.meta;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(MAGIC);
        bytes.put_u16(FORMAT);
        bytes.push(self.codec.number());
        bytes.push(0);
        bytes.put_u64(0);
        for number in [self.id, self.plain_bytes, self.stored_bytes, self.payload_hash] {
            bytes.put_u64(number);
        }
        bytes.put_u64(meta.layout);
        bytes.put_u64(meta.loaded_at_ms);
        bytes.put_u64(meta.expires_ms);
        bytes.put_u64(meta.stale_while_revalidate_ms);
        bytes.put_u64(meta.stale_if_error_ms);
        bytes.put_u64(meta.counter);
        bytes.put_u64(meta.cost_us);
        bytes.put_u64(meta.value_bytes);
        bytes.put_u64(self.began);
        bytes.put_u32(u32::try_from(meta.tags.len()).unwrap_or(u32::MAX));
        for tag in &meta.tags {
            bytes.put_bytes(tag.as_bytes());
        }
        let hash = checksum(name, &bytes);
        bytes[8..UNCHECKED].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    /// The row of the record with this name; `None` if it is of another format, damaged or another record's.
    pub(crate) fn decode(name: &[u8], bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let magic = reader.take(4)?;
        let format = reader.u16()?;
        if magic != MAGIC || !(1..=FORMAT).contains(&format) {
            return None;
        }
        let codec = reader.u8()?;
        let zero = reader.u8()?;
        if zero != 0 || reader.u64()? != checksum(name, bytes) {
            return None;
        }
        let (id, plain_bytes, stored_bytes, payload_hash) =
            (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let mut meta = Meta {
            layout: reader.u64()?,
            loaded_at_ms: reader.u64()?,
            expires_ms: reader.u64()?,
            stale_while_revalidate_ms: reader.u64()?,
            stale_if_error_ms: reader.u64()?,
            counter: reader.u64()?,
            cost_us: reader.u64()?,
            value_bytes: reader.u64()?,
            tags: Vec::new(),
        };
        let began = if format == 1 { meta.counter } else { reader.u64()? };
        for _ in 0..reader.u32()? {
            meta.tags.push(reader.text()?);
        }
        reader.end()?;
        let codec = Codec::from_number(codec)?;
        Some(Self { meta, began, id, codec, plain_bytes, stored_bytes, payload_hash })
    }
}

/// The codec is before the checksum's place and still under it: all bytes but the checksum's own are covered.
fn checksum(name: &[u8], row: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(&row[..8]);
    hasher.update(&row[UNCHECKED..]);
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let meta = Meta {
            layout: 0x1111_1111_1111_1111,
            loaded_at_ms: 2,
            expires_ms: 3,
            stale_while_revalidate_ms: 4,
            stale_if_error_ms: 5,
            counter: 6,
            cost_us: 7,
            value_bytes: 8,
            tags: vec!["eu".into(), "".into()],
        };
        Row { meta, began: 13, id: 9, codec: Codec::Zstd, plain_bytes: 10, stored_bytes: 11, payload_hash: 12 }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes of the row above, as they have to be in a format.
    fn laid_out(format: u8, checksum: &str, numbers: &[u64]) -> String {
        let numbers: String = numbers.iter().map(|number| hex(&number.to_le_bytes())).collect();
        let parts = ["4c524543", &format!("{format:02x}00"), "02", "00", checksum, &numbers];
        parts.concat() + "02000000" + "020000006575" + "00000000"
    }

    const NUMBERS: [u64; 13] = [9, 10, 11, 12, 0x1111_1111_1111_1111, 2, 3, 4, 5, 6, 7, 8, 13];

    #[test]
    fn the_bytes_of_a_row_are_those_of_format_2() {
        assert_eq!(hex(&row().encode(b"name")), laid_out(2, "36a231717daa8438", &NUMBERS));
    }

    #[test]
    fn a_row_of_format_1_began_when_its_data_did() {
        let bytes = laid_out(1, "8f2544a109e6e376", &NUMBERS[..12]);
        let bytes: Vec<u8> =
            (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
        assert_eq!(Row::decode(b"name", &bytes), Some(Row { began: 6, ..row() }));
    }

    #[test]
    fn a_row_comes_back_under_its_own_name_only() {
        let bytes = row().encode(b"name");
        assert_eq!(Row::decode(b"name", &bytes), Some(row()));
        assert_eq!(Row::decode(b"nam", &bytes), None);
        assert_eq!(Row::decode(b"namf", &bytes), None);
    }

    #[test]
    fn each_changed_bit_and_each_cut_is_noticed() {
        let bytes = row().encode(b"name");
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(Row::decode(b"name", &changed), None, "bit {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Row::decode(b"name", &bytes[..length]), None, "cut at {length}");
        }
    }
}
