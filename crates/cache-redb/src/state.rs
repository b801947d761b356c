//! What the database knows of the log, so that an old copy of either is noticed.
//!
//! The one row of the table `state`, little-endian: `LSTA`, format version 2 (2), 0 (2), store id (16), epoch (8), sequence
//! number of the last change that was settled when this was written (8), the latest time of day that was seen until then
//! (8, in milliseconds since the Unix epoch), xxh3-64 of the 48 bytes before. Version 1 had no time of day.

use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{Put, Reader};

const MAGIC: &[u8; 4] = b"LSTA";
const FORMAT: u16 = 2;
/// The clock may be set by less than this without anything being older than it seems by more.
pub(crate) const CLOCK_SLACK_MS: u64 = 1_000;

/// What the database knows of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) store_id: u128,
    pub(crate) epoch: u64,
    pub(crate) log_seq: u64,
    pub(crate) seen_ms: u64,
}

impl State {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u16(FORMAT);
        bytes.put_u16(0);
        bytes.extend_from_slice(&self.store_id.to_le_bytes());
        bytes.put_u64(self.epoch);
        bytes.put_u64(self.log_seq);
        bytes.put_u64(self.seen_ms);
        bytes.put_u64(xxh3_64(&bytes));
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let magic = reader.take(4)?;
        let (format, zero) = (reader.u16()?, reader.u16()?);
        let (store_id, epoch, log_seq) = (reader.u128()?, reader.u64()?, reader.u64()?);
        let seen_ms = if format == 1 { 0 } else { reader.u64()? };
        let hashed = bytes.len() - reader.0.len();
        let whole = reader.u64()? == xxh3_64(&bytes[..hashed]);
        reader.end()?;
        let known = magic == MAGIC && (1..=FORMAT).contains(&format) && zero == 0;
        (known && whole).then_some(Self { store_id, epoch, log_seq, seen_ms })
    }

    /// Whether the clock has been set back since: then nobody knows how old anything is.
    pub(crate) fn is_ahead_of(&self, now_ms: u64) -> bool {
        self.seen_ms > now_ms.saturating_add(CLOCK_SLACK_MS)
    }

    /// Whether a log that is this far may be the one that the database last knew, or a later one.
    pub(crate) fn is_followed_by(&self, log: &Self) -> bool {
        self.store_id == log.store_id && self.epoch <= log.epoch && self.log_seq <= log.log_seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: State = State { store_id: 7, epoch: 3, log_seq: 40, seen_ms: 5_000 };

    #[test]
    fn the_bytes_of_a_state_are_those_of_format_2() {
        let expected = [
            "4c535441",
            "0200",
            "0000",
            "07000000000000000000000000000000",
            "0300000000000000",
            "2800000000000000",
            "8813000000000000",
            "dfdab4a09b470e54",
        ];
        let hex: String = STATE.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.concat());
    }

    #[test]
    fn a_state_comes_back_and_no_changed_one_does() {
        let bytes = STATE.encode();
        assert_eq!(State::decode(&bytes), Some(STATE));
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(State::decode(&changed), None, "bit {at}");
        }
    }

    #[test]
    fn an_older_or_another_log_is_not_believed() {
        let follows = |store_id, epoch, log_seq| STATE.is_followed_by(&State { store_id, epoch, log_seq, seen_ms: 0 });
        assert!(follows(7, 3, 40));
        assert!(follows(7, 4, 41));
        assert!(!follows(8, 3, 40), "another store");
        assert!(!follows(7, 2, 40), "an earlier opening");
        assert!(!follows(7, 3, 39), "a change is missing");
    }

    #[test]
    fn a_state_of_format_1_has_seen_no_time_of_day() {
        let mut bytes = STATE.encode()[..40].to_vec();
        bytes[4] = 1;
        bytes.put_u64(xxh3_64(&bytes));
        assert_eq!(State::decode(&bytes), Some(State { seen_ms: 0, ..STATE }));
    }

    #[test]
    fn a_clock_that_is_set_back_by_more_than_a_second_is_noticed() {
        assert!(!STATE.is_ahead_of(5_000));
        assert!(!STATE.is_ahead_of(4_000));
        assert!(STATE.is_ahead_of(3_999));
    }
}
